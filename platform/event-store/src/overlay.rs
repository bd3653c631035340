//! What the commands of a unit have left so far, for those that come after them.

use crate::claims::Claims;
use crate::kind::{Advance, State};
use crate::load::StreamKey;
use crate::pending::NewSnapshot;
use std::sync::Arc;
use uuid::Uuid;
use vault::Subject;

/// A stream that a command of the unit was decided on.
#[derive(Clone)]
pub(crate) struct Touched {
    pub stream: StreamKey,
    pub state: State,
    /// The version that the log has, as far as is known; and the one after the unit.
    pub expected: i64,
    pub version: i64,
    /// Position of its last event before the unit.
    pub position: i64,
    /// The place of its last event in the unit.
    pub last_event: Option<usize>,
    pub snapshot_version: i64,
    pub snapshot: Option<NewSnapshot>,
    pub subject: Arc<Subject>,
    pub key_of_stream: Option<(u32, Vec<u8>)>,
    pub from_cache: bool,
    /// Version of its state's shape, for its snapshot.
    pub state_version: i32,
    pub advance: Advance,
}

#[derive(Clone, Default)]
pub(crate) struct Overlay {
    pub streams: Vec<Touched>,
    pub claims: Claims,
    /// Streams that decisions looked at in the log, with the versions that they saw.
    seen: Vec<(StreamKey, i64)>,
}

impl Overlay {
    /// The place of a stream among those of the unit.
    pub fn place(&self, stream: &StreamKey) -> Option<usize> {
        self.streams.iter().position(|touched| touched.stream == *stream)
    }

    /// The stream as the unit left it.
    pub fn state(&self, stream: &StreamKey) -> Option<State> {
        Some(self.streams.get(self.place(stream)?)?.state.clone())
    }

    /// The aggregate whose stream has this place.
    pub fn id(&self, place: usize) -> Option<Uuid> {
        Some(self.streams.get(place)?.stream.aggregate_id)
    }

    /// A decision looked at a stream.
    pub fn seen(&mut self, stream: StreamKey, version: i64) {
        self.seen.push((stream, version));
    }

    /// Did a decision see this stream at another version than the one that the unit goes on from?
    pub fn contradicts(&self, stream: &StreamKey, version: i64) -> bool {
        self.seen.iter().any(|(seen, at)| seen == stream && *at != version)
    }
}
