//! What can happen to the stream: it goes, it goes back, it repeats, it holds what nobody published.

use super::{Done, Injector, blocking};
use crate::copies::operator;
use crate::subscriber::{self, POSITION};
use anyhow::{Context as _, Result, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use local_servers::NatsUser;
use rand::seq::SliceRandom;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Name of the stream, as the settings have it by default.
pub const STREAM: &str = "EVENTS";
/// Messages that are published again.
const REPEATED: u64 = 40;
/// How long the relay may take to notice that the stream is not what it was: it looks once a minute at least.
const NOTICE_PATIENCE: Duration = Duration::from_secs(75);
/// Events a second at which a stream must fill again; far fewer than the goal, because the load goes on meanwhile.
const FILLED_PER_SECOND: i64 = 1_000;
/// So many events of the log's end are put into a stream that the operator rebuilds.
const REBUILT: i64 = 20_000;
/// JetStream recognises a repeat by its id for so long, and then no more.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(125);

impl Injector {
    /// A client of our own, past all proxies.
    pub async fn jetstream(&self) -> Result<Context> {
        let url = self.servers.nats_url(NatsUser::Operator, &self.servers.nats_ports);
        let connecting = crate::subscriber::connect(&url, "attacker");
        let connected = tokio::time::timeout(Duration::from_secs(10), connecting).await;
        Ok(jetstream::new(connected.context("NATS does not answer")??))
    }

    pub async fn delete_stream(&self, done: &mut Done) -> Result<()> {
        let alone = self.locks.nats.lock().await;
        self.jetstream().await?.delete_stream(STREAM).await?;
        drop(alone);
        done.until = Some(self.evidence.now());
        self.healed(done).await
    }

    /// Until the stream holds everything that the log holds now.
    async fn healed(&self, done: &mut Done) -> Result<()> {
        let since = Instant::now();
        let head = crate::converge::lag(&self.pool).await?.head;
        done.note("log_ended_at", head);
        let patience = NOTICE_PATIENCE + Duration::from_secs(u64::try_from(head / FILLED_PER_SECOND)?);
        // It counts as going on until then: filling a stream again takes what processor there is.
        let mut healed = false;
        while !healed && since.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(100)).await;
            healed = self.is_in_stream(head).await.unwrap_or(false);
        }
        ensure!(healed, "the stream does not hold position {head} after {patience:?}");
        done.note("healed_seconds", since.elapsed().as_secs_f64());
        done.recovered = Some(self.evidence.now());
        Ok(())
    }

    /// Whether the newest message of the stream is of this position or beyond.
    async fn is_in_stream(&self, position: i64) -> Result<bool> {
        let context = self.jetstream().await?;
        let stream = context.get_stream(STREAM).await?;
        let last = stream.cached_info().state.last_sequence;
        if last == 0 {
            return Ok(false);
        }
        let message = stream.get_raw_message(last).await?;
        Ok(subscriber::position(&message.headers).is_some_and(|newest| newest >= position))
    }

    /// Every node is put back to what its store was a while ago, as a disk that lost its last writes would be.
    pub async fn roll_back_stream(&self, age: Duration, done: &mut Done) -> Result<()> {
        let alone = self.locks.nats.lock().await;
        let old = |number: usize| self.servers.dirs.root().join(format!("nats-{number}-old"));
        for (number, node) in self.servers.nats.iter().enumerate() {
            blocking(|| {
                let mut node = node.lock();
                // A store that is copied while it is written to would be another fault than this one.
                node.kill()?;
                let copied = copy(node.store(), &old(number));
                node.restart()?;
                copied
            })?;
        }
        tokio::time::sleep(age).await;
        for node in &self.servers.nats {
            blocking(|| node.lock().kill())?;
        }
        for (number, node) in self.servers.nats.iter().enumerate() {
            blocking(|| {
                let mut node = node.lock();
                empty(node.store())?;
                copy(&old(number), node.store())?;
                std::fs::remove_dir_all(old(number))?;
                node.restart()
            })?;
        }
        drop(alone);
        done.note("lost_seconds", age.as_secs_f64());
        done.until = Some(self.evidence.now());
        self.healed(done).await
    }

    /// Publishes old messages again as they were, as whoever may publish could, by mistake or not.
    pub async fn publish_again(&self, shuffled: bool, done: &mut Done) -> Result<()> {
        let Some((context, stream, first)) = self.old_messages().await else {
            done.note("left_out", "the load ended before any message was old enough");
            return Ok(());
        };
        let mut sequences: Vec<u64> = (first..first + REPEATED).collect();
        if shuffled {
            sequences.shuffle(&mut rand::rng());
        }
        let mut published = 0;
        // Nobody takes the server away meanwhile.
        let _alone = self.locks.nats.lock().await;
        for sequence in sequences {
            let Ok(message) = stream.get_raw_message(sequence).await else { continue };
            let headers = unasked(message.headers);
            // The stream may have gone before; then there is nothing to repeat.
            let Ok(sent) = context.publish_with_headers(message.subject, headers, message.payload).await else { break };
            if sent.await.is_err() {
                break;
            }
            published += 1;
        }
        done.note("from_sequence", first);
        done.note("published", published);
        Ok(())
    }

    /// The stream, and where messages begin that JetStream would not recognise any more.
    async fn old_messages(&self) -> Option<(Context, Stream, u64)> {
        loop {
            // Another fault may have the server or the stream just now.
            if let Ok(context) = self.jetstream().await
                && let Ok(Some((stream, first))) = look_for_old_messages(&context).await
            {
                return Some((context, stream, first));
            }
            if self.wire.over.load(Ordering::Relaxed) {
                return None;
            }
            // Waiting is no fault.
            self.active.fetch_sub(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(5)).await;
            self.active.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Puts into the stream what is no event of this log. Nobody may believe it; `ubos verify` would find it, so the
    /// operator rebuilds the stream.
    pub async fn poison(&self, lasts: Duration, done: &mut Done) -> Result<()> {
        let context = self.jetstream().await?;
        let stream = context.get_stream(STREAM).await?;
        let last = stream.cached_info().state.last_sequence;
        let model = stream.get_raw_message(last).await.context("the stream's newest message")?;
        let subject = model.subject.clone();
        let own = without(unasked(model.headers), "Nats-Msg-Id");
        let mut stranger = without(own.clone(), "Ubos-Log");
        stranger.insert("Ubos-Log", uuid::Uuid::now_v7().to_string().as_str());
        let mut nowhere = without(own.clone(), POSITION);
        nowhere.insert(POSITION, "not a number");
        let mut unreadable = without(own, "ce-time");
        unreadable.insert("ce-time", "yesterday");
        let poisons = [
            (HeaderMap::new(), "{}".into()),
            (HeaderMap::new(), vec![0xff, 0xfe].into()),
            (stranger, model.payload.clone()),
            (nowhere, model.payload.clone()),
            (unreadable, model.payload.clone()),
        ];
        let alone = self.locks.nats.lock().await;
        for (headers, payload) in poisons {
            context.publish_with_headers(subject.clone(), headers, payload).await?.await?;
        }
        drop(alone);
        tokio::time::sleep(lasts).await;
        let alone = self.locks.nats.lock().await;
        // Nobody outside has to read again what it has long had.
        let from = (self.received.newest.load(Ordering::Relaxed) - REBUILT).max(1).to_string();
        let verb = ["relay", "reseed", "--from", &from];
        let rebuild = operator(&self.servers, &self.ubos, &verb);
        let rebuilt = tokio::time::timeout(2 * NOTICE_PATIENCE, rebuild).await;
        let (code, text) = rebuilt.context("`ubos relay reseed` did not end")??;
        drop(alone);
        done.note("reseed", text.trim());
        done.recovered = Some(self.evidence.now());
        ensure!(code == Some(0), "`ubos relay reseed` failed: {text}");
        Ok(())
    }
}

async fn look_for_old_messages(context: &Context) -> Result<Option<(Stream, u64)>> {
    let stream = context.get_stream(STREAM).await?;
    let (first, last) = (stream.cached_info().state.first_sequence, stream.cached_info().state.last_sequence);
    let mut ahead = last.saturating_sub(first + 2 * REPEATED);
    while ahead > 0 {
        ahead = rand::random_range(0..ahead);
        let message = stream.get_raw_message(first + ahead + REPEATED).await?;
        let age = chrono::Utc::now().timestamp() - message.time.unix_timestamp();
        if age > DUPLICATE_WINDOW.as_secs().cast_signed() {
            return Ok(Some((stream, first + ahead)));
        }
    }
    Ok(None)
}

/// Without what the relay asked of JetStream, which would be refused now.
fn unasked(headers: HeaderMap) -> HeaderMap {
    let asked = ["Nats-Expected-Last-Sequence", "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"];
    asked.into_iter().fold(headers, without)
}

fn without(headers: HeaderMap, unwanted: &str) -> HeaderMap {
    let mut left = HeaderMap::new();
    for (name, values) in headers.iter().filter(|(name, _)| !name.to_string().eq_ignore_ascii_case(unwanted)) {
        values.iter().for_each(|value| left.append(name.clone(), value.clone()));
    }
    left
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status()?;
    ensure!(status.success(), "copying {} failed", from.display());
    Ok(())
}

/// The folder itself stays: it may be where a disk is mounted.
fn empty(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}
