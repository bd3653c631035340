//! What operators see of jobs, and what they do about them.

use crate::queue::interval;
use crate::ramp::waits;
use chrono::{DateTime, Utc};
use kernel::TenantId;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is to be done.
    Due,
    /// Nobody knows what became of the last try; it is looked up before the next.
    Unknown,
    /// It waits for a connection that somebody must mend.
    Blocked,
    /// It waits for an operator.
    Parked,
    /// It was done.
    Done,
    /// Nobody wants it any more.
    Dropped,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Due, Self::Unknown, Self::Blocked, Self::Parked, Self::Done, Self::Dropped];

    /// `parked`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Unknown => "unknown",
            Self::Blocked => "blocked",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("one of {}", Self::ALL.map(Self::name).join(", "));
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(unknown)
    }
}

/// Which jobs.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// With one of these ids; any if there are none.
    pub ids: Vec<i64>,
    /// Of this firm.
    pub tenant: Option<TenantId>,
    /// Of this reaction.
    pub reaction: Option<String>,
    /// In this lane.
    pub lane: Option<String>,
    /// In this state; if none is given, those that have not ended.
    pub state: Option<State>,
}

/// A job, as a list shows it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Listed {
    /// What it is known by.
    pub id: i64,
    /// The firm.
    pub tenant_id: Uuid,
    /// What does it.
    pub reaction: String,
    /// Where it waits.
    pub lane: String,
    /// Where it stands.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// The event that asks for it.
    pub position: Option<i64>,
    /// Why it was not done.
    pub code: Option<String>,
    /// The same in words.
    pub why: Option<String>,
}

/// Everything about a job.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Shown {
    /// As a list shows it.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub listed: Listed,
    /// What its receiver knows it by.
    pub key: String,
    /// The stream that it is about.
    pub subject_id: Option<Uuid>,
    /// Does somebody try it just now?
    pub is_in_work: bool,
    /// When it may be tried next.
    pub due_at: Option<DateTime<Utc>>,
    /// Since when it was asked for.
    pub created_at: DateTime<Utc>,
    /// Since when it is tried.
    pub tried_since: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What a reaction has before it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Line {
    /// Which.
    pub reaction: String,
    /// How far it has read, if it reads the log.
    pub position: Option<i64>,
    /// Events before it; they may all be none of its.
    pub lag: i64,
    /// Jobs to be done.
    pub due: i64,
    /// Jobs of which nobody knows what became of the last try.
    pub unknown: i64,
    /// Jobs behind a connection that somebody must mend.
    pub blocked: i64,
    /// Jobs that wait for an operator.
    pub parked: i64,
}

/// A job's state, with that of its lane.
const STATE: &str =
    "case when j.state in ('due', 'unknown') and l.blocked_on is not null then 'blocked' else j.state end";
const JOBS: &str = "reactions.jobs j left join reactions.lanes l
                    on l.tenant_id = j.tenant_id and l.reaction = j.reaction and l.lane = j.lane";
const CHOSEN: &str = "(cardinality($1::bigint[]) = 0 or j.id = any($1)) and ($2::uuid is null or j.tenant_id = $2)
                      and ($3::text is null or j.reaction = $3) and ($4::text is null or j.lane = $4)";

fn listed() -> String {
    format!(
        "j.id, j.tenant_id, j.reaction, j.lane, {STATE} as state, j.attempts, j.position,
         coalesce(j.code, case when j.ended_at is null then l.blocked_on end) as code, j.why"
    )
}

/// Jobs, the oldest first.
///
/// # Errors
/// When the database cannot be reached.
pub async fn list(pool: &PgPool, filter: &Filter, limit: i64) -> sqlx::Result<Vec<Listed>> {
    let sql = format!(
        "select {} from {JOBS}
         where {CHOSEN} and case when $5::text is null then j.ended_at is null or cardinality($1::bigint[]) > 0 else {STATE} = $5 end
         order by j.id limit $6",
        listed()
    );
    sqlx::query_as(&sql)
        .bind(&filter.ids)
        .bind(filter.tenant.map(|tenant| tenant.0))
        .bind(&filter.reaction)
        .bind(&filter.lane)
        .bind(filter.state.map(State::name))
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// One job.
///
/// # Errors
/// When the database cannot be reached.
pub async fn show(pool: &PgPool, id: i64) -> sqlx::Result<Option<Shown>> {
    let sql = format!(
        "select {}, j.key, j.subject_id, j.lease is not null and j.due_at > now() as is_in_work,
                case when j.ended_at is null and isfinite(j.due_at) then greatest(j.due_at, nullif(l.not_before, '-infinity')) end as due_at,
                j.created_at, j.tried_since, j.ended_at
         from {JOBS} where j.id = $1",
        listed()
    );
    sqlx::query_as(&sql).bind(id).fetch_optional(pool).await
}

/// Begins anew what was parked, and tries at once what waits for its next try. Answers how many jobs that were; one that is in work
/// or has ended is none of them.
///
/// # Errors
/// When the database cannot be reached.
pub async fn retry(pool: &PgPool, filter: &Filter) -> sqlx::Result<i64> {
    act(pool, filter, "retry", None).await
}

/// Ends jobs that nobody wants any more.
///
/// # Errors
/// When the database cannot be reached.
pub async fn drop(pool: &PgPool, filter: &Filter, why: &str) -> sqlx::Result<i64> {
    act(pool, filter, "drop", Some(why)).await
}

async fn act(pool: &PgPool, filter: &Filter, how: &str, why: Option<&str>) -> sqlx::Result<i64> {
    let chosen: Vec<i64> = list(pool, filter, i64::MAX).await?.into_iter().map(|job| job.id).collect();
    let moved = sqlx::query_scalar("select reactions.move($1, $2, $3)").bind(chosen).bind(how).bind(why);
    moved.fetch_one(pool).await
}

/// A connection works again: the lanes that wait for it go on, the longest waiting first, at a rate that rises. Answers how many.
///
/// # Errors
/// When the database cannot be reached.
pub async fn release(pool: &PgPool, tenant: TenantId, connection: &str) -> sqlx::Result<i64> {
    let blocked = "select count(*) from reactions.lanes where tenant_id = $1 and blocked_on = $2";
    let blocked: i64 = sqlx::query_scalar(blocked).bind(tenant.0).bind(connection).fetch_one(pool).await?;
    if blocked == 0 {
        return Ok(0);
    }
    // One that is blocked between this and that goes on with the last of them.
    let waits = waits(usize::try_from(blocked).unwrap_or(usize::MAX));
    let waits: Vec<PgInterval> = waits.into_iter().map(interval).collect();
    let released = sqlx::query_scalar("select reactions.release($1, $2, $3)");
    released.bind(tenant.0).bind(connection).bind(waits).fetch_one(pool).await
}

/// What every reaction has before it.
///
/// # Errors
/// When the database cannot be reached.
pub async fn lines(pool: &PgPool) -> sqlx::Result<Vec<Line>> {
    let sql = "
        select coalesce(c.reader, o.reaction) as reaction, c.position, coalesce(greatest(h.position - c.position, 0), 0) as lag,
               coalesce(o.due, 0) as due, coalesce(o.unknown, 0) as unknown, coalesce(o.blocked, 0) as blocked,
               coalesce(o.parked, 0) as parked
        from eventstore.head h cross join reactions.checkpoints c
        full join (select j.reaction,
                          count(*) filter (where j.state = 'due' and l.blocked_on is null) as due,
                          count(*) filter (where j.state = 'unknown' and l.blocked_on is null) as unknown,
                          count(*) filter (where j.state <> 'parked' and l.blocked_on is not null) as blocked,
                          count(*) filter (where j.state = 'parked') as parked
                   from reactions.jobs j
                            left join reactions.lanes l
                                      on l.tenant_id = j.tenant_id and l.reaction = j.reaction and l.lane = j.lane
                   where j.ended_at is null
                   group by j.reaction) o on o.reaction = c.reader
        order by 1";
    sqlx::query_as(sql).fetch_all(pool).await
}

/// Forgets what receivers have said about jobs of these streams, because a refusal may name the person. Answers how many it was.
///
/// # Errors
/// When the database cannot be reached.
pub async fn forget(pool: &PgPool, tenant: TenantId, streams: &[Uuid]) -> sqlx::Result<u64> {
    let sql = "update reactions.jobs set why = null where tenant_id = $1 and subject_id = any($2) and why is not null";
    Ok(sqlx::query(sql).bind(tenant.0).bind(streams).execute(pool).await?.rows_affected())
}
