//! What every answer tells browsers not to do with it (OWASP ASVS 5.0 §3.4).

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use std::time::Duration;

/// An answer is data: it loads nothing, runs nothing, and stands in nobody's frame.
const DATA_ONLY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The page that shows the OpenAPI document brings its scripts along.
const DOCUMENTATION: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Says that browsers come here through TLS only, from now on and for so long (RFC 6797); zero says nothing.
pub fn strict_transport(lasts: Duration) -> Option<HeaderValue> {
    let seconds = lasts.as_secs();
    HeaderValue::from_str(&format!("max-age={seconds}; includeSubDomains")).ok().filter(|_| seconds > 0)
}

/// Adds what every answer carries. A handler that says itself how its answer may be kept is left alone.
pub(crate) fn add(headers: &mut HeaderMap, path: &str, strict_transport: Option<&HeaderValue>) {
    let policy = if path.starts_with("/docs/") { DOCUMENTATION } else { DATA_ONLY };
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN);
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), SAME_ORIGIN);
    if let Some(value) = strict_transport {
        headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
