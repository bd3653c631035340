//! The jobs in PostgreSQL, as the engine uses them.

use crate::reaction::Lane;
use event_store::RawEvent;
use kernel::TenantId;
use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// Where `tries` and `worker` still are what they were, a try is settled; else its job is somebody else's by now.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub pool: PgPool,
    pub reaction: &'static str,
    /// Names this process in leases.
    pub me: Uuid,
    pub lease: Duration,
}

/// A job under our lease.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Taken {
    pub id: i64,
    pub tenant_id: Uuid,
    pub lane: String,
    pub key: String,
    pub position: Option<i64>,
    pub subject_id: Option<Uuid>,
    pub attempts: i32,
    /// Nobody knows what became of the last try.
    pub in_doubt: bool,
    pub why: Option<String>,
    /// By the server's clock, like everything that is counted in time.
    pub tried_for: PgInterval,
}

/// What is written down of a try.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// As `reactions.settle` names it.
    pub outcome: &'static str,
    pub wait: Duration,
    pub holds_lane: bool,
    pub code: Option<String>,
    pub why: Option<String>,
}

/// A job that something asks for.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The firm.
    pub tenant: TenantId,
    /// Where it waits.
    pub lane: Lane,
    /// What the receiver knows it by.
    pub key: String,
    /// The event that asks for it.
    pub position: Option<i64>,
    /// The stream that it is about.
    pub subject: Option<Uuid>,
}

impl NewJob {
    /// The job that an event asks for, known to its receiver by the event's id.
    pub(crate) fn of(event: &RawEvent, lane: Lane) -> Self {
        Self {
            tenant: event.tenant_id,
            lane,
            key: event.event_id.to_string(),
            position: Some(event.position),
            subject: Some(event.aggregate_id),
        }
    }
}

/// Adds jobs in the caller's transaction: they are there if, and only if, whatever else it writes is. A job whose key its lane has seen
/// is there already. If it `renews`, it is to be done again, unless it is in work.
///
/// # Errors
/// When the database cannot be reached or the transaction has failed.
pub async fn put(tx: &mut PgConnection, reaction: &str, jobs: &[NewJob], renews: bool) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let every = |job: &NewJob| job.lane.budget.map(|budget| interval(budget.every));
    let burst = |job: &NewJob| job.lane.budget.map_or(1, |budget| i32::from(budget.burst.max(1)));
    sqlx::query("select reactions.put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(reaction)
        .bind(jobs.iter().map(|job| job.tenant.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.lane.name.as_str()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.key.as_str()).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.position).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.subject).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| i32::from(job.lane.width)).collect::<Vec<_>>())
        .bind(jobs.iter().map(every).collect::<Vec<_>>())
        .bind(jobs.iter().map(burst).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.lane.due).collect::<Vec<_>>())
        .bind(renews)
        .execute(tx)
        .await
        .map(drop)
}

impl Queue {
    /// Takes up to `at_most` due jobs, of lanes that are ailing or of those that are not.
    pub async fn take(&self, ailing: bool, at_most: usize) -> sqlx::Result<Vec<Taken>> {
        sqlx::query_as("select * from reactions.take($1, $2, $3, $4, $5)")
            .bind(self.me)
            .bind(self.reaction)
            .bind(ailing)
            .bind(interval(self.lease))
            .bind(i32::try_from(at_most).unwrap_or(i32::MAX))
            .fetch_all(&self.pool)
            .await
    }

    /// Notes what became of a try, and through which connection it went. False if its lease has ended and another has taken the job.
    pub async fn settle(&self, job: i64, tries: i32, verdict: &Verdict, through: Option<String>) -> sqlx::Result<bool> {
        sqlx::query_scalar("select reactions.settle($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(self.me)
            .bind(job)
            .bind(tries)
            .bind(verdict.outcome)
            .bind(interval(verdict.wait))
            .bind(verdict.holds_lane)
            .bind(&verdict.code)
            .bind(&verdict.why)
            .bind(through)
            .fetch_one(&self.pool)
            .await
    }

    /// Keeps these jobs for another lease.
    pub async fn renew(&self, jobs: &[i64]) -> sqlx::Result<()> {
        let sql = "update reactions.jobs set due_at = clock_timestamp() + $2 where lease = $1 and id = any($3)";
        let renewed = sqlx::query(sql).bind(self.me).bind(interval(self.lease)).bind(jobs);
        renewed.execute(&self.pool).await.map(drop)
    }

    /// How long until the next job of such a lane is due; none if none will be.
    pub async fn next_due(&self, ailing: bool) -> sqlx::Result<Option<Duration>> {
        let sql = "select extract(epoch from min(due_at) - clock_timestamp())::double precision from reactions.lanes
                   where reaction = $1 and ailing = $2 and due_at < 'infinity'";
        let seconds = sqlx::query_scalar(sql).bind(self.reaction).bind(ailing).fetch_one(&self.pool);
        let seconds: Option<f64> = seconds.await?;
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }
}

/// An interval that is a difference of two moments: PostgreSQL counts it in days and microseconds.
pub(crate) fn duration(interval: &PgInterval) -> Duration {
    let micros = i64::from(interval.days) * 86_400_000_000 + interval.microseconds;
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
