//! Who was erased: ids, never names.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{ErasureEvent as E, ErasureStatus};
use chrono::{DateTime, Utc};
use kernel::{Machine, Name, read_model};
use uuid::Uuid;

/// Who was erased, by whose order, and what it came to.
#[read_model("identity.erasures", read = "identity.erasure.read", created_at(filter))]
pub struct ErasureRow {
    /// Who was to be erased.
    #[column(filter)]
    pub subject_id: Uuid,
    /// Why.
    pub reason: Name,
    /// Does it go for what workflows had made of it too?
    pub derived: bool,
    /// When everything was gone.
    #[column(filter)]
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
    #[column(filter)]
    pub status: ErasureStatus,
}

impl Fold for ErasureRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Requested { subject_id, reason, derived, of_closed_firm: _ } = change else { return None };
        Some(Self {
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
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Requested { .. } => {}
            E::Completed { streams, keys, events, plain_events, rows, messages } => {
                self.completed_at = Some(event.recorded_at);
                let count = |count: &u32| Some(i64::from(*count));
                (self.streams, self.keys, self.events) = (count(streams), count(keys), count(events));
                (self.plain_events, self.rows, self.messages) = (count(plain_events), count(rows), count(messages));
            }
        }
        Ok(())
    }
}
