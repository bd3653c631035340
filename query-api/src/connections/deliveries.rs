//! How an endpoint is, and what became of what was sent there.

use crate::api::Api;
use crate::connections::document::object;
use crate::operation::{Operation, found, problems};
use crate::question::{Needs, Question, ask};
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use sqlx::types::Json;
use uuid::Uuid;

/// Whoever may read the list of endpoints may ask.
const READ: &str = "connections.webhook_endpoint.read";

/// See above.
pub(crate) struct Deliveries;

impl Question for Deliveries {
    const PATH: &'static str = "/v1/connections/webhook-endpoints/{id}/deliveries";
    const ID: &'static str = "connections.webhook_endpoint.deliveries";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str = "How an endpoint is that is sent the firm's events, and what became of the 200 events that were tried \
                                 last there.";
    const SQL: &'static str = "
        select json_build_object(
            'failures', e.failures, 'failing_since', e.failing_since,
            'next_attempt_at', case when e.shut_until > now() then e.shut_until end,
            'last_success_at', e.last_success_at, 'last_failure_at', e.last_failure_at,
            'last_status', e.last_status, 'last_error', e.last_error,
            'deliveries', coalesce((
                select json_agg(json_build_object(
                           'event_id', d.event_id, 'position', d.position, 'event_type', d.event_type,
                           'aggregate_id', d.aggregate_id, 'status', d.status, 'attempts', d.attempts,
                           'first_tried_at', d.first_tried_at, 'last_tried_at', d.last_tried_at,
                           'next_attempt_at', d.next_attempt_at, 'answer_status', d.answer_status, 'error', d.error,
                           'took_ms', d.took_ms, 'is_replay', d.is_replay) order by d.last_tried_at desc)
                from (select * from webhooks.deliveries o
                      where o.tenant_id = t.tenant::uuid and o.endpoint_id = e.endpoint_id
                      order by o.last_tried_at desc limit 200) d), '[]'::json))
        from webhooks.endpoints e where e.tenant_id = t.tenant::uuid and e.endpoint_id = $2";
    type Row = (Json<Value>,);
}

/// Answers it.
pub(crate) async fn deliveries(
    api: Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, Deliveries::PATH);
    caller.require(READ)?;
    crate::given::none(&request)?;
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no such record at {}", request.path()));
    let id: Uuid = path.parse().map_err(|_| unknown())?;
    let _permit = api.admit(&caller).await?;
    let rows = ask::<Deliveries>(&api, &caller, |asked| asked.bind(id)).await?;
    let (Json(row),) = rows.into_iter().next().ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(row))
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let maybe_text = |about: &str| json!({ "type": ["string", "null"], "description": about });
    let at = |about: &str| json!({ "type": "string", "format": "date-time", "description": about });
    let maybe_at = |about: &str| json!({ "type": ["string", "null"], "format": "date-time", "description": about });
    let count = |about: &str| json!({ "type": "integer", "format": "int64", "minimum": 0, "description": about });
    let maybe_count = |about: &str| json!({ "type": ["integer", "null"], "minimum": 0, "description": about });
    let uuid = |about: &str| json!({ "type": "string", "format": "uuid", "description": about });
    let one = json!({
        "event_id": uuid("The event: `webhook-id` of the message."),
        "position": count("Where it stands in the log; sent again by a replay after the position before it."),
        "event_type": text("What happened: `client.created`."),
        "aggregate_id": uuid("The record."),
        "status": {
            "type": "string", "enum": ["delivered", "failing", "given_up", "withheld", "skipped"],
            "description": "`failing` is tried again; `withheld` may not be read by whoever answers for the endpoint; `skipped` was let go \
                            because the endpoint is disabled.",
        },
        "attempts": count("How often it was sent."),
        "first_tried_at": at("When it was first looked at."),
        "last_tried_at": at("And last."),
        "next_attempt_at": maybe_at("When it is tried again."),
        "answer_status": maybe_count("What was answered last, if anything was."),
        "error": maybe_text("Why it was not taken."),
        "took_ms": maybe_count("How long the last answer took, milliseconds."),
        "is_replay": { "type": "boolean", "description": "Somebody had asked for it again." },
    });
    let one = object(document, "WebhookDelivery", "What became of an event at an endpoint.", one);
    let all = json!({
        "failures": count("Failures since the last success."),
        "failing_since": maybe_at("Since when it has taken nothing."),
        "next_attempt_at": maybe_at("Until when it is left alone."),
        "last_success_at": maybe_at("When it last took something; ten seconds old at most."),
        "last_failure_at": maybe_at("When it last did not."),
        "last_status": maybe_count("What was answered last, if anything was."),
        "last_error": maybe_text("Why the last one was not taken."),
        "deliveries": { "type": "array", "items": one, "description": "Those tried last, newest first; known for 30 days." },
    });
    let all = object(document, "WebhookDeliveries", "How an endpoint is.", all);
    let mut responses = found("The endpoint.", Map::from_iter([openapi::request_id()]), &all);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::NOT_FOUND];
    responses.extend(problems(document, "WebhookDeliveries", OWN));
    let id = json!({
        "name": "id", "in": "path", "required": true, "description": "The endpoint.",
        "schema": { "type": "string", "format": "uuid" },
    });
    document.operation(Deliveries::PATH, "get", Operation::of::<Deliveries>(vec![id]).answered(responses));
}
