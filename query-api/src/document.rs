//! The query half of the OpenAPI document, from the row types.

use crate::operation::{Operation, found, min_position, page_headers, paging, parameter, problems, selection};
use crate::question::Needs;
use ::web::openapi::{self, Document};
use ::web::{ProblemCode, code};
use projections::Table;
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
    crate::crm::describe(&mut document);
    crate::profile::describe(&mut document);
    crate::dashboard::describe(&mut document);
    crate::connections::describe(&mut document);
    crate::identity::describe(&mut document);
    crate::events::describe(&mut document);
    crate::scheduling::describe(&mut document);
    crate::files::describe(&mut document);
    crate::timeline::describe(&mut document);
    crate::revenue::describe(&mut document);
    document.finish(
        "UBOS queries",
        "Every way to look at something. `Min-Position` makes a read see what a command has written.",
    )
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
    parameters.extend(selection(table));
    parameters.push(min_position());
    let mut responses = found("A page.", page_headers(), page);
    const OWN: &[&ProblemCode] =
        &[&code::INVALID_PARAMETER, &code::INVALID_CURSOR, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "List", OWN));
    let id = format!("{}.list", stem(resource.read));
    let (needs, tag) = (Needs::Permission(resource.read), table.group());
    Operation { id: &id, needs, summary: resource.about, tag, parameters }.answered(responses)
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
