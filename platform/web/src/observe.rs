//! Around every request: an id, a span, a log line if there is something to say, metrics, security headers.

use crate::Draining;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use metrics::{Counter, Histogram, counter, histogram};
use opentelemetry::trace::TraceContextExt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};
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
    route: Cell<Option<&'static str>>,
}

impl RequestInfo {
    /// Says which route serves the request, for log and metrics. It is the template and not the path: paths would make
    /// one time series per record. Without it the template is looked up, at the price of matching the path again.
    pub fn set_route(request: &HttpRequest, route: &'static str) {
        if let Some(info) = request.extensions().get::<Self>() {
            info.route.set(Some(route));
        }
    }
}

const TRACEPARENT: &str = "traceparent";
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// An answer that took longer is worth a line of its own.
const SLOW: Duration = Duration::from_secs(1);

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
    let span = tracing::info_span!("request", correlation_id = %id, method);
    let traceparent = continue_trace(&span, traceparent);
    request.extensions_mut().insert(RequestInfo { id, traceparent, route: Cell::new(None) });
    let started = Instant::now();
    REQUEST
        .scope(id, async move {
            let mut response = next.call(request).await?;
            let elapsed = started.elapsed();
            account(response.request(), method, response.status(), elapsed);
            if is_draining(response.request()) {
                // The client's next request belongs to another process.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            let headers = response.headers_mut();
            if let Ok(value) = HeaderValue::from_str(id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
                headers.insert(REQUEST_ID, value);
            }
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            Ok(response)
        })
        .instrument(span)
        .await
}

fn is_draining(request: &HttpRequest) -> bool {
    request.app_data::<web::Data<Draining>>().is_some_and(|draining| draining.has_begun())
}

/// Counts an answer, and logs it if there is something to say: what went well is only logged at `debug`, because a line
/// costs more than the rest of the front, and what was shed is counted alone, because a flood must not become a flood of
/// lines.
fn account(request: &HttpRequest, method: &'static str, status: StatusCode, elapsed: Duration) {
    let known = request.extensions().get::<RequestInfo>().and_then(|info| info.route.get());
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
    let (path, status, milliseconds) = (request.path(), status.as_u16(), elapsed.as_secs_f64() * 1000.0);
    if (status >= 400 && status != 503) || elapsed > SLOW {
        tracing::info!(route, path, status, milliseconds, "answered");
    } else {
        tracing::debug!(route, path, status, milliseconds, "answered");
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
