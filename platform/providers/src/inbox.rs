//! What providers said, and what sweeps found, becomes jobs: one per thing that may have changed, however often it was said.

use crate::links::{Links, Swept};
use crate::syncs::Synced;
use crate::{Hint, Sweeper};
use event_store::begin;
use kernel::{ConnectionId, TenantId};
use ports::{Fault, Place};
use reactions::{Lane, NewJob, put};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// The jobs that ask a provider how something is.
pub const HINTS: &str = "connect.hint";
/// What the sweep is called among what is kept in step.
const CHANGES: &str = "changes";
/// Messages that become jobs in one transaction.
const AT_ONCE: i64 = 200;
/// Days for which it is known what was said.
const KEPT_DAYS: i32 = 7;

/// A message that is taken in: its firm, its connection, what it may be about, and the provider unless it was given up.
type Taken = (Uuid, Uuid, Json<Vec<Hint>>, Option<String>);

/// Makes jobs of what was said and is not taken in yet; answers how many messages that were.
///
/// # Errors
/// When the database is away.
pub async fn take_in(pool: &PgPool) -> sqlx::Result<usize> {
    let sql = "with taken as (
                   select i.tenant_id, i.connection_id, i.message from connect.inbox i
                   where i.is_open order by i.received_at limit $1 for update skip locked)
               update connect.inbox i set is_open = false from taken t
               where i.tenant_id = t.tenant_id and i.connection_id = t.connection_id and i.message = t.message
               returning i.tenant_id, i.connection_id, i.hints,
                         (select l.provider from connect.links l
                          where l.tenant_id = i.tenant_id and l.connection_id = i.connection_id)";
    let mut tx = begin(pool).await?;
    let mut open: Vec<Taken> = sqlx::query_as(sql).bind(AT_ONCE).fetch_all(&mut *tx).await?;
    // In the order in which everybody locks lanes who locks several.
    open.sort_by_key(|(tenant, connection, ..)| (*tenant, *connection));
    for (tenant, connection, Json(hints), provider) in &open {
        let at = Place { tenant: TenantId(*tenant), connection: ConnectionId(*connection) };
        // One that was given up meanwhile is asked nothing.
        let Some(provider) = provider else { continue };
        ask_about(&mut tx, at, provider, hints).await?;
        let heard = "update connect.links set heard_at = clock_timestamp() where tenant_id = $1 and connection_id = $2";
        sqlx::query(heard).bind(tenant).bind(connection).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    let old = "delete from connect.inbox where received_at < now() - make_interval(days => $1) and not is_open";
    sqlx::query(old).bind(KEPT_DAYS).execute(pool).await?;
    Ok(open.len())
}

/// By what the job of a thing is known.
fn key_of(provider: &str, hint: &Hint) -> String {
    format!("{provider}/{}/{}", hint.kind, hint.id)
}

/// One job for each thing; what is asked for while it waits is asked once.
async fn ask_about(tx: &mut PgConnection, at: Place, provider: &str, hints: &[Hint]) -> sqlx::Result<()> {
    let job = |hint: &Hint| NewJob {
        tenant: at.tenant,
        lane: Lane::of(at.connection).wide(2),
        key: key_of(provider, hint),
        position: None,
        subject: Some(at.connection.0),
    };
    let jobs: Vec<NewJob> = hints.iter().map(job).collect();
    put(tx, HINTS, &jobs, true).await
}

impl Links {
    /// Asks a provider what has changed since the last time, for every connection whose turn it is; answers how many things that were.
    ///
    /// # Errors
    /// When the database is away. What the provider fails is tried again when it is the connection's turn again, from where it was.
    pub async fn sweep(&self, sweeper: &dyn Sweeper) -> sqlx::Result<usize> {
        let mut found = 0;
        while let Some(swept) = self.next_to_sweep(sweeper.provider(), sweeper.every()).await? {
            match sweeper.sweep(swept.place, swept.since).await {
                Ok(hints) => {
                    found += hints.len();
                    self.keep_found(sweeper.provider(), &swept, &hints).await?;
                    let synced =
                        Synced { cursor_at: Some(swept.next), again_in: Some(sweeper.every()), ..Synced::default() };
                    self.synced(swept.place, CHANGES, &synced).await?;
                }
                // How the connection is says it.
                Err(Fault::Blocked(_)) => {}
                Err(fault) => {
                    tracing::info!(connection = %swept.place.connection, error = %fault, "a sweep ended early");
                    let why = fault.to_string();
                    self.sync_failed(swept.place, CHANGES, ("unreachable", &why), Some(sweeper.every())).await?;
                }
            }
        }
        Ok(found)
    }

    /// Has a thing asked about again of which somebody spoke before it was known here, and of whom nothing came for that reason.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn recall(&self, at: Place, provider: &str, hint: &Hint) -> sqlx::Result<()> {
        let sql = "select exists (select from reactions.jobs j
                                  where j.tenant_id = $1 and j.reaction = $2 and j.lane = $3 and j.key = $4)";
        let asked = sqlx::query_scalar(sql).bind(at.tenant.0).bind(HINTS).bind(at.connection.to_string());
        let is_said: bool = asked.bind(key_of(provider, hint)).fetch_one(self.pool()).await?;
        if !is_said {
            return Ok(());
        }
        let mut tx = begin(self.pool()).await?;
        ask_about(&mut tx, at, provider, std::slice::from_ref(hint)).await?;
        tx.commit().await
    }

    async fn keep_found(&self, provider: &str, swept: &Swept, hints: &[Hint]) -> sqlx::Result<()> {
        let mut tx = begin(self.pool()).await?;
        ask_about(&mut tx, swept.place, provider, hints).await?;
        Self::swept(&mut tx, swept).await?;
        tx.commit().await
    }
}
