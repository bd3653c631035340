//! How far what is kept in step with a provider has come, each by its name: `changes`, `mail`, `calendar/primary`. Whoever does it says so
//! here after every round, and whoever looks after connections sees it.

use crate::keeper::interval;
use crate::links::Links;
use crate::note::short;
use chrono::{DateTime, Utc};
use ports::Place;
use std::time::Duration;

/// What a round came to that succeeded. What is not known now stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// Whatever happened at the provider before this is known here.
    pub cursor_at: Option<DateTime<Utc>>,
    /// How long it is until the next round.
    pub again_in: Option<Duration>,
    /// Until when the provider tells of changes by itself.
    pub subscription_until: Option<DateTime<Utc>>,
    /// Of what is read from the beginning: so many of so many, if it can be told of how many.
    pub progress: Option<(i64, Option<i64>)>,
}

impl Links {
    /// Notes that a round of a sync succeeded.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn synced(&self, at: Place, name: &str, synced: &Synced) -> sqlx::Result<()> {
        // Of what was given up meanwhile nothing is kept.
        let sql = "insert into connect.syncs as s (tenant_id, connection_id, name, cursor_at, last_success_at, next_at, subscription_until,
                                                   done_count, total_count)
                   select l.tenant_id, l.connection_id, $3, $4, clock_timestamp(), clock_timestamp() + $5, $6, $7, $8
                   from connect.links l where l.tenant_id = $1 and l.connection_id = $2
                   on conflict (tenant_id, connection_id, name) do update
                       set cursor_at = greatest(s.cursor_at, excluded.cursor_at), last_success_at = excluded.last_success_at,
                           failures = 0, trouble = null, detail = null, next_at = coalesce(excluded.next_at, s.next_at),
                           subscription_until = coalesce(excluded.subscription_until, s.subscription_until),
                           done_count = coalesce(excluded.done_count, s.done_count),
                           total_count = coalesce(excluded.total_count, s.total_count)";
        sqlx::query(sql)
            .bind(at.tenant.0)
            .bind(at.connection.0)
            .bind(name)
            .bind(synced.cursor_at)
            .bind(synced.again_in.map(interval))
            .bind(synced.subscription_until)
            .bind(synced.progress.map(|(done, _)| done))
            .bind(synced.progress.and_then(|(_, total)| total))
            .execute(self.pool())
            .await
            .map(drop)
    }

    /// Notes that a round of a sync failed: what is wrong, in the words of the connection's events, and when it is tried again.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sync_failed(
        &self,
        at: Place,
        name: &str,
        (trouble, detail): (&str, &str),
        again_in: Option<Duration>,
    ) -> sqlx::Result<()> {
        let sql = "insert into connect.syncs as s (tenant_id, connection_id, name, last_failure_at, failures, trouble, detail, next_at)
                   select l.tenant_id, l.connection_id, $3, clock_timestamp(), 1, $4, $5, clock_timestamp() + $6
                   from connect.links l where l.tenant_id = $1 and l.connection_id = $2
                   on conflict (tenant_id, connection_id, name) do update
                       set last_failure_at = excluded.last_failure_at, failures = s.failures + 1, trouble = excluded.trouble,
                           detail = excluded.detail, next_at = coalesce(excluded.next_at, s.next_at)";
        sqlx::query(sql)
            .bind(at.tenant.0)
            .bind(at.connection.0)
            .bind(name)
            .bind(trouble)
            .bind(short(detail))
            .bind(again_in.map(interval))
            .execute(self.pool())
            .await
            .map(drop)
    }

    /// Has everything read again that has changed since then, or since somebody agreed: by the sweep at its next turn, which is now, and by
    /// whatever else is kept in step.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn resync(&self, at: Place, since: Option<DateTime<Utc>>) -> sqlx::Result<()> {
        let mut tx = event_store::begin(self.pool()).await?;
        let links = "update connect.links
                     set swept_at = null, sweep_from = least(sweep_from, greatest(coalesce($3, authorised_at), authorised_at - interval '5 years'))
                     where tenant_id = $1 and connection_id = $2";
        sqlx::query(links).bind(at.tenant.0).bind(at.connection.0).bind(since).execute(&mut *tx).await?;
        let syncs = "update connect.syncs s
                     set resync_from = least(s.resync_from, coalesce($3, l.authorised_at)), next_at = clock_timestamp()
                     from connect.links l
                     where s.tenant_id = $1 and s.connection_id = $2 and l.tenant_id = $1 and l.connection_id = $2";
        sqlx::query(syncs).bind(at.tenant.0).bind(at.connection.0).bind(since).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Takes away that somebody wants a sync to begin anew, and answers since when; none if nobody does.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn take_resync(&self, at: Place, name: &str) -> sqlx::Result<Option<DateTime<Utc>>> {
        let sql = "update connect.syncs s set resync_from = null from connect.syncs before
                   where s.tenant_id = $1 and s.connection_id = $2 and s.name = $3 and s.resync_from is not null
                     and before.tenant_id = s.tenant_id and before.connection_id = s.connection_id and before.name = s.name
                   returning before.resync_from";
        sqlx::query_scalar(sql).bind(at.tenant.0).bind(at.connection.0).bind(name).fetch_optional(self.pool()).await
    }
}
