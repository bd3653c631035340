//! Endpoints and what became of what was sent to them, as PostgreSQL keeps it. Moments are the server's.

use crate::schedule::{Schedule, by_lot};
use event_store::RawEvent;
use kernel::{Principal, TenantId};
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;
use std::time::Duration;
use uuid::Uuid;

/// How long it is known what became of an event.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Forgotten in one statement.
const TIDIED: i64 = 5_000;
/// So long the one try lasts, at most, that an endpoint is given which takes nothing.
const PROBE: Duration = Duration::from_secs(30);
/// For how long a success lets an endpoint have several messages on their way.
const PROVEN: Duration = Duration::from_secs(60);
/// How often a success is written down that says nothing new.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// An endpoint of a firm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct At {
    /// The firm.
    pub tenant: TenantId,
    /// The endpoint.
    pub endpoint: Uuid,
}

/// An endpoint, and what became of an event there so far.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Seen {
    /// `active`, `paused`, `disabled` or `removed`.
    pub status: String,
    /// Where to.
    pub url: String,
    /// Who answers for it.
    pub owner: Option<Json<Principal>>,
    /// The version at which its secret was made.
    pub secret_version: i64,
    /// That of the one before, while it is signed with.
    pub previous_version: Option<i64>,
    /// Failures in a row.
    pub failures: i32,
    /// Seconds for which it is to be left alone.
    pub shut_for: Option<f64>,
    /// It took something a moment ago.
    pub is_proven: bool,
    /// Tries of the event that failed.
    pub attempts: i32,
}

/// How an endpoint is after a failure.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Failing {
    /// Failures in a row.
    pub failures: i32,
    /// Seconds for which it is to be left alone.
    pub shut_for: f64,
    /// Its record says that it fails.
    pub is_told: bool,
    /// It has taken nothing for so long that its record is to say so.
    pub is_long: bool,
    /// And so long that nothing is sent any more.
    pub is_over: bool,
}

/// What is written down of one event at one endpoint.
#[derive(Debug, Clone, Default)]
pub struct Noted<'a> {
    /// As the table has it.
    pub status: &'static str,
    /// Was it sent?
    pub is_try: bool,
    /// What was answered.
    pub answer: Option<u16>,
    /// Why it was not taken.
    pub error: Option<&'a str>,
    /// How long that took.
    pub took: Option<Duration>,
    /// When it is tried again.
    pub next: Option<Duration>,
    /// It was asked for again.
    pub is_replay: bool,
}

/// See above. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk(pub PgPool);

impl Desk {
    /// The endpoint, and what became of the event there.
    pub async fn look(&self, at: At, event: Uuid) -> sqlx::Result<Option<Seen>> {
        let sql = "
            select e.status, e.url, e.owner, e.secret_version, e.failures,
                   case when e.previous_until > clock_timestamp() then e.previous_version end as previous_version,
                   case when e.shut_until > clock_timestamp()
                       then extract(epoch from e.shut_until - clock_timestamp())::double precision end as shut_for,
                   e.failures = 0 and coalesce(e.last_success_at > clock_timestamp() - $4, false) as is_proven,
                   case when d.status = 'failing' then d.attempts else 0 end as attempts
            from webhooks.endpoints e
                     left join webhooks.deliveries d
                               on d.tenant_id = e.tenant_id and d.endpoint_id = e.endpoint_id and d.event_id = $3
            where e.tenant_id = $1 and e.endpoint_id = $2";
        let looked = sqlx::query_as(sql).bind(at.tenant.0).bind(at.endpoint).bind(event).bind(interval(PROVEN));
        looked.fetch_optional(&self.0).await
    }

    /// Which events an endpoint asks for, and whether in order; none if nothing is sent there any more.
    pub async fn asked(&self, at: At) -> sqlx::Result<Option<(Vec<String>, bool)>> {
        let sql = "select scopes, is_ordered from webhooks.endpoints
                   where tenant_id = $1 and endpoint_id = $2 and status in ('active', 'paused')";
        sqlx::query_as(sql).bind(at.tenant.0).bind(at.endpoint).fetch_optional(&self.0).await
    }

    /// The one try for a while that an endpoint is given which takes nothing. False if somebody else has it.
    pub async fn may_probe(&self, at: At) -> sqlx::Result<bool> {
        let sql = "update webhooks.endpoints set shut_until = clock_timestamp() + $3
                   where tenant_id = $1 and endpoint_id = $2 and shut_until <= clock_timestamp()";
        let claimed = sqlx::query(sql).bind(at.tenant.0).bind(at.endpoint).bind(interval(PROBE));
        Ok(claimed.execute(&self.0).await?.rows_affected() > 0)
    }

    /// Notes that something was taken. Answers how often in a row nothing was before, and whether the record says so.
    pub async fn taken(&self, at: At, status: u16) -> sqlx::Result<Option<(i32, bool)>> {
        let sql = "
            with before as (select e.failures, e.is_told from webhooks.endpoints e
                            where e.tenant_id = $1 and e.endpoint_id = $2
                              and (e.failures > 0 or coalesce(e.last_success_at, '-infinity') < clock_timestamp() - $4)
                            for update)
            update webhooks.endpoints e
            set failures = 0, failing_since = null, shut_until = '-infinity', is_told = false,
                last_success_at = clock_timestamp(), last_status = $3, last_error = null
            from before where e.tenant_id = $1 and e.endpoint_id = $2 returning before.failures, before.is_told";
        let noted = sqlx::query_as(sql).bind(at.tenant.0).bind(at.endpoint).bind(i32::from(status));
        noted.bind(interval(SAID_EVERY)).fetch_optional(&self.0).await
    }

    /// Notes that something was not taken, and for how long the endpoint is left alone: as the schedule says, or as it said itself.
    pub async fn failed(
        &self,
        at: At,
        status: Option<u16>,
        why: &str,
        retry_after: Option<Duration>,
        schedule: &Schedule,
    ) -> sqlx::Result<Failing> {
        let waits: Vec<f64> = schedule.endpoint.iter().map(|wait| by_lot(*wait).as_secs_f64()).collect();
        let sql = "
            update webhooks.endpoints e
            set failures = e.failures + 1, failing_since = coalesce(e.failing_since, clock_timestamp()),
                shut_until = clock_timestamp() + make_interval(secs => coalesce(
                    $5, ($6::double precision[])[least(e.failures + 1, cardinality($6::double precision[]))], 0)),
                last_failure_at = clock_timestamp(), last_status = $3, last_error = $4
            where e.tenant_id = $1 and e.endpoint_id = $2
            returning e.failures, e.is_told, e.failing_since <= clock_timestamp() - $7 as is_long,
                      e.failing_since <= clock_timestamp() - $8 as is_over,
                      extract(epoch from e.shut_until - clock_timestamp())::double precision as shut_for";
        sqlx::query_as(sql)
            .bind(at.tenant.0)
            .bind(at.endpoint)
            .bind(status.map(i32::from))
            .bind(why)
            .bind(retry_after.map(|wait| wait.as_secs_f64()))
            .bind(waits)
            .bind(interval(schedule.failing_after))
            .bind(interval(schedule.disabled_after))
            .fetch_one(&self.0)
            .await
    }

    /// Notes that the record says that it fails.
    pub async fn told(&self, at: At) -> sqlx::Result<()> {
        let sql = "update webhooks.endpoints set is_told = true where tenant_id = $1 and endpoint_id = $2";
        sqlx::query(sql).bind(at.tenant.0).bind(at.endpoint).execute(&self.0).await.map(drop)
    }

    /// Sends nothing there from now on, until its record is resumed.
    pub async fn disable(&self, at: At) -> sqlx::Result<()> {
        let sql = "update webhooks.endpoints set status = 'disabled'
                   where tenant_id = $1 and endpoint_id = $2 and status = 'active'";
        sqlx::query(sql).bind(at.tenant.0).bind(at.endpoint).execute(&self.0).await.map(drop)
    }

    /// What waits of the endpoint for a later try is tried now.
    pub async fn hasten(&self, at: At) -> sqlx::Result<i64> {
        sqlx::query_scalar("select webhooks.hasten($1, $2)")
            .bind(at.tenant.0)
            .bind(at.endpoint)
            .fetch_one(&self.0)
            .await
    }

    /// Writes down what became of an event.
    pub async fn note(&self, at: At, event: &RawEvent, noted: &Noted<'_>) -> sqlx::Result<()> {
        let sql = "
            insert into webhooks.deliveries as d
                (tenant_id, endpoint_id, event_id, position, event_type, aggregate_id, status, attempts, next_attempt_at,
                 answer_status, error, took_ms, is_replay)
            values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9, $10, $11, $12, $13)
            on conflict (tenant_id, endpoint_id, event_id) do update
                set status = excluded.status, last_tried_at = excluded.last_tried_at,
                    attempts = excluded.attempts + case when d.status = 'failing' then d.attempts else 0 end,
                    first_tried_at = case when d.status = 'failing' then d.first_tried_at else excluded.first_tried_at end,
                    next_attempt_at = excluded.next_attempt_at, answer_status = excluded.answer_status,
                    error = excluded.error, took_ms = excluded.took_ms, is_replay = excluded.is_replay";
        sqlx::query(sql)
            .bind(at.tenant.0)
            .bind(at.endpoint)
            .bind(event.event_id)
            .bind(event.position)
            .bind(&event.event_type)
            .bind(event.aggregate_id)
            .bind(noted.status)
            .bind(i32::from(noted.is_try))
            .bind(noted.next.map(interval))
            .bind(noted.answer.map(i32::from))
            .bind(noted.error)
            .bind(noted.took.map(|took| i32::try_from(took.as_millis()).unwrap_or(i32::MAX)))
            .bind(noted.is_replay)
            .execute(&self.0)
            .await
            .map(drop)
    }

    /// How far a replay has come.
    pub async fn replayed_to(&self, tenant: TenantId, job: i64) -> sqlx::Result<Option<i64>> {
        let sql = "select position from webhooks.replays where tenant_id = $1 and job = $2";
        sqlx::query_scalar(sql).bind(tenant.0).bind(job).fetch_optional(&self.0).await
    }

    /// Forgets a replay that is through.
    pub async fn replayed(&self, tenant: TenantId, job: i64) -> sqlx::Result<()> {
        let sql = "delete from webhooks.replays where tenant_id = $1 and job = $2";
        sqlx::query(sql).bind(tenant.0).bind(job).execute(&self.0).await.map(drop)
    }

    /// Forgets what became of events long ago; answers how many it was.
    pub async fn tidy(&self) -> sqlx::Result<u64> {
        let sql = "delete from webhooks.deliveries d using (
                       select tenant_id, endpoint_id, event_id from webhooks.deliveries
                       where last_tried_at < clock_timestamp() - $1 order by last_tried_at limit $2) old
                   where d.tenant_id = old.tenant_id and d.endpoint_id = old.endpoint_id and d.event_id = old.event_id";
        Ok(sqlx::query(sql).bind(interval(KEPT)).bind(TIDIED).execute(&self.0).await?.rows_affected())
    }

    /// Is there as much to forget again?
    pub fn goes_on(gone: u64) -> bool {
        i64::try_from(gone).is_ok_and(|gone| gone >= TIDIED)
    }
}

/// Does an endpoint that asks for these events ask for this one?
pub fn asks_for(scopes: &[String], event: &RawEvent) -> bool {
    let name = format!("{}.{}", event.domain, event.event_type);
    let covers =
        |scope: &String| *scope == name || scope.strip_suffix('>').is_some_and(|begin| name.starts_with(begin));
    scopes.is_empty() || scopes.iter().any(covers)
}

pub fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
