//! `GET /v1/timeline/audit-entries`, and the same as a file.

use super::entry::AuditEntry;
use super::export::{Format, export};
use super::filter::{AuditFilter, COLUMNS, Order};
use crate::document::filter_parameters;
use crate::given::pairs;
use crate::parameters::LIMIT_MAX;
use crate::routes::{Api, encoded, fault};
use ::web::{Caller, Problem, RequestInfo, openapi};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, LINK, VARY};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use kernel::{FieldCode, InvalidValue};
use serde_json::{Map, Value, json};

const LIST: &str = "/v1/timeline/audit-entries";
const EXPORT: &str = "/v1/timeline/audit-entries/export";
/// Not `read`, because whoever may look at the work need not see who tried what.
const INSPECT: &str = "timeline.audit_entry.inspect";
const TAKE_OUT: &str = "timeline.audit_entry.export";

/// What may be asked of the trail.
pub(crate) const PERMISSIONS: [&str; 2] = [INSPECT, TAKE_OUT];

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route(LIST, web::get().to(list));
    config.route(EXPORT, web::get().to(file));
}

async fn list(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, LIST);
    caller.require(INSPECT)?;
    let filter = AuditFilter::parse(caller.tenant, pairs(&request)?)?;
    api.has_seen("timeline", &request).await?;
    let _permit = api.admit(&caller).await?;
    let read = filter.read(api.pool(), Order::NewestFirst, filter.after, filter.limit + 1).await;
    let mut entries: Vec<AuditEntry> = read.map_err(|error| fault(&error))?;
    let has_more = entries.len() > filter.limit;
    entries.truncate(filter.limit);
    let next = entries.last().filter(|_| has_more).map(|entry| filter.cursor_after(entry));
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next {
        let mut pairs = filter.others.clone();
        pairs.push(("cursor".to_owned(), cursor.clone()));
        response.insert_header((LINK, format!("<{LIST}?{}>; rel=\"next\"", encoded(&pairs))));
    }
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, "Authorization"));
    Ok(response.json(json!({ "data": entries, "has_more": has_more, "next_cursor": next })))
}

async fn file(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, EXPORT);
    caller.require(TAKE_OUT)?;
    let (filter, format) = AuditFilter::take(caller.tenant, pairs(&request)?, |given| {
        for paging in ["limit", "cursor"] {
            if !given.all(paging).is_empty() {
                given.refuse(paging, InvalidValue::new(FieldCode::Unknown, "a file has no pages"));
            }
        }
        let named = |text: &str| Format::named(text).ok_or_else(|| InvalidValue::not_one_of(text, &Format::NAMES));
        given.read("format", named).unwrap_or(Format::Ndjson)
    })?;
    api.has_seen("timeline", &request).await?;
    let extension = if format == Format::Csv { "csv" } else { "ndjson" };
    let body = export(api.pool().clone(), Some((api.admission().clone(), caller.tenant)), filter, format);
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"audit.{extension}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((VARY, "Authorization"))
        .streaming(body))
}

/// The operations for the OpenAPI document.
pub(crate) fn operations() -> Map<String, Value> {
    let filters = filter_parameters(COLUMNS.iter());
    let query = |name: &str, about: &str, schema: Value| json!({ "name": name, "in": "query", "required": false, "description": about, "schema": schema });
    let mut of_list = vec![
        query(
            "limit",
            "Entries of the page.",
            json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 50 }),
        ),
        query("cursor", "The `next_cursor` of the page before.", json!({ "type": "string" })),
    ];
    of_list.extend(filters.clone());
    of_list.push(crate::document::min_position());
    let mut of_file = vec![query(
        "format",
        "How it is written.",
        json!({ "type": "string", "enum": Format::NAMES, "default": "ndjson" }),
    )];
    of_file.extend(filters);
    of_file.push(crate::document::min_position());
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let entry = openapi::embedded(kernel::schema_of::<AuditEntry>());
    let page = json!({
        "type": "object", "required": ["data", "has_more", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": entry },
            "has_more": { "type": "boolean" },
            "next_cursor": { "type": ["string", "null"] },
        },
    });
    let list = json!({
        "operationId": "timeline.audit_entry.list",
        "summary": "Changes that were made and changes that were refused, newest first.",
        "tags": ["timeline"], "x-permission": INSPECT, "parameters": of_list,
        "responses": { "200": { "description": "A page.", "content": { "application/json": { "schema": page } } }, "default": problem },
    });
    let file = json!({
        "operationId": TAKE_OUT,
        "summary": "The same as a file, oldest first.",
        "tags": ["timeline"], "x-permission": TAKE_OUT, "parameters": of_file,
        "responses": {
            "200": { "description": "An entry per line.", "content": {
                "application/x-ndjson": { "schema": { "type": "string" } }, "text/csv": { "schema": { "type": "string" } },
            } },
            "default": problem,
        },
    });
    Map::from_iter([(LIST.to_owned(), json!({ "get": list })), (EXPORT.to_owned(), json!({ "get": file }))])
}
