//! What happens to a subscriber.

use kernel::{EventScope, Machine, Name, SecretHash, Timestamp, event, status};

use SubscriberEvent as E;

/// Where a subscriber stands.
#[status]
pub enum SubscriberStatus {
    /// Reads what it may, until it expires if it does.
    #[default]
    Active,
    /// Reads nothing any more.
    Revoked,
}

impl Machine<E> for SubscriberStatus {
    const BEGINS: &'static [&'static str] = &["subscriber.added"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Revoked { .. } => Self::Revoked,
            _ => self,
        }
    }
}

/// Everything that happens to a subscriber: a program that reads the firm's events from NATS and does nothing else. The
/// secret itself is in no event.
#[event("identity.subscriber")]
pub enum SubscriberEvent {
    /// A program may read the firm's events.
    Added {
        /// What it is called.
        name: Name,
        /// What its secret hashes to.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when it may, if not for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// Which events, if not all of the firm's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scopes: Vec<EventScope>,
    },
    /// It got another secret; the one before it is good for a while.
    Rotated {
        /// What its secret hashes to now.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when the secret before it is good.
        previous_until: Timestamp,
    },
    /// It reads nothing any more.
    Revoked {
        /// Why.
        reason: Name,
    },
}
