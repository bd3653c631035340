//! Portal sessions: a portal user sees their own, and whoever may keep them out sees all.

use crate::model::{Event, FoldError, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{ClientId, Machine, Name, Personal, PortalUserId, SessionId, Timestamp};
use portal_events::{PortalSessionEvent as E, PortalSessionStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The time between a portal user's coming in and its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortalSessionRow {
    /// Its id.
    pub id: SessionId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it started.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Whose it is.
    pub portal_user_id: PortalUserId,
    /// At which client.
    pub client_id: ClientId,
    /// When it ends at the latest; earlier if it is not used for a while.
    pub ends_at: Timestamp,
    /// What the person's browser calls itself.
    pub user_agent: Option<Personal<Name>>,
    /// When it was ended, if it was.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why.
    pub ended_reason: Option<Name>,
    /// Where it stands.
    pub status: PortalSessionStatus,
}

impl ReadModel for PortalSessionRow {
    const TABLE: &'static str = "portal.portal_sessions";
    const STREAMS: &'static [&'static str] = &["portal.portal_session"];
    const PATH: &'static str = "portal/portal-sessions";
    // Not a `read`, which every viewer has of everything.
    const READ: &'static str = "portal.portal_session.audit";
    const ABOUT: &'static str = "The sessions of portal users.";
    const FILTER: &'static [&'static str] = &["portal_user_id", "client_id", "status", "created_at", "ends_at"];
    const SORT: &'static [&'static str] = &["created_at"];
    const TIES: &'static [Tie] = &[Tie::Client("client_id"), Tie::PortalUser("portal_user_id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::PortalSession(change) = &event.payload else { return Ok(row) };
        match change {
            E::Started { portal_user_id, client_id, ends_at, user_agent, .. } => Ok(Some(Self {
                id: SessionId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                portal_user_id: *portal_user_id,
                client_id: *client_id,
                ends_at: *ends_at,
                user_agent: user_agent.clone(),
                ended_at: None,
                ended_reason: None,
                status: PortalSessionStatus::default().after(change),
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
