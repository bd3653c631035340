//! Group commit: whatever arrived while the last commit was in flight shares the next one.
//!
//! The appender owns its connection and its transactions in its own task. A client that disconnects drops the future
//! that waits for the answer, never a transaction half-way.

use crate::batch::{self, Answer, Failure};
use crate::claims::ClaimRow;
use crate::peers::Foreign;
use crate::pending::{AppendError, Outcome, Pending, StreamChange};
use crate::wake::Waker;
use anyhow::Context as _;
use crash_points::Point;
use metrics::{counter, gauge, histogram};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long a batch is tried again when the database is away, before its commands are answered "unavailable".
const OUTAGE_SECONDS_MAX: u64 = 15;

/// A batch that is smaller than this would hardly have grown while it waited for its turn.
const TURN_COMMANDS_MIN: usize = 8;

/// So many batches go without a turn after one that did not come.
const TURNS_LEFT_OUT: u32 = 64;

pub(crate) enum Message {
    Append(Box<Pending>),
    /// Answered when everything before it is settled.
    Flush(oneshot::Sender<()>),
}

pub(crate) struct Appender {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    queue: mpsc::Receiver<Message>,
    waiting: VecDeque<Pending>,
    flushes: Vec<oneshot::Sender<()>>,
    batch_max: usize,
    waker: Waker,
    /// Told what others have written.
    foreign: mpsc::UnboundedSender<Foreign>,
    /// The log as this process knows it, 0 before its first append.
    seen: i64,
    /// Whether others append at the same time, and enough comes that the next batch should wait for its turn.
    wants_turn: bool,
    /// Whether the connection has the turn.
    has_turn: bool,
    /// Batches that still go without one.
    turns_left_out: u32,
    hasher: RandomState,
}

impl Appender {
    pub fn new(
        options: PgConnectOptions,
        queue: mpsc::Receiver<Message>,
        batch_max: usize,
        waker: Waker,
        foreign: mpsc::UnboundedSender<Foreign>,
    ) -> Self {
        let options = options.log_statements(tracing::log::LevelFilter::Off);
        let (connection, waiting, flushes) = (None, VecDeque::new(), vec![]);
        Self {
            options,
            connection,
            queue,
            waiting,
            flushes,
            batch_max,
            waker,
            foreign,
            seen: 0,
            wants_turn: false,
            has_turn: false,
            turns_left_out: 0,
            hasher: RandomState::new(),
        }
    }

    /// Runs until every sender is gone and everything queued is settled.
    pub async fn run(mut self) {
        while self.collect().await {
            if self.wants_turn && !self.waiting.is_empty() {
                self.await_turn().await;
                self.take_what_is_there();
            }
            let batch = self.take_batch();
            if batch.is_empty() {
                // Whoever asked may have given up; then nobody needs the answer.
                self.flushes.drain(..).for_each(|done| done.send(()).unwrap_or_default());
                continue;
            }
            histogram!("append_batch_commands").record(batch.len() as f64);
            gauge!("append_queue_commands").set((self.queue.len() + self.waiting.len()) as f64);
            let started = Instant::now();
            self.settle(batch).await;
            histogram!("append_batch_seconds").record(started.elapsed());
        }
    }

    /// Waits for work, then takes everything that is already there. False when there will never be any more.
    async fn collect(&mut self) -> bool {
        if self.waiting.is_empty() && self.flushes.is_empty() {
            match self.queue.recv().await {
                Some(message) => self.accept(message),
                None => return false,
            }
        }
        self.take_what_is_there();
        true
    }

    fn take_what_is_there(&mut self) {
        while self.waiting.len() < 2 * self.batch_max {
            match self.queue.try_recv() {
                Ok(message) => self.accept(message),
                Err(_) => break,
            }
        }
    }

    /// Waits until others have written what they have put together, so that the batch grows meanwhile.
    async fn await_turn(&mut self) {
        self.wants_turn = false;
        if self.turns_left_out > 0 {
            self.turns_left_out -= 1;
            return;
        }
        let Some(connection) = &mut self.connection else { return };
        self.has_turn = batch::await_turn(connection).await;
        if !self.has_turn {
            self.turns_left_out = TURNS_LEFT_OUT;
        }
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::Append(pending) => self.waiting.push_back(*pending),
            Message::Flush(done) => self.flushes.push(done),
        }
    }

    /// The commands that do not depend on each other, oldest first; the rest stays for the next batch.
    fn take_batch(&mut self) -> Vec<Pending> {
        let (mut seen, mut looked_at) = (HashSet::new(), HashSet::new());
        let (mut batch, mut size) = (vec![], 0);
        let mut later = VecDeque::new();
        while size < self.batch_max
            && let Some(pending) = self.waiting.pop_front()
        {
            let touched = self.touches(&pending);
            // Who only looks at a flag is in the way of whoever puts it up, and of nobody else.
            let looks = self.looks_at(&pending);
            let is_free = touched.iter().all(|hash| !seen.contains(hash) && !looked_at.contains(hash))
                && looks.iter().all(|hash| !seen.contains(hash));
            // What waits also blocks what came after it, so that nobody is overtaken on the same stream.
            seen.extend(touched);
            looked_at.extend(looks);
            if is_free {
                // What belongs together is never parted, so a batch may come to a little more.
                size += pending.streams.len();
                batch.push(pending);
            } else {
                later.push_back(pending);
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        batch
    }

    /// Hashes of what must not occur twice in one batch. Two that are the same by chance wait for each other, which does no
    /// harm.
    fn touches(&self, pending: &Pending) -> Vec<u64> {
        let tenant = pending.tenant;
        let of_stream = |stream: &StreamChange| {
            self.hasher.hash_one((tenant, "stream", stream.aggregate_type, stream.aggregate_id))
        };
        let mut touched: Vec<u64> = pending.streams.iter().map(of_stream).collect();
        if let Some(key) = &pending.key {
            touched.push(self.hasher.hash_one((tenant, "key", &key.scope, &key.key)));
        }
        touched.extend(self.claims(pending, |row| row.take.is_some()));
        touched
    }

    /// The same for the claims that are only not to be held by anybody else, such as flags that are to be down.
    fn looks_at(&self, pending: &Pending) -> Vec<u64> {
        self.claims(pending, |row| row.take.is_none()).collect()
    }

    fn claims(&self, pending: &Pending, wanted: fn(&ClaimRow) -> bool) -> impl Iterator<Item = u64> {
        let rows = pending.claims.iter().filter(move |row| wanted(row));
        rows.map(|row| self.hasher.hash_one((pending.tenant, "claim", row.claim.scope, &row.claim.value)))
    }

    /// Appends the batch and answers every command in it, whatever happens to the connection meanwhile.
    async fn settle(&mut self, mut batch: Vec<Pending>) {
        let deadline = Instant::now() + Duration::from_secs(OUTAGE_SECONDS_MAX);
        let mut pause = Duration::from_millis(20);
        let mut unknown = false;
        loop {
            match self.try_append(&mut batch, unknown).await {
                Ok(()) => return,
                Err(Failure::Batch(error)) if batch.len() > 1 => {
                    // One command poisons the batch: each goes alone, so that the culprit fails alone.
                    counter!("append_poisoned_batches_total").increment(1);
                    tracing::warn!(commands = batch.len(), error = %error, "append batch refused, trying its commands alone");
                    for pending in batch.drain(..) {
                        Box::pin(self.settle(vec![pending])).await;
                    }
                    return;
                }
                Err(Failure::Batch(error)) => {
                    for pending in batch {
                        let kinds: Vec<&str> = pending.streams.iter().map(|stream| stream.aggregate_type).collect();
                        let error = anyhow::anyhow!("appending {}: {error}", kinds.join(", "));
                        drop(pending.reply.send(Err(AppendError::Fault(error))));
                    }
                    return;
                }
                Err(Failure::Connection(error)) => {
                    self.connection = None;
                    unknown = true;
                    counter!("append_connection_failures_total").increment(1);
                    if Instant::now() + pause > deadline {
                        tracing::error!(
                            error = format!("{error:#}"),
                            commands = batch.len(),
                            "log unavailable, giving up on a batch"
                        );
                        for pending in batch {
                            let error = anyhow::anyhow!("{error:#}");
                            drop(pending.reply.send(Err(AppendError::Unavailable(error))));
                        }
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    async fn try_append(&mut self, batch: &mut Vec<Pending>, unknown: bool) -> Result<(), Failure> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let connection = PgConnection::connect_with(&self.options).await;
                let connection = connection.context("connecting the appender").map_err(Failure::Connection)?;
                // A turn ends with its connection.
                self.has_turn = false;
                self.connection.insert(connection)
            }
        };
        if unknown {
            batch::answer_settled(connection, batch).await?;
            if batch.is_empty() {
                return Ok(());
            }
        }
        while !batch.is_empty() {
            crash_points::reach(Point::AppendSending);
            let has_unit = batch.iter().any(Pending::is_unit);
            if has_unit {
                crash_points::reach(Point::AppendUnitSending);
            }
            let has_turn = std::mem::take(&mut self.has_turn);
            match batch::append(connection, batch, has_turn).await? {
                Answer::Appended { after } => {
                    crash_points::reach(Point::AppendCommitted);
                    if has_unit {
                        crash_points::reach(Point::AppendUnitCommitted);
                    }
                    let commands = batch.len();
                    let mut position = after;
                    for pending in batch.drain(..) {
                        let after = position;
                        position += pending.events.len() as i64;
                        if pending.is_unit() {
                            counter!("units_appended_total").increment(1);
                        }
                        // Nobody may be waiting any more; the append stands all the same.
                        drop(pending.reply.send(Ok(Outcome::Appended { after })));
                    }
                    counter!("events_appended_total").increment((position - after).unsigned_abs());
                    if self.seen > 0 && after > self.seen {
                        // Nobody listens only when the store has gone.
                        self.foreign.send((self.seen, after)).ok();
                        self.wants_turn = commands >= TURN_COMMANDS_MIN;
                    }
                    self.seen = position;
                    self.waker.wake(position);
                }
                // Every round answers at least one command, so the rounds end.
                Answer::Refused(refusals) => {
                    counter!("append_refusals_total").increment(refusals.len() as u64);
                    // From the back, so that the places before stay what they are.
                    for (index, outcome) in refusals.into_iter().rev() {
                        drop(batch.remove(index).reply.send(Ok(outcome)));
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdempotencyKey;
    use kernel::{Claim, Flag};
    use uuid::Uuid;

    fn appender() -> Appender {
        let (_, queue) = mpsc::channel(1);
        Appender::new(PgConnectOptions::new(), queue, 3, Waker::detached(), mpsc::unbounded_channel().0)
    }

    fn pending(stream: u128, key: Option<&str>, claims: Vec<ClaimRow>) -> Pending {
        let key = key.map(|key| IdempotencyKey { scope: "u".into(), key: key.into(), fingerprint: [0; 32] });
        let (streams, reply) = (vec![change(stream)], oneshot::channel().0);
        Pending { tenant: Uuid::nil(), streams, events: vec![], claims, key, parts: None, reply }
    }

    fn change(stream: u128) -> StreamChange {
        StreamChange {
            aggregate_type: "crm.client",
            aggregate_id: Uuid::from_u128(stream),
            expected: 0,
            version: 0,
            position: 0,
            snapshot: None,
            key_of_stream: None,
        }
    }

    fn row(take: Option<bool>, claim: Claim) -> ClaimRow {
        ClaimRow { stream: 0, command: 0, take, claim }
    }

    fn streams(batch: &[Pending]) -> Vec<u128> {
        batch.iter().flat_map(|p| &p.streams).map(|s| s.aggregate_id.as_u128()).collect()
    }

    #[test]
    fn commands_to_one_stream_never_share_a_batch() {
        let mut appender = appender();
        appender.waiting.extend([pending(1, None, vec![]), pending(1, None, vec![]), pending(2, None, vec![])]);
        assert_eq!(streams(&appender.take_batch()), [1, 2]);
        assert_eq!(streams(&appender.take_batch()), [1]);
        assert!(appender.take_batch().is_empty());
    }

    #[test]
    fn commands_with_one_key_or_one_claim_never_share_a_batch() {
        let take = || vec![row(Some(true), Claim::new("crm.client.email", "a@b.example"))];
        let mut appender = appender();
        appender.waiting.extend([
            pending(1, Some("k"), take()),
            pending(2, Some("k"), vec![]),
            pending(3, None, take()),
            pending(4, Some("other"), vec![]),
        ]);
        assert_eq!(streams(&appender.take_batch()), [1, 4]);
        assert_eq!(streams(&appender.take_batch()), [2, 3]);
    }

    #[test]
    fn who_looks_at_a_flag_shares_a_batch_with_everybody_but_who_changes_it() {
        let flag = || Flag::CLIENT_BLOCKED.of(Uuid::from_u128(9));
        let looking = |stream| pending(stream, None, vec![row(None, flag())]);
        let mut appender = appender();
        appender.waiting.extend([looking(1), looking(2), pending(3, None, vec![row(Some(true), flag())]), looking(4)]);
        assert_eq!(streams(&appender.take_batch()), [1, 2]);
        assert_eq!(streams(&appender.take_batch()), [3]);
        assert_eq!(streams(&appender.take_batch()), [4]);
    }

    #[test]
    fn a_full_batch_leaves_the_rest_in_order() {
        let mut appender = appender();
        appender.waiting.extend((1..=5).map(|n| pending(n, None, vec![])));
        assert_eq!(streams(&appender.take_batch()), [1, 2, 3]);
        assert_eq!(streams(&appender.take_batch()), [4, 5]);
    }

    #[test]
    fn what_belongs_together_is_taken_together_or_waits() {
        let unit = |streams: [u128; 2]| Pending { streams: streams.map(change).into(), ..pending(0, None, vec![]) };
        let mut appender = appender();
        appender.waiting.extend([pending(1, None, vec![]), unit([2, 1]), pending(2, None, vec![]), unit([3, 4])]);
        assert_eq!(streams(&appender.take_batch()), [1, 3, 4], "the third waits behind the second, on the same stream");
        assert_eq!(streams(&appender.take_batch()), [2, 1]);
        assert_eq!(streams(&appender.take_batch()), [2]);
    }
}
