//! The command half of the OpenAPI document, from the catalogue of commands.

use crate::routes::action_of;
use ::web::openapi;
use event_store::CommandInfo;
use serde_json::{Map, Value, json};

/// These commands as operations.
pub fn openapi(commands: &[CommandInfo]) -> Value {
    let mut paths = Map::new();
    for info in commands {
        let action = action_of(commands, info);
        let path = match (info.entry.creates, action.is_empty()) {
            (true, true) => format!("/v1/{}", info.path),
            (true, false) => format!("/v1/{}/{action}", info.path),
            (false, _) => format!("/v1/{}/{{id}}/{action}", info.path),
        };
        paths.insert(path, json!({ "post": operation(info) }));
    }
    let description =
        "Every way to change something. A command answers with a position; a query that waits for it sees the effect.";
    openapi::document("UBOS commands", description, paths)
}

fn operation(info: &CommandInfo) -> Value {
    let entry = info.entry;
    let mut parameters = vec![openapi::header(
        "Idempotency-Key",
        entry.creates,
        "The same key with the same body gets the stored answer.",
        json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
    )];
    if !entry.creates {
        parameters.push(
            json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } }),
        );
        let about = "The version the caller has seen, as an entity tag; another one is answered 412.";
        parameters.push(openapi::header("If-Match", false, about, json!({ "type": "string", "examples": ["\"3\""] })));
    }
    let mut properties = json!({
        "id": { "type": "string", "format": "uuid" },
        "version": { "type": "integer", "description": "the record's version after the command" },
        "position": { "type": "integer", "description": "for the Min-Position header of a query" },
    });
    if entry.mints.is_some() {
        let about = "shown this once; the answer to a repeat with the same Idempotency-Key has none";
        properties["secret"] = json!({ "type": "string", "description": about });
    }
    let mut required = vec!["id", "version", "position"];
    for part in entry.makes {
        properties[part.name] = if part.is_list() {
            json!({ "type": "array", "items": { "type": "string", "format": "uuid" }, "description": "the parts that were made with it, in order" })
        } else {
            json!({ "type": "string", "format": "uuid", "description": "the part that was made, now or at an earlier time" })
        };
        required.extend(part.always.then_some(part.name));
    }
    let answer = json!({
        "description": entry.summary,
        "headers": { "ETag": { "schema": { "type": "string" } }, "Request-Id": { "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": {
            "type": "object", "required": required,
            "properties": properties,
        } } },
    });
    let rejections: Vec<Value> =
        info.rejections.iter().map(|r| json!({ "code": r.code, "message": r.message })).collect();
    let mut responses = Map::new();
    responses.insert(if entry.creates { "201" } else { "200" }.to_owned(), answer);
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    let context = entry.stream.split('.').next().unwrap_or_default();
    json!({
        "operationId": entry.name,
        "summary": entry.summary,
        "tags": [context],
        "x-permission": entry.name,
        "x-rejections": rejections,
        "parameters": parameters,
        "requestBody": {
            "required": entry.creates,
            "content": { "application/json": { "schema": openapi::embedded((entry.schema)()) } },
        },
        "responses": responses,
    })
}
