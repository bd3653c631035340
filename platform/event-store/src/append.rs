//! Group commit: whatever arrived while the last commit was in flight shares the next one.
//!
//! The appender owns its connection and its transactions in its own task. A client that disconnects drops the future
//! that waits for the answer, never a transaction half-way.

use crate::batch::{self, Answer, Failure};
use crate::{IdempotencyKey, peers::Foreign, wake::Waker};
use anyhow::Context as _;
use crash_points::Point;
use kernel::{Claim, ClaimChange};
use metrics::{counter, gauge, histogram};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How long a batch is tried again when the database is away, before its commands are answered "unavailable".
const OUTAGE_SECONDS_MAX: u64 = 15;

/// A batch that is smaller than this would hardly have grown while it waited for its turn.
const TURN_COMMANDS_MIN: usize = 8;

/// So many batches go without a turn after one that did not come.
const TURNS_LEFT_OUT: u32 = 64;

/// One decided command on its way into the log.
#[derive(Debug)]
pub(crate) struct Pending {
    pub tenant: Uuid,
    pub aggregate_type: &'static str,
    pub aggregate_id: Uuid,
    pub expected: i64,
    /// Position of the stream's last event; what a command without events answers.
    pub position: i64,
    pub metadata: String,
    pub key: Option<IdempotencyKey>,
    pub events: Vec<NewEvent>,
    pub claims: Vec<ClaimChange>,
    /// What nobody may hold, without its being taken: flags that are to be down.
    pub forbidden: Vec<Claim>,
    pub snapshot: Option<NewSnapshot>,
    /// The ids of the parts that it makes, as JSON text, for the stored answer.
    pub parts: Option<String>,
    /// The stream's key, wrapped, if it had none; and which generation it is.
    pub key_of_stream: Option<(u32, Vec<u8>)>,
    pub reply: oneshot::Sender<Result<Outcome, AppendError>>,
}

#[derive(Debug)]
pub(crate) struct NewEvent {
    pub event_id: Uuid,
    pub event_type: &'static str,
    pub event_version: i32,
    pub payload: String,
}

#[derive(Debug)]
pub(crate) struct NewSnapshot {
    pub version: i64,
    pub state_version: i32,
    pub state: String,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Appended { version: i64, position: i64, created: bool },
    Replayed { id: Uuid, version: i64, position: i64, created: bool, parts: Option<String> },
    KeyReused,
    Conflict,
    Claimed { scope: String, holder: Uuid },
}

/// Why nothing can be said of one command.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// The database is away; the command may or may not be in the log.
    Unavailable(anyhow::Error),
    /// The database refuses this command for a reason that is our defect.
    Fault(anyhow::Error),
}

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
        let mut batch = vec![];
        let mut later = VecDeque::new();
        while batch.len() < self.batch_max
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
        let mut touched = vec![self.hasher.hash_one((tenant, "stream", pending.aggregate_type, pending.aggregate_id))];
        if let Some(key) = &pending.key {
            touched.push(self.hasher.hash_one((tenant, "key", &key.scope, &key.key)));
        }
        for change in &pending.claims {
            let (ClaimChange::Take(claim) | ClaimChange::Release(claim)) = change;
            touched.push(self.hasher.hash_one((tenant, "claim", claim.scope, &claim.value)));
        }
        touched
    }

    /// The same for the flags that are to be down.
    fn looks_at(&self, pending: &Pending) -> Vec<u64> {
        let hash = |claim: &Claim| self.hasher.hash_one((pending.tenant, "claim", claim.scope, &claim.value));
        pending.forbidden.iter().map(hash).collect()
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
                        let error = anyhow::anyhow!("appending {}: {error}", pending.aggregate_type);
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
            let has_turn = std::mem::take(&mut self.has_turn);
            match batch::append(connection, batch, has_turn).await? {
                Answer::Appended { after } => {
                    crash_points::reach(Point::AppendCommitted);
                    let commands = batch.len();
                    let mut position = after;
                    for pending in batch.drain(..) {
                        let events = pending.events.len() as i64;
                        position += events;
                        let (version, created) = (pending.expected + events, pending.expected == 0);
                        let position = if events == 0 { pending.position } else { position };
                        // Nobody may be waiting any more; the append stands all the same.
                        drop(pending.reply.send(Ok(Outcome::Appended { version, position, created })));
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
    use kernel::Flag;

    fn appender() -> Appender {
        let (_, queue) = mpsc::channel(1);
        Appender::new(PgConnectOptions::new(), queue, 3, Waker::detached(), mpsc::unbounded_channel().0)
    }

    fn pending(stream: u128, key: Option<&str>, claims: Vec<ClaimChange>) -> Pending {
        let key = key.map(|key| IdempotencyKey { scope: "u".into(), key: key.into(), fingerprint: [0; 32] });
        Pending {
            tenant: Uuid::nil(),
            aggregate_type: "crm.client",
            aggregate_id: Uuid::from_u128(stream),
            expected: 0,
            position: 0,
            metadata: String::new(),
            key,
            events: vec![],
            claims,
            forbidden: vec![],
            snapshot: None,
            parts: None,
            key_of_stream: None,
            reply: oneshot::channel().0,
        }
    }

    fn streams(batch: &[Pending]) -> Vec<u128> {
        batch.iter().map(|p| p.aggregate_id.as_u128()).collect()
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
        let take = || vec![ClaimChange::Take(Claim::new("crm.client.email", "a@b.example"))];
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
        let looking = |stream| Pending { forbidden: vec![flag()], ..pending(stream, None, vec![]) };
        let mut appender = appender();
        appender.waiting.extend([
            looking(1),
            looking(2),
            pending(3, None, vec![ClaimChange::Take(flag())]),
            looking(4),
        ]);
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
}
