//! What is to enter the log, and what becomes of it.

use crate::claims::ClaimRow;
use crate::request::IdempotencyKey;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A decided command on its way into the log, or several that enter it together: all of it does, or nothing.
#[derive(Debug)]
pub(crate) struct Pending {
    pub tenant: Uuid,
    /// The streams that it was decided on, each once.
    pub streams: Vec<StreamChange>,
    /// In the order in which they happened.
    pub events: Vec<NewEvent>,
    pub claims: Vec<ClaimRow>,
    pub key: Option<IdempotencyKey>,
    /// What its stored answer tells besides, as JSON text: see `crate::answer`.
    pub parts: Option<String>,
    pub reply: oneshot::Sender<Result<Outcome, AppendError>>,
}

/// What becomes of one stream.
#[derive(Debug)]
pub(crate) struct StreamChange {
    pub aggregate_type: &'static str,
    pub aggregate_id: Uuid,
    /// The version that it was decided on.
    pub expected: i64,
    /// The version that its events lead to.
    pub version: i64,
    /// Position of the stream's last event before; what a command without events answers.
    pub position: i64,
    pub snapshot: Option<NewSnapshot>,
    /// The stream's key, wrapped, if it had none; and which generation it is.
    pub key_of_stream: Option<(u32, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct NewEvent {
    /// The stream, by its place.
    pub stream: usize,
    pub sequence: i64,
    pub event_id: Uuid,
    pub event_type: &'static str,
    pub event_version: i32,
    pub payload: String,
    pub metadata: String,
}

#[derive(Debug, Clone)]
pub(crate) struct NewSnapshot {
    pub version: i64,
    pub state_version: i32,
    pub state: String,
}

impl Pending {
    /// The stream whose row keeps the key: the one with the last event, so that the key remembers its position.
    pub fn key_stream(&self) -> usize {
        self.events.last().map_or(0, |event| event.stream)
    }

    /// Several streams in one.
    pub fn is_unit(&self) -> bool {
        self.streams.len() > 1
    }
}

/// What became of one command, or of those that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its events are in the log, one after the other after this position.
    Appended {
        after: i64,
    },
    Replayed {
        id: Uuid,
        version: i64,
        position: i64,
        created: bool,
        parts: Option<String>,
    },
    KeyReused,
    Conflict,
    /// Somebody else holds what the claim with this place is about.
    Claimed {
        row: usize,
        holder: Uuid,
    },
}

/// Why nothing can be said of one command.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// The database is away; the command may or may not be in the log.
    Unavailable(anyhow::Error),
    /// The database refuses this command for a reason that is our defect.
    Fault(anyhow::Error),
}
