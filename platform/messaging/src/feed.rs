//! The log as it grows, for every reader of one process.
//!
//! New events come from JetStream if it is there and fast; whatever it does not bring is read from the log. An event
//! counts only if its position is the next one, so correctness never depends on NATS: a hole is read from the log, a
//! repeat is skipped, and a stream of another log is ignored. A process that is better off without NATS follows the log
//! alone: docs/adr/0041.

use crate::envelope::{self, Decoded};
use crate::histories::Histories;
use crate::stream::{self, StreamSettings};
use crate::wake::Wake;
use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use event_store::{Log, RawEvent};
use futures::StreamExt;
use metrics::{counter, gauge};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Newest events kept, at most.
const BUFFERED_EVENTS_MAX: usize = 16_384;
/// Bytes of their payloads, at most.
const BUFFERED_BYTES_MAX: usize = 64 << 20;
/// Events read from the log at once.
const PAGE: i64 = 2_000;
/// How long NATS may take to bring what the log has, before the log is asked. One that syncs each message takes 5 ms and
/// more, for which whoever reads what they wrote would wait; to ask is one statement a commit, so few under load.
const GRACE: Duration = Duration::from_millis(2);
/// The same while nobody waits for it, as in a copy that leads nothing.
const GRACE_UNREAD: Duration = Duration::from_millis(100);
/// The net under the wake-ups.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// A message that is older than the newest by no more than this is live.
const LIVE_WITHIN: i64 = 1_000;
/// After so long without anything live from NATS while the log grows, the feed says so and makes its consumer again.
const BROKEN_AFTER: Duration = Duration::from_secs(2);

/// Follows the log. Cheap to clone; stops with its last clone.
#[derive(Debug, Clone)]
pub struct Feed {
    log: Log,
    shared: Arc<Shared>,
    _stop: Arc<DropGuard>,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    /// Newest known position.
    tip: watch::Sender<i64>,
}

/// The newest events, without a gap, the last one at `tip`.
#[derive(Debug, Default)]
struct Buffer {
    events: VecDeque<Arc<RawEvent>>,
    bytes: usize,
}

impl Feed {
    /// Starts following at the log's end, through a stream of NATS or by the log alone.
    pub async fn start(log: Log, stream: Option<(Client, StreamSettings)>) -> Result<Self> {
        let head = log.head().await.context("asking for the log's head")?;
        let shared = Arc::new(Shared { buffer: Mutex::default(), tip: watch::channel(head).0 });
        let stop = CancellationToken::new();
        let (messages, received) = mpsc::channel(4_096);
        let (broken, is_broken) = watch::channel(());
        let stopped = stop.clone();
        let has_nats = stream.is_some();
        if let Some((nats, settings)) = stream {
            let (log, stopped) = (log.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = consume(&nats, &settings, &log, messages, is_broken) => {}
                }
            });
        }
        let follower = Follower { log: log.clone(), shared: shared.clone(), has_nats, broken, late_since: None };
        tokio::spawn(async move {
            tokio::select! { () = stopped.cancelled() => {}, () = follower.run(received) => {} }
        });
        Ok(Self { log, shared, _stop: Arc::new(stop.drop_guard()) })
    }

    /// Newest position that is known.
    pub fn head(&self) -> i64 {
        *self.shared.tip.borrow()
    }

    /// The events from `after + 1` on, without a gap, at most `max`. Waits until there is at least one.
    pub async fn read(&self, after: i64, max: usize) -> Result<Vec<Arc<RawEvent>>> {
        let max = max.max(1);
        let mut tip = self.shared.tip.subscribe();
        loop {
            if *tip.borrow_and_update() > after {
                if let Some(events) = self.shared.buffer.lock().after(after, max) {
                    return Ok(events);
                }
                let limit = i64::try_from(max)?.min(PAGE.max(i64::try_from(BUFFERED_EVENTS_MAX)?));
                let events = self.log.read(after, limit).await.context("reading the log")?;
                if !events.is_empty() {
                    return Ok(events.into_iter().map(Arc::new).collect());
                }
            }
            tip.changed().await.context("the feed has stopped")?;
        }
    }
}

impl Buffer {
    fn push(&mut self, event: Arc<RawEvent>) {
        self.bytes += event.payload.get().len();
        self.events.push_back(event);
        while self.events.len() > BUFFERED_EVENTS_MAX || (self.bytes > BUFFERED_BYTES_MAX && self.events.len() > 1) {
            if let Some(gone) = self.events.pop_front() {
                self.bytes -= gone.payload.get().len();
            }
        }
    }

    /// What follows `after`, if the buffer has all of it.
    fn after(&self, after: i64, max: usize) -> Option<Vec<Arc<RawEvent>>> {
        let first = self.events.front()?.position;
        let skip = usize::try_from(after + 1 - first).ok()?;
        let events: Vec<_> = self.events.iter().skip(skip).take(max).cloned().collect();
        (!events.is_empty()).then_some(events)
    }
}

/// Moves the tip, from whichever source is first.
struct Follower {
    log: Log,
    shared: Arc<Shared>,
    /// Whether NATS is to bring events.
    has_nats: bool,
    broken: watch::Sender<()>,
    /// Since when NATS has not brought events in time; then the log is read at once.
    late_since: Option<Instant>,
}

impl Follower {
    async fn run(mut self, mut received: mpsc::Receiver<Decoded>) {
        let mut wake = Wake::start(self.log.pool());
        let mut erasures = self.log.erasures();
        loop {
            tokio::select! {
                biased;
                message = received.recv(), if self.has_nats => match message {
                    Some(message) => self.offer(message).await,
                    None => self.has_nats = false,
                },
                // Readers then read the log themselves.
                () = erasures.next() => *self.shared.buffer.lock() = Buffer::default(),
                hint = wake.wait(POLL_EVERY) => {
                    let head = match hint {
                        Some(position) => Ok(position),
                        None => self.log.head().await,
                    };
                    let read = match head {
                        Ok(head) if head <= self.tip() => continue,
                        Ok(head) if self.has_nats && self.late_since.is_none() && self.has_come(&mut received, head).await => continue,
                        Ok(_) => self.read_log().await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = read {
                        tracing::warn!(error = %error, "the log cannot be read, trying again");
                        tokio::time::sleep(Duration::from_millis(250)).await;
                    }
                    if !self.has_nats {
                        continue;
                    }
                    let since = *self.late_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > BROKEN_AFTER {
                        gauge!("feed_follows_log").set(1.0);
                        self.late_since = Some(Instant::now());
                        self.broken.send_replace(());
                    }
                }
            }
        }
    }

    fn tip(&self) -> i64 {
        *self.shared.tip.borrow()
    }

    /// Takes what NATS brings within its grace; whether that was everything up to `head`.
    async fn has_come(&mut self, received: &mut mpsc::Receiver<Decoded>, head: i64) -> bool {
        let is_awaited = self.shared.tip.receiver_count() > 0;
        let deadline = Instant::now() + if is_awaited { GRACE } else { GRACE_UNREAD };
        while self.tip() < head {
            match tokio::time::timeout_at(deadline, received.recv()).await {
                Ok(Some(message)) => self.offer(message).await,
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    /// One message from NATS.
    async fn offer(&mut self, message: Decoded) {
        let position = match &message {
            Decoded::Event(event) => event.position,
            Decoded::ClaimCheck { position } => *position,
        };
        let tip = self.tip();
        if position >= tip - LIVE_WITHIN && self.late_since.take().is_some() {
            gauge!("feed_follows_log").set(0.0);
        }
        match message {
            _ if position <= tip => counter!("feed_repeats_skipped_total").increment(1),
            Decoded::Event(event) if position == tip + 1 => self.push([*event]),
            // A hole, or a claim-check: the log has what is missing.
            message => {
                if matches!(message, Decoded::Event(_)) {
                    counter!("feed_holes_healed_total").increment(1);
                }
                if let Err(error) = self.read_log().await {
                    tracing::warn!(error = %error, "a hole cannot be read from the log yet");
                }
            }
        }
    }

    /// Reads from the log whatever is new. Far behind, it only moves the tip: readers then read the log themselves.
    async fn read_log(&mut self) -> Result<(), sqlx::Error> {
        let events = self.log.read(self.tip(), PAGE).await?;
        let is_all = (events.len() as i64) < PAGE;
        self.push(events);
        if is_all {
            return Ok(());
        }
        let head = self.log.head().await?;
        if head - self.tip() > BUFFERED_EVENTS_MAX as i64 {
            *self.shared.buffer.lock() = Buffer::default();
            self.shared.tip.send_replace(head);
            return Ok(());
        }
        while self.tip() < head {
            let events = self.log.read(self.tip(), PAGE).await?;
            if events.is_empty() {
                return Ok(());
            }
            self.push(events);
        }
        Ok(())
    }

    fn push(&self, events: impl IntoIterator<Item = RawEvent>) {
        let mut buffer = self.shared.buffer.lock();
        let mut tip = self.tip();
        for event in events {
            if event.position == tip + 1 {
                tip = event.position;
                buffer.push(Arc::new(event));
            }
        }
        drop(buffer);
        self.shared.tip.send_replace(tip);
    }
}

/// Brings what the relay publishes from now on, for ever.
async fn consume(
    nats: &Client,
    settings: &StreamSettings,
    log: &Log,
    messages: mpsc::Sender<Decoded>,
    mut broken: watch::Receiver<()>,
) {
    let mut pause = Duration::from_millis(250);
    while !messages.is_closed() {
        broken.mark_unchanged();
        let ended = async {
            let (consumer, histories) = open(nats, settings, log).await?;
            pause = Duration::from_millis(250);
            tokio::select! {
                ended = pass_on(consumer, &histories, &messages) => ended,
                _ = broken.changed() => Err(anyhow::anyhow!("nothing came while the log grew")),
            }
        };
        if let Err(error) = ended.await {
            tracing::info!(error = format!("{error:#}"), "no events from NATS, following the log meanwhile");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Only new messages: what was before is read from the log, so no stream sequence needs to be remembered.
async fn open(nats: &Client, settings: &StreamSettings, log: &Log) -> Result<(Ordered, Histories)> {
    let context = stream::context(nats.clone());
    let (found, _) = stream::look(&context, &settings.name).await?.context("there is no stream yet")?;
    let histories = Histories::load(log.pool()).await?;
    ensure!(!histories.is_empty(), "no relay has led yet");
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::New,
        description: Some("A feed. Goes with its process.".to_owned()),
        ..OrderedConfig::default()
    };
    let consumer = found.create_consumer(config).await.context("making a consumer")?;
    let messages = consumer.messages().await.context("asking for messages")?;
    Ok((messages, histories))
}

async fn pass_on(mut consumer: Ordered, histories: &Histories, messages: &mpsc::Sender<Decoded>) -> Result<()> {
    while let Some(message) = consumer.next().await {
        let message = message.context("receiving")?;
        let Some(headers) = &message.headers else { continue };
        if !envelope::is_ours(headers, histories) {
            counter!("feed_foreign_messages_total").increment(1);
            continue;
        }
        match envelope::decode(headers, &message.payload) {
            Ok(decoded) => messages.send(decoded).await.ok().context("the feed has stopped")?,
            // Its position stays a hole, which is read from the log.
            Err(error) => {
                counter!("feed_unreadable_messages_total").increment(1);
                tracing::error!(error = format!("{error:#}"), subject = %message.subject, "a message is no event");
            }
        }
    }
    Ok(())
}
