//! The worker's side of a link: opens the grant, refreshes it, and says whose turn it is to be swept.

use crate::grant::{Grant, Refusal};
use crate::keeper::{Field, interval, open, seal};
use crate::note::{FAILURES_MAX, note};
use crate::oauth::OAuth;
use chrono::{DateTime, Utc};
use event_store::begin;
use kernel::{ConnectionId, TenantId};
use ports::{Fault, Place};
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use vault::Vault;

/// A token that ends so soon is not shown any more.
const ENDS_SOON: Duration = Duration::from_secs(90);
/// A grant that nobody uses is refreshed so often, so that it does not die.
const REFRESHED_EVERY: Duration = Duration::from_secs(20 * 3_600);

/// What is shown with a call, and where.
#[derive(Debug, Clone)]
pub struct Access {
    /// The token.
    pub token: SecretString,
    /// The provider's id of the account.
    pub account_id: String,
    /// Where the account is asked for things.
    pub base_url: String,
    /// Which grant the token is of.
    pub generation: i32,
}

/// A link whose turn it is to be swept.
#[derive(Debug, Clone)]
pub struct Swept {
    /// The connection.
    pub place: Place,
    /// What has changed since then is wanted.
    pub since: DateTime<Utc>,
    /// Where the next sweep begins if this one succeeds: taken before the provider is asked.
    pub next: DateTime<Utc>,
}

/// What was done so that grants live on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Grants that were refreshed.
    pub refreshed: usize,
    /// Grants that could not be.
    pub failed: usize,
}

/// The links of an installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Links {
    pool: PgPool,
    vault: Vault,
    /// Where each provider's grants are refreshed.
    oauth: Arc<BTreeMap<&'static str, OAuth>>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    provider: String,
    generation: i32,
    account_id: String,
    base_url: String,
    access_sealed: Vec<u8>,
    refresh_sealed: Vec<u8>,
    is_fresh: bool,
    is_good: bool,
    is_paused: bool,
    health: String,
}

const COLUMNS: &str =
    "l.provider, l.generation, l.account_id, l.base_url, l.access_sealed, l.refresh_sealed, l.is_paused, l.health,
     l.access_until > clock_timestamp() + $3 as is_fresh, l.access_until > clock_timestamp() as is_good";

impl Links {
    /// `pool` connects as `ubos_worker`.
    pub fn new(pool: PgPool, vault: Vault, oauth: impl IntoIterator<Item = (&'static str, OAuth)>) -> Self {
        Self { pool, vault, oauth: Arc::new(oauth.into_iter().collect()) }
    }

    /// Where links are kept.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What to show with a call. `spoiled` is the generation that the provider has just refused: then there must be a newer one.
    ///
    /// # Errors
    /// [`Fault::Blocked`] if somebody of the firm has to act first, [`Fault::Later`] if only time helps.
    pub async fn access(&self, at: Place, spoiled: Option<i32>) -> Result<Access, Fault> {
        reactions::goes_through(at.connection);
        let row = self.read(at, &mut *self.pool.acquire().await.map_err(away)?, false).await?;
        if row.is_fresh && spoiled != Some(row.generation) {
            return self.open(at, &row).await;
        }
        self.refresh(at, row.generation, spoiled == Some(row.generation)).await
    }

    /// The row, if it may be used.
    async fn read(&self, at: Place, on: &mut PgConnection, locked: bool) -> Result<Row, Fault> {
        let lock = if locked { "for update" } else { "" };
        let sql =
            format!("select {COLUMNS} from connect.links l where l.tenant_id = $1 and l.connection_id = $2 {lock}");
        let row = sqlx::query_as(&sql).bind(at.tenant.0).bind(at.connection.0).bind(interval(ENDS_SOON));
        let row: Option<Row> = row.fetch_optional(on).await.map_err(away)?;
        row.filter(|row| !row.is_paused && row.health != "refused").ok_or(Fault::Blocked(at.connection))
    }

    async fn open(&self, at: Place, row: &Row) -> Result<Access, Fault> {
        let keys = self.vault.tenant(at.tenant.0).await.map_err(|error| Fault::Later(None, error.to_string()))?;
        match open(&keys, at.connection, Field::Access, row.generation, &row.access_sealed) {
            Ok(token) => Ok(Access {
                token,
                account_id: row.account_id.clone(),
                base_url: row.base_url.clone(),
                generation: row.generation,
            }),
            Err(_) => Err(self.refused(at, "secrets_lost", "what was sealed cannot be opened").await),
        }
    }

    /// Gives the grant back to its provider, if that takes it back.
    ///
    /// # Errors
    /// When it cannot be given back.
    pub async fn give_back(&self, at: Place) -> Result<(), Fault> {
        let row = self.read(at, &mut *self.pool.acquire().await.map_err(away)?, false).await?;
        let Some(oauth) = self.oauth.get(row.provider.as_str()) else { return Ok(()) };
        let later = |why: String| Fault::Later(None, why);
        let keys = self.vault.tenant(at.tenant.0).await.map_err(|error| later(error.to_string()))?;
        let token = open(&keys, at.connection, Field::Refresh, row.generation, &row.refresh_sealed);
        oauth.end(&token.map_err(|error| later(error.to_string()))?).await.map_err(|error| later(error.to_string()))
    }

    /// Makes the next generation, unless another process has just done so. Whoever comes meanwhile waits at the row; whoever wins it
    /// writes the new generation over the one that was read, or nothing.
    async fn refresh(&self, at: Place, known: i32, is_spoiled: bool) -> Result<Access, Fault> {
        let mut tx = begin(&self.pool).await.map_err(away)?;
        let row = self.read(at, &mut tx, true).await?;
        if row.generation != known {
            tx.rollback().await.map_err(away)?;
            return self.open(at, &row).await;
        }
        let unknown = || Fault::Later(None, format!("the provider {} is not set up here", row.provider));
        let oauth = self.oauth.get(row.provider.as_str()).ok_or_else(unknown)?;
        let keys = self.vault.sealing(at.tenant.0).await.map_err(|error| Fault::Later(None, error.to_string()))?;
        let Ok(token) = open(&keys, at.connection, Field::Refresh, row.generation, &row.refresh_sealed) else {
            tx.rollback().await.map_err(away)?;
            return Err(self.refused(at, "secrets_lost", "what was sealed cannot be opened").await);
        };
        match oauth.refresh(&token).await {
            Ok(Grant { access, refresh, lasts }) => {
                let next = row.generation + 1;
                let sealed = |of, secret| {
                    let sealed = seal(&keys, at.connection, of, next, secret);
                    sealed.map_err(|error| Fault::Later(None, error.to_string()))
                };
                let sql = "update connect.links set generation = $4, access_sealed = $5, refresh_sealed = $6,
                                  access_until = clock_timestamp() + $7, refreshed_at = clock_timestamp(),
                                  refresh_until = clock_timestamp() + $8, refresh_failures = 0
                           where tenant_id = $1 and connection_id = $2 and generation = $3";
                let written = sqlx::query(sql)
                    .bind(at.tenant.0)
                    .bind(at.connection.0)
                    .bind(row.generation)
                    .bind(next)
                    .bind(sealed(Field::Access, &access)?)
                    .bind(sealed(Field::Refresh, refresh.as_ref().unwrap_or(&token))?)
                    .bind(interval(lasts))
                    .bind(oauth.renewable_for().map(interval))
                    .execute(&mut *tx);
                let written = written.await.map_err(away)?.rows_affected();
                tx.commit().await.map_err(away)?;
                metrics::counter!("connection_refreshes_total", "outcome" => "refreshed").increment(1);
                if written == 0 {
                    return Err(Fault::Later(None, "the grant was replaced meanwhile".to_owned()));
                }
                Ok(Access { token: access, account_id: row.account_id, base_url: row.base_url, generation: next })
            }
            Err(Refusal::Refused(why)) => {
                metrics::counter!("connection_refreshes_total", "outcome" => "refused").increment(1);
                let noted = note(&mut tx, at, Some("refused"), "grant_refused", &why).await;
                noted.map_err(away)?;
                tx.commit().await.map_err(away)?;
                Err(Fault::Blocked(at.connection))
            }
            Err(Refusal::Away(why)) => {
                metrics::counter!("connection_refreshes_total", "outcome" => "failed").increment(1);
                // Also if the token at hand still works: that it does says nothing about the next one.
                let sql = "update connect.links set refresh_failures = refresh_failures + 1
                           where tenant_id = $1 and connection_id = $2 returning refresh_failures";
                let failures = sqlx::query_scalar(sql).bind(at.tenant.0).bind(at.connection.0).fetch_one(&mut *tx);
                let failures: i32 = failures.await.map_err(away)?;
                let works = row.is_good && !is_spoiled;
                if failures >= FAILURES_MAX || !works {
                    let health = (failures >= FAILURES_MAX).then_some("degraded");
                    note(&mut tx, at, health, "unreachable", &why).await.map_err(away)?;
                }
                tx.commit().await.map_err(away)?;
                if works { self.open(at, &row).await } else { Err(Fault::Later(None, why)) }
            }
        }
    }

    /// The connection of a firm with one of these providers, and which: the one that was agreed to first, if there are several; none if
    /// nobody has agreed to any.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn of_firm(&self, tenant: TenantId, providers: &[&str]) -> sqlx::Result<Option<(ConnectionId, String)>> {
        let sql =
            "select l.connection_id, l.provider from connect.links l where l.tenant_id = $1 and l.provider = any($2)
                   order by l.authorised_at, l.connection_id limit 1";
        let found = sqlx::query_as(sql).bind(tenant.0).bind(providers).fetch_optional(&self.pool);
        let found: Option<(Uuid, String)> = found.await?;
        Ok(found.map(|(connection, provider)| (ConnectionId(connection), provider)))
    }

    /// A firm's connections to any of these providers, each with its provider: those that work first, and of these the oldest.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn of_any(&self, tenant: TenantId, providers: &[&str]) -> sqlx::Result<Vec<(ConnectionId, String)>> {
        let sql = "select l.connection_id, l.provider from connect.links l
                   where l.tenant_id = $1 and l.provider = any($2)
                   order by l.is_paused, l.health = 'refused', l.authorised_at, l.connection_id";
        let found = sqlx::query_as(sql).bind(tenant.0).bind(providers).fetch_all(&self.pool).await?;
        Ok(found.into_iter().map(|(id, provider): (Uuid, String)| (ConnectionId(id), provider)).collect())
    }

    /// Which provider a connection leads to; none if nothing is kept of it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn provider(&self, at: Place) -> sqlx::Result<Option<String>> {
        let sql = "select provider from connect.links where tenant_id = $1 and connection_id = $2";
        sqlx::query_scalar(sql).bind(at.tenant.0).bind(at.connection.0).fetch_optional(&self.pool).await
    }

    /// Nothing is sent through the connection while it is paused.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn pause(&self, at: Place, is_paused: bool) -> sqlx::Result<()> {
        let sql = "update connect.links set is_paused = $3 where tenant_id = $1 and connection_id = $2";
        sqlx::query(sql).bind(at.tenant.0).bind(at.connection.0).bind(is_paused).execute(&self.pool).await.map(drop)
    }

    /// Whose grant is kept that was agreed to before the connection was given up; none if there is no such grant.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn given_up(&self, at: Place, given_up_at: DateTime<Utc>) -> sqlx::Result<Option<String>> {
        let sql =
            "select provider from connect.links where tenant_id = $1 and connection_id = $2 and authorised_at < $3";
        sqlx::query_scalar(sql)
            .bind(at.tenant.0)
            .bind(at.connection.0)
            .bind(given_up_at)
            .fetch_optional(&self.pool)
            .await
    }

    /// Destroys what is kept of a connection, unless somebody has agreed again since.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn destroy(&self, at: Place, given_up_at: DateTime<Utc>) -> sqlx::Result<()> {
        let sql = "delete from connect.links where tenant_id = $1 and connection_id = $2 and authorised_at < $3 returning true";
        let mut tx = begin(&self.pool).await?;
        let gone = sqlx::query_scalar(sql).bind(at.tenant.0).bind(at.connection.0).bind(given_up_at);
        let gone: Option<bool> = gone.fetch_optional(&mut *tx).await?;
        if gone.is_some() {
            for table in ["connect.budgets", "connect.calls", "connect.inbox", "connect.syncs"] {
                let sql = format!("delete from {table} where tenant_id = $1 and connection_id = $2");
                sqlx::query(&sql).bind(at.tenant.0).bind(at.connection.0).execute(&mut *tx).await?;
            }
        }
        tx.commit().await
    }

    /// Refreshes grants that nobody has used for most of a day.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn keep_alive(&self) -> sqlx::Result<Upkeep> {
        let sql = "select tenant_id, connection_id, generation from connect.links
                   where health <> 'refused' and not is_paused and refreshed_at < clock_timestamp() - $1
                   order by refreshed_at limit 100";
        let old = sqlx::query_as(sql).bind(interval(REFRESHED_EVERY)).fetch_all(&self.pool);
        let old: Vec<(Uuid, Uuid, i32)> = old.await?;
        let mut upkeep = Upkeep::default();
        for (tenant, connection, generation) in old {
            let at = Place { tenant: TenantId(tenant), connection: ConnectionId(connection) };
            match self.refresh(at, generation, false).await {
                Ok(access) if access.generation != generation => upkeep.refreshed += 1,
                _ => upkeep.failed += 1,
            }
        }
        Ok(upkeep)
    }

    /// Takes a link of this provider whose sweep is due, so that no other process does.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn next_to_sweep(&self, provider: &str, every: Duration) -> sqlx::Result<Option<Swept>> {
        let sql = "with due as (
                       select l.tenant_id, l.connection_id from connect.links l
                       where l.provider = $1 and l.health <> 'refused' and not l.is_paused
                         and coalesce(l.swept_at, '-infinity') < clock_timestamp() - $2
                       order by l.swept_at nulls first limit 1 for update skip locked)
                   update connect.links l set swept_at = clock_timestamp() from due
                   where l.tenant_id = due.tenant_id and l.connection_id = due.connection_id
                   returning l.tenant_id, l.connection_id, coalesce(l.sweep_from, l.authorised_at), l.swept_at";
        let found = sqlx::query_as(sql).bind(provider).bind(interval(every)).fetch_optional(&self.pool).await?;
        Ok(found.map(|(tenant, connection, since, next): (Uuid, Uuid, DateTime<Utc>, DateTime<Utc>)| {
            let place = Place { tenant: TenantId(tenant), connection: ConnectionId(connection) };
            Swept { place, since, next }
        }))
    }

    /// Notes how far a sweep has come, in the transaction that makes jobs of what it found.
    pub(crate) async fn swept(tx: &mut PgConnection, swept: &Swept) -> sqlx::Result<()> {
        let sql = "update connect.links set sweep_from = $3 where tenant_id = $1 and connection_id = $2";
        let (tenant, connection) = (swept.place.tenant.0, swept.place.connection.0);
        sqlx::query(sql).bind(tenant).bind(connection).bind(swept.next).execute(tx).await.map(drop)
    }
}

fn away(error: sqlx::Error) -> Fault {
    Fault::Later(None, format!("the database: {error}"))
}
