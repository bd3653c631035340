//! The role `projections`: every group follows the feed, one process at a time per group.

use crate::ahead::Folded;
use crate::engine::{Applied, Kept, Rows, Target};
use crate::group::Group;
use crate::groups;
use anyhow::{Context, Result};
use event_store::RawEvent;
use messaging::Feed;
use metrics::gauge;
use sqlx::{Connection, PgConnection, PgPool};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Events per transaction at most; live batches hold whatever arrived while the last one was written.
const BATCH_MAX: usize = 10_000;
/// Events of the first one, and bytes of payload that a full one should have at most.
const BATCH_FIRST: usize = 1_000;
const BATCH_BYTES: usize = 16 << 20;
/// How long a group lets events pass that it does not want before it moves its checkpoint past them. Nobody waits for it
/// but a question with the position of another domain's command, and every move is a commit.
const PASSING: Duration = Duration::from_millis(20);
/// How often a standby asks for the lease, and the leader whether it still has it.
const LEASE_EVERY: Duration = Duration::from_secs(2);
/// How often the gauges are refreshed.
const GAUGES_EVERY: Duration = Duration::from_secs(2);

/// Follows the feed with every group until `stop`; finishes the batches at hand, then releases its leases.
///
/// `pool` connects as `ubos_worker`. Several processes may run: each group is led by one of them.
pub async fn run(pool: PgPool, feed: Feed, stop: CancellationToken) -> Result<()> {
    let tasks = TaskTracker::new();
    for group in groups() {
        tasks.spawn(lead(Target::live(group), pool.clone(), feed.clone(), stop.clone()));
    }
    tasks.spawn(gauges(pool, stop));
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// What the advisory lock of a group's leader is made from.
pub(crate) fn lease_name(group: &Group) -> String {
    format!("ubos.projections.{}", group.name)
}

/// The right to lead one group: a session advisory lock, gone with its connection.
#[derive(Debug)]
struct Lease(PgConnection);

impl Lease {
    /// None if another process leads.
    async fn take(pool: &PgPool, group: &Group) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        let taken: bool = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(lease_name(group))
            .fetch_one(&mut connection)
            .await?;
        if taken {
            return Ok(Some(Self(connection)));
        }
        connection.close().await?;
        Ok(None)
    }

    /// Returns when the lease is lost.
    async fn lost(&mut self) {
        loop {
            tokio::time::sleep(LEASE_EVERY).await;
            if self.0.ping().await.is_err() {
                return;
            }
        }
    }
}

/// Takes the lease whenever it is free, and follows while it lasts.
async fn lead(target: Target, pool: PgPool, feed: Feed, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match Lease::take(&pool, target.group).await {
            Ok(Some(mut lease)) => {
                tracing::info!(group = target.group.name, "leading");
                let ending = stop.child_token();
                let following = follow(target, &pool, &feed, &ending);
                tokio::pin!(following);
                tokio::select! {
                    () = &mut following => {}
                    () = lease.lost() => {
                        tracing::warn!(group = target.group.name, "lease lost");
                        // The batch at hand ends by itself: harmless, because its checkpoint is compared and set.
                        ending.cancel();
                        following.await;
                    }
                }
                // A connection that cannot be closed has lost its lock already.
                drop(lease.0.close().await);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(group = target.group.name, error = %error, "lease not available"),
        }
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LEASE_EVERY) => {} }
    }
}

/// Follows the feed until `stop`. A failure is retried for ever with a pause; nothing is skipped.
pub(crate) async fn follow(target: Target, pool: &PgPool, feed: &Feed, stop: &CancellationToken) {
    let mut reader = Reader { target, pool, feed, at: None, kept: Kept::default(), max: BATCH_FIRST };
    let mut pause = Duration::from_millis(50);
    let mut claimed = false;
    while !stop.is_cancelled() {
        if !claimed {
            match target.claim_empty(pool).await {
                Ok(()) => claimed = true,
                Err(error) => {
                    tracing::warn!(group = target.group.name, error = %error, "a checkpoint cannot be claimed")
                }
            }
        }
        match reader.step(stop).await {
            Ok(()) => pause = Duration::from_millis(50),
            Err(error) => {
                tracing::error!(group = target.group.name, error = %format!("{error:#}"), "batch failed, trying again");
                reader.at = None;
                tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(pause) => {} }
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

/// Where a group is in the log.
struct Reader<'a> {
    target: Target,
    pool: &'a PgPool,
    feed: &'a Feed,
    /// The checkpoint, if it is known.
    at: Option<i64>,
    /// What the last batches wrote.
    kept: Kept,
    /// Events that the next batch may have.
    max: usize,
}

impl Reader<'_> {
    /// One batch; as many as there are, if they can be folded ahead.
    async fn step(&mut self, stop: &CancellationToken) -> Result<()> {
        let at = match self.at.take() {
            Some(at) => at,
            None => {
                let at = self.target.position(&mut *self.pool.acquire().await?).await?;
                let unknown = || format!("group {} has no checkpoint: run the migrations", self.target.group.name);
                at.with_context(unknown)?
            }
        };
        if self.kept.rows.whole && self.is_behind(at) {
            self.at = self.catch_up(at, stop).await?;
            return Ok(());
        }
        let events = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            events = self.gather(at) => events?,
        };
        self.max = batch_max(&events);
        match self.target.apply_keeping(self.pool, &events, &mut self.kept).await? {
            Applied::At(position) => {
                trail(self.target.group, &events);
                self.at = Some(position);
            }
            // A replay was switched in, or another process led for a moment: go on from where the checkpoint is.
            Applied::Elsewhere(position) => self.at = Some(position),
        }
        Ok(())
    }

    /// Is there a whole batch to be read?
    fn is_behind(&self, at: i64) -> bool {
        self.feed.head() - at >= self.max as i64
    }

    /// Folds each batch while the one before it is being written, until the log's end is near. Answers where the
    /// checkpoint is, unless somebody else moved it.
    async fn catch_up(&mut self, at: i64, stop: &CancellationToken) -> Result<Option<i64>> {
        let Kept { rows, mut written_by } = std::mem::take(&mut self.kept);
        let (mut folded, mut rows) = self.fold_next(at, rows).await?;
        loop {
            let (events, upto) = (folded.events.clone(), folded.upto());
            self.max = batch_max(&events);
            let next = if rows.whole && self.is_behind(upto) && !stop.is_cancelled() {
                ControlFlow::Continue(self.fold_next(upto, rows))
            } else {
                ControlFlow::Break(rows)
            };
            let written = self.target.write(self.pool, folded, &written_by).await?;
            let Some(moved_by) = written else { return Ok(None) };
            trail(self.target.group, &events);
            written_by = moved_by;
            match next {
                ControlFlow::Continue(next) => (folded, rows) = next.await?,
                ControlFlow::Break(rows) => {
                    self.kept = Kept { rows, written_by };
                    return Ok(Some(upto));
                }
            }
        }
    }

    /// Reads the batch after `at` and folds it, on another thread.
    fn fold_next(&self, at: i64, rows: Rows) -> impl Future<Output = Result<(Folded, Rows)>> + use<> {
        let (target, pool, feed, max) = (self.target, self.pool.clone(), self.feed.clone(), self.max);
        let folding = tokio::spawn(async move { target.fold(pool, feed.read(at, max).await?, rows).await });
        let folding = AbortOnDropHandle::new(folding);
        async move { folding.await.context("folding a batch")? }
    }

    /// What follows the checkpoint: whatever is there if the group wants any of it, else what comes within [`PASSING`].
    async fn gather(&self, at: i64) -> Result<Vec<Arc<RawEvent>>> {
        let wants =
            |events: &[Arc<RawEvent>]| events.iter().any(|event| self.target.group.wants(&event.aggregate_type));
        let mut events = self.feed.read(at, self.max).await?;
        let until = Instant::now() + PASSING;
        while events.len() < self.max && !wants(&events) {
            let last = events.last().map_or(at, |event| event.position);
            let Ok(more) = timeout_at(until, self.feed.read(last, self.max - events.len())).await else { break };
            events.extend(more?);
        }
        Ok(events)
    }
}

/// How many events like these a batch should have.
fn batch_max(events: &[Arc<RawEvent>]) -> usize {
    let bytes: usize = events.iter().map(|event| event.payload.get().len()).sum();
    (BATCH_BYTES / (bytes / events.len().max(1)).max(1)).clamp(1, BATCH_MAX)
}

/// The end of a request's trail through the logs; one line per event, so only for whoever asks for debug.
fn trail(group: &Group, events: &[Arc<RawEvent>]) {
    for event in events.iter().filter(|event| group.wants(&event.aggregate_type)) {
        tracing::debug!(
            group = group.name,
            position = event.position,
            event = event.event_type,
            correlation_id = %event.metadata.correlation_id,
            causation_id = event.metadata.causation_id.map(tracing::field::display),
            "projected"
        );
    }
}

/// Shows how far every group is, whoever leads it.
async fn gauges(pool: PgPool, stop: CancellationToken) {
    loop {
        if let Err(error) = measure(&pool).await {
            tracing::debug!(error = %error, "gauges not refreshed");
        }
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(GAUGES_EVERY) => {} }
    }
}

async fn measure(pool: &PgPool) -> Result<(), sqlx::Error> {
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select c.group_name, greatest(h.position - c.position, 0), c.position - c.events,
                (select count(*) from projections.parked p where p.group_name = c.group_name and p.slot = c.slot)
         from projections.checkpoints c, eventstore.head h where c.slot = 'live'",
    )
    .fetch_all(pool)
    .await?;
    for (group, lag, missing, parked) in rows {
        gauge!("projection_lag_events", "group" => group.clone()).set(lag as f64);
        gauge!("projection_missing_events", "group" => group.clone()).set(missing as f64);
        gauge!("projection_parked_keys", "group" => group).set(parked as f64);
    }
    Ok(())
}
