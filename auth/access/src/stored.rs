//! Events of identity and portal, as the log holds them.

use kernel::{Event, UnreadableEvent, read_event};
use uuid::Uuid;

/// One of them.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Stored {
    /// `identity.user`.
    pub aggregate_type: String,
    /// The stream.
    pub aggregate_id: Uuid,
    /// `user.invited`.
    pub event_type: String,
    /// Version of the payload.
    pub event_version: i32,
    /// The payload as JSON text.
    pub payload: String,
}

pub(crate) fn read<E: Event>(event: &Stored) -> Result<E, UnreadableEvent> {
    let version = u32::try_from(event.event_version).unwrap_or(u32::MAX);
    read_event(&event.event_type, version, &event.payload)
}
