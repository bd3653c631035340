//! How a question stands in the OpenAPI document: its parameters, its answers and its problems.

use crate::condition::{VALUES_MAX, filters_of, takes_several};
use crate::parameters::{Archived, LIMIT_MAX};
use crate::question::{Needs, Question};
use ::web::openapi::{self, Document};
use ::web::{ProblemCode, code};
use projections::{Column, Kind, Table};
use serde_json::{Map, Value, json};

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

/// The parameters that say which rows of a table are asked for.
pub(crate) fn selection(table: &dyn Table) -> Vec<Value> {
    let mut parameters = vec![];
    if table.away().is_some() {
        let about =
            "Whether to show what was put away (archived, retired, withdrawn, disbanded): without it, only it, or any.";
        let schema = json!({ "type": "string", "enum": Archived::NAMES, "default": "false" });
        parameters.push(parameter("archived", about, schema));
    }
    let filter = table.resource().filter;
    let filters = table.columns().iter().filter(|column| column.name == "id" || filter.contains(&column.name.as_str()));
    parameters.extend(filter_parameters(filters));
    parameters
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
