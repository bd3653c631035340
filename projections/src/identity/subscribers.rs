//! Subscribers; neither the secrets nor what they hash to.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{SubscriberEvent as E, SubscriberStatus};
use chrono::{DateTime, Utc};
use kernel::{EventScope, Machine, Name, SubscriberId, Timestamp, read_model};

/// Programs that read the firm's events from NATS, without their secrets.
#[read_model("identity.subscribers", id = SubscriberId, read = "identity.subscriber.read")]
pub struct SubscriberRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// Until when it may read, if not for ever.
    #[column(filter)]
    pub expires_at: Option<Timestamp>,
    /// When it got another secret, if it did.
    pub rotated_at: Option<DateTime<Utc>>,
    /// Until when the secret before that is good.
    pub previous_until: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Why.
    pub revoked_reason: Option<Name>,
    /// Which events, such as `projects.>`; all of the firm's if there are none.
    pub scopes: Vec<EventScope>,
    /// Where it stands.
    #[column(filter)]
    pub status: SubscriberStatus,
}

impl Fold for SubscriberRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Added { name, secret_hash: _, expires_at, scopes } = change else { return None };
        Some(Self {
            name: name.clone(),
            expires_at: *expires_at,
            scopes: scopes.clone(),
            rotated_at: None,
            previous_until: None,
            revoked_at: None,
            revoked_reason: None,
            status: SubscriberStatus::default().after(change),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Added { .. } => {}
            E::Rotated { secret_hash: _, previous_until } => {
                (self.rotated_at, self.previous_until) = (Some(event.recorded_at), Some(*previous_until));
            }
            E::Revoked { reason } => {
                (self.revoked_at, self.revoked_reason) = (Some(event.recorded_at), Some(reason.clone()));
            }
        }
        Ok(())
    }
}
