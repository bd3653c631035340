//! Around every request: an id, a span, one log line, metrics, security headers.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use metrics::{counter, histogram};
use std::collections::HashMap;
use std::time::Instant;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// What is known of the request in hand.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// UUIDv7, answered as `Request-Id`.
    pub id: Uuid,
    /// The caller's W3C trace context, if it is well-formed.
    pub traceparent: Option<String>,
}

const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    static REQUEST: Uuid;
}

/// The id of the request that this task serves.
pub(crate) fn current_request_id() -> Option<Uuid> {
    REQUEST.try_with(|id| *id).ok()
}

/// Middleware for `actix_web::middleware::from_fn`.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id = Uuid::now_v7();
    let traceparent = request.headers().get(TRACEPARENT).and_then(|v| v.to_str().ok()).filter(|v| well_formed(v));
    let traceparent = traceparent.map(str::to_owned);
    let method = label_of(request.method());
    let span = tracing::info_span!("request", correlation_id = %id, method, route = tracing::field::Empty);
    let traceparent = continue_trace(&span, traceparent);
    request.extensions_mut().insert(RequestInfo { id, traceparent });
    let started = Instant::now();
    REQUEST
        .scope(id, async move {
            let mut response = next.call(request).await?;
            let status = response.status();
            // The template and not the path: paths would make one time series per record.
            let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
            let elapsed = started.elapsed();
            let labels =
                [("method", method.to_owned()), ("route", route.clone()), ("status", status.as_u16().to_string())];
            counter!("http_requests_total", &labels).increment(1);
            histogram!("http_request_duration_seconds", "method" => method, "route" => route.clone()).record(elapsed);
            if !matches!(route.as_str(), "/health" | "/ready" | "/metrics") {
                let (path, milliseconds) = (response.request().path().to_owned(), elapsed.as_secs_f64() * 1000.0);
                tracing::info!(route, path, status = status.as_u16(), milliseconds, "answered");
            }
            let headers = response.headers_mut();
            if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
                headers.insert(HeaderName::from_static("request-id"), value);
            }
            headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
            headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
            Ok(response)
        })
        .instrument(span)
        .await
}

/// HTTP allows any word as a method, and each would make time series of its own: a way to fill our memory from outside.
fn label_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Makes the span part of the caller's trace; answers what travels on with the events: our own span where spans are
/// exported, else what the caller sent.
fn continue_trace(span: &tracing::Span, caller: Option<String>) -> Option<String> {
    let mut carrier = HashMap::new();
    if let Some(caller) = &caller {
        carrier.insert(TRACEPARENT.to_owned(), caller.clone());
        let context = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        // Without an exporter there is no layer to tell.
        drop(span.set_parent(context));
    }
    let mut ours = HashMap::new();
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.inject_context(&span.context(), &mut ours));
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
