//! A consumer outside of the product that leaves it to JetStream to remember how far it is.

use crate::subscriber::{SILENCE, connect, position};
use anyhow::Result;
use async_nats::jetstream;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::pull::Config;
use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What it is called.
const NAME: &str = "durable";

/// Which positions it has received.
#[derive(Debug, Default)]
pub struct Durable(Mutex<Vec<bool>>);

impl Durable {
    /// Follows the stream for ever.
    pub async fn follow(self: Arc<Self>, url: String, stream: String) {
        loop {
            // Whatever ended it, the consumer remembers where to go on; the other subscriber says what was wrong.
            drop(self.connection(&url, &stream).await);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn connection(&self, url: &str, name: &str) -> Result<()> {
        let context = jetstream::new(connect(url, NAME).await?);
        loop {
            let config = Config {
                durable_name: Some(NAME.to_owned()),
                // One by one: to acknowledge all up to the newest would also acknowledge what went to a lost connection.
                ack_policy: AckPolicy::Explicit,
                ack_wait: Duration::from_secs(5),
                ..Config::default()
            };
            let consumer = context.get_stream(name).await?.get_or_create_consumer(NAME, config).await?;
            let mut messages = consumer.messages().await?;
            while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
                let message = message?;
                self.take(&message);
                message.ack().await.map_err(|error| anyhow::anyhow!(error))?;
            }
        }
    }

    fn take(&self, message: &Message) {
        let position = message.headers.as_ref().and_then(position);
        let Some(position) = position.and_then(|position| usize::try_from(position).ok()) else { return };
        let mut taken = self.0.lock();
        if taken.len() <= position {
            taken.resize(position + 1, false);
        }
        if let Some(place) = taken.get_mut(position) {
            *place = true;
        }
    }

    /// How many positions it has received.
    pub fn count(&self) -> i64 {
        i64::try_from(self.0.lock().iter().filter(|taken| **taken).count()).unwrap_or(i64::MAX)
    }

    /// Writes the positions that it has received, as ranges from first to last.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut ranges: Vec<(usize, usize)> = vec![];
        for (position, _) in self.0.lock().iter().enumerate().filter(|(_, taken)| **taken) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == position => *last = position,
                _ => ranges.push((position, position)),
            }
        }
        Ok(std::fs::write(folder.join("durable.json"), json!({ "received": ranges }).to_string())?)
    }
}
