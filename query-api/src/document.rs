//! The query half of the OpenAPI document, from the row types.

use crate::condition::{VALUES_MAX, filters_of, takes_several};
use crate::parameters::{Archived, LIMIT_MAX};
use crate::question::{Needs, Question};
use ::web::openapi::{self, Document};
use ::web::{ProblemCode, code};
use projections::{Column, Kind, Table};
use serde_json::{Map, Value, json};

/// Every read table as two operations, and what there is besides.
pub fn openapi() -> Value {
    let mut document = Document::of_answers();
    for (_, table, resource) in projections::resources() {
        let (name, schema) = table.component(document.generator());
        let row = document.component(&name, schema.to_value());
        let page = document.page(&format!("{name}Page"), &row);
        let (list, record) = (list(&mut document, table, &page), record(&mut document, table, &row));
        document.operation(&format!("/v1/{}", resource.path), "get", list);
        document.operation(&format!("/v1/{}/{{id}}", resource.path), "get", record);
    }
    crate::identity::describe(&mut document);
    crate::events::describe(&mut document);
    crate::timeline::describe(&mut document);
    document.finish(
        "UBOS queries",
        "Every way to look at something. `Min-Position` makes a read see what a command has written.",
    )
}

pub(crate) fn parameter(name: &str, about: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema })
}

pub(crate) fn min_position() -> Value {
    let about = "Waits until the read model has seen this position of the log: the `position` that a command answered.";
    openapi::header("Min-Position", false, about, json!({ "type": "integer", "format": "int64", "minimum": 0 }))
}

/// The parameters that say which page.
pub(crate) fn paging() -> Vec<Value> {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 50 });
    vec![
        parameter("limit", "Rows of the page.", limit),
        parameter("cursor", "The `next_cursor` of the page before.", json!({ "type": "string" })),
    ]
}

/// What a page is answered with.
pub(crate) fn page_headers() -> Map<String, Value> {
    let link = json!({ "description": "The next page, `rel=\"next\"`.", "schema": { "type": "string" } });
    Map::from_iter([("Link".to_owned(), link), openapi::request_id()])
}

/// The answer of whoever finds something.
pub(crate) fn found(about: &str, headers: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    let content = json!({ "application/json": { "schema": schema } });
    let answer = json!({ "description": about, "headers": headers, "content": content });
    Map::from_iter([("200".to_owned(), answer)])
}

/// The problems that a question may meet, besides its own.
pub(crate) fn problems(
    document: &mut Document,
    name: &str,
    own: &'static [&'static ProblemCode],
) -> Map<String, Value> {
    // Only a change is refused for want of what a session's page shows.
    const KNOWN: &[&ProblemCode] = &[&code::UNAUTHENTICATED, &code::FORBIDDEN];
    let kinds = [openapi::EVERYWHERE, KNOWN, openapi::AT_WORK, own];
    document.problems(name, kinds.into_iter().flatten(), &[])
}

/// One operation that looks at something.
pub(crate) struct Operation<'q> {
    pub id: &'q str,
    pub needs: Needs<'q>,
    pub summary: &'q str,
    pub tag: &'q str,
    pub parameters: Vec<Value>,
}

impl Operation<'static> {
    /// That of a question.
    pub fn of<Q: Question>(parameters: Vec<Value>) -> Self {
        let tag = Q::ID.split_once('.').map_or(Q::ID, |(context, _)| context);
        Self { id: Q::ID, needs: Q::READ, summary: Q::ABOUT, tag, parameters }
    }
}

impl Operation<'_> {
    pub fn answered(self, responses: Map<String, Value>) -> Value {
        let needs = match self.needs {
            Needs::Permission(permission) => format!("Needs the permission `{permission}`."),
            Needs::Otherwise(sentence) => sentence.to_owned(),
        };
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "description": format!("{} {needs}", self.summary),
            "tags": [self.tag],
            "security": openapi::to_look(),
            "parameters": self.parameters,
            "responses": responses,
        });
        if let Needs::Permission(permission) = self.needs {
            operation["x-permission"] = permission.into();
        }
        operation
    }
}

/// What a permission is about: `crm.client` of `crm.client.read`.
fn stem(permission: &str) -> &str {
    permission.rsplit_once('.').map_or(permission, |(stem, _)| stem)
}

fn list(document: &mut Document, table: &dyn Table, page: &Value) -> Value {
    let resource = table.resource();
    let mut parameters = paging();
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
    let mut responses = found("A page.", page_headers(), page);
    const OWN: &[&ProblemCode] =
        &[&code::INVALID_PARAMETER, &code::INVALID_CURSOR, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "List", OWN));
    let id = format!("{}.list", stem(resource.read));
    let (needs, tag) = (Needs::Permission(resource.read), table.group());
    Operation { id: &id, needs, summary: resource.about, tag, parameters }.answered(responses)
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
                _ if column.is_name() => {
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
                parameter["explode"] = json!(column.is_name());
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

fn record(document: &mut Document, table: &dyn Table, row: &Value) -> Value {
    let id = json!({ "type": "string", "format": "uuid" });
    let id = json!({ "name": "id", "in": "path", "required": true, "description": "The record.", "schema": id });
    let about = "Tags of answers that the client holds: 304 if one of them is still right.";
    let known = openapi::header(
        "If-None-Match",
        false,
        about,
        json!({ "type": "string", "examples": ["\"3-5f0c2a9e41d7b683\""] }),
    );
    let etag = json!({ "description": "Changes whenever the answer does; for If-Match of a command.", "schema": { "type": "string" } });
    let headers = Map::from_iter([("ETag".to_owned(), etag), openapi::request_id()]);
    let held = json!({ "description": "What the client holds is right.", "headers": headers });
    let mut responses = found("The record.", headers, row);
    responses.insert("304".to_owned(), held);
    const OWN: &[&ProblemCode] =
        &[&code::INVALID_PARAMETER, &code::NOT_FOUND, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "Record", OWN));
    let resource = table.resource();
    let (name, summary) = (format!("{}.read", stem(resource.read)), format!("One of: {}", resource.about));
    let (needs, tag) = (Needs::Permission(resource.read), table.group());
    let parameters = vec![id, known, min_position()];
    Operation { id: &name, needs, summary: &summary, tag, parameters }.answered(responses)
}
