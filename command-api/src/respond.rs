//! What a command is answered, whether it was done or not.

use ::web::{Problem, code};
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, LOCATION};
use event_store::{CommandInfo, ExecuteError, Executed};
use kernel::{FieldError, Reach};
use serde_json::Value;

/// 201 with `Location` for a creation, else 200. A secret that was made for the command is shown now or never: whoever
/// repeats it learns that it was done, and can ask for another.
pub fn done(
    info: &CommandInfo,
    executed: &Executed,
    secret: Option<&str>,
    told: Option<&(&'static str, Value)>,
    records_at: &str,
) -> HttpResponse {
    let Executed { id, version, position, created, replayed, parts } = executed;
    let mut response = if *created { HttpResponse::Created() } else { HttpResponse::Ok() };
    if *created {
        response.insert_header((LOCATION, format!("{records_at}/v1/{}/{id}", info.path)));
    }
    if *replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    response.insert_header((ETAG, format!("\"{version}\"")));
    // Fields that need no escaping.
    let mut body = format!(r#"{{"id":"{id}","version":{version},"position":{position}"#);
    if !parts.is_empty() {
        let parts = parts.to_string();
        body.push(',');
        body.push_str(parts.trim_start_matches('{').trim_end_matches('}'));
    }
    if let Some(secret) = secret.filter(|_| !replayed) {
        body.push_str(&format!(r#","secret":"{secret}""#));
    }
    if let Some((name, told)) = told {
        body.push_str(&format!(r#","{name}":{told}"#));
        // What it tells may let whoever reads it do something.
        response.insert_header((CACHE_CONTROL, "no-store"));
    }
    body.push('}');
    response.content_type(ContentType::json()).body(body)
}

/// The problem that stands for an error, for a caller whose permission reaches so far.
pub fn problem(info: &CommandInfo, error: ExecuteError, reach: &Reach) -> Problem {
    let name = info.entry.name;
    match error {
        ExecuteError::Invalid(errors) => Problem::invalid(errors),
        ExecuteError::Denied => Problem::new(&code::FORBIDDEN, format!("this needs the permission {name}")),
        ExecuteError::NotFound => Problem::new(&code::NOT_FOUND, format!("no such {}", info.entry.stream)),
        ExecuteError::AlreadyExists => {
            Problem::new(&code::ALREADY_EXISTS, format!("this {} exists", info.entry.stream))
        }
        ExecuteError::Rejected { code: reason, message, invalid: Some(pointer) } => {
            Problem::new(&code::INVALID_INPUT, message)
                .coded(reason)
                .field(FieldError::rejected(pointer, reason, message))
        }
        ExecuteError::Rejected { code: reason, message, invalid: None } => {
            Problem::new(&code::REJECTED, message).coded(reason)
        }
        ExecuteError::Claimed { scope, holder } => {
            let what = scope.rsplit('.').next().unwrap_or_default();
            let detail = format!("another record of the firm holds this {what}");
            let problem = Problem::new(&code::TAKEN, detail).coded(format!("{scope}.taken"));
            // Which record it is, is only for whoever may see all of them.
            if *reach == Reach::Everything { problem.with("holder", holder.to_string()) } else { problem }
        }
        ExecuteError::VersionMismatch { expected, actual } => {
            let expected: Vec<String> = expected.iter().map(i64::to_string).collect();
            let detail = match expected.as_slice() {
                [] => format!("none of these tags is of this record, which has version {actual}"),
                _ => format!("expected version {}, the record has {actual}", expected.join(" or ")),
            };
            Problem::new(&code::VERSION_MISMATCH, detail).with("actual", actual)
        }
        ExecuteError::Conflict => Problem::new(&code::CONFLICT, "others changed the record at the same time; repeat"),
        ExecuteError::KeyReused => {
            Problem::new(&code::IDEMPOTENCY_KEY_REUSED, "this idempotency key belongs to another request")
        }
        error @ ExecuteError::UnitTooLarge => Problem::new(&code::UNIT_TOO_LARGE, error.to_string()),
        ExecuteError::Overloaded => Problem::new(&code::OVERLOADED, "nothing was done; repeat in a moment"),
        ExecuteError::Unavailable(error) => {
            tracing::error!(command = name, error = format!("{error:#}"), "the log is unavailable");
            Problem::new(&code::UNAVAILABLE, "the outcome is unknown; repeat with the same idempotency key")
        }
        ExecuteError::Fault(error) => {
            tracing::error!(command = name, error = format!("{error:#}"), "a command failed on our side");
            Problem::new(&code::FAULT, "the command failed on our side; the request id finds it in the logs")
        }
    }
}
