//! Reads the log in order and writes what a batch of events leads to in one transaction with the checkpoint. Whoever moves the
//! checkpoint first wins, so any number of processes may read along.
//!
//! Every reader has a checkpoint of its own: one that is new, or whose role does not run, holds up no other.

use crate::queue::{NewJob, put};
use crate::reaction::{Lane, Reaction, StartAt};
use anyhow::{Context, Result};
use crash_points::Point;
use event_store::{Log, RawEvent};
use futures::future::BoxFuture;
use messaging::Events;
use sqlx::{PgConnection, PgPool};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Events of one transaction.
const BATCH: usize = 1_000;
/// How long events pass that nobody wants before the checkpoint moves past them: each move is a commit.
const PASSING: Duration = Duration::from_secs(1);
/// Or so many of them.
const PASSED_MAX: i64 = 20_000;
/// How long a reader stands by after another process was faster.
const STANDBY: Duration = Duration::from_millis(50);

/// Reads the log once: what it writes of a batch of events is committed with its checkpoint.
pub trait Intake: Send + Sync + 'static {
    /// Names its checkpoint, so it never changes.
    fn name(&self) -> &'static str;

    /// Where it begins when it is new.
    fn start(&self) -> StartAt;

    /// Is there anything to do about the event?
    fn wants(&self, event: &RawEvent) -> bool;

    /// Writes what the events lead to. What it fails on it meets again, so what a single event is at fault for it passes by.
    fn take_in<'a>(&'a self, tx: &'a mut PgConnection, events: &'a [Arc<RawEvent>]) -> BoxFuture<'a, Result<()>>;
}

/// The intake of a reaction: events become jobs.
pub(crate) struct JobsOf<R>(pub Arc<R>);

impl<R: Reaction> Intake for JobsOf<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn start(&self) -> StartAt {
        R::START
    }

    fn wants(&self, event: &RawEvent) -> bool {
        R::ON.contains(&event.event_type.as_str())
    }

    fn take_in<'a>(&'a self, tx: &'a mut PgConnection, events: &'a [Arc<RawEvent>]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let jobs = events.iter().flat_map(|event| {
                let lanes = catch_unwind(AssertUnwindSafe(|| self.0.lanes(event))).unwrap_or_else(|_| {
                    // Nothing is lost: whoever does the job says what is wrong with the event.
                    tracing::error!(reaction = R::NAME, position = event.position, "an event's lane cannot be told");
                    vec![Lane::of(event.aggregate_id)]
                });
                lanes.into_iter().map(move |lane| NewJob::of(event, lane))
            });
            let jobs: Vec<NewJob> = jobs.collect();
            put(tx, R::NAME, &jobs, false).await.context("adding jobs")?;
            crash_points::reach(Point::ReactionNoted);
            Ok(())
        })
    }
}

/// One reader and where it is.
pub(crate) struct Reader<'a> {
    pool: &'a PgPool,
    intake: &'a dyn Intake,
    /// Where the checkpoint is.
    stored: i64,
    /// What was read; events in between were not wanted.
    read: i64,
}

impl<'a> Reader<'a> {
    /// Begins where the checkpoint is; makes one where the reader begins, if there is none.
    pub async fn open(pool: &'a PgPool, intake: &'a dyn Intake) -> sqlx::Result<Self> {
        let first = match intake.start() {
            StartAt::Beginning => "0",
            StartAt::Now => "position",
        };
        let sql = format!(
            "insert into reactions.checkpoints (reader, position) select $1, {first} from eventstore.head on conflict do nothing"
        );
        let find = "select position from reactions.checkpoints where reader = $1";
        let mut found: Option<i64> = sqlx::query_scalar(find).bind(intake.name()).fetch_optional(pool).await?;
        if found.is_none() {
            sqlx::query(&sql).bind(intake.name()).execute(pool).await?;
            found = Some(sqlx::query_scalar(find).bind(intake.name()).fetch_one(pool).await?);
        }
        let stored = found.unwrap_or_default();
        Ok(Self { pool, intake, stored, read: stored })
    }

    /// Takes in the next events. False if another process was faster: then the reader must be opened again.
    async fn step(&mut self, events: &[Arc<RawEvent>]) -> Result<bool> {
        let Some(last) = events.last().map(|event| event.position) else { return Ok(true) };
        let wanted: Vec<_> = events.iter().filter(|event| self.intake.wants(event)).cloned().collect();
        self.read = last;
        if !wanted.is_empty() || self.read - self.stored > PASSED_MAX {
            return self.store(&wanted).await;
        }
        Ok(true)
    }

    async fn store(&mut self, wanted: &[Arc<RawEvent>]) -> Result<bool> {
        if self.read == self.stored {
            return Ok(true);
        }
        let mut tx = event_store::begin(self.pool).await.context("opening a transaction")?;
        // What a crash of the server takes of this, it takes whole: jobs and checkpoint.
        let sql = "update reactions.checkpoints set position = $3 where reader = $1 and position = $2
                   returning set_config('synchronous_commit', 'off', true)";
        let moved = sqlx::query(sql).bind(self.intake.name()).bind(self.stored).bind(self.read);
        if moved.fetch_optional(&mut *tx).await?.is_none() {
            return Ok(false);
        }
        if !wanted.is_empty() {
            self.intake.take_in(&mut tx, wanted).await?;
        }
        tx.commit().await.context("committing what events lead to")?;
        crash_points::reach(Point::ReactionCommitted);
        self.stored = self.read;
        Ok(true)
    }
}

/// Follows `events` until `stop`. A failure is tried again for ever with a pause; nothing is skipped. `added` is called when there
/// may be something new to do.
pub(crate) async fn follow(
    pool: &PgPool,
    intake: &dyn Intake,
    events: &dyn Events,
    stop: &CancellationToken,
    added: impl Fn(),
) {
    let mut pause = Duration::from_millis(100);
    while !stop.is_cancelled() {
        let rest = match follow_on(pool, intake, events, stop, &added, &mut pause).await {
            Ok(()) => STANDBY,
            Err(error) => {
                tracing::warn!(
                    reader = intake.name(),
                    error = format!("{error:#}"),
                    "events cannot be taken in, trying again"
                );
                let rest = pause;
                pause = (pause * 2).min(Duration::from_secs(5));
                rest
            }
        };
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(rest) => {} }
    }
}

/// Until it is stopped, another process was faster, or something fails.
async fn follow_on(
    pool: &PgPool,
    intake: &dyn Intake,
    events: &dyn Events,
    stop: &CancellationToken,
    added: &impl Fn(),
    pause: &mut Duration,
) -> Result<()> {
    let mut reader = Reader::open(pool, intake).await.context("asking for the checkpoint")?;
    let mut pass_at = Instant::now() + PASSING;
    loop {
        let before = reader.stored;
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => return reader.store(&[]).await.map(drop),
            batch = timeout_at(pass_at, events.read(reader.read, BATCH)) => batch,
        };
        let mut goes_on = match batch {
            Ok(batch) => reader.step(&batch.context("reading events")?).await?,
            Err(_) => true,
        };
        if goes_on && Instant::now() >= pass_at {
            goes_on = reader.store(&[]).await?;
            pass_at = Instant::now() + PASSING;
        }
        if !goes_on {
            return Ok(());
        }
        if reader.stored > before {
            added();
        }
        *pause = Duration::from_millis(100);
    }
}

/// Takes in everything that is in the log now, read from the log itself.
///
/// # Errors
/// When the database cannot be reached or the intake fails.
pub async fn catch_up(log: &Log, intake: &dyn Intake) -> Result<()> {
    let upto = log.head().await?;
    loop {
        let mut reader = Reader::open(log.pool(), intake).await?;
        while reader.read < upto {
            let events = log.read(reader.read, i64::try_from(BATCH)?).await?;
            let events: Vec<_> = events.into_iter().map(Arc::new).collect();
            if !reader.step(&events).await? {
                break;
            }
        }
        if reader.read >= upto && reader.store(&[]).await? {
            return Ok(());
        }
    }
}
