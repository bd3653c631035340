//! Who was erased: ids, never names.

use crate::model::{Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{ErasureEvent as E, ErasureStatus};
use kernel::{Machine, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An order to erase somebody, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErasureRow {
    /// Its id.
    pub id: Uuid,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Who was to be erased.
    pub subject_id: Uuid,
    /// Why.
    pub reason: Name,
    /// Does it go for what workflows had made of it too?
    pub derived: bool,
    /// When everything was gone.
    pub completed_at: Option<DateTime<Utc>>,
    /// Streams that were erased.
    pub streams: Option<i64>,
    /// Keys that were destroyed.
    pub keys: Option<i64>,
    /// Events of these streams.
    pub events: Option<i64>,
    /// Events that were written before there was a vault and still say something personal.
    pub plain_events: Option<i64>,
    /// Rows of read models that were folded anew.
    pub rows: Option<i64>,
    /// Messages that were deleted from NATS.
    pub messages: Option<i64>,
    /// Where it stands.
    pub status: ErasureStatus,
}

impl ReadModel for ErasureRow {
    const TABLE: &'static str = "identity.erasures";
    const STREAMS: &'static [&'static str] = &["identity.erasure"];
    const PATH: &'static str = "identity/erasures";
    const READ: &'static str = "identity.erasure.read";
    const ABOUT: &'static str = "Who was erased, by whose order, and what it came to.";
    const FILTER: &'static [&'static str] = &["subject_id", "status", "created_at", "completed_at"];
    const SORT: &'static [&'static str] = &["created_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Erasure(change) = &event.payload else { return Ok(row) };
        match change {
            E::Requested { subject_id, reason, derived, of_closed_firm: _ } => Ok(Some(Self {
                id: key,
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                subject_id: *subject_id,
                reason: reason.clone(),
                derived: *derived,
                completed_at: None,
                streams: None,
                keys: None,
                events: None,
                plain_events: None,
                rows: None,
                messages: None,
                status: ErasureStatus::default().after(change),
            })),
            E::Completed { streams, keys, events, plain_events, rows, messages } => {
                let mut row = existing(row, event)?;
                row.status = row.status.after(change);
                row.completed_at = Some(event.recorded_at);
                let count = |count: &u32| Some(i64::from(*count));
                (row.streams, row.keys, row.events) = (count(streams), count(keys), count(events));
                (row.plain_events, row.rows, row.messages) = (count(plain_events), count(rows), count(messages));
                Ok(Some(row))
            }
        }
    }

    stamped!();
}
