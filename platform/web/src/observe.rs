//! Around every request: an id, a span, a log line if there is something to say, metrics, security headers.

use crate::auth;
use crate::current::serving;
use crate::front::Front;
use crate::problem::code;
use crate::request_info::RequestInfo;
use crate::work::{Asks, Work, Working};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, COOKIE, EXPECT, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use credentials::{may_say, shortened};
use metrics::{Counter, Histogram, counter, histogram};
use opentelemetry::trace::TraceContextExt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

const TRACEPARENT: &str = "traceparent";
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// An answer that took longer is worth a line of its own.
const SLOW: Duration = Duration::from_secs(1);

/// The route of what was turned away before any was looked for.
const NO_ROUTE: &str = "front";

/// Middleware for `actix_web::middleware::from_fn`, around everything else.
pub async fn observe<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Working<EitherBody<B>>>, Error> {
    let id = Uuid::now_v7();
    let at_work = request.conn_data::<Work>().map(Work::begin);
    // Told to go on only when its body is read: token, permission and headers are looked at first.
    let waits = request.headers().contains_key(EXPECT).then(|| request.conn_data::<Work>().cloned()).flatten();
    let has_asked = waits.map(|work| {
        let (body, has_asked) = Asks::around(request.take_payload(), work);
        request.set_payload(body);
        has_asked
    });
    let front = request.app_data::<web::Data<Front>>().cloned().unwrap_or_default();
    let client = front.proxies.client(request.request());
    let traceparent = request.headers().get(TRACEPARENT).and_then(|v| v.to_str().ok()).filter(|v| well_formed(v));
    let traceparent = traceparent.map(str::to_owned);
    let method = label_of(request.method());
    let is_head = request.method() == Method::HEAD;
    if is_head {
        // The same without a body, which the server leaves out: no route has to know.
        request.head_mut().method = Method::GET;
    }
    let span = tracing::info_span!("request", correlation_id = %id, method);
    let traceparent = continue_trace(&span, traceparent);
    let info = RequestInfo {
        id,
        traceparent,
        client,
        is_head,
        route: Cell::default(),
        left: Cell::default(),
        who: Cell::default(),
    };
    request.extensions_mut().insert(info);
    let started = Instant::now();
    serving(id, client, async move {
        let let_in = match front.let_in(request.request(), client).await {
            // What others do from the same address keeps out nobody who shows what is good.
            Err(problem) if problem.code() == code::RATE_LIMITED.code && auth::comes_in(request.request()).await => {
                Ok(())
            }
            let_in => let_in,
        };
        let mut response = match let_in {
            Ok(()) => next.call(request).await?.map_into_left_body(),
            Err(problem) => {
                RequestInfo::set_route(request.request(), NO_ROUTE);
                request.into_response(problem.error_response()).map_into_right_body()
            }
        };
        if response.status() == StatusCode::UNAUTHORIZED
            && [AUTHORIZATION, COOKIE].iter().any(|shown| response.request().headers().contains_key(shown))
            && let Some(limits) = &front.limits
        {
            limits.failed(client).await;
        }
        account(response.request(), method, response.status(), started.elapsed());
        if front.draining.has_begun() || has_asked.is_some_and(|has_asked| !has_asked.get()) {
            // The client's next request belongs to another process; or what comes next may be a body that nobody wants.
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        let (request, mut answer) = response.into_parts();
        let headers = answer.headers_mut();
        if let Ok(value) = HeaderValue::from_str(id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
            headers.insert(REQUEST_ID, value);
        }
        front.finish(request.extensions().get::<RequestInfo>(), request.path(), headers);
        let answer = answer.map_body(|_, body| Working { body, at_work });
        Ok(ServiceResponse::new(request, answer))
    })
    .instrument(span)
    .await
}

/// Counts an answer, and logs it if there is something to say: what went well is only logged at `debug`, because a line
/// costs more than the rest of the front, and what was shed or came too soon is counted alone, because a flood must not
/// become a flood of lines.
fn account(request: &HttpRequest, method: &'static str, status: StatusCode, elapsed: Duration) {
    let (known, client) = match request.extensions().get::<RequestInfo>() {
        Some(info) => (info.route.get(), Some(info.client)),
        None => (None, None),
    };
    let looked_up;
    let route = match known {
        Some(route) => route,
        None => {
            looked_up = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
            &looked_up
        }
    };
    count(method, route, status.as_u16(), elapsed);
    if matches!(route, "/health" | "/ready" | "/metrics") {
        return;
    }
    let (path, status, milliseconds) = (shortened(request.path()), status.as_u16(), elapsed.as_secs_f64() * 1000.0);
    let (path, is_worth_it) = (&*path, (status >= 400 && !matches!(status, 429 | 503)) || elapsed > SLOW);
    let may_say = is_worth_it && client.is_none_or(may_say);
    let client = client.map(tracing::field::display);
    if may_say {
        tracing::info!(client, route, path, status, milliseconds, "answered");
    } else {
        tracing::debug!(client, route, path, status, milliseconds, "answered");
    }
}

/// The counters of one kind of answer; looking them up by name costs more than counting.
struct Series {
    method: &'static str,
    route: String,
    status: u16,
    answers: Counter,
    seconds: Histogram,
}

fn count(method: &'static str, route: &str, status: u16, elapsed: Duration) {
    thread_local! {
        static SEEN: RefCell<Vec<Series>> = const { RefCell::new(Vec::new()) };
    }
    SEEN.with_borrow_mut(|seen| {
        let is_it = |s: &Series| s.status == status && s.method == method && s.route == route;
        // Routes, methods and statuses are few, and the ones in use come to the front.
        let index = seen.iter().position(is_it).unwrap_or_else(|| {
            let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
            seen.push(Series {
                method,
                route: route.to_owned(),
                status,
                answers: counter!("http_requests_total", &labels),
                seconds: histogram!("http_request_duration_seconds", "method" => method, "route" => route.to_owned()),
            });
            seen.len() - 1
        });
        seen[index].answers.increment(1);
        seen[index].seconds.record(elapsed);
        if index > 0 {
            seen.swap(index, index - 1);
        }
    });
}

/// HTTP allows any word as a method, and each would make time series of its own: a way to fill our memory from outside.
fn label_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Makes the span part of the caller's trace; answers what travels on with the events: our own span where spans are
/// exported, else what the caller sent.
fn continue_trace(span: &tracing::Span, caller: Option<String>) -> Option<String> {
    if let Some(caller) = &caller {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), caller.clone())]);
        let context = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        // Without an exporter there is no layer to tell.
        drop(span.set_parent(context));
    }
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return caller;
    }
    let mut ours = HashMap::new();
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut ours));
    ours.remove(TRACEPARENT).or(caller)
}

/// `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context); anything else is ignored, as the recommendation asks.
fn well_formed(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let hex = |part: &str, length| part.len() == length && part.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    matches!(parts.as_slice(), [version, trace, span, flags]
        if *version == "00" && hex(trace, 32) && hex(span, 16) && hex(flags, 2)
            && trace.contains(|c| c != '0') && span.contains(|c| c != '0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_somebody_made_up_share_one_label() {
        assert_eq!(label_of(&Method::POST), "POST");
        assert_eq!(label_of(&Method::from_bytes(b"X1").unwrap()), "other");
        assert_eq!(label_of(&Method::from_bytes(b"X2").unwrap()), "other");
    }

    #[test]
    fn only_a_well_formed_trace_context_is_taken_on() {
        assert!(well_formed("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!well_formed(wrong), "{wrong}");
        }
    }
}
