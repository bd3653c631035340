//! The health of all connections of a firm, or of one, with one request.

use crate::api::{Api, Way};
use crate::connections::answer::{Found, Told, told};
use crate::connections::waiting::Waits;
use crate::question::{Needs, Question, ask};
use ::web::{Caller, Problem, RequestInfo, code};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use kernel::Reach;
use serde::Serialize;
use uuid::Uuid;

/// Whoever may read the list of connections may ask.
const READ: &str = "connections.connection.read";
/// Whoever may do this is told where.
const AUTHORISE: &str = "connections.connection.begin_authorisation";

/// How all of them are.
pub(crate) struct Health;

impl Question for Health {
    const PATH: &'static str = "/v1/connections/health";
    const ID: &'static str = "connections.health.read";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str = "How each connection is: since when, how far what is kept in step has come, what may still be asked today, what is \
                                 wrong and what helps, and what waits for it and is worth.";
    // $2 is the one connection that is meant, if one is. Lanes name connections by their ids, or by the provider where there is no connection
    // that works.
    const SQL: &'static str = "
        select r.id, r.provider, r.name, r.status as state, r.status_since as state_since, r.account_label, r.authorised_at, r.last_error,
               r.last_error_detail, r.last_error_at, greatest(l.last_success_at, r.last_success_at) as last_success_at,
               l.last_failure_at, coalesce(l.failures, 0)::bigint as failures, l.heard_at, l.access_until, l.refreshed_at,
               l.refresh_until as renewable_until, coalesce(l.refresh_failures, 0)::bigint as refresh_failures, b.budgets, s.syncs,
               w.jobs, w.parked, w.oldest_at, n.next_at, coalesce(w.subjects, '{}') as subjects
        from (
            select c.id, c.provider, c.name, c.status, c.status_since, c.account_label, c.authorised_at, c.last_error, c.last_error_detail,
                   c.last_error_at, c.last_success_at, c.created_at
            from connections.connections c
            where c.tenant_id = t.tenant::uuid and ($2::uuid is null or c.id = $2)
            order by c.created_at, c.id limit 1000 offset 0
            ) r
                 left join lateral (
            select k.last_success_at, k.last_failure_at, k.failures, k.heard_at, k.access_until, k.refreshed_at, k.refresh_until,
                   k.refresh_failures
            from connect.links k where k.tenant_id = t.tenant::uuid and k.connection_id = r.id offset 0
            ) l on true
                 cross join lateral (
            select coalesce(json_agg(json_build_object('name', o.name, 'most', o.most, 'ends_at', o.ends_at,
                                                       'used', case when o.ends_at > now() then o.used else 0 end)
                                     order by o.name), '[]'::json) as budgets
            from (select g.name, g.most, g.ends_at, g.used from connect.budgets g
                  where g.tenant_id = t.tenant::uuid and g.connection_id = r.id offset 0) o
            ) b
                 cross join lateral (
            select coalesce(json_agg(to_json(y) order by y.name), '[]'::json) as syncs
            from (select z.name, z.cursor_at, z.last_success_at, z.last_failure_at, z.failures, z.trouble, z.next_at, z.subscription_until,
                         z.done_count, z.total_count
                  from connect.syncs z where z.tenant_id = t.tenant::uuid and z.connection_id = r.id offset 0) y
            ) s
                 cross join lateral (
            select min(nullif(v.due_at, 'infinity')) as next_at
            from (select a.due_at from reactions.lanes a
                  where a.tenant_id = t.tenant::uuid and (a.blocked_on = r.id::text or a.through = r.id::text
                        or a.blocked_on in (r.provider, case when r.provider in ('docusign', 'dropbox_sign') then 'signing' end)
                           and r.status in ('pending', 'disconnected')) offset 0) v
            ) n
                 cross join lateral (
            select count(*) filter (where j.state <> 'parked') as jobs, count(*) filter (where j.state = 'parked') as parked,
                   min(j.created_at) as oldest_at,
                   (array_agg(distinct j.subject_id) filter (where j.subject_id is not null))[1:10000] as subjects
            from (select a.reaction, a.lane from reactions.lanes a
                  where a.tenant_id = t.tenant::uuid and (a.blocked_on = r.id::text or a.through = r.id::text
                        or a.blocked_on in (r.provider, case when r.provider in ('docusign', 'dropbox_sign') then 'signing' end)
                           and r.status in ('pending', 'disconnected')) offset 0) v
                     cross join lateral (
                select i.state, i.created_at, i.subject_id from reactions.jobs i
                where i.tenant_id = t.tenant::uuid and i.reaction = v.reaction and i.lane = v.lane and i.in_lane
                union all
                select p.state, p.created_at, p.subject_id from reactions.jobs p
                where p.tenant_id = t.tenant::uuid and p.reaction = v.reaction and p.lane = v.lane and p.state = 'parked' and not p.in_lane
                offset 0) j
            ) w
        order by r.created_at, r.id";
    type Row = Found;
}

/// How one is.
pub(crate) struct OneHealth;

impl Question for OneHealth {
    const PATH: &'static str = "/v1/connections/connections/{id}/health";
    const ID: &'static str = "connections.connection.health";
    const READ: Needs<'static> = Needs::Permission(READ);
    const ABOUT: &'static str = "The same of one connection.";
    const SQL: &'static str = Health::SQL;
    type Row = Found;
}

/// The answer about all of them.
#[derive(Debug, Serialize)]
struct All {
    connections: Vec<Told>,
    withheld: Vec<&'static str>,
}

/// The answer about one.
#[derive(Debug, Serialize)]
struct One {
    #[serde(flatten)]
    connection: Told,
    withheld: Vec<&'static str>,
}

/// Answers about all of them.
pub(crate) async fn all(api: Data<Api>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (connections, withheld) = found(&api, &caller, &request, (Health::PATH, Way::List), None).await?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(All { connections, withheld }))
}

/// Answers about one.
pub(crate) async fn one(
    api: Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(&code::NOT_FOUND, format!("no such record at {}", request.path()));
    // What is no id is nobody's; who may not ask at all is told that first.
    let id: Uuid = path.parse().unwrap_or_default();
    let (connections, withheld) = found(&api, &caller, &request, (OneHealth::PATH, Way::Record), Some(id)).await?;
    let connection = connections.into_iter().next().ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(One { connection, withheld }))
}

/// How the connections are of which one is meant, or all, and what of what waits for them is withheld from the caller.
async fn found(
    api: &Api,
    caller: &Caller,
    request: &HttpRequest,
    (path, way): (&'static str, Way),
    meant: Option<Uuid>,
) -> Result<(Vec<Told>, Vec<&'static str>), Problem> {
    // Nothing ties a connection to a client, so whoever sees one of them sees all of it.
    api.table("connections", "connections", way, caller, request).await?;
    RequestInfo::set_route(request, path);
    crate::given::none(request)?;
    let waits = Waits::of(api, caller, request).await?;
    let _permit = api.admit(caller).await?;
    let rows = ask::<Health>(api, caller, |asked| asked.bind(meant)).await?;
    let pairs = rows.iter().flat_map(|row| row.subjects().iter().map(|subject| (row.id(), *subject))).collect();
    let mut behind = waits.look(api, caller, pairs).await?;
    let may_authorise = caller.permissions.reach(AUTHORISE) == Reach::Everything;
    let now = Utc::now();
    let tell = |row: Found| {
        let behind = behind.take(row.id());
        told(row, behind, may_authorise, now)
    };
    Ok((rows.into_iter().map(tell).collect(), waits.withheld()))
}
