//! Subscribers; neither the secrets nor what they hash to.

use crate::model::{Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{SubscriberEvent as E, SubscriberStatus};
use kernel::{EventScope, Machine, Name, SubscriberId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A program that reads the firm's events from NATS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriberRow {
    /// Its id, also the name of its consumer, and a part of its secret.
    pub id: SubscriberId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// Until when it may read, if not for ever.
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
    pub status: SubscriberStatus,
}

impl ReadModel for SubscriberRow {
    const TABLE: &'static str = "identity.subscribers";
    const STREAMS: &'static [&'static str] = &["identity.subscriber"];
    const PATH: &'static str = "identity/subscribers";
    const READ: &'static str = "identity.subscriber.read";
    const ABOUT: &'static str = "Programs that read the firm's events from NATS, without their secrets.";
    const FILTER: &'static [&'static str] = &["name", "status", "expires_at"];
    const SORT: &'static [&'static str] = &["name", "created_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Subscriber(change) = &event.payload else { return Ok(row) };
        if let E::Added { name, secret_hash: _, expires_at, scopes } = change {
            return Ok(Some(Self {
                id: SubscriberId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.clone(),
                expires_at: *expires_at,
                scopes: scopes.clone(),
                rotated_at: None,
                previous_until: None,
                revoked_at: None,
                revoked_reason: None,
                status: SubscriberStatus::default().after(change),
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Added { .. } => {}
            E::Rotated { secret_hash: _, previous_until } => {
                (row.rotated_at, row.previous_until) = (Some(event.recorded_at), Some(*previous_until));
            }
            E::Revoked { reason } => {
                (row.revoked_at, row.revoked_reason) = (Some(event.recorded_at), Some(reason.clone()));
            }
        }
        Ok(Some(row))
    }

    stamped!();
}
