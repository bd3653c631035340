//! How connections are for whoever uses them, beside what their records say: the last call, the budgets, what was heard.

use crate::api::Api;
use crate::operation::{Operation, found, problems};
use crate::question::{Needs, Question, ask};
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use sqlx::types::Json;

/// Whoever may read the list of connections may ask.
const READ: &str = "connections.connection.read";

/// How connections are.
pub(crate) struct Health;

impl Question for Health {
    const PATH: &'static str = "/v1/connections/health";
    const ID: &'static str = "connections.health.read";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str =
        "How each connection that somebody has agreed to is used: last calls, budgets, and what was heard.";
    const SQL: &'static str = "
        select json_build_object(
            'id', l.connection_id, 'provider', l.provider, 'health', l.health, 'trouble', l.trouble, 'is_paused', l.is_paused,
            'failures', l.failures, 'last_success_at', l.last_success_at, 'last_failure_at', l.last_failure_at,
            'access_until', l.access_until, 'refreshed_at', l.refreshed_at, 'heard_at', l.heard_at, 'swept_at', l.swept_at,
            'budgets', coalesce((
                select json_agg(json_build_object('name', b.name, 'most', b.most, 'ends_at', b.ends_at,
                                                  'used', case when b.ends_at > now() then b.used else 0 end) order by b.name)
                from (select * from connect.budgets o
                      where o.tenant_id = t.tenant::uuid and o.connection_id = l.connection_id offset 0) b), '[]'::json))
        from connect.links l where l.tenant_id = t.tenant::uuid order by l.connection_id limit 1000";
    type Row = (Json<Value>,);
}

/// Answers it.
pub(crate) async fn health(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, Health::PATH);
    caller.require(READ)?;
    crate::given::none(&request)?;
    let _permit = api.admit(&caller).await?;
    let rows: Vec<Value> =
        ask::<Health>(&api, &caller, |asked| asked).await?.into_iter().map(|(Json(row),)| row).collect();
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({ "connections": rows })))
}

/// Adds the operation to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let maybe = |about: &str| json!({ "type": ["string", "null"], "format": "date-time", "description": about });
    let count = |about: &str| json!({ "type": "integer", "minimum": 0, "description": about });
    let mut object = |name: &str, about: &str, properties: Value| {
        let required: Vec<&String> = properties.as_object().into_iter().flat_map(|p| p.keys()).collect();
        let schema = json!({ "type": "object", "description": about, "required": required, "properties": properties });
        document.component(name, schema)
    };
    let budget = object(
        "ConnectionBudget",
        "What may be asked of a provider in a span of time.",
        json!({
            "name": text("Which span: `burst`, `minute`, `hour`, `day`."),
            "most": count("So many calls."),
            "ends_at": { "type": "string", "format": "date-time", "description": "When the span ends." },
            "used": count("Calls of this span so far."),
        }),
    );
    let one = object(
        "ConnectionHealth",
        "How a connection is used.",
        json!({
            "id": { "type": "string", "format": "uuid", "description": "The connection." },
            "provider": text("Whom it leads to."),
            "health": { "type": "string", "enum": ["good", "degraded", "refused"], "description": "How it is." },
            "trouble": { "type": ["string", "null"], "description": "What went wrong last." },
            "is_paused": { "type": "boolean", "description": "Nothing is sent through it." },
            "failures": count("Failures since the last success."),
            "last_success_at": maybe("The last call that succeeded; a minute old at most."),
            "last_failure_at": maybe("The last call that failed."),
            "access_until": maybe("Until when the present token is good; it is replaced before."),
            "refreshed_at": maybe("When it was last replaced."),
            "heard_at": maybe("When the provider last said something by itself."),
            "swept_at": maybe("When it was last asked what had changed."),
            "budgets": { "type": "array", "items": budget, "description": "What may still be asked." },
        }),
    );
    let list = json!({ "type": "array", "items": one, "description": "Each that somebody has agreed to." });
    let all = object("ConnectionsHealth", "How connections are used.", json!({ "connections": list }));
    let mut responses = found("The connections.", Map::from_iter([openapi::request_id()]), &all);
    const OWN: &[&ProblemCode] = &[&code::INVALID_PARAMETER];
    responses.extend(problems(document, "ConnectionsHealth", OWN));
    document.operation(Health::PATH, "get", Operation::of::<Health>(vec![]).answered(responses));
}
