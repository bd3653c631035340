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
    /// Events that the slowest reaction has not read.
    pub reactions: i64,
    /// Jobs that are neither over nor parked.
    pub jobs: i64,
}

impl Lag {
    fn is_zero(&self) -> bool {
        self.relay <= 0
            && self.projections <= 0
            && self.engine <= 0
            && self.runs == 0
            && self.reactions <= 0
            && self.jobs == 0
    }
}

/// Asks the database, past all proxies.
pub async fn lag(pool: &PgPool) -> Result<Lag, sqlx::Error> {
    sqlx::query_as(
        "select h.position as head,
                h.position - r.position as relay,
                h.position - (select min(position) from projections.checkpoints where slot = 'live') as projections,
                h.position - (select position from engine.checkpoint where name = 'intake') as engine,
                (select count(*) from engine.tasks where state = 'due') as runs,
                h.position - (select min(position) from reactions.checkpoints) as reactions,
                (select count(*) from reactions.jobs where state in ('due', 'unknown')) as jobs
         from eventstore.head h cross join eventstore.relay r",
    )
    .fetch_one(pool)
    .await
}

/// What an operator can do about a receiver that was away and is back: what waits for its next try is tried now.
async fn hasten(pool: &PgPool) -> Result<(), sqlx::Error> {
    let sql = "select reactions.move(array(select id from reactions.jobs where state in ('due', 'unknown')
                                           and due_at > now() + interval '2 seconds'), 'retry', null)";
    sqlx::query(sql).execute(pool).await.map(drop)
}

/// Waits until nothing is behind and the log stands still; answers how long that took.
pub async fn converge(pool: &PgPool, patience: Duration) -> Result<Duration> {
    let begun = Instant::now();
    let mut before: Option<Lag> = None;
    loop {
        // A failure shows in the next look.
        drop(hasten(pool).await);
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
