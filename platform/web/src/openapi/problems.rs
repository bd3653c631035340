//! What can go wrong, as a document says it, and what a problem's `type` leads to.

use super::{Document, reference};
use crate::problem::{CODES, Problem, ProblemCode, code};
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use kernel::FieldError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What every operation may be answered that takes a body, a query or none.
pub const EVERYWHERE: &[&ProblemCode] = &[
    &code::INVALID_REQUEST,
    &code::INVALID_HEADER,
    &code::URI_TOO_LONG,
    &code::HEADERS_TOO_LARGE,
    &code::RATE_LIMITED,
];
/// And where somebody must have come in.
pub const WHERE_ONE_IS_KNOWN: &[&ProblemCode] = &[&code::UNAUTHENTICATED, &code::FORBIDDEN, &code::CSRF_REFUSED];
/// And where there is a JSON body.
pub const WITH_BODY: &[&ProblemCode] = &[
    &code::INVALID_JSON,
    &code::REQUEST_TIMEOUT,
    &code::BODY_TOO_LARGE,
    &code::UNSUPPORTED_MEDIA_TYPE,
    &code::INVALID_INPUT,
];
/// And where work is done.
pub const AT_WORK: &[&ProblemCode] = &[&code::FAULT, &code::OVERLOADED, &code::UNAVAILABLE];

/// A code that one operation has besides the kinds.
#[derive(Debug)]
pub struct OwnCode {
    /// The status that it is answered with.
    pub status: u16,
    /// The code: a rejection's, a claim's.
    pub code: &'static str,
    /// What it means.
    pub about: String,
}

impl Document {
    /// The answers to an operation that may meet these kinds of problems. `own` are codes besides of the operation
    /// that generated clients call `name`.
    pub fn problems<'k>(
        &mut self,
        name: &str,
        kinds: impl IntoIterator<Item = &'k &'static ProblemCode>,
        own: &[OwnCode],
    ) -> Map<String, Value> {
        let mut by_status: BTreeMap<u16, Vec<&'static ProblemCode>> = BTreeMap::new();
        for kind in kinds {
            let met = by_status.entry(kind.status).or_default();
            if !met.contains(kind) {
                met.push(*kind);
            }
        }
        for own in own {
            by_status.entry(own.status).or_default();
        }
        let mut answers = Map::new();
        for (status, kinds) in by_status {
            let own: Vec<&OwnCode> = own.iter().filter(|own| own.status == status).collect();
            answers.insert(status.to_string(), self.answer(name, status, &kinds, &own));
        }
        answers.insert("default".to_owned(), reference("responses", "Problem"));
        answers
    }

    fn answer(&mut self, operation: &str, status: u16, kinds: &[&'static ProblemCode], own: &[&OwnCode]) -> Value {
        let mut codes: Vec<&str> = kinds.iter().map(|kind| kind.code).collect();
        codes.extend(own.iter().map(|own| own.code));
        // Operations that may meet the same share the answer.
        let name = match (own.is_empty(), status) {
            (false, 422) => format!("{operation}Invalid"),
            (false, _) => format!("{operation}Rejected"),
            (true, _) => kinds.iter().map(|kind| pascal(kind.code)).collect::<Vec<_>>().join("Or"),
        };
        // The narrowest is the last.
        let name = match kinds.last() {
            Some(last) if kinds.len() > 2 && own.is_empty() => format!("{}Etc", pascal(last.code)),
            _ => name,
        };
        let name = self.free_response(&name, &codes);
        let about = kinds.iter().map(|kind| (kind.code, kind.title));
        let about = about.chain(own.iter().map(|own| (own.code, own.about.as_str())));
        let about: String = about.map(|(code, about)| format!("\n- `{code}`: {about}")).collect();
        let schema = json!({
            "description": format!("One of these problems:\n{about}"),
            "allOf": [reference("schemas", "Problem"), {
                "type": "object",
                "required": ["status", "code"],
                "properties": {
                    "status": { "type": "integer", "const": status },
                    "code": { "type": "string", "enum": codes },
                },
            }],
        });
        let schema = self.component(&format!("{name}Problem"), schema);
        let mut headers = Map::from_iter([request_id()]);
        if status == 401 {
            let about = "The scheme: `Bearer`.";
            headers
                .insert("WWW-Authenticate".to_owned(), json!({ "description": about, "schema": { "type": "string" } }));
        }
        if kinds.iter().any(|kind| kind.retryable) {
            let about = "Seconds after which to repeat.";
            headers.insert("Retry-After".to_owned(), json!({ "description": about, "schema": { "type": "integer" } }));
        }
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title).collect();
        let titles = if titles.is_empty() { "The input contradicts a rule.".to_owned() } else { titles.join(" Or: ") };
        self.response(
            &name,
            json!({
                "description": titles,
                "headers": headers,
                "content": { "application/problem+json": { "schema": schema } },
            }),
        )
    }
}

/// The header that every answer carries.
pub fn request_id() -> (String, Value) {
    (
        "Request-Id".to_owned(),
        json!({
            "description": "Finds the request in the logs.", "schema": { "type": "string", "format": "uuid" },
        }),
    )
}

/// `csrf-refused` as generated clients call it: `CsrfRefused`.
fn pascal(code: &str) -> String {
    let words = code.split(['-', '_', '.']).map(|word| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
    });
    words.collect()
}

/// Any problem.
pub(super) fn schema(document: &mut Document) -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let number = |about: &str| json!({ "type": "integer", "format": "int64", "description": about });
    let errors = document.generator().subschema_for::<FieldError>();
    json!({
        "type": "object",
        "description": "A problem as RFC 9457 has it.",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "`/problems/` and the kind, which answers there" },
            "title": text("what the kind means"),
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "the HTTP status" },
            "detail": text("what happened here, and what was expected"),
            "code": text("stable: the kind, or what is narrower, such as a rejection's code"),
            "retryable": { "type": "boolean", "description": "may the same request succeed later?" },
            "request_id": { "type": "string", "format": "uuid", "description": "finds the request in the logs" },
            "errors": { "type": "array", "items": errors, "description": "the fields at fault" },
            "parameter": text("the query parameter at fault"),
            "holder": { "type": "string", "format": "uuid", "description": "the record that holds what must be unique, for whoever may see it" },
            "actual": number("the version that the record has"),
            "position": number("how far the log or the read model is"),
            "behind": number("by how many positions the read model is behind"),
        },
        "examples": [{
            "type": "/problems/not-found", "title": code::NOT_FOUND.title, "status": 404,
            "detail": "no such record", "code": "not-found", "retryable": false,
        }],
    })
}

/// Serves what the `type` of a problem leads to.
pub fn serve_problems(config: &mut ServiceConfig) {
    config.route("/problems", web::get().to(all));
    config.route("/problems/{kind}", web::get().to(one));
}

fn about(kind: &ProblemCode) -> Value {
    json!({
        "type": format!("/problems/{}", kind.code), "code": kind.code, "status": kind.status, "title": kind.title,
        "retryable": kind.retryable,
    })
}

async fn all() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "data": CODES.iter().map(about).collect::<Vec<_>>() }))
}

async fn one(kind: Path<String>) -> HttpResponse {
    match CODES.iter().find(|known| known.code == kind.as_str()) {
        Some(kind) => HttpResponse::Ok().json(about(kind)),
        None => Problem::new(&code::NOT_FOUND, "no such kind of problem; /problems lists all").error_response(),
    }
}
