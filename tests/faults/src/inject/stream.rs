//! What can happen to the stream: it goes, it goes back, it repeats, it holds what nobody published.

use super::{Done, Injector, blocking};
use crate::copies::operator;
use anyhow::{Context as _, Result, bail, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use rand::seq::SliceRandom;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Name of the stream, as the settings have it by default.
pub const STREAM: &str = "EVENTS";
/// Messages that are published again.
const REPEATED: u64 = 40;
/// How long the relay may take to notice that the stream is not what it was, and to fill it again.
const HEAL_PATIENCE: Duration = Duration::from_secs(150);

impl Injector {
    /// A client of our own, past all proxies.
    pub async fn jetstream(&self) -> Result<Context> {
        let ports = &self.servers.nats_ports;
        let servers: Vec<async_nats::ServerAddr> =
            self.servers.nats_url(ports).split(',').map(str::parse).collect::<Result<_, _>>()?;
        let options = async_nats::ConnectOptions::new()
            .user_and_password("ubos".to_owned(), self.servers.nats_password.clone())
            .name("attacker");
        let connected = tokio::time::timeout(Duration::from_secs(10), options.connect(servers)).await;
        Ok(jetstream::new(connected.context("NATS does not answer")??))
    }

    pub async fn delete_stream(&self, done: &mut Done) -> Result<()> {
        let _alone = self.locks.nats.lock().await;
        self.jetstream().await?.delete_stream(STREAM).await?;
        let deleted = Instant::now();
        done.until = Some(self.evidence.now());
        self.healed(deleted, done).await
    }

    /// Until the stream holds everything that the log held when it was damaged.
    async fn healed(&self, since: Instant, done: &mut Done) -> Result<()> {
        let head = crate::converge::lag(&self.pool).await?.head;
        done.note("log_ended_at", head);
        while since.elapsed() < HEAL_PATIENCE {
            if self.is_in_stream(head).await.unwrap_or(false) {
                done.note("healed_seconds", since.elapsed().as_secs_f64());
                done.recovered = Some(self.evidence.now());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the stream does not hold position {head} after {HEAL_PATIENCE:?}");
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
        let newest = message.headers.get("ce-globalposition").and_then(|value| value.as_str().parse::<i64>().ok());
        Ok(newest.is_some_and(|newest| newest >= position))
    }

    /// Every node is put back to what its store was a while ago, as a disk that lost its last writes would be.
    pub async fn roll_back_stream(&self, age: Duration, done: &mut Done) -> Result<()> {
        let _alone = self.locks.nats.lock().await;
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
        let rolled_back = Instant::now();
        for (number, node) in self.servers.nats.iter().enumerate() {
            blocking(|| {
                let mut node = node.lock();
                empty(node.store())?;
                copy(&old(number), node.store())?;
                std::fs::remove_dir_all(old(number))?;
                node.restart()
            })?;
        }
        done.note("lost_seconds", age.as_secs_f64());
        done.until = Some(self.evidence.now());
        self.healed(rolled_back, done).await
    }

    /// Publishes old messages again, as whoever may publish could, by mistake or not.
    pub async fn publish_again(&self, backwards: bool, done: &mut Done) -> Result<()> {
        let context = self.jetstream().await?;
        let stream = context.get_stream(STREAM).await?;
        let state = &stream.cached_info().state;
        ensure!(state.messages > REPEATED * 2, "the stream holds too little");
        let first = rand::random_range(state.first_sequence..state.last_sequence - REPEATED);
        let mut sequences: Vec<u64> = (first..first + REPEATED).collect();
        if backwards {
            sequences.shuffle(&mut rand::rng());
        }
        let mut published = 0;
        for sequence in sequences {
            let Ok(message) = stream.get_raw_message(sequence).await else { continue };
            // Without the id that JetStream would recognise the repeat by.
            let mut headers = HeaderMap::new();
            for (name, values) in message.headers.iter().filter(|(name, _)| name.to_string() != "Nats-Msg-Id") {
                values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
            }
            if headers.get("Nats-Expected-Last-Sequence").is_some() {
                headers = without(headers, "Nats-Expected-Last-Sequence");
            }
            context.publish_with_headers(message.subject, headers, message.payload).await?.await?;
            published += 1;
        }
        done.note("from_sequence", first);
        done.note("published", published);
        Ok(())
    }

    /// Puts into the stream what is no event of this log. Nobody may believe it; `ubos verify` would find it, so the
    /// operator rebuilds the stream.
    pub async fn poison(&self, lasts: Duration, done: &mut Done) -> Result<()> {
        let context = self.jetstream().await?;
        let stream = context.get_stream(STREAM).await?;
        let last = stream.cached_info().state.last_sequence;
        let model = stream.get_raw_message(last).await.context("the stream's newest message")?;
        let subject = model.subject.clone();
        let own = without(without(model.headers, "Nats-Msg-Id"), "Nats-Expected-Last-Sequence");
        let mut stranger = without(own.clone(), "Ubos-Log");
        stranger.insert("Ubos-Log", uuid::Uuid::now_v7().to_string().as_str());
        let mut nowhere = without(own.clone(), "ce-globalposition");
        nowhere.insert("ce-globalposition", "not a number");
        let poisons = [
            (HeaderMap::new(), "{}".into()),
            (HeaderMap::new(), vec![0xff, 0xfe].into()),
            (stranger, model.payload.clone()),
            (nowhere, model.payload.clone()),
            (own, "{ this is no JSON".into()),
        ];
        for (headers, payload) in poisons {
            context.publish_with_headers(subject.clone(), headers, payload).await?.await?;
        }
        tokio::time::sleep(lasts).await;
        let _alone = self.locks.nats.lock().await;
        let rebuild = operator(&self.servers, &self.ubos, &["relay", "reseed"]);
        let (code, text) =
            tokio::time::timeout(HEAL_PATIENCE, rebuild).await.context("`ubos relay reseed` did not end")??;
        done.note("reseed", text.trim());
        done.recovered = Some(self.evidence.now());
        ensure!(code == Some(0), "`ubos relay reseed` failed: {text}");
        Ok(())
    }
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
