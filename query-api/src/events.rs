//! One event of the log by its position: where a claim-check in the stream points to.

use crate::parameters::as_tenant;
use crate::routes::{Api, fault, unreadable};
use ::web::{Caller, Problem, code};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

const EVENT: &str = "
    select jsonb_build_object(
               'position', position, 'id', event_id, 'domain', domain, 'aggregate_type', aggregate_type,
               'aggregate_id', aggregate_id, 'sequence', sequence, 'event_type', event_type,
               'event_version', event_version, 'payload', payload, 'metadata', metadata, 'recorded_at', recorded_at)::text
    from eventstore.events where position = $2 and tenant_id = t.tenant::uuid";

/// The permission is that of the event's aggregate; what the caller may not see is not there.
pub async fn event(
    api: Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no such event at {}", request.path()));
    let position: i64 = path.parse().map_err(|_| unknown())?;
    let _permit = api.admit(&caller).await?;
    let row: Option<String> = sqlx::query_scalar(&as_tenant(EVENT))
        .bind(caller.tenant.0)
        .bind(position)
        .fetch_optional(api.pool())
        .await
        .map_err(|error| fault(&error))?;
    let row = row.ok_or_else(unknown)?;
    let event: Value = serde_json::from_str(&row).map_err(|error| unreadable(&error))?;
    let aggregate = event["aggregate_type"].as_str().unwrap_or_default();
    if !caller.permissions.allow(&format!("{aggregate}.read")) {
        return Err(unknown());
    }
    Ok(HttpResponse::Ok().content_type("application/json").body(row))
}

/// The operation for the OpenAPI document.
pub fn operation() -> Value {
    let text = || json!({ "type": "string" });
    let properties = json!({
        "position": { "type": "integer" }, "id": { "type": "string", "format": "uuid" }, "domain": text(),
        "aggregate_type": text(), "aggregate_id": { "type": "string", "format": "uuid" }, "sequence": { "type": "integer" },
        "event_type": text(), "event_version": { "type": "integer" }, "payload": { "type": "object" },
        "metadata": { "type": "object" }, "recorded_at": { "type": "string", "format": "date-time" },
    });
    json!({
        "operationId": "events.read",
        "summary": "One event of the log by its position: where a claim-check in the stream points to.",
        "tags": ["events"],
        "parameters": [{ "name": "position", "in": "path", "required": true, "schema": { "type": "integer", "minimum": 1 } }],
        "responses": {
            "200": { "description": "The event.", "content": { "application/json": { "schema": {
                "type": "object", "properties": properties,
            } } } },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    })
}
