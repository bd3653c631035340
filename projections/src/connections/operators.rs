//! What operators ask about connections, across all firms.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

/// Which connections.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFilter {
    /// With this id; two firms may have chosen one.
    pub id: Option<Uuid>,
    /// Of this firm.
    pub tenant: Option<Uuid>,
    /// To this provider.
    pub provider: Option<String>,
    /// That stand there.
    pub status: Option<String>,
    /// How many at most.
    pub limit: i64,
}

/// A connection in the list of all.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct ListedConnection {
    /// Which one.
    pub id: Uuid,
    /// Whose.
    pub tenant_id: Uuid,
    /// Whom it leads to.
    pub provider: String,
    /// What the firm calls it.
    pub name: String,
    /// Where it stands.
    pub status: String,
    /// Since when.
    pub status_since: DateTime<Utc>,
    /// What is wrong, or was when it last went wrong.
    pub last_error: Option<String>,
    /// The last call that succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Jobs that are to be done through it.
    pub jobs: i64,
}

/// Everything about a connection that is not sealed.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct ShownConnection {
    /// As a list shows it.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub listed: ListedConnection,
    /// What the provider calls the account.
    pub account_label: Option<String>,
    /// When somebody last agreed at the provider.
    pub authorised_at: Option<DateTime<Utc>>,
    /// What was wrong, in words.
    pub last_error_detail: Option<String>,
    /// When it last went wrong.
    pub last_error_at: Option<DateTime<Utc>>,
    /// The last call that failed.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// When the provider last said something by itself.
    pub heard_at: Option<DateTime<Utc>>,
    /// Until when the present token is good.
    pub access_until: Option<DateTime<Utc>>,
    /// Until when it can be replaced at all, if that ends by itself.
    pub renewable_until: Option<DateTime<Utc>>,
    /// How often replacing it has failed since it was replaced.
    pub refresh_failures: i64,
    /// Jobs that wait for an operator.
    pub parked: i64,
    /// Since when the oldest job waits.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When something is tried next that goes through it.
    pub next_at: Option<DateTime<Utc>>,
    /// What may be asked, span by span.
    pub budgets: Json<Vec<ShownBudget>>,
    /// What is kept in step with the provider.
    pub syncs: Json<Vec<ShownSync>>,
}

/// So many calls in a span of time.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct ShownBudget {
    /// Which span.
    pub name: String,
    /// So many calls.
    pub most: i64,
    /// Calls so far.
    pub used: i64,
    /// When the span ends.
    pub ends_at: DateTime<Utc>,
}

/// Something that is kept in step.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct ShownSync {
    /// What.
    pub name: String,
    /// Whatever happened at the provider before this is known here.
    pub cursor_at: Option<DateTime<Utc>>,
    /// Its last round that succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Rounds that have failed since.
    pub failures: i64,
    /// Why.
    pub trouble: Option<String>,
    /// When its next round is due.
    pub next_at: Option<DateTime<Utc>>,
    /// Until when the provider tells of changes by itself.
    pub subscription_until: Option<DateTime<Utc>>,
}

/// The jobs of the lanes that name the connection `c`.
const JOBS: &str = "
    select count(*) filter (where j.state <> 'parked') as jobs, count(*) filter (where j.state = 'parked') as parked,
           min(j.created_at) as oldest_at, min(nullif(n.due_at, 'infinity')) as next_at
    from reactions.lanes n
             join reactions.jobs j on j.tenant_id = n.tenant_id and j.reaction = n.reaction and j.lane = n.lane
                                  and (j.in_lane or j.state = 'parked')
    where n.tenant_id = c.tenant_id and (n.blocked_on = c.id::text or n.through = c.id::text)";

const LISTED: &str = "c.id, c.tenant_id, c.provider, c.name, c.status, c.status_since, c.last_error,
    greatest(l.last_success_at, c.last_success_at) as last_success_at, w.jobs";

fn chosen(columns: &str) -> String {
    format!(
        "select {LISTED}{columns}
         from connections.connections c
                  left join connect.links l on l.tenant_id = c.tenant_id and l.connection_id = c.id
                  cross join lateral ({JOBS}) w
         where ($1::uuid is null or c.id = $1) and ($2::uuid is null or c.tenant_id = $2)
           and ($3::text is null or c.provider = $3) and ($4::text is null or c.status = $4)
         order by c.created_at desc, c.id limit $5"
    )
}

/// Connections, the newest first. `pool` connects as `ubos_worker`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list_connections(pool: &PgPool, filter: &ConnectionFilter) -> sqlx::Result<Vec<ListedConnection>> {
    sqlx::query_as(&chosen(""))
        .bind(filter.id)
        .bind(filter.tenant)
        .bind(&filter.provider)
        .bind(&filter.status)
        .bind(filter.limit)
        .fetch_all(pool)
        .await
}

/// The same with everything that there is to know.
///
/// # Errors
/// When the database cannot be asked.
pub async fn show_connections(pool: &PgPool, filter: &ConnectionFilter) -> sqlx::Result<Vec<ShownConnection>> {
    let columns = ", c.account_label, c.authorised_at, c.last_error_detail, c.last_error_at, l.last_failure_at, l.heard_at, l.access_until,
        l.refresh_until as renewable_until, coalesce(l.refresh_failures, 0)::bigint as refresh_failures, w.parked, w.oldest_at, w.next_at,
        (select coalesce(json_agg(to_json(b) order by b.name), '[]'::json)
         from (select o.name, o.most, o.ends_at, case when o.ends_at > now() then o.used else 0 end as used
               from connect.budgets o where o.tenant_id = c.tenant_id and o.connection_id = c.id) b) as budgets,
        (select coalesce(json_agg(to_json(s) order by s.name), '[]'::json)
         from (select z.name, z.cursor_at, z.last_success_at, z.failures, z.trouble, z.next_at, z.subscription_until
               from connect.syncs z where z.tenant_id = c.tenant_id and z.connection_id = c.id) s) as syncs";
    sqlx::query_as(&chosen(columns))
        .bind(filter.id)
        .bind(filter.tenant)
        .bind(&filter.provider)
        .bind(&filter.status)
        .bind(filter.limit)
        .fetch_all(pool)
        .await
}
