//! The emails that are to be sent, in PostgreSQL.

use anyhow::{Context, Result};
use event_store::{Log, RawEvent};
use kernel::TenantId;
use sqlx::PgPool;
use uuid::Uuid;

/// Seconds for which a mailer has an email to itself.
const LEASE_SECONDS: i32 = 60;
/// Tries of one email; the last come two hours apart.
const ATTEMPTS_MAX: i32 = 30;
/// Events that ask for an email.
const ASKING: [&str; 2] = ["user.invited", "portal_user.invited"];

/// An email that this mailer has taken.
#[derive(Debug, sqlx::FromRow)]
pub struct Due {
    /// The event that asks for it.
    pub position: i64,
    /// How often it was tried, this time included.
    pub attempts: i32,
    /// Could it not be sent the last time?
    pub was_refused: bool,
}

impl Due {
    /// Is it not tried again after this time?
    pub fn is_last(&self) -> bool {
        self.attempts >= ATTEMPTS_MAX
    }
}

/// An email that was set aside.
#[derive(Debug, Clone, serde::Serialize, sqlx::FromRow)]
pub struct Failed {
    /// The firm.
    pub tenant_id: Uuid,
    /// The event that asks for it.
    pub position: i64,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it was not sent.
    pub error: String,
}

/// The emails.
pub struct Queue {
    pub(crate) pool: PgPool,
    pub(crate) log: Log,
}

impl Queue {
    pub fn new(log: Log) -> Self {
        Self { pool: log.pool().clone(), log }
    }

    /// Notes the emails that events since the last time ask for. Once for each, however many do it at the same time,
    /// because whoever comes second waits for the first and begins where that one ended.
    pub async fn take_in(&self) -> Result<()> {
        let mut tx = event_store::begin(&self.pool).await?;
        let after: i64 = sqlx::query_scalar("select position from mail.intake for update").fetch_one(&mut *tx).await?;
        let upto: i64 = sqlx::query_scalar("select position from eventstore.head").fetch_one(&mut *tx).await?;
        if upto > after {
            let sql = "insert into mail.emails (tenant_id, position)
                       select e.tenant_id, e.position from eventstore.events e
                       where e.domain in ('identity', 'portal') and e.event_type = any ($3) and e.position > $1 and e.position <= $2";
            sqlx::query(sql).bind(after).bind(upto).bind(ASKING.as_slice()).execute(&mut *tx).await?;
            sqlx::query("update mail.intake set position = $1").bind(upto).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes an email that is due, if one is: of the firm whose turn is longest ago the one that is due for longest.
    pub async fn take(&self) -> Result<Option<Due>> {
        // Jumps from firm to firm in the index, because one firm may have any number of them.
        let sql = "with recursive firms as (
                       (select tenant_id from mail.emails where state = 'due' and due_at <= now()
                        order by tenant_id limit 1)
                       union all
                       select (select l.tenant_id from mail.emails l
                               where l.state = 'due' and l.due_at <= now() and l.tenant_id > f.tenant_id
                               order by l.tenant_id limit 1)
                       from firms f where f.tenant_id is not null),
                   turn as (
                       select email.position
                       from (select f.tenant_id from firms f left join mail.turns t using (tenant_id)
                             where f.tenant_id is not null order by t.taken_at nulls first) firm
                       cross join lateral (
                           select l.position from mail.emails l
                           where l.tenant_id = firm.tenant_id and l.state = 'due' and l.due_at <= now()
                           order by l.due_at limit 1 for update skip locked) email
                       limit 1),
                   taken as (
                       update mail.emails l set due_at = now() + make_interval(secs => $1), attempts = l.attempts + 1
                       from turn where l.position = turn.position returning l.tenant_id, l.position, l.attempts, l.error),
                   noted as (
                       insert into mail.turns (tenant_id, taken_at) select tenant_id, clock_timestamp() from taken
                       on conflict (tenant_id) do update set taken_at = excluded.taken_at)
                   select position, attempts, error is not null as was_refused from taken";
        Ok(sqlx::query_as(sql).bind(f64::from(LEASE_SECONDS)).fetch_optional(&self.pool).await?)
    }

    /// The event that asks for an email.
    pub async fn event(&self, position: i64) -> Result<RawEvent> {
        self.log.find(position).await?.with_context(|| format!("the log has no event at {position}"))
    }

    /// What the firm is called.
    pub async fn firm(&self, tenant: TenantId) -> Result<Option<String>> {
        let sql = "select payload::json ->> 'name' from eventstore.identity_events($1)
                   where event_type in ('tenant.registered', 'tenant.renamed')";
        let names: Vec<Option<String>> = sqlx::query_scalar(sql).bind(tenant.0).fetch_all(&self.pool).await?;
        Ok(names.into_iter().flatten().last())
    }

    /// It was sent.
    pub async fn sent(&self, position: i64) -> Result<()> {
        let sql = "update mail.emails set state = 'sent', sent_at = now(), error = null where position = $1";
        sqlx::query(sql).bind(position).execute(&self.pool).await?;
        Ok(())
    }

    /// It is tried again later.
    pub async fn put_off(&self, due: &Due, why: &str) -> Result<()> {
        let minutes = 1 << due.attempts.clamp(0, 7);
        let sql = "update mail.emails set due_at = now() + make_interval(mins => $2), error = $3 where position = $1";
        sqlx::query(sql).bind(due.position).bind(minutes.min(120)).bind(why).execute(&self.pool).await?;
        Ok(())
    }

    /// It is for an operator to look at.
    pub async fn set_aside(&self, position: i64, why: &str) -> Result<()> {
        let sql = "update mail.emails set state = 'failed', error = $2 where position = $1";
        sqlx::query(sql).bind(position).bind(why).execute(&self.pool).await?;
        Ok(())
    }

    /// How many are to be sent, and how many were set aside.
    pub async fn counts(&self) -> Result<(i64, i64)> {
        let sql = "select count(*) filter (where state = 'due'), count(*) filter (where state = 'failed')
                   from mail.emails where state <> 'sent'";
        Ok(sqlx::query_as(sql).fetch_one(&self.pool).await?)
    }
}

/// The emails that were set aside.
pub async fn failed(pool: &PgPool) -> Result<Vec<Failed>> {
    let sql = "select tenant_id, position, attempts, error from mail.emails where state = 'failed' order by position";
    Ok(sqlx::query_as(sql).fetch_all(pool).await?)
}

/// Sends emails again that were set aside, all or the one that the event at `position` asked for. Answers how many.
pub async fn retry(pool: &PgPool, position: Option<i64>) -> Result<u64> {
    let sql = "update mail.emails set state = 'due', due_at = now(), attempts = 0
               where state = 'failed' and ($1::bigint is null or position = $1)";
    Ok(sqlx::query(sql).bind(position).execute(pool).await?.rows_affected())
}

/// Forgets what was said about the emails that events of these streams ask for, because a mail server's refusal names the
/// address, and by which addresses their people were found. Answers how many emails there were.
pub async fn forget(pool: &PgPool, tenant: TenantId, streams: &[Uuid]) -> Result<u64> {
    for sql in [
        "delete from login.portal_addresses where tenant_id = $1 and portal_user_id = any($2)",
        "delete from login.addresses where tenant_id = $1 and user_id = any($2)",
    ] {
        sqlx::query(sql).bind(tenant.0).bind(streams).execute(pool).await?;
    }
    let sql = "update mail.emails l set error = null
               from eventstore.events e
               where e.tenant_id = $1 and e.aggregate_id = any($2) and e.position = l.position and l.error is not null";
    Ok(sqlx::query(sql).bind(tenant.0).bind(streams).execute(pool).await?.rows_affected())
}
