//! `GET /v1/timeline/audit-entries`, and the same as a file.

use super::entry::{AuditEntries, AuditEntry, AuditFile};
use super::export::{Format, export};
use super::filter::{AuditFilter, COLUMNS, Order};
use crate::api::Api;
use crate::given::pairs;
use crate::operation::{Operation, filter_parameters, found, min_position, page_headers, paging, parameter, problems};
use crate::permissions::{INSPECT, TAKE_OUT};
use crate::question::Question;
use crate::reply::{encoded, fault};
use ::web::openapi::{self, Document};
use ::web::{Caller, Problem, ProblemCode, RequestInfo, code};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, LINK, VARY};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use kernel::{FieldCode, InvalidValue};
use serde_json::{Map, json};

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route(AuditEntries::PATH, web::get().to(list));
    config.route(AuditFile::PATH, web::get().to(file));
}

async fn list(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, AuditEntries::PATH);
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
        response.insert_header((LINK, format!("<{}?{}>; rel=\"next\"", AuditEntries::PATH, encoded(&pairs))));
    }
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, "Authorization"));
    Ok(response.json(json!({ "data": entries, "has_more": has_more, "next_cursor": next })))
}

async fn file(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    RequestInfo::set_route(&request, AuditFile::PATH);
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

/// Adds the operations to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    let filters = filter_parameters(COLUMNS.iter());
    let mut of_list = paging();
    of_list.extend(filters.clone());
    of_list.push(min_position());
    let format = json!({ "type": "string", "enum": Format::NAMES, "default": "ndjson" });
    let mut of_file = vec![parameter("format", "How it is written.", format)];
    of_file.extend(filters);
    of_file.push(min_position());
    let entry = document.generator().subschema_for::<AuditEntry>().to_value();
    let page = document.page("AuditEntryPage", &entry);
    let mut responses = found("A page.", page_headers(), &page);
    const OF_LIST: &[&ProblemCode] =
        &[&code::INVALID_PARAMETER, &code::INVALID_CURSOR, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "List", OF_LIST));
    let list = Operation::of::<AuditEntries>(of_list).answered(responses);
    document.operation(AuditEntries::PATH, "get", list);
    let line = json!({ "schema": { "type": "string" } });
    let mut responses = Map::from_iter([(
        "200".to_owned(),
        json!({
            "description": "An entry per line.",
            "headers": Map::from_iter([openapi::request_id()]),
            "content": { "application/x-ndjson": line, "text/csv": line },
        }),
    )]);
    const OF_FILE: &[&ProblemCode] = &[&code::INVALID_PARAMETER, &code::POSITION_UNKNOWN, &code::PROJECTION_BEHIND];
    responses.extend(problems(document, "File", OF_FILE));
    document.operation(AuditFile::PATH, "get", Operation::of::<AuditFile>(of_file).answered(responses));
}
