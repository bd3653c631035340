//! Who leads: a session's advisory lock, and an epoch that every write names.
//!
//! The lock elects, the epoch fences: a leader that was deposed without noticing cannot move the cursor. The lock goes
//! with its connection; a leader that is frozen keeps its connection, so a standby ends it when the lease is stale.

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use std::time::Duration;

/// "ubosrela", as a number.
const LOCK: i64 = 0x7562_6f73_7265_6c61;
/// A leader that has not written for so long is frozen.
const STALE_SECONDS: f64 = 2.5;
/// A statement of the leader's that takes longer is a lost connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// Leadership, for as long as the connection lives.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: PgConnection,
    pub epoch: i64,
}

/// Where the relay is, as stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    pub position: i64,
    pub stream_sequence: u64,
    pub stream_name: String,
    pub stream_created: Option<i64>,
    pub stream_from: i64,
    pub reseed_from: Option<i64>,
}

impl Lease {
    /// Leads from now on, or `None` while another one does.
    pub async fn try_acquire(options: &PgConnectOptions, holder: &str) -> Result<Option<(Self, Cursor)>> {
        // The server notices within seconds that this machine has gone, and lets the lock go.
        let options = options.clone().options([
            ("tcp_keepalives_idle", "1"),
            ("tcp_keepalives_interval", "1"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "3000"),
        ]);
        let options = options.application_name("ubos relay").log_statements(tracing::log::LevelFilter::Off);
        let mut connection = PgConnection::connect_with(&options).await.context("connecting the relay")?;
        let locked: bool =
            sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut connection).await?;
        if !locked {
            end_frozen_leader(&mut connection).await?;
            connection.close().await?;
            return Ok(None);
        }
        sqlx::query("select eventstore.ensure_history()").execute(&mut connection).await?;
        let row = sqlx::query(
            "update eventstore.relay set epoch = epoch + 1, holder = $1, updated_at = clock_timestamp()
             returning epoch, position, stream_sequence, stream_name, stream_created, stream_from, reseed_from",
        )
        .bind(holder)
        .fetch_one(&mut connection)
        .await?;
        let cursor = Cursor {
            position: row.try_get(1)?,
            stream_sequence: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
            stream_name: row.try_get(3)?,
            stream_created: row.try_get(4)?,
            stream_from: row.try_get(5)?,
            reseed_from: row.try_get(6)?,
        };
        Ok(Some((Self { connection, epoch: row.try_get(0)? }, cursor)))
    }

    /// Stores the cursor, which also says "still here"; answers from where an operator wants the stream rebuilt, if so.
    pub async fn advance(&mut self, position: i64, stream_sequence: u64) -> Result<Option<i64>> {
        let stored = sqlx::query_scalar("select reseed_from from eventstore.relay_advance($1, $2, $3)")
            .bind(self.epoch)
            .bind(position)
            .bind(i64::try_from(stream_sequence)?)
            .fetch_optional(&mut self.connection);
        match tokio::time::timeout(PATIENCE, stored).await.context("the relay's connection does not answer")?? {
            Some(reseed_from) => Ok(reseed_from),
            None => bail!("deposed: another relay leads with a higher epoch"),
        }
    }

    /// Sets the cursor to what is really in the stream. `lost` counts a new epoch of the stream.
    pub async fn rewind(&mut self, cursor: &Cursor, lost: bool) -> Result<()> {
        let stored = sqlx::query_scalar("select eventstore.relay_rewind($1, $2, $3, $4, $5, $6, $7)")
            .bind(self.epoch)
            .bind(cursor.position)
            .bind(i64::try_from(cursor.stream_sequence)?)
            .bind(&cursor.stream_name)
            .bind(cursor.stream_created)
            .bind(cursor.stream_from)
            .bind(lost)
            .fetch_one(&mut self.connection);
        if !tokio::time::timeout(PATIENCE, stored).await.context("the relay's connection does not answer")?? {
            bail!("deposed: another relay leads with a higher epoch");
        }
        Ok(())
    }

    /// Lets another one lead at once.
    pub async fn release(self) {
        drop(tokio::time::timeout(PATIENCE, self.connection.close()).await);
    }
}

/// Ends the session that holds the lock if its lease is stale.
async fn end_frozen_leader(connection: &mut PgConnection) -> Result<()> {
    let ended: Vec<i32> = sqlx::query_scalar(
        // Materialised, so that nothing is ended before everything else is known to be so.
        "with frozen as materialized (
             select l.pid
             from pg_locks l cross join eventstore.relay r
             where l.locktype = 'advisory' and l.granted and l.objsubid = 1
               and l.database = (select oid from pg_database where datname = current_database())
               and l.classid::bigint = $1 >> 32 and l.objid::bigint = $1 & 4294967295
               and r.updated_at < clock_timestamp() - make_interval(secs => $2)
         )
         select pid from frozen where pg_terminate_backend(pid)",
    )
    .bind(LOCK)
    .bind(STALE_SECONDS)
    .fetch_all(connection)
    .await?;
    for pid in ended {
        tracing::warn!(pid, "the leading relay is frozen, ended its session");
    }
    Ok(())
}
