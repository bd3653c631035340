//! Pools of connections.

use crate::{MIGRATOR, open, options, place};
use anyhow::{Context, Result, bail};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use uuid::Uuid;

/// Whether every migration that this program knows has run.
async fn is_migrated(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let latest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let there: bool =
        sqlx::query_scalar("select to_regclass('public._sqlx_migrations') is not null").fetch_one(pool).await?;
    if !there {
        return Ok(false);
    }
    let done: Option<i64> =
        sqlx::query_scalar("select max(version) from public._sqlx_migrations where success").fetch_one(pool).await?;
    Ok(done.is_some_and(|done| done >= latest))
}

/// A pool for one role. Refuses a role that row-level security would not bind, and a schema that is not migrated.
///
/// Waits up to `patience` for the database to come up, so that services may start in any order.
pub async fn connect(url: &str, service: &str, connections_max: u32, patience: Duration) -> Result<PgPool> {
    let options = options(url, service)?.application_name(service).options([("statement_timeout", "30s")]);
    let deadline = tokio::time::Instant::now() + patience;
    let fence = Arc::new(Fence::default());
    let pool = loop {
        // A pool that cannot connect says that it timed out; one connection says why.
        match open(&options, service).await {
            Ok(connection) => drop(connection.close().await),
            Err(error) if tokio::time::Instant::now() < deadline => {
                tracing::info!(error = format!("{error:#}"), "database not there yet");
                tokio::time::sleep(Duration::from_millis(300)).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_secs(5))
            // A ping per acquire would be a second round trip for every query.
            .test_before_acquire(false)
            .after_connect({
                let fence = fence.clone();
                move |connection, _| {
                    let fence = fence.clone();
                    Box::pin(async move { fence.check(connection).await })
                }
            })
            .connect_with(options.clone())
            .await;
        match pool {
            Ok(pool) => break pool,
            Err(error) if tokio::time::Instant::now() < deadline => {
                tracing::info!(error = %error, "database not there yet");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{service}: {} cannot be reached", place(&options)));
            }
        }
    };
    // Whoever migrates may still be at it.
    while !is_migrated(&pool).await? {
        if tokio::time::Instant::now() > deadline {
            bail!("the database is older than {service}: run `ubos migrate` first");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let exempt: bool = sqlx::query_scalar("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
        .fetch_one(&pool)
        .await?;
    if exempt {
        bail!(
            "{service} connects as a role that row-level security does not bind; use ubos_command, ubos_query or ubos_worker"
        );
    }
    Ok(pool)
}

/// Which history of the log this process has seen.
///
/// A restore ends every connection, so a new one is where a process could meet a log that went back in time. What it
/// holds in memory (states of aggregates, events it read ahead, positions) is then of a past that was taken back; it ends
/// at once, and whoever supervises it starts it anew.
#[derive(Debug, Default)]
struct Fence {
    log_id: OnceLock<Uuid>,
}

impl Fence {
    async fn check(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.log_id.get().is_none() {
            let there = "select to_regclass('eventstore.histories') is not null";
            if !sqlx::query_scalar::<_, bool>(there).fetch_one(&mut *connection).await? {
                return Ok(());
            }
        }
        let found: Option<Uuid> =
            sqlx::query_scalar("select log_id from eventstore.relay").fetch_one(&mut *connection).await?;
        let Some(found) = found else { return Ok(()) };
        let known = *self.log_id.get_or_init(|| found);
        if known != found {
            tracing::error!(%known, %found, "the log was restored to an earlier moment, ending so as to forget");
            eprintln!("ubos: the log was restored to an earlier moment; start this process again");
            std::process::exit(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_away_is_named_with_its_cause_and_without_a_password() {
        // Nobody listens on the first port.
        let url = "postgres://ubos_worker:s3cret@127.0.0.1:1/ubos";
        let error = connect(url, "relay", 1, Duration::ZERO).await.unwrap_err();
        let message = format!("{error:#}");
        assert!(message.starts_with("relay: PostgreSQL at 127.0.0.1:1, database ubos, as ubos_worker"), "{message}");
        assert!(message.contains("refused") && !message.contains("s3cret"), "{message}");
    }
}
