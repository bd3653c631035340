//! The two paths that every question goes through: a list, and one record.

use crate::events::Event;
use crate::given;
use crate::identity::Me;
use crate::only::Rows;
use crate::parameters::{ListQuery, as_tenant};
use crate::positions::{Missed, Positions};
use crate::question::Question;
use crate::row;
use ::web::{Admission, Caller, Permit, Problem, RequestInfo, code, entity_tag, is_known};
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, ETAG, HeaderValue, LINK};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use projections::{Group, PartOf, Table};
use serde_json::Value;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::{PgPool, Row as _};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;
use vault::{Vault, VaultError};

/// Everything a request needs.
pub struct Api {
    pool: PgPool,
    vault: Option<Vault>,
    positions: Positions,
    patience: Duration,
    admission: Admission,
    tables: HashMap<&'static str, Known>,
    /// Every permission there is, in order.
    permissions: Vec<&'static str>,
}

/// A read table, and what log and metrics call the two paths to it.
#[derive(Clone, Copy)]
struct Known {
    group: &'static Group,
    table: &'static dyn Table,
    list: &'static str,
    record: &'static str,
}

impl Known {
    /// The names live as long as the process, as the tables do; there are two for each.
    fn new(group: &'static Group, table: &'static dyn Table, path: &str) -> Self {
        Self { group, table, list: format!("/v1/{path}").leak(), record: format!("/v1/{path}/{{id}}").leak() }
    }
}

/// The two paths to a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    List,
    Record,
}

impl Api {
    /// Answers from every read table. `pool` connects as `ubos_query`; `patience` is how long `Min-Position` waits;
    /// `admission` says how many reads are in work at once.
    pub fn new(pool: PgPool, patience: Duration, admission: Admission) -> Self {
        let tables = projections::resources()
            .map(|(group, table, resource)| (resource.path, Known::new(group, table, resource.path)));
        let positions = Positions::start(pool.clone());
        let reads = projections::resources().map(|(_, _, resource)| resource.read);
        let mut permissions: Vec<&'static str> = reads.chain(crate::timeline::PERMISSIONS).collect();
        permissions.sort_unstable();
        permissions.dedup();
        Self { positions, pool, vault: None, patience, admission, tables: tables.collect(), permissions }
    }

    /// The same, and it knows the commands too, so that it can tell a caller which of them they may ask for.
    #[must_use]
    pub fn knowing(mut self, commands: impl IntoIterator<Item = &'static str>) -> Self {
        self.permissions.extend(commands);
        self.permissions.sort_unstable();
        self.permissions.dedup();
        self
    }

    /// The same with a vault, which opens single events of the log.
    #[must_use]
    pub fn unsealing(mut self, vault: Option<Vault>) -> Self {
        self.vault = vault;
        self
    }
}

/// Adds the routes to a service.
pub fn configure(config: &mut ServiceConfig, api: Data<Api>) {
    config.app_data(api);
    crate::timeline::configure(config);
    config.route(Me::PATH, web::get().to(crate::identity::me));
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
        .fetch_all(&api.pool)
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
        row::selection(table),
        checked_version(table),
        group.name,
        table.name(),
        only.map_or(String::new(), |only| format!(" and {only}")),
    ));
    let mut asked = sqlx::query(&sql).bind(caller.tenant.0).bind(id);
    if !arguments.is_empty() {
        asked = asked.bind(arguments);
    }
    let found = asked.fetch_optional(&api.pool).await;
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

impl Api {
    /// What opens events of the log.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// Every permission there is.
    pub(crate) fn permissions(&self) -> &[&'static str] {
        &self.permissions
    }

    /// Connects as `ubos_query`.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A place in work. It is asked for after `Min-Position` was reached, because whoever waits for that needs nothing,
    /// and before a connection is, so that the connections are shared fairly.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<Permit, Problem> {
        self.admission.admit(caller.tenant).await
    }

    /// The table behind a path and which of its rows the caller sees, once it has seen `Min-Position`. Log and metrics name the
    /// table: that one list is slow or refused is of no use to anybody who is not told which.
    async fn table(
        &self,
        context: &str,
        collection: &str,
        way: Way,
        caller: &Caller,
        request: &HttpRequest,
    ) -> Result<(&'static Group, &'static dyn Table, Rows), Problem> {
        let found = self.tables.get(format!("{context}/{collection}").as_str()).copied();
        let Known { group, table, list, record } =
            found.ok_or_else(|| Problem::new(&code::NOT_FOUND, format!("nothing answers GET {}", request.path())))?;
        RequestInfo::set_route(request, if way == Way::List { list } else { record });
        let resource = table.resource();
        let rows = Rows::of(resource.ties, &caller.reach(resource.read)?, caller.principal);
        let rows = rows.ok_or_else(|| caller.denied(resource.read))?;
        self.has_seen(group.name, request).await?;
        Ok((group, table, rows))
    }

    /// Waits until a group has seen `Min-Position`, if the request names one.
    pub(crate) async fn has_seen(&self, group: &str, request: &HttpRequest) -> Result<(), Problem> {
        let Some(position) = min_position(request)? else { return Ok(()) };
        match self.positions.reached(group, position, self.patience).await {
            Ok(()) => Ok(()),
            // Nobody waits for what will not come: whoever sends made-up positions would keep us looking.
            Err(Missed::Behind(at) | Missed::Unknown(at)) => {
                Err(self.unknown(position).await.unwrap_or_else(|| behind(group, position, at)))
            }
        }
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// A position that no event has, although whoever was answered it has seen it committed: the log was restored to an
    /// earlier moment, or the position is another installation's. A replica cannot say so, because it may be behind.
    async fn unknown(&self, position: i64) -> Option<Problem> {
        let sql = "select h.position from eventstore.head h where not pg_is_in_recovery()";
        let head: Option<i64> = sqlx::query_scalar(sql).fetch_optional(&self.pool).await.ok()?;
        let head = head.filter(|head| *head < position)?;
        let detail = format!(
            "the log ends at {head}; {position} was taken back when the log was restored, or is of another installation: \
             read again without Min-Position"
        );
        Some(Problem::new(&code::POSITION_UNKNOWN, detail).with("position", head))
    }
}

fn min_position(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(header) = request.headers().get("min-position") else { return Ok(None) };
    let position = header.to_str().ok().and_then(|text| text.parse::<i64>().ok()).filter(|position| *position >= 0);
    match position {
        Some(position) => Ok(Some(position)),
        None => {
            Err(Problem::new(&code::INVALID_HEADER, "Min-Position: expected the position of an answer to a command"))
        }
    }
}

fn behind(group: &str, position: i64, at: Option<i64>) -> Problem {
    let Some(at) = at else {
        return Problem::new(&code::UNAVAILABLE, "the read models cannot be reached");
    };
    let detail = format!("{group} has read up to position {at}, {} short of {position}", position - at);
    Problem::new(&code::PROJECTION_BEHIND, detail).with("position", at).with("behind", position - at)
}

/// Percent-encodes what is not unreserved (RFC 3986 §2.3).
pub(crate) fn encoded(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

pub(crate) fn fault(error: &sqlx::Error) -> Problem {
    if is_passing(error) {
        tracing::error!(error = %error, "the read models cannot be reached");
        return Problem::new(&code::UNAVAILABLE, "the read models cannot be reached; repeat in a moment");
    }
    tracing::error!(error = %error, "a read failed on our side");
    Problem::new(&code::FAULT, "the read failed on our side; the request id finds it in the logs")
}

/// Is PostgreSQL not there, rather than the question wrong? Where it ends the session, whatever it says is about itself: a
/// new one that finds the disk full ends with an internal error (XX000).
fn is_passing(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return true };
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
        || error.code().is_some_and(|code| is_passing_code(&code))
}

/// A server that is shut down or crashes tells its sessions so (57P…), one that starts refuses them, and one that is out
/// of something says what (53…, 58…).
fn is_passing_code(code: &str) -> bool {
    ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class))
}

/// What is sealed cannot be opened: keys are away, or not ours.
pub(crate) fn sealed(error: &VaultError) -> Problem {
    tracing::error!(%error, "a sealed event cannot be opened");
    Problem::new(&code::UNAVAILABLE, "the event cannot be opened now; repeat in a moment")
}

pub(crate) fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a row is of another shape than its type: replay its group");
    Problem::new(&code::FAULT, "the read failed on our side; the request id finds it in the logs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_down_is_no_fault_of_the_question() {
        for passing in ["57P01", "57P02", "57P03", "53100", "53300", "58030", "08006"] {
            assert!(is_passing_code(passing), "{passing}");
        }
        for lasting in ["42703", "22P02", "57014", ""] {
            assert!(!is_passing_code(lasting), "{lasting}");
        }
    }

    #[actix_web::test]
    async fn a_session_that_the_server_ends_is_no_fault_of_the_question() {
        let nowhere = format!("{}_that_is_not_there", testing::TestDatabase::create().await.superuser_url());
        let error = PgPool::connect(&nowhere).await.unwrap_err();
        assert!(is_passing(&error), "{error}");
    }
}
