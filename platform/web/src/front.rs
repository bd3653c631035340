//! What stands before both services: who may come in at all, how often, and with how large a request.

use crate::caller::Caller;
use crate::client_address::TrustedProxies;
use crate::draining::Draining;
use crate::limits::{Limits, Verdict, Who};
use crate::problem::{Problem, code};
use crate::request_info::RequestInfo;
use crate::security_headers;
use crate::session::CSRF_HEADER;
use actix_cors::Cors;
use actix_web::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ETAG, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, ORIGIN, RETRY_AFTER,
};
use actix_web::{HttpMessage, HttpRequest, web};
use std::net::{IpAddr, Ipv6Addr};

/// How long a browser may go without asking again whether a page may call, seconds.
const PREFLIGHT_LIVES: usize = 600;
/// What pages may send besides what every page may.
const REQUEST_HEADERS: [HeaderName; 9] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("min-position"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static(CSRF_HEADER),
];
/// What pages may read besides what every page may.
const RESPONSE_HEADERS: [HeaderName; 8] = [
    ETAG,
    LINK,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static("idempotency-replayed"),
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    HeaderName::from_static("request-id"),
];
/// What may be there once only. Lists, such as `If-Match` and `X-Forwarded-For`, may go over several lines.
const ONCE: [HeaderName; 12] = [
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    ORIGIN,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("min-position"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static(CSRF_HEADER),
];
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Whoever restarts processes and moves traffic by these must never be told to come later. They cost next to nothing, which
/// `/metrics` does not.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// How large a request may be before its body begins. The server itself refuses more than 96 headers and 128 KiB, with an
/// empty answer and 431.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of path and query at most.
    pub uri_bytes_max: usize,
    /// Headers at most.
    pub headers_max: usize,
    /// Bytes of all names and values at most.
    pub header_bytes_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { uri_bytes_max: 8_192, headers_max: 64, header_bytes_max: 32_768 }
    }
}

/// One per service, shared by its threads; mounted as `Data<Front>`.
#[derive(Debug, Default)]
pub struct Front {
    /// Is the process about to end?
    pub draining: Draining,
    /// How often one may come; nobody is limited without.
    pub limits: Option<Limits>,
    /// Whom to believe about addresses.
    pub proxies: TrustedProxies,
    /// How large a request may be.
    pub head: HeadLimits,
    /// Origins of other hosts whose pages may read answers, also with a session: `https://app.example.com`.
    pub origins: Vec<String>,
    /// What is said about TLS, if anything; see [`crate::strict_transport`].
    pub strict_transport: Option<HeaderValue>,
}

impl Front {
    /// Answers other origins' pages only if they are listed; whoever is not gets no header that a browser would go by.
    pub(crate) fn cors(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(["GET", "HEAD", "POST"])
            .allowed_headers(REQUEST_HEADERS)
            .expose_headers(RESPONSE_HEADERS)
            .supports_credentials()
            .max_age(PREFLIGHT_LIVES);
        self.origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
    }

    /// Looks at a request of which nothing is known but where it comes from and how large it is.
    pub(crate) async fn let_in(&self, request: &HttpRequest, client: IpAddr) -> Result<(), Problem> {
        self.measure(request)?;
        unambiguous(request)?;
        match &self.limits {
            Some(limits) if !PROBES.contains(&request.path()) => note(request, None, limits.address(client).await),
            _ => Ok(()),
        }
    }

    fn measure(&self, request: &HttpRequest) -> Result<(), Problem> {
        let HeadLimits { uri_bytes_max, headers_max, header_bytes_max } = self.head;
        if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > uri_bytes_max) {
            let detail = format!("expected a path with its query of at most {uri_bytes_max} bytes");
            return Err(Problem::new(&code::URI_TOO_LONG, detail));
        }
        let (count, bytes) = request
            .headers()
            .iter()
            .fold((0, 0), |(count, bytes), (name, value)| (count + 1, bytes + name.as_str().len() + value.len()));
        if count > headers_max || bytes > header_bytes_max {
            let detail = format!("expected at most {headers_max} headers of at most {header_bytes_max} bytes together");
            return Err(Problem::new(&code::HEADERS_TOO_LARGE, detail));
        }
        Ok(())
    }

    /// May `caller` go on? `None` if [`Front::caller`] is to be asked.
    pub(crate) fn caller_at_once(&self, request: &HttpRequest, caller: &Caller) -> Option<Result<(), Problem>> {
        let Some(limits) = &self.limits else { return Some(Ok(())) };
        let who = who(caller);
        limits.caller_at_once(&who).map(|verdict| note(request, Some(who), verdict))
    }

    /// May `caller` go on?
    pub(crate) async fn caller(&self, request: &HttpRequest, caller: &Caller) -> Result<(), Problem> {
        let Some(limits) = &self.limits else { return Ok(()) };
        let who = who(caller);
        note(request, Some(who), limits.caller(&who).await)
    }

    /// May somebody who is not known to be good show who they are?
    pub(crate) fn may_try(&self, request: &HttpRequest) -> Result<(), Problem> {
        let Some(limits) = &self.limits else { return Ok(()) };
        let client = request.extensions().get::<RequestInfo>().map(|info| info.client);
        client.map_or(Ok(()), |client| note(request, None, limits.may_try(client)))
    }

    /// Adds what every answer carries.
    pub(crate) fn finish(&self, info: Option<&RequestInfo>, path: &str, headers: &mut HeaderMap) {
        security_headers::add(headers, path, self.strict_transport.as_ref());
        if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            // They mean nothing alone.
            headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
            headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        }
        let (Some(limits), Some(info)) = (&self.limits, info) else { return };
        let Some(left) = info.left.get() else { return };
        if let Some(value) = left.header() {
            headers.insert(RATE_LIMIT, value);
        }
        if let Some(value) = limits.policies(info.who.get().as_ref()) {
            headers.insert(RATE_LIMIT_POLICY, value.clone());
        }
    }
}

/// May whoever sent this request begin one more login, which is kept for a while?
///
/// # Errors
/// If too many began at the same address.
pub async fn may_log_in(request: &HttpRequest) -> Result<(), Problem> {
    let client = request.extensions().get::<RequestInfo>().map(|info| info.client);
    match (limits_of(request), client) {
        (Some(limits), Some(client)) => note(request, None, limits.login(client).await),
        _ => Ok(()),
    }
}

/// May one more piece of this request's body come? Each counts like a request of whoever sends it.
pub(crate) async fn may_send_more(request: &HttpRequest) -> Result<(), Problem> {
    let info = request.extensions().get::<RequestInfo>().map(|info| (info.who.get(), info.client));
    match (limits_of(request), info) {
        (Some(limits), Some((Some(who), _))) => note(request, Some(who), limits.caller(&who).await),
        (Some(limits), Some((None, client))) => note(request, None, limits.address(client).await),
        _ => Ok(()),
    }
}

fn limits_of(request: &HttpRequest) -> Option<&Limits> {
    request.app_data::<web::Data<Front>>()?.limits.as_ref()
}

/// Refuses what two readers could take for two different requests: a header twice that may be there once, of which each
/// could look at another one, and a host that is none (RFC 9112 §3.2).
fn unambiguous(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    if let Some(name) = ONCE.iter().find(|name| headers.get_all(*name).nth(1).is_some()) {
        return Err(Problem::new(&code::INVALID_HEADER, format!("{name}: expected once")));
    }
    match headers.get(HOST) {
        Some(host) if !is_host(host.as_bytes()) => {
            Err(Problem::new(&code::INVALID_REQUEST, "Host: expected a name or an address, and a port if need be"))
        }
        _ => Ok(()),
    }
}

/// `uri-host [ ":" port ]` as we have it: a name of letters, digits, `-`, `_` and `.`, an IPv4 or an IPv6 address in brackets.
fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("ip", port),
            _ => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    !host.is_empty() && host.len() <= 255 && is_name && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn who(caller: &Caller) -> Who {
    Who { tenant: caller.tenant, principal: caller.principal, api_key: caller.api_key }
}

/// Keeps for the answer what is left.
fn note(request: &HttpRequest, who: Option<Who>, verdict: Verdict) -> Result<(), Problem> {
    let (left, result) = match verdict {
        Ok(left) => (left, Ok(())),
        Err(too_soon) => (Some(too_soon.left), Err(too_soon.problem)),
    };
    if let Some(info) = request.extensions().get::<RequestInfo>() {
        if let Some(left) = left {
            info.left.set(Some(left.nearer(info.left.get())));
        }
        if who.is_some() {
            info.who.set(who);
        }
    }
    result
}
