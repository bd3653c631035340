//! The quiet time after the last fault: everything must come to rest by itself.

use anyhow::{Result, ensure};
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// How far behind everybody is.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Lag {
    /// Where the log ends.
    pub head: i64,
    /// Events that the relay has not published.
    pub relay: i64,
    /// Events that the slowest group of read models has not read.
    pub projections: i64,
    /// Events that the engine has not read.
    pub engine: i64,
    /// Runs that are neither over, nor waiting for an event, nor parked.
    pub runs: i64,
}

impl Lag {
    fn is_zero(&self) -> bool {
        self.relay <= 0 && self.projections <= 0 && self.engine <= 0 && self.runs == 0
    }
}

/// Asks the database, past all proxies.
pub async fn lag(pool: &PgPool) -> Result<Lag, sqlx::Error> {
    sqlx::query_as(
        "select h.position as head,
                h.position - r.position as relay,
                h.position - (select min(position) from projections.checkpoints where slot = 'live') as projections,
                h.position - (select position from engine.checkpoint where name = 'intake') as engine,
                (select count(*) from engine.tasks where state = 'due') as runs
         from eventstore.head h cross join eventstore.relay r",
    )
    .fetch_one(pool)
    .await
}

/// Waits until nothing is behind and the log stands still; answers how long that took.
pub async fn converge(pool: &PgPool, patience: Duration) -> Result<Duration> {
    let begun = Instant::now();
    let mut before: Option<Lag> = None;
    loop {
        let now = lag(pool).await;
        if let Ok(now) = &now
            && now.is_zero()
            && before.as_ref() == Some(now)
        {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < patience, "no rest within {patience:?}: {now:?}");
        before = now.ok();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
