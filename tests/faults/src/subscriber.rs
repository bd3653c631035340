//! A consumer outside of the product, which knows no more than the page on consuming events says.

use crate::evidence::Evidence;
use anyhow::{Context, Result};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{self, Message};
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A stream that says nothing for so long may have been replaced by another one of the same name.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// Repeats that are written down in full; beyond that they are compared with what came first, and written if they differ.
const REPEATS_WRITTEN_MAX: u64 = 200_000;

/// The header that says which event of the log a message brings.
pub(crate) const POSITION: &str = "ce-globalposition";

/// The position that a message names, if it does.
pub(crate) fn position(headers: &HeaderMap) -> Option<i64> {
    headers.get(POSITION)?.as_str().parse().ok()
}

/// What it has received.
#[derive(Debug, Default)]
pub struct Received {
    /// Messages.
    pub messages: AtomicU64,
    /// Messages of a position that had come before.
    pub repeats: AtomicU64,
    /// The newest position.
    pub newest: AtomicI64,
}

/// Follows the stream for ever.
pub async fn follow(url: String, stream: String, evidence: Arc<Evidence>, received: Arc<Received>) {
    let mut subscriber = Subscriber { evidence, received, seen: HashMap::new(), next: None };
    let mut last_said = String::new();
    loop {
        let said =
            subscriber.connection(&url, &stream).await.map_or_else(|error| format!("{error:#}"), |()| String::new());
        if said != last_said && !said.is_empty() {
            eprintln!("{:8.1} subscriber: {said}", subscriber.evidence.now());
        }
        last_said = said;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Whoever reaches one of the servers is connected.
pub(crate) async fn connect(url: &str, name: &str) -> Result<async_nats::Client> {
    let servers: Vec<async_nats::ServerAddr> =
        url.split(',').map(|url| url.parse()).collect::<Result<_, _>>().context("a NATS URL")?;
    let login = servers.first().and_then(|s| Some((s.username()?.to_owned(), s.password()?.to_owned())));
    let (user, password) = login.context("the URL has a password")?;
    Ok(async_nats::ConnectOptions::new().user_and_password(user, password).name(name).connect(servers).await?)
}

struct Subscriber {
    evidence: Arc<Evidence>,
    received: Arc<Received>,
    /// Digest of what came first for each position.
    seen: HashMap<i64, [u8; 8]>,
    /// The stream's creation time and the sequence to go on from.
    next: Option<(i128, u64)>,
}

impl Subscriber {
    async fn connection(&mut self, url: &str, name: &str) -> Result<()> {
        let context = jetstream::new(connect(url, "subscriber").await?);
        loop {
            let stream = context.get_stream(name).await?;
            let info = stream.cached_info();
            let (created, last) = (info.created.unix_timestamp_nanos(), info.state.last_sequence);
            // Sequences mean something only within one stream that has not been rolled back.
            let deliver_policy = match self.next {
                Some((known, next)) if known == created && next <= last + 1 => {
                    DeliverPolicy::ByStartSequence { start_sequence: next }
                }
                _ => DeliverPolicy::All,
            };
            let config = OrderedConfig { deliver_policy, ..OrderedConfig::default() };
            let mut messages = stream.create_consumer(config).await?.messages().await?;
            while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
                let message = message?;
                let sequence = message.info().map_err(|error| anyhow::anyhow!("a message without info: {error}"))?;
                self.next = Some((created, sequence.stream_sequence + 1));
                self.take(&message, sequence.stream_sequence);
            }
        }
    }

    fn take(&mut self, message: &Message, sequence: u64) {
        let empty = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&empty);
        let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        let position = position(headers);
        let digest = Sha256::digest(&message.payload);
        // Whether it came before is no question of order: an event may come after one that follows it.
        let repeat = position.and_then(|position| {
            let mut short = [0; 8];
            short.copy_from_slice(&digest[..8]);
            self.received.newest.fetch_max(position, Ordering::Relaxed);
            match self.seen.entry(position) {
                Entry::Occupied(first) => Some(*first.get() == short),
                Entry::Vacant(place) => {
                    place.insert(short);
                    None
                }
            }
        });
        self.received.messages.fetch_add(1, Ordering::Relaxed);
        if let Some(same) = repeat {
            let repeats = self.received.repeats.fetch_add(1, Ordering::Relaxed);
            if same && repeats > REPEATS_WRITTEN_MAX {
                return;
            }
        }
        self.evidence.subscriber.add(&json!({
            "at": self.evidence.now(), "sequence": sequence, "subject": message.subject.as_str(),
            "id": text("Nats-Msg-Id"), "position": position,
            "version": text("ce-aggregateversion").and_then(|text| text.parse::<i64>().ok()),
            "aggregate": text("ce-subject"), "sha256": hex::encode(digest),
        }));
    }
}
