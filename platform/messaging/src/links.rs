//! How the relay works, and how its publisher and the keeper of its lease tell each other what is new.

use crate::lease::Cursor;
use crate::stream::StreamSettings;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How the relay works.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// Where it publishes.
    pub stream: StreamSettings,
    /// Who it says it is, in `ubos relay status`.
    pub holder: String,
    /// How long JetStream takes to store a message alone; measured if none. Batches are sent where that is long.
    pub service_time: Option<Duration>,
    /// How often the cursor is stored. After a crash the stream itself says how far it is, so this costs nothing.
    pub store_every: Duration,
}

impl RelayOptions {
    /// The usual way to work, on `stream`.
    pub fn new(stream: StreamSettings) -> Self {
        let holder = format!("{}:{}", hostname(), std::process::id());
        Self { stream, holder, service_time: None, store_every: Duration::from_millis(200) }
    }
}

/// What the publisher asks of the keeper of the lease.
pub(crate) struct Rewind {
    pub cursor: Cursor,
    pub lost: bool,
    pub done: oneshot::Sender<()>,
}

/// How the publisher and the keeper of the lease tell each other what is new.
pub(crate) struct Links {
    /// Position and stream sequence of the last contiguous acknowledgement.
    pub acked: watch::Sender<(i64, u64)>,
    pub rewind: mpsc::Sender<Rewind>,
    /// From where an operator wants the stream rebuilt.
    pub reseed: watch::Receiver<Option<i64>>,
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}
