//! Where providers come in by themselves. What they say is verified over the bytes as they come, noted once, and answered; what it
//! means is asked at the provider afterwards, because whoever says that something has changed does not say in which order.

use crate::desk::Desk;
use crate::pages::unavailable;
use ::web::{BodyLimits, Problem, RequestInfo, code};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use actix_web::web::{Bytes, BytesMut, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures::StreamExt;
use kernel::ConnectionId;
use metrics::counter;
use providers::Heard;

/// Where.
pub const PATH: &str = "/v1/webhooks/{provider}/{connection}";

/// Takes in what a provider says about a connection.
pub async fn webhook(
    desk: Data<Desk>,
    path: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, PATH);
    let (provider, connection) = path.into_inner();
    let unknown = || Problem::new(&code::NOT_FOUND, "no such connection");
    let adapter = desk.adapter(&provider).ok_or_else(unknown)?;
    let connection: ConnectionId = connection.parse().map_err(|_| unknown())?;
    let body = read(&request, payload, desk.limits).await?;
    let name = adapter.provider();
    let heard = desk.keeper.whose(name, connection).await.map_err(|error| unavailable(&error))?;
    if heard.is_empty() {
        return Err(unknown());
    }
    let header = |name: &str| {
        let value = request.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let mut outcome = "nothing_new";
    for Heard { place, account_id } in heard {
        let Ok(hints) = adapter.hear(&header, &body, &account_id) else {
            counter!("provider_messages_total", "provider" => name, "outcome" => "forged").increment(1);
            return Err(Problem::new(&code::UNAUTHENTICATED, "expected the provider's signature over these bytes"));
        };
        // A greeting, or something that is about others, names nothing.
        let is_new = !hints.is_empty()
            && desk.keeper.take_in(place, &body, &hints).await.map_err(|error| unavailable(&error))?;
        if is_new {
            outcome = "taken";
        }
    }
    counter!("provider_messages_total", "provider" => name, "outcome" => outcome).increment(1);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "no-store"));
    Ok(match adapter.thanks() {
        "" => answer.finish(),
        thanks => answer.content_type("text/plain").body(thanks),
    })
}

/// The bytes as they come, of bounded size and in bounded time.
async fn read(request: &HttpRequest, mut payload: Payload, limits: BodyLimits) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(&code::BODY_TOO_LARGE, format!("expected a body of at most {} bytes", limits.bytes_max));
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limits.bytes_max) {
        return Err(too_large());
    }
    let reading = async {
        let mut bytes = BytesMut::new();
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(|error| Problem::new(&code::INVALID_REQUEST, format!("the body: {error}")))?;
            if bytes.len() + piece.len() > limits.bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    };
    let late = |_| Problem::new(&code::REQUEST_TIMEOUT, "expected the whole body in time");
    tokio::time::timeout(limits.time_max, reading).await.map_err(late)?
}
