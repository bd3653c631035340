//! The two paths that every question goes through: a list, and one record.

use crate::api::{Api, Way};
use crate::events::Event;
use crate::files::Download;
use crate::given;
use crate::identity::Me;
use crate::parameters::{ListQuery, as_tenant};
use crate::question::Question;
use crate::reply::{encoded, fault, unreadable};
use crate::row;
use ::web::{Caller, Problem, code, entity_tag, is_known};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, ETAG, HeaderValue, LINK};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use projections::{PartOf, Table};
use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

/// Adds the routes to a service.
pub fn configure(config: &mut ServiceConfig, api: Data<Api>) {
    config.app_data(api);
    crate::timeline::configure(config);
    crate::crm::configure(config);
    crate::revenue::configure(config);
    config.route(crate::profile::PATH, web::get().to(crate::profile::profile));
    config.route(crate::dashboard::Figures::PATH, web::get().to(crate::dashboard::figures));
    crate::connections::configure(config);
    config.route(Me::PATH, web::get().to(crate::identity::me));
    config.route(crate::scheduling::Slots::PATH, web::get().to(crate::scheduling::slots));
    config.route(Download::PATH, web::get().to(crate::files::download));
    config.route(Event::PATH, web::get().to(crate::events::event));
    config.service(
        web::scope("/v1/{context}/{collection}")
            .route("", web::get().to(list))
            .route("/{id}", web::get().to(record))
            .default_service(web::route().to(nothing)),
    );
}

async fn nothing(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    // A command's path has one part more than a record's; whatever it is, it is not to be asked here.
    if request.method() == Method::GET {
        return Problem::new(&code::NOT_FOUND, format!("nothing answers GET {path}")).error_response();
    }
    let detail = format!("{path} takes GET and HEAD only; commands go to command-api");
    let mut response = Problem::new(&code::METHOD_NOT_ALLOWED, detail).error_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

async fn list(
    api: Data<Api>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (context, collection) = path.into_inner();
    let (group, table, rows) = api.table(&context, &collection, Way::List, &caller, &request).await?;
    let query = ListQuery::parse(table, caller.tenant, given::pairs(&request)?)?;
    let _permit = api.admit(&caller).await?;
    let (sql, arguments) = query.sql(&format!("{}.{}", group.name, table.name()), table, &rows);
    let rows = sqlx::query(&sql)
        .bind(caller.tenant.0)
        .bind(arguments)
        .fetch_all(api.pool())
        .await
        .map_err(|error| fault(&error))?;
    let has_more = rows.len() > query.limit;
    let (mut body, mut last) = (br#"{"data":["#.to_vec(), 0);
    for (index, row) in rows.iter().take(query.limit).enumerate() {
        if index > 0 {
            body.push(b',');
        }
        last = body.len();
        row::write(&mut body, row, table).map_err(|error| unreadable(&error))?;
    }
    let next = match has_more {
        true => Some(query.cursor_after(&serde_json::from_slice::<Value>(&body[last..]).map_err(|e| unreadable(&e))?)),
        false => None,
    };
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next {
        let mut pairs = query.others.clone();
        pairs.push(("cursor".to_owned(), cursor.clone()));
        response.insert_header((LINK, format!("<{}?{}>; rel=\"next\"", request.path(), encoded(&pairs))));
    }
    let cursor = next.map_or(Value::Null, Value::String);
    body.extend_from_slice(format!(r#"],"has_more":{has_more},"next_cursor":{cursor}}}"#).as_bytes());
    Ok(response.content_type("application/json").body(body))
}

async fn record(
    api: Data<Api>,
    caller: Caller,
    path: Path<(String, String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (context, collection, id) = path.into_inner();
    let (group, table, rows) = api.table(&context, &collection, Way::Record, &caller, &request).await?;
    given::none(&request)?;
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no such record at {}", request.path()));
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    let _permit = api.admit(&caller).await?;
    let mut arguments: Vec<String> = vec![];
    let only = rows.sql(|ids| {
        arguments.push(ids.to_owned());
        format!("($3)[{}]", arguments.len())
    });
    let sql = as_tenant(&format!(
        "select {}, {} as {CHECKED} from {}.{} r where r.tenant_id = t.tenant::uuid and r.id = $2{}",
        row::selection(table, rows.within),
        checked_version(table),
        group.name,
        table.name(),
        only.iter().map(|only| format!(" and {only}")).collect::<String>(),
    ));
    let mut asked = sqlx::query(&sql).bind(caller.tenant.0).bind(id);
    if !arguments.is_empty() {
        asked = asked.bind(arguments);
    }
    let found = asked.fetch_optional(api.pool()).await;
    let found = found.map_err(|error| fault(&error))?.ok_or_else(unknown)?;
    let version: i64 = found.try_get(CHECKED).map_err(|error| unreadable(&error))?;
    let mut body = vec![];
    row::write(&mut body, &found, table).map_err(|error| unreadable(&error))?;
    let etag = entity_tag(version, &body);
    let is_known = is_known(request.headers(), &etag)?;
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, etag));
    if is_known {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(body))
}

/// What the version is called that commands check.
const CHECKED: &str = "checked_version";

/// The version that a command about the row `r` checks: its own, or that of the aggregate of which it is a part, which the
/// row may have last changed long before.
fn checked_version(table: &dyn Table) -> String {
    match table.part_of() {
        None => "r.version".to_owned(),
        Some(PartOf { column, table }) => format!(
            "coalesce((select p.version from {table} p where p.tenant_id = t.tenant::uuid and p.id = r.{column}), r.version)"
        ),
    }
}
