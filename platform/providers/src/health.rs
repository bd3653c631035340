//! How a connection is, as whoever uses it finds out: noted beside the log, because it changes with every call. Only that it is otherwise
//! than before is told to the record.

use crate::keeper::interval;
use crate::links::Links;
use crate::note::{FAILURES_MAX, note, tell};
use event_store::begin;
use ports::{Fault, Place};
use std::time::Duration;

/// How often a success is written down that says nothing new.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How a connection is, as whoever uses it found out.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Health {
    /// `good`, `degraded` or `refused`.
    pub health: String,
    /// What is wrong, in the words of the connection's events.
    pub trouble: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
}

impl Links {
    /// How a connection is; none if nothing is kept of it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn health(&self, at: Place) -> sqlx::Result<Option<Health>> {
        let sql = "select health, trouble, detail from connect.links where tenant_id = $1 and connection_id = $2";
        sqlx::query_as(sql).bind(at.tenant.0).bind(at.connection.0).fetch_optional(self.pool()).await
    }

    /// Notes that the provider lets us in no more.
    pub async fn refused(&self, at: Place, trouble: &str, detail: &str) -> Fault {
        self.noted(at, Some("refused"), trouble, detail).await;
        Fault::Blocked(at.connection)
    }

    /// Notes that a call failed for a reason that is not ours; the third in a row makes a degraded connection.
    pub async fn failed(&self, at: Place, trouble: &str, detail: &str) {
        self.noted(at, None, trouble, detail).await;
    }

    /// Notes that it is worse than before, whatever came before.
    pub async fn degraded(&self, at: Place, trouble: &str, detail: &str) {
        self.noted(at, Some("degraded"), trouble, detail).await;
    }

    async fn noted(&self, at: Place, health: Option<&str>, trouble: &str, detail: &str) {
        let noting = async {
            let mut tx = begin(self.pool()).await?;
            note(&mut tx, at, health, trouble, detail).await?;
            tx.commit().await
        };
        if let Err(error) = noting.await {
            tracing::warn!(error = %error, "how a connection is cannot be noted");
        }
    }

    /// Notes that a call succeeded. Of a grant that cannot be replaced it says nothing: a token that still works clears no such error,
    /// nor does one whose call was on its way when the provider refused the grant.
    pub async fn succeeded(&self, at: Place) {
        let noting = async {
            let sql = "with before as (select l.health, l.refresh_failures >= $4 as is_dying from connect.links l
                                       where l.tenant_id = $1 and l.connection_id = $2
                                         and (l.failures > 0 or l.health = 'degraded'
                                              or coalesce(l.last_success_at, '-infinity') < clock_timestamp() - $3)
                                       for update)
                       update connect.links l
                       set failures = case when before.is_dying or l.health = 'refused' then l.failures else 0 end,
                           last_success_at = clock_timestamp(),
                           health = case when l.health = 'degraded' and not before.is_dying then 'good' else l.health end
                       from before where l.tenant_id = $1 and l.connection_id = $2 returning before.health, l.health";
            let mut tx = begin(self.pool()).await?;
            let moved = sqlx::query_as(sql)
                .bind(at.tenant.0)
                .bind(at.connection.0)
                .bind(interval(SAID_EVERY))
                .bind(FAILURES_MAX);
            let moved: Option<(String, String)> = moved.fetch_optional(&mut *tx).await?;
            if moved.is_some_and(|(before, after)| before != after) {
                tell(&mut tx, at).await?;
            }
            tx.commit().await
        };
        let noted: sqlx::Result<()> = noting.await;
        if let Err(error) = noted {
            tracing::warn!(error = %error, "how a connection is cannot be noted");
        }
    }
}
