//! OpenAPI 3.1 as a value, and the page that shows it.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use serde_json::{Map, Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// A document with what every operation shares.
pub fn document(title: &str, description: &str, paths: Map<String, Value>) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title, "description": description, "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "schemas": { "Problem": problem_schema() },
            "responses": { "Problem": {
                "description": "A problem as RFC 9457 has it; `code` is stable.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
        },
    })
}

/// A schema as OpenAPI embeds it: without `$schema` and without its Rust name.
pub fn embedded(schema: schemars::Schema) -> Value {
    let mut value = schema.to_value();
    if let Some(object) = value.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    value
}

/// A header parameter.
pub fn header(name: &str, required: bool, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "required": required, "description": description, "schema": schema })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": { "type": "string", "description": "`/problems/` and the kind of problem" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string", "description": "stable; a rejection's code or the kind of problem" },
            "retryable": { "type": "boolean", "description": "may the same request succeed later?" },
            "request_id": { "type": "string", "format": "uuid" },
            "errors": { "type": "array", "items": {
                "type": "object", "required": ["pointer", "code", "parameters", "message"],
                "properties": {
                    "pointer": { "type": "string", "description": "JSON Pointer (RFC 6901) into the body" },
                    "parameter": { "type": "string", "description": "the query parameter, if one is wrong" },
                    "code": {
                        "type": "string",
                        "enum": kernel::FieldCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
                        "description": "what is wrong; out of a closed list",
                    },
                    "parameters": { "type": "object", "description": "what the code speaks of: `{\"max\": 200}`" },
                    "message": { "type": "string", "description": "what was expected, for developers" },
                },
            } },
        },
    })
}

/// Serves the document at `/openapi.json` and a page for it at `/docs/`, where `/` leads too.
pub fn serve(config: &mut ServiceConfig, document: &'static str) {
    config.route(
        "/openapi.json",
        web::get().to(move || async move { HttpResponse::Ok().content_type("application/json").body(document) }),
    );
    for path in ["/", "/docs"] {
        let there = || async { HttpResponse::Found().insert_header(("Location", "/docs/")).finish() };
        config.route(path, web::get().to(there));
    }
    config.service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json")));
}
