//! The health of connections in the OpenAPI document.

use crate::connections::health::{Health, OneHealth};
use crate::operation::{Operation, found, min_position, problems};
use crate::question::Question;
use ::web::openapi::{self, Document};
use ::web::{ProblemCode, code};
use serde_json::{Map, Value, json};

/// Adds the operations to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let properties = connection(document);
    let withheld = json!({
        "type": "array", "items": { "type": "string", "enum": ["runs", "invoices", "bills"] },
        "description": "What of what waits the caller may not read; it is left out of `waiting`.",
    });
    let one = object(document, "ConnectionHealth", "How a connection is.", properties.clone());
    let list =
        json!({ "type": "array", "items": one, "description": "Each connection, the oldest first, at most 1,000." });
    let all = json!({ "connections": list, "withheld": withheld });
    let all = object(document, "ConnectionsHealth", "How connections are.", all);
    let mut single = properties;
    single["withheld"] = withheld;
    let single = object(document, "OneConnectionHealth", "How a connection is.", single);

    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    let mut responses = found("The connections.", Map::from_iter([openapi::request_id()]), &all);
    responses.extend(problems(document, "ConnectionsHealth", OWN));
    document.operation(Health::PATH, "get", Operation::of::<Health>(vec![min_position()]).answered(responses));

    const OF_ONE: &[&ProblemCode] =
        &[&code::INVALID_PARAMETER, &code::NOT_FOUND, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    let mut responses = found("The connection.", Map::from_iter([openapi::request_id()]), &single);
    responses.extend(problems(document, "OneConnectionHealth", OF_ONE));
    let uuid = json!({ "type": "string", "format": "uuid" });
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "The connection.", "schema": uuid });
    let operation = Operation::of::<OneHealth>(vec![id, min_position()]).answered(responses);
    document.operation(OneHealth::PATH, "get", operation);
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn at(about: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": about })
}

fn maybe_at(about: &str) -> Value {
    json!({ "type": ["string", "null"], "format": "date-time", "description": about })
}

fn count(about: &str) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "description": about })
}

fn maybe_count(about: &str) -> Value {
    json!({ "type": ["integer", "null"], "format": "int64", "minimum": 0, "description": about })
}

fn truth(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// An object all of whose properties are there.
pub(super) fn object(document: &mut Document, name: &str, about: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
    document.component(name, schema)
}

/// What is told of a connection.
fn connection(document: &mut Document) -> Value {
    let budget = object(
        document,
        "ConnectionBudget",
        "What may be asked of a provider in a span of time.",
        json!({
            "name": text("Which span: `burst`, `minute`, `hour`, `day`."),
            "most": count("So many calls."),
            "ends_at": at("When the span ends."),
            "used": count("Calls of this span so far."),
        }),
    );
    let wrong = object(
        document,
        "ConnectionError",
        "What is wrong, and what helps.",
        json!({
            "class": {
                "type": "string", "enum": ["grant_refused", "not_permitted", "secrets_lost", "unreachable", "quota_used_up"],
                "description": "What kind of trouble it is.",
            },
            "sentence": text("The same in a sentence."),
            "remedy": text("What helps."),
            "needs_somebody": truth("Whether it lasts until somebody agrees at the provider again."),
            "detail": { "type": ["string", "null"], "description": "What the provider said, if that is known." },
            "since": maybe_at("Since when."),
        }),
    );
    let maybe_wrong = |about: &str| json!({ "oneOf": [wrong, { "type": "null" }], "description": about });
    let sync = object(
        document,
        "ConnectionSync",
        "Something that is kept in step with the provider.",
        json!({
            "name": text("What: `changes` is what the provider is asked for now and then because no message may have said it."),
            "cursor_at": maybe_at("Whatever happened at the provider before this is known here."),
            "cursor_age_seconds": maybe_count("How long ago that is."),
            "lag_seconds": count("How long its next round is overdue; 0 if it is in time."),
            "last_success_at": maybe_at("Its last round that succeeded."),
            "last_failure_at": maybe_at("Its last round that failed."),
            "failures": count("Rounds that have failed since one succeeded."),
            "error": maybe_wrong("Why the last one failed, if it did."),
            "next_at": maybe_at("When its next round is due."),
            "subscription_until": maybe_at("Until when the provider tells of changes by itself, if it has agreed to."),
            "done_count": maybe_count("Of what is read from the beginning: so many."),
            "total_count": maybe_count("Of so many, if that is known."),
        }),
    );
    let sum = object(
        document,
        "WaitingSum",
        "What of one currency waits.",
        json!({
            "currency": { "type": "string", "format": "currency", "description": "The currency." },
            "count": count("How many of them."),
            "total_minor": { "type": "integer", "description": "What they come to, in minor units." },
        }),
    );
    let sums = |about: &str| {
        let about = format!("{about} Left out, and told in `withheld`, where the caller may not read them.");
        json!({ "type": "array", "items": sum, "description": about })
    };
    let waiting = json!({
        "type": "object", "description": "What waits for a connection, and what it is worth.", "required": ["jobs", "parked", "oldest_at"],
        "properties": {
            "jobs": count("Jobs that are to be done through it, those among them that are about to be."),
            "parked": count("Jobs that wait for an operator, because they could not be done."),
            "oldest_at": maybe_at("Since when the oldest of them waits."),
            "runs": count("Runs of workflows that wait for what the jobs are about. Left out, and told in `withheld`, where the caller may \
                           not read runs."),
            "invoices": sums("The invoices that jobs are about, by currency."),
            "bills": sums("The bills that jobs are about, by currency."),
        },
    });
    let waiting = document.component("ConnectionWaiting", waiting);
    json!({
        "id": { "type": "string", "format": "uuid", "description": "The connection." },
        "provider": text("Whom it leads to."),
        "name": text("What the firm calls it."),
        "state": {
            "type": "string", "enum": ["pending", "connected", "degraded", "auth_error", "paused", "disconnected"],
            "description": "Where it stands.",
        },
        "state_since": at("Since when."),
        "account_label": { "type": ["string", "null"], "description": "What the provider calls the account." },
        "authorised_at": maybe_at("When somebody last agreed at the provider."),
        "last_success_at": maybe_at("The last call that succeeded; a minute old at most."),
        "last_failure_at": maybe_at("The last call that failed."),
        "failures": count("Failures since the last success."),
        "heard_at": maybe_at("When the provider last said something by itself."),
        "lag_seconds": count("How long the round of a sync is overdue that is most overdue."),
        "syncs": { "type": "array", "items": sync, "description": "What is kept in step with the provider." },
        "access_until": maybe_at("Until when the present token is good; it is replaced before."),
        "refreshed_at": maybe_at("When it was last replaced."),
        "refresh_failures": count("How often replacing it has failed since; a token that still works does not make it less."),
        "renewable_until": maybe_at("Until when it can be replaced at all, if that ends by itself; each replacement begins anew."),
        "subscription_until": maybe_at("The first of the moments at which the provider stops telling of changes by itself."),
        "calls_left_today": maybe_count("Calls that are left of the provider's day, if it counts by days and was asked something."),
        "budgets": { "type": "array", "items": budget, "description": "What may be asked, span by span." },
        "error": maybe_wrong("What is wrong while it stands at `degraded` or `auth_error`."),
        "waiting": waiting,
        "next_attempt_at": maybe_at("When something is tried next that goes through it."),
        "authorise_path": {
            "type": ["string", "null"],
            "description": "Where a browser with a session begins to agree at the provider, if that helps and the caller may.",
        },
    })
}
