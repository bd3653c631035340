//! The reactions of one process: each with an intake that turns events into jobs, and a line that does them.

use crate::intake::{Intake, JobsOf, catch_up, follow};
use crate::line::{AnyLine, ReactionLine};
use crate::operate::{Line, lines};
use crate::queue::{Queue, interval};
use crate::reaction::Reaction;
use anyhow::Result;
use event_store::Log;
use futures::future::try_join_all;
use messaging::Events;
use metrics::gauge;
use parking_lot::Mutex;
use sqlx::PgPool;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long a job is known that has ended: so long a key is not done again, and `ubos jobs show` tells of it.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Jobs forgotten in one statement; more are there if it was so many.
const TIDIED: i64 = 1_000;

/// Bounds of one engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How long a job stays with a process that does not answer any more.
    pub lease: Duration,
    /// The net under the wake-ups; also how soon another process's work is noticed.
    pub poll_every: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), poll_every: Duration::from_millis(500) }
    }
}

/// Does the jobs of some reactions. Any number of processes may; each job is in one at a time.
pub struct Engine {
    log: Log,
    me: Uuid,
    options: EngineOptions,
    readers: Vec<Reader>,
    lines: Vec<Arc<dyn AnyLine>>,
}

/// Reads the log, and wakes the line that it adds to, if it is that of a reaction.
#[derive(Clone)]
struct Reader {
    intake: Arc<dyn Intake>,
    line: Option<Arc<dyn AnyLine>>,
}

impl Engine {
    /// An engine without reactions. `log` connects as `ubos_worker`.
    pub fn new(log: Log) -> Self {
        Self::with_options(log, EngineOptions::default())
    }

    /// The same with bounds of one's own.
    pub fn with_options(log: Log, options: EngineOptions) -> Self {
        Self { log, me: Uuid::now_v7(), options, readers: vec![], lines: vec![] }
    }

    /// The same with one reaction more.
    #[must_use]
    pub fn with<R: Reaction>(mut self, reaction: R) -> Self {
        let (reaction, pool) = (Arc::new(reaction), self.log.pool().clone());
        let line: Arc<dyn AnyLine> = Arc::new(ReactionLine {
            reaction: reaction.clone(),
            queue: Queue { pool, reaction: R::NAME, me: self.me, lease: self.options.lease },
            log: self.log.clone(),
            poll_every: self.options.poll_every,
            woken: Notify::new(),
            woken_ailing: Notify::new(),
            held: Mutex::new(HashSet::new()),
        });
        // What no event asks for is put there by somebody else.
        if !R::ON.is_empty() {
            self.readers.push(Reader { intake: Arc::new(JobsOf(reaction)), line: Some(line.clone()) });
        }
        self.lines.push(line);
        self
    }

    /// The same with one reaction more, whose jobs this reader of the log puts there.
    #[must_use]
    pub fn with_fed<R: Reaction>(self, reaction: R, intake: impl Intake) -> Self {
        let mut engine = self.with(reaction);
        let line = engine.lines.last().cloned();
        engine.readers.push(Reader { intake: Arc::new(intake), line });
        engine
    }

    /// The same with one reader of the log more, that leads to no jobs.
    #[must_use]
    pub fn reading(mut self, intake: impl Intake) -> Self {
        self.readers.push(Reader { intake: Arc::new(intake), line: None });
        self
    }

    /// Works until asked to stop; what it has begun it finishes.
    pub async fn run(&self, events: Arc<dyn Events>, stop: CancellationToken) {
        let working = TaskTracker::new();
        for Reader { intake, line } in self.readers.iter().cloned() {
            let (pool, events, stop) = (self.log.pool().clone(), events.clone(), stop.clone());
            working.spawn(async move {
                let added = || line.iter().for_each(|line| line.wake());
                follow(&pool, &*intake, &*events, &stop, added).await;
            });
        }
        // Leases are renewed until the last job in work is settled.
        let (done, pool, options) = (CancellationToken::new(), self.log.pool().clone(), self.options.clone());
        let upkeep = tokio::spawn(upkeep(self.lines.clone(), pool, options, done.clone()));
        for line in &self.lines {
            working.spawn(line.clone().run(stop.clone()));
        }
        working.close();
        working.wait().await;
        done.cancel();
        // A panic was reported when it happened.
        drop(upkeep.await);
    }

    /// Takes in the log up to its present end.
    ///
    /// # Errors
    /// When the database cannot be reached or an intake fails.
    pub async fn take_in(&self) -> Result<()> {
        for reader in &self.readers {
            catch_up(&self.log, &*reader.intake).await?;
        }
        Ok(())
    }

    /// Does everything that is due, and ends when nothing is.
    ///
    /// # Errors
    /// When the database cannot be reached; what was begun is left to its lease.
    pub async fn perform_due(&self) -> Result<()> {
        try_join_all(self.lines.iter().map(|line| line.drain())).await.map(drop)
    }

    /// There may be jobs that did not come from events.
    pub fn wake(&self) {
        self.lines.iter().for_each(|line| line.wake());
    }
}

/// Renews leases, counts, and forgets what has ended long ago.
async fn upkeep(lines_here: Vec<Arc<dyn AnyLine>>, pool: PgPool, options: EngineOptions, done: CancellationToken) {
    while tokio::time::timeout(options.lease / 3, done.cancelled()).await.is_err() {
        for line in &lines_here {
            if let Err(error) = line.renew().await {
                tracing::warn!(reaction = line.name(), error = %error, "leases cannot be renewed, trying again");
            }
        }
        if let Err(error) = measure(&lines_here, &pool).await {
            tracing::debug!(error = %error, "gauges not refreshed");
        }
        loop {
            let tidied = sqlx::query_scalar("select reactions.tidy($1)").bind(interval(KEPT)).fetch_one(&pool);
            let gone: sqlx::Result<i64> = tidied.await;
            match gone {
                Ok(gone) if gone >= TIDIED => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error = %error, "what has ended long ago cannot be forgotten");
                    break;
                }
            }
        }
    }
}

async fn measure(lines_here: &[Arc<dyn AnyLine>], pool: &PgPool) -> Result<(), sqlx::Error> {
    let all = lines(pool).await?;
    for Line { reaction, lag, due, unknown, blocked, parked, .. } in all {
        let Some(name) = lines_here.iter().map(|line| line.name()).find(|name| *name == reaction) else { continue };
        gauge!("reaction_lag_events", "reaction" => name).set(lag as f64);
        for (state, count) in [("due", due), ("unknown", unknown), ("blocked", blocked), ("parked", parked)] {
            gauge!("reaction_jobs", "reaction" => name, "state" => state).set(count as f64);
        }
    }
    Ok(())
}
