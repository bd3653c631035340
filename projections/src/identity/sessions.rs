//! Sessions: everybody sees their own, and whoever may keep people out sees all.

use crate::model::{Event, FoldError, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{SessionEvent as E, SessionStatus};
use kernel::{Issuer, Machine, Name, Personal, SessionId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The time between a person's login and its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it started.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Whose it is.
    pub user_id: UserId,
    /// Where the person showed who they are.
    pub issuer: Issuer,
    /// When it ends at the latest; earlier if it is not used for a while.
    pub ends_at: Timestamp,
    /// What the person's browser calls itself.
    pub user_agent: Option<Personal<Name>>,
    /// When it was ended, if it was.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why.
    pub ended_reason: Option<Name>,
    /// Where it stands.
    pub status: SessionStatus,
}

impl ReadModel for SessionRow {
    const TABLE: &'static str = "identity.sessions";
    const STREAMS: &'static [&'static str] = &["identity.session"];
    const PATH: &'static str = "identity/sessions";
    // Not a `read`, which every viewer has of everything.
    const READ: &'static str = "identity.session.audit";
    const ABOUT: &'static str = "The sessions of the firm's users.";
    const FILTER: &'static [&'static str] = &["user_id", "status", "created_at", "ends_at"];
    const SORT: &'static [&'static str] = &["created_at"];
    const TIES: &'static [Tie] = &[Tie::User("user_id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Session(change) = &event.payload else { return Ok(row) };
        match change {
            E::Started { user_id, issuer, ends_at, user_agent, .. } => Ok(Some(Self {
                id: SessionId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                user_id: *user_id,
                issuer: issuer.clone(),
                ends_at: *ends_at,
                user_agent: user_agent.clone(),
                ended_at: None,
                ended_reason: None,
                status: SessionStatus::default().after(change),
            })),
            E::Ended { reason } => {
                let mut row = existing(row, event)?;
                row.status = row.status.after(change);
                (row.ended_at, row.ended_reason) = (Some(event.recorded_at), Some(reason.clone()));
                Ok(Some(row))
            }
        }
    }

    stamped!();
}
