//! What happens to an erasure.

use kernel::{Machine, Name, event, status};
use uuid::Uuid;

use ErasureEvent as E;

/// Where an erasure stands.
#[status]
pub enum ErasureStatus {
    /// Ordered; it begins at once.
    #[default]
    Requested,
    /// Done: nothing of it can be read any more.
    Completed,
}

impl Machine<E> for ErasureStatus {
    const BEGINS: &'static [&'static str] = &["erasure.requested"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Completed { .. } => Self::Completed,
            _ => self,
        }
    }
}

/// Everything that happens to an erasure: what is personal about somebody is made unreadable for good.
#[event("identity.erasure")]
pub enum ErasureEvent {
    /// The erasure of a subject was ordered.
    Requested {
        /// Whose: the id of a user, contact, client, portal user, appointment or whatever else speaks of one person.
        subject_id: Uuid,
        /// Why: a ticket or a paragraph, never the person's name.
        reason: Name,
        /// What workflows had made of it is erased too.
        derived: bool,
        /// The firm was closed, and operators asked for it: also of an owner.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_closed_firm: bool,
    },
    /// Its keys are destroyed, and what had been made of what they sealed is gone.
    Completed {
        /// Streams that were erased.
        streams: u32,
        /// Keys that were destroyed.
        keys: u32,
        /// Events of these streams.
        events: u32,
        /// Events among them that were written before there was a vault and still say something personal.
        plain_events: u32,
        /// Rows of read models that were folded anew.
        rows: u32,
        /// Messages that were deleted from NATS.
        messages: u32,
    },
}
