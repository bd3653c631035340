//! Sends events to JetStream in order: one alone, many as an atomic batch (ADR-50 of NATS), which is stored whole or not
//! at all and synced once.
//!
//! Every message and every batch says which sequence of the stream it expects to follow. So when one is refused, those
//! behind it are refused too, the stream stays in order, and a deposed leader cannot slip anything in. The stream itself
//! then says how far it is: after any trouble the publisher asks, and goes on from there.

use crate::consumers;
use crate::envelope;
use crate::flight::{Answer, Flight, Sending};
use crate::histories::Histories;
use crate::lease::Cursor;
use crate::links::{Links, RelayOptions, Rewind};
use crate::stream::{self, Published, StreamState};
use crate::subject::Subject;
use crate::wake::Wake;
use anyhow::{Context as _, Result, bail, ensure};
use async_nats::Client;
use async_nats::header::{
    HeaderValue, NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SEQUENCE,
};
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, ErrorCode};
use backon::{BackoffBuilder, ExponentialBuilder};
use crash_points::Point;
use event_store::{Log, RawEvent};
use futures::FutureExt;
use futures::future::OptionFuture;
use metrics::counter;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events read from the log at once.
const PAGE: i64 = 2_000;
/// Bytes of payload in a batch, at most.
const BATCH_BYTES: usize = 1 << 20;
/// The net under the wake-ups.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How often an idle stream is compared with what it should be.
const VERIFY_EVERY: Duration = Duration::from_secs(60);
/// How long what is in flight may take to be answered after one was refused.
const SETTLE: Duration = Duration::from_millis(500);
/// How long what is in flight may take when the relay is asked to stop.
const DRAIN: Duration = Duration::from_secs(2);

pub(crate) struct Publisher<'a> {
    log: &'a Log,
    context: jetstream::Context,
    options: &'a RelayOptions,
    histories: Histories,
    cursor: Cursor,
    links: Links,
    wake: Wake,
    /// Events that JetStream has refused for ever, and why.
    refused: HashMap<i64, String>,
    /// Up to here every event goes alone, because a batch with it failed; so the one that is to blame, if any, is found.
    alone_to: i64,
    /// Others' durable consumers come back when the stream is filled so far.
    consumers_after: Option<i64>,
    /// Positions beyond the cursor that are in the stream already.
    ahead: HashSet<i64>,
}

impl<'a> Publisher<'a> {
    pub fn new(
        log: &'a Log,
        nats: &Client,
        options: &'a RelayOptions,
        histories: Histories,
        cursor: Cursor,
        links: Links,
    ) -> Self {
        let context = stream::context(nats.clone());
        let wake = Wake::start(log.pool());
        Self {
            log,
            context,
            options,
            histories,
            cursor,
            links,
            wake,
            refused: HashMap::new(),
            alone_to: 0,
            consumers_after: None,
            ahead: HashSet::new(),
        }
    }

    /// Publishes until asked to stop, whatever happens to NATS meanwhile.
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<()> {
        let backoff = ExponentialBuilder::new().with_min_delay(Duration::from_millis(50)).with_jitter();
        let backoff = backoff.with_max_delay(Duration::from_secs(2)).without_max_times();
        let mut pauses = backoff.build();
        loop {
            let before = self.cursor.position;
            let started = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                started = self.resume() => started,
            };
            let ended = match started {
                Ok(()) => Box::pin(self.pipeline(stop)).await,
                Err(error) => Err(error),
            };
            let Err(error) = ended else { return Ok(()) };
            if self.links.reseed.has_changed().unwrap_or(false) {
                continue;
            }
            counter!("relay_publish_retries_total").increment(1);
            if self.cursor.position > before {
                pauses = backoff.build();
            }
            let pause = pauses.next().unwrap_or(Duration::from_secs(2));
            tracing::warn!(error = format!("{error:#}"), position = self.cursor.position, "publishing again soon");
            drop(tokio::time::timeout(pause, stop.cancelled()).await);
        }
    }

    /// Makes the cursor say what is really in the stream.
    async fn resume(&mut self) -> Result<()> {
        self.consumers_after = consumers::wait_for(self.log.pool()).await?;
        let wanted = *self.links.reseed.borrow_and_update();
        if let Some(from) = wanted {
            tracing::warn!(from, "rebuilding the stream from the log, as asked");
            return self.rebuild(from).await;
        }
        let (found, state) = stream::ensure(&self.context, &self.options.stream).await?;
        let head = self.log.head().await?;
        let known =
            self.cursor.stream_created == Some(state.created) && self.cursor.stream_name == self.options.stream.name;
        ensure!(
            !known || self.cursor.position <= head,
            "the stream ends at {} but the log at {head}, as after restoring a backup: run `ubos restore heal`",
            self.cursor.position
        );
        if known && state.last_sequence == self.cursor.stream_sequence {
            return Ok(());
        }
        let newest = stream::newest(&found, state).await?;
        if newest.as_ref().is_some_and(|newest| self.histories.is_taken_back(newest.position, &newest.log_id)) {
            return self.take_back(state, known, head).await;
        }
        if known && state.last_sequence > self.cursor.stream_sequence {
            return self.catch_up(&found, state, head).await;
        }
        self.ahead.clear();
        // Strangers' messages count as nothing; consumers do not believe them.
        let Some(newest) = newest else {
            let from = self.first_worth_publishing(head).await?;
            tracing::warn!(stream = self.options.stream.name, from, "the stream is empty, filling it from the log");
            return self.rewind(from - 1, state, from, self.cursor.stream_created.is_some()).await;
        };
        self.ensure_ours(&newest, head).await?;
        let (stored, found) = (self.cursor.position, newest.position);
        tracing::warn!(stored, found, "the stream is not the one that was filled, going on from its end");
        let from = if known { self.cursor.stream_from } else { self.cursor.stream_from.min(found) };
        self.rewind(found, state, from, self.cursor.stream_created.is_some()).await
    }

    /// The log was restored to an earlier moment, and the stream still holds what came after it. That is set aside as
    /// evidence, because nothing else knows what others have seen, and the stream is filled again from the log.
    async fn take_back(&mut self, state: StreamState, known: bool, head: i64) -> Result<()> {
        let settings = &self.options.stream;
        let aside = settings.aside(self.histories.number());
        // What came before the cursor is in the log for certain.
        let first = if known { self.cursor.stream_sequence + 1 } else { state.first_sequence };
        tracing::warn!(stream = settings.name, aside, first, "the log was restored, setting aside what it lacks");
        stream::set_aside(&self.context, settings, &aside, first, state.last_sequence).await?;
        let from = self.first_worth_publishing(head).await?;
        self.rebuild(from).await
    }

    /// Deletes the stream; it is filled again from `from` on.
    async fn rebuild(&mut self, from: i64) -> Result<()> {
        self.ahead.clear();
        let pool = self.log.pool();
        consumers::remember(pool, &self.context, &self.options.stream.name, &self.histories).await?;
        self.consumers_after = consumers::wait_for(pool).await?;
        stream::delete(&self.context, &self.options.stream.name).await?;
        let (_, state) = stream::ensure(&self.context, &self.options.stream).await?;
        self.rewind(from - 1, state, from, true).await
    }

    /// More is in the stream than is known: the last acknowledgements were lost, or somebody else published. Walks what
    /// came after the cursor, because a stranger's message may have made one of ours fail and the next one fit.
    async fn catch_up(&mut self, found: &Stream, state: StreamState, head: i64) -> Result<()> {
        let mut walked = stream::walk(found, self.cursor.stream_sequence + 1, state.last_sequence).await?;
        if let Some(last) = walked.iter().rev().find(|message| self.is_named_ours(message)) {
            self.ensure_ours(last, head).await?;
        }
        let mut position = self.cursor.position;
        walked.retain(|message| self.is_named_ours(message));
        for message in walked {
            if message.position == position + 1 {
                position += 1;
            } else if message.position > position {
                self.ahead.insert(message.position);
            }
            while self.ahead.remove(&(position + 1)) {
                position += 1;
            }
        }
        self.rewind(position, state, self.cursor.stream_from, false).await
    }

    fn is_named_ours(&self, message: &Published) -> bool {
        self.histories.is_ours(message.position, &message.log_id)
    }

    async fn ensure_ours(&self, message: &Published, head: i64) -> Result<()> {
        let Published { position, event_id, .. } = message;
        let stored = self.log.find(*position).await?;
        ensure!(
            self.is_named_ours(message) && *position <= head && stored.is_some_and(|event| event.event_id == *event_id),
            "stream {} holds events of another log, or of this one before a backup was restored: give this installation \
             its own nats.stream, or run `ubos restore heal`",
            self.options.stream.name
        );
        Ok(())
    }

    async fn rewind(&mut self, position: i64, state: StreamState, from: i64, lost: bool) -> Result<()> {
        self.cursor = Cursor {
            position,
            stream_sequence: state.last_sequence,
            stream_name: self.options.stream.name.clone(),
            stream_created: Some(state.created),
            stream_from: from,
            reseed_from: None,
        };
        if lost {
            counter!("relay_streams_healed_total").increment(1);
        }
        crash_points::reach(Point::RelayRewinding);
        // Before it is stored, so that nothing stores the old one afterwards.
        self.links.acked.send_replace((position, state.last_sequence));
        let (done, stored) = oneshot::channel();
        let request = Rewind { cursor: self.cursor.clone(), lost, done };
        self.links.rewind.send(request).await.ok().context("the lease has gone")?;
        stored.await.context("the lease has gone")
    }

    /// The first event that is younger than what the stream keeps; times never run against positions.
    async fn first_worth_publishing(&self, head: i64) -> Result<i64> {
        let age = self.options.stream.max_age;
        if age.is_zero() {
            return Ok(1);
        }
        let since = chrono::Utc::now() - chrono::Duration::from_std(age)?;
        let (mut old, mut young) = (0, head + 1);
        while young - old > 1 {
            let middle = old + (young - old) / 2;
            match self.log.find(middle).await? {
                Some(event) if event.recorded_at >= since => young = middle,
                // Archived positions are old.
                _ => old = middle,
            }
        }
        Ok(young)
    }

    /// Reads ahead, sends, takes acknowledgements in order. An error means: ask the stream where it is.
    async fn pipeline(&mut self, stop: &CancellationToken) -> Result<()> {
        let mut page: VecDeque<RawEvent> = VecDeque::new();
        let mut flight = Flight::new(self.options.service_time);
        // A task of its own, so that reading goes on while acknowledgements keep this one busy.
        let mut reading: OptionFuture<JoinHandle<Result<Vec<RawEvent>, sqlx::Error>>> = None.into();
        let mut is_reading = false;
        let (mut read_to, mut sequence) = (self.cursor.position, self.cursor.stream_sequence);
        let (mut caught_up, mut has_backlog) = (false, true);
        let mut erasures = self.log.erasures();
        let mut verify = tokio::time::interval_at(tokio::time::Instant::now() + VERIFY_EVERY, VERIFY_EVERY);
        let published = counter!("relay_published_total");
        loop {
            if self.consumers_after.is_some_and(|after| after <= self.cursor.position) {
                let (found, _) = stream::ensure(&self.context, &self.options.stream).await?;
                consumers::bring_back(self.log.pool(), &found, self.cursor.stream_from).await?;
                self.consumers_after = None;
            }
            while let Some(room) = flight.room(page.len()) {
                let events = self.together(&page, room);
                let next: Vec<RawEvent> = page.drain(..events).collect();
                let [.., last] = next.as_slice() else { break };
                let sending = Sending { upto: last.position, events };
                if self.ahead.contains(&last.position) {
                    flight.push(sending, None);
                    continue;
                }
                let sent = match next.as_slice() {
                    [event] => self.send(event, sequence).await?,
                    events => {
                        self.send_together(events, sequence).await.inspect_err(|_| self.alone_to = sending.upto)?
                    }
                };
                flight.push(sending, Some(sent));
                sequence += events as u64;
                crash_points::reach(Point::RelaySent);
            }
            // What waits for answers is sent first; only a backlog is read ahead.
            let enough = if has_backlog { PAGE / 2 } else { 1 };
            if !caught_up && !is_reading && page.len() < enough as usize {
                let (log, after) = (self.log.clone(), read_to);
                reading = Some(tokio::spawn(async move { log.read(after, PAGE).await })).into();
                is_reading = true;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.drain(flight).await,
                Some(read) = &mut reading, if is_reading => {
                    let read = read?.context("reading the log")?;
                    is_reading = false;
                    let nothing_new = read.is_empty();
                    has_backlog = read.len() as i64 == PAGE;
                    read_to = read.last().map_or(read_to, |event| event.position);
                    // Whoever hears how far the log goes need not read on to find its end.
                    caught_up = nothing_new || self.wake.newest().is_some_and(|newest| newest <= read_to);
                    page.extend(read);
                }
                (sending, ack) = flight.answered(), if !flight.is_empty() => {
                    let mut answered = Some((sending, ack));
                    while let Some((sending, ack)) = answered {
                        if let Err(error) = self.acknowledged(sending, ack) {
                            // What is behind it is answered, so that the stream stands still when it is asked.
                            drop(tokio::time::timeout(SETTLE, flight.settle()).await);
                            return Err(error);
                        }
                        published.increment(sending.events as u64);
                        answered = flight.answered().now_or_never();
                    }
                    self.links.acked.send_replace((self.cursor.position, self.cursor.stream_sequence));
                }
                newest = self.wake.wait(POLL_EVERY), if caught_up => {
                    caught_up = newest.is_some_and(|newest| newest <= read_to);
                }
                _ = verify.tick(), if flight.is_empty() && page.is_empty() => {
                    let (_, state) = stream::ensure(&self.context, &self.options.stream).await?;
                    let known = (self.cursor.stream_created, self.cursor.stream_sequence);
                    ensure!(known == (Some(state.created), state.last_sequence), "the stream is not what it was");
                }
                () = erasures.next() => bail!("somebody was erased, reading again what was read before"),
                _ = self.links.reseed.changed() => {
                    if self.links.reseed.borrow().is_some() {
                        self.links.reseed.mark_changed();
                        bail!("asked to rebuild the stream");
                    }
                }
            }
        }
    }

    /// How many of the events in front may share a batch, `room` at most; 1 if the first must go alone.
    fn together(&self, page: &VecDeque<RawEvent>, room: usize) -> usize {
        let mut bytes = 0;
        let may = page.iter().take(room).take_while(|event| {
            bytes += event.payload.get().len();
            let is_apart = self.ahead.contains(&event.position) || self.refused.contains_key(&event.position);
            event.position > self.alone_to && !is_apart && bytes <= BATCH_BYTES
        });
        may.count().max(1)
    }

    /// Sends events as one batch. If anything is wrong with one of them, there will be no more than an incomplete batch,
    /// which JetStream forgets.
    async fn send_together(&self, events: &[RawEvent], after_sequence: u64) -> Result<PublishAckFuture> {
        let id = Uuid::now_v7().simple().to_string();
        let (nats, prefix) = (self.context.client(), &self.options.stream.prefix);
        for (number, event) in (1..).zip(events) {
            let subject = Subject::of(prefix, event.tenant_id, &event.domain, &event.event_type)?.into_string();
            let (mut headers, payload) = envelope::encode(event, self.histories.log_at(event.position));
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, HeaderValue::from(number));
            if number == 1 {
                headers.insert(NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(after_sequence));
            }
            if number == events.len() {
                headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
                let message = PublishMessage::build().headers(headers).payload(payload);
                return self.context.send_publish(subject, message).await.context("sending a batch");
            }
            nats.publish_with_headers(subject, headers, payload).await.context("sending a batch")?;
            crash_points::reach(Point::RelaySent);
        }
        bail!("an empty batch")
    }

    /// Sends one event; as a claim-check if NATS would not take it.
    async fn send(&self, event: &RawEvent, after_sequence: u64) -> Result<PublishAckFuture> {
        let prefix = &self.options.stream.prefix;
        let named = Subject::of(prefix, event.tenant_id, &event.domain, &event.event_type);
        let position = event.position;
        let refusal = match (&named, self.refused.get(&position)) {
            (Err(illegal), _) => illegal.to_string(),
            (_, Some(reason)) => reason.clone(),
            (Ok(subject), None) => {
                let (headers, payload) = envelope::encode(event, self.histories.log_at(position));
                let message = PublishMessage::build().headers(headers).payload(payload);
                let message = message.expected_last_sequence(after_sequence);
                match self.context.send_publish(subject.to_string(), message).await {
                    Ok(ack) => return Ok(ack),
                    Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => error.to_string(),
                    Err(error) => return Err(error).context("sending an event"),
                }
            }
        };
        tracing::error!(position = event.position, event_id = %event.event_id, reason = refusal, "NATS refuses an event");
        self.bury(event, &refusal).await?;
        let (headers, payload) = envelope::claim_check(event, self.histories.log_at(event.position));
        let message = PublishMessage::build().headers(headers).payload(payload).expected_last_sequence(after_sequence);
        let subject = named.unwrap_or_else(|_| Subject::unnameable(prefix, event.tenant_id));
        self.context.send_publish(subject.into_string(), message).await.context("sending a claim-check")
    }

    async fn bury(&self, event: &RawEvent, reason: &str) -> Result<()> {
        sqlx::query(
            "insert into eventstore.dead_letters (position, event_id, tenant_id, reason) values ($1, $2, $3, $4)
             on conflict (position)
                 do update set attempts = dead_letters.attempts + 1, reason = excluded.reason, last_at = now()",
        )
        .bind(event.position)
        .bind(event.event_id)
        .bind(event.tenant_id.0)
        .bind(reason)
        .execute(self.log.pool())
        .await
        .context("keeping a dead letter")?;
        Ok(())
    }

    fn acknowledged(&mut self, sending: Sending, ack: Answer) -> Result<()> {
        let Sending { upto, events } = sending;
        let ack = match ack {
            Ok(ack) => ack,
            Err(error) => {
                if events > 1 {
                    self.alone_to = upto;
                } else if let Some(reason) = for_ever(&error) {
                    self.refused.insert(upto, reason);
                }
                return Err(error).with_context(|| format!("publishing {events} events up to position {upto}"));
            }
        };
        crash_points::reach(Point::RelayAcknowledged);
        // A duplicate is in the stream already and moved nothing.
        if let Some(ack) = ack.filter(|ack| !ack.duplicate) {
            ensure!(ack.stream == self.options.stream.name, "stream {} took our subjects", ack.stream);
            self.cursor.stream_sequence = ack.sequence;
        }
        self.cursor.position = upto;
        self.ahead.remove(&upto);
        Ok(())
    }

    /// Takes the acknowledgements that still come.
    async fn drain(&mut self, mut flight: Flight) -> Result<()> {
        let deadline = tokio::time::Instant::now() + DRAIN;
        while !flight.is_empty()
            && let Ok((sending, ack)) = tokio::time::timeout_at(deadline, flight.answered()).await
        {
            if self.acknowledged(sending, ack).is_err() {
                break;
            }
            self.links.acked.send_replace((self.cursor.position, self.cursor.stream_sequence));
        }
        Ok(())
    }
}

/// Why this message will never be taken, if that is so.
fn for_ever(error: &PublishError) -> Option<String> {
    let source = std::error::Error::source(error)?.downcast_ref::<jetstream::Error>()?;
    (source.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM).then(|| source.to_string())
}

impl std::fmt::Debug for Publisher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("histories", &self.histories)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
