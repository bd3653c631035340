//! One error shape: RFC 9457 `application/problem+json`, with a stable code and the fields at fault.

use crate::current::current_request_id;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use credentials::Who;
use kernel::{FieldError, FieldErrors};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;

/// A kind of problem, documented in `docs/api.md`.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemCode {
    /// Stable; also the last part of the problem's `type`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What it means, for every occurrence.
    pub title: &'static str,
    /// May the same request succeed later?
    pub retryable: bool,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $status:literal, $retryable:literal, $title:literal;)*) => {
        /// The kinds of problems by name.
        pub mod code {
            use super::ProblemCode;
            $(
                #[doc = $title]
                pub const $name: ProblemCode =
                    ProblemCode { code: $code, status: $status, title: $title, retryable: $retryable };
            )*
        }
        /// Every kind of problem; besides these there are the rejections of the aggregates.
        pub const CODES: &[ProblemCode] = &[$(code::$name),*];
    };
}

codes! {
    INVALID_REQUEST = "invalid-request", 400, false, "The request is not HTTP as RFC 9112 has it.";
    INVALID_JSON = "invalid-json", 400, false, "The body is not JSON as RFC 8259 has it.";
    INVALID_HEADER = "invalid-header", 400, false, "A header has a value that means nothing.";
    INVALID_PARAMETER = "invalid-parameter", 400, false, "A query parameter is unknown or has a value that means nothing.";
    INVALID_CURSOR = "invalid-cursor", 400, false, "The cursor belongs to another list, filter, order or tenant.";
    IDEMPOTENCY_KEY_REQUIRED = "idempotency-key-required", 400, false, "A creation needs an Idempotency-Key header.";
    LOGIN_REFUSED = "login-refused", 400, false, "What came back from the provider is of no use.";
    CONNECT_REFUSED = "connect-refused", 400, false, "What came back from the provider does not connect anything.";
    UNAUTHENTICATED = "unauthenticated", 401, false, "The request carries no valid bearer token.";
    FORBIDDEN = "forbidden", 403, false, "The caller's roles do not hold this permission.";
    CSRF_REFUSED = "csrf-refused", 403, false, "A change that no page of the session asked for.";
    NOT_FOUND = "not-found", 404, false, "There is no such thing, or not for this caller.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, false, "This path does not take this method.";
    REQUEST_TIMEOUT = "request-timeout", 408, true, "The request did not arrive in time; nothing was done.";
    ALREADY_EXISTS = "already-exists", 409, false, "Something with this id exists already.";
    TAKEN = "taken", 409, false, "Another record of the firm holds a value that must be unique.";
    REJECTED = "rejected", 409, false, "The record's state does not allow this.";
    CONFLICT = "conflict", 409, true, "Others changed the record at the same time, again and again.";
    VERSION_MISMATCH = "version-mismatch", 412, false, "If-Match names another version than the record has.";
    BODY_TOO_LARGE = "body-too-large", 413, false, "The body is larger than this service takes.";
    URI_TOO_LONG = "uri-too-long", 414, false, "The path with its query is longer than this service takes.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, false, "The body must be application/json in UTF-8.";
    INVALID_INPUT = "invalid-input", 422, false, "A field is missing, unknown or wrong.";
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused", 422, false, "The idempotency key was used for another request.";
    UNIT_TOO_LARGE = "unit-too-large", 422, false, "What has to enter the log together is more than one unit takes.";
    RATE_LIMITED = "rate-limited", 429, true, "More requests than the quota of an address, a caller or a firm; nothing was done.";
    HEADERS_TOO_LARGE = "headers-too-large", 431, false, "The headers are more or longer than this service takes.";
    FAULT = "fault", 500, true, "Something is broken on our side; the request id finds it in the logs.";
    OVERLOADED = "overloaded", 503, true, "The service has more to do than it can; nothing was done.";
    UNAVAILABLE = "unavailable", 503, true, "The log cannot be reached; repeat with the same idempotency key.";
    NOT_SET_UP = "not-set-up", 409, false, "This installation is not set up for that; nothing was done.";
    POSITION_UNKNOWN = "position-unknown", 409, false, "The log ends before Min-Position, for example after a restore.";
    PROJECTION_BEHIND = "projection-behind", 503, true, "The read model has not seen Min-Position yet.";
}

/// One occurrence of a problem.
#[derive(Debug, Clone)]
pub struct Problem(Box<Occurrence>);

/// Boxed, because every handler's result has room for it.
#[derive(Debug, Clone)]
struct Occurrence {
    kind: &'static ProblemCode,
    code: Cow<'static, str>,
    detail: String,
    errors: Vec<FieldError>,
    extra: serde_json::Map<String, Value>,
    /// Seconds after which to repeat what can be repeated.
    after: u32,
    kept_out: Option<(Who, &'static str)>,
}

impl Problem {
    /// A problem of this kind; `detail` says what happened here and what was expected.
    pub fn new(kind: &'static ProblemCode, detail: impl Into<String>) -> Self {
        let code = Cow::Borrowed(kind.code);
        let (detail, errors, extra) = (detail.into(), vec![], serde_json::Map::new());
        Self(Box::new(Occurrence { kind, code, detail, errors, extra, after: 1, kept_out: None }))
    }

    /// A narrower code than the kind's: a rejection's, a claim's.
    pub fn coded(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    /// An input with everything that is wrong with it.
    pub fn invalid(errors: FieldErrors) -> Self {
        let problem = Self::new(&code::INVALID_INPUT, errors.to_string());
        errors.into_vec().into_iter().fold(problem, Self::field)
    }

    /// A field at fault.
    pub fn field(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// Another member of the problem object.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Says to repeat no sooner than so many seconds from now, instead of one.
    pub fn after(mut self, seconds: u32) -> Self {
        self.0.after = seconds;
        self
    }

    /// Who is kept out by it and why, if we know who that is; for the audit trail, and not told.
    pub fn about(mut self, who: Option<Who>, why: &'static str) -> Self {
        self.0.kept_out = who.map(|who| (who, why));
        self
    }

    /// Who is kept out by it, and why, if it is about that.
    pub fn kept_out(&self) -> Option<(Who, &'static str)> {
        self.0.kept_out
    }

    /// What happened here and what was expected.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("/problems/{}", self.0.kind.code),
            "title": self.0.kind.title,
            "status": self.0.kind.status,
            "detail": self.0.detail,
            "code": self.0.code,
            "retryable": self.0.kind.retryable,
        });
        if !self.0.errors.is_empty() {
            body["errors"] = json!(self.0.errors);
        }
        // The id of the request in hand; the middleware keeps it for the whole task.
        if let Some(id) = current_request_id() {
            body["request_id"] = json!(id);
        }
        if let Some(object) = body.as_object_mut() {
            object.extend(self.0.extra.clone());
        }
        body
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.content_type("application/problem+json");
        if self.0.kind.status == 401 {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if self.0.kind.status == 408 {
            // The rest of the body may still come, and must not be taken for the next request.
            response.force_close();
        }
        if self.0.kind.retryable {
            response.insert_header((RETRY_AFTER, self.0.after));
        }
        response.body(self.body().to_string())
    }
}

/// For paths that nothing is mounted on.
pub async fn not_found_handler(request: HttpRequest) -> HttpResponse {
    Problem::new(&code::NOT_FOUND, format!("nothing answers {} {}", request.method(), request.path())).error_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::FieldCode;

    #[test]
    fn every_code_is_documented() {
        let documentation = include_str!("../../../docs/api.md");
        for kind in CODES {
            assert!(documentation.contains(&format!("`{}`", kind.code)), "docs/api.md does not explain {}", kind.code);
        }
    }

    #[test]
    fn every_code_of_a_field_is_documented_with_its_parameters() {
        let documentation = include_str!("../../../docs/api.md");
        for code in FieldCode::ALL {
            let parameters: Vec<String> = code.parameters().iter().map(|name| format!("`{name}`")).collect();
            let line = format!("| `{code}` | {} | {} |", parameters.join(", "), code.meaning());
            assert!(documentation.contains(&line), "docs/api.md lacks\n{line}");
        }
    }

    #[test]
    fn a_problem_names_the_field_and_what_was_expected() {
        let problem = Problem::new(&code::INVALID_INPUT, "see errors").field(FieldError::new(
            "/email",
            FieldCode::NotAnEmail,
            "expected an e-mail address",
        ));
        let body = problem.body();
        let (pointer, code) = (&body["errors"][0]["pointer"], &body["errors"][0]["code"]);
        assert_eq!((pointer, code), (&json!("/email"), &json!("not_an_email")));
        assert_eq!((body["status"].as_u64(), body["type"].as_str()), (Some(422), Some("/problems/invalid-input")));
    }
}
