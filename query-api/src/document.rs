//! The query half of the OpenAPI document, from the row types.

use crate::condition::{VALUES_MAX, filters_of, is_name, takes_several};
use crate::parameters::{Archived, LIMIT_MAX};
use ::web::openapi;
use projections::{Column, Kind, Table};
use serde_json::{Map, Value, json};

/// Every read table as two operations.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for (_, table, resource) in projections::resources() {
        paths.insert(format!("/v1/{}", resource.path), json!({ "get": list(table) }));
        paths.insert(format!("/v1/{}/{{id}}", resource.path), json!({ "get": record(table) }));
    }
    paths.insert(crate::me::PATH.to_owned(), json!({ "get": crate::me::operation() }));
    paths.insert("/v1/events/{position}".to_owned(), json!({ "get": crate::events::operation() }));
    paths.extend(crate::timeline::operations());
    let description = "Every way to look at something. `Min-Position` makes a read see what a command has written.";
    openapi::document("UBOS queries", description, paths)
}

fn parameter(name: &str, about: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
}

pub(crate) fn min_position() -> Value {
    let about = "Waits until the read model has seen this position of the log: the `position` that a command answered.";
    openapi::header("Min-Position", false, about, json!({ "type": "integer", "minimum": 0 }))
}

fn shared(table: &dyn Table, operation: &str, summary: String, parameters: Vec<Value>, responses: Value) -> Value {
    let resource = table.resource();
    let stem = resource.read.strip_suffix("read").unwrap_or(resource.read);
    json!({
        "operationId": format!("{stem}{operation}"),
        "summary": summary,
        "tags": [table.group()],
        "x-permission": resource.read,
        "parameters": parameters,
        "responses": responses,
    })
}

fn list(table: &dyn Table) -> Value {
    let resource = table.resource();
    let mut parameters = vec![
        parameter(
            "limit",
            "Rows of the page.",
            json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 50 }),
        ),
        parameter("cursor", "The `next_cursor` of the page before.", json!({ "type": "string" })),
    ];
    let keys = resource.sort.join(", ");
    let about = format!("Keys out of {keys}, separated by commas; a minus in front descends.");
    parameters.push(parameter("sort", &about, json!({ "type": "string", "default": "-created_at" })));
    if table.away().is_some() {
        let about =
            "Whether to show what was put away (archived, retired, withdrawn, disbanded): without it, only it, or any.";
        let schema = json!({ "type": "string", "enum": Archived::NAMES, "default": "false" });
        parameters.push(parameter("archived", about, schema));
    }
    let filters =
        table.columns().iter().filter(|column| column.name == "id" || resource.filter.contains(&column.name.as_str()));
    parameters.extend(filter_parameters(filters));
    parameters.push(min_position());
    let page = json!({
        "type": "object",
        "required": ["data", "has_more", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": openapi::embedded(table.schema()) },
            "has_more": { "type": "boolean" },
            "next_cursor": { "type": ["string", "null"] },
        },
    });
    let ok = json!({
        "description": "A page.",
        "headers": { "Link": { "description": "The next page, `rel=\"next\"`.", "schema": { "type": "string" } },
                     "Request-Id": { "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": page } },
    });
    let responses = json!({ "200": ok, "default": { "$ref": "#/components/responses/Problem" } });
    shared(table, "list", resource.about.to_owned(), parameters, responses)
}

/// The parameters that select rows by these columns.
pub(crate) fn filter_parameters<'c>(columns: impl Iterator<Item = &'c Column>) -> Vec<Value> {
    let mut parameters = vec![];
    for column in columns {
        for (name, operator) in filters_of(column) {
            let about = match operator {
                "<" => format!("Rows whose `{}` is earlier.", column.name),
                ">=" => format!("Rows whose `{}` is this or later.", column.name),
                "?|" => format!("Rows whose `{}` hold any of these, separated by commas or repeated.", column.name),
                _ if is_name(column) => {
                    format!("Rows with this `{}`, whatever its case. Repeated: with any of them.", column.name)
                }
                _ if takes_several(column) => {
                    format!("Rows with any of these `{}`, separated by commas or repeated.", column.name)
                }
                _ => format!("Rows with this `{}`.", column.name),
            };
            let several = takes_several(column);
            let schema = match several {
                true => {
                    json!({ "type": "array", "items": filter_schema(column), "minItems": 1, "maxItems": VALUES_MAX })
                }
                false => filter_schema(column),
            };
            let mut parameter = parameter(&name, &about, schema);
            if several {
                parameter["style"] = json!("form");
                // A comma may be a part of a name.
                parameter["explode"] = json!(is_name(column));
            }
            parameters.push(parameter);
        }
    }
    parameters
}

/// What a filter takes: the column's own type, never null.
fn filter_schema(column: &Column) -> Value {
    match column.kind {
        Kind::Uuid => json!({ "type": "string", "format": "uuid" }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Text if !column.values.is_empty() => json!({ "type": "string", "enum": column.values }),
        Kind::Text | Kind::Json => json!({ "type": "string" }),
    }
}

fn record(table: &dyn Table) -> Value {
    let id = json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } });
    let about = "Answers 304 if the record still has this version.";
    let known = openapi::header("If-None-Match", false, about, json!({ "type": "string", "examples": ["\"3\""] }));
    let ok = json!({
        "description": "The record.",
        "headers": { "ETag": { "description": "Its version, for If-Match of a command.", "schema": { "type": "string" } },
                     "Request-Id": { "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": openapi::embedded(table.schema()) } },
    });
    let responses = json!({
        "200": ok,
        "304": { "description": "The record has not changed." },
        "default": { "$ref": "#/components/responses/Problem" },
    });
    shared(table, "read", format!("One of: {}", table.resource().about), vec![id, known, min_position()], responses)
}
