//! Portal sessions: a portal user sees their own, and whoever may keep them out sees all.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::portal_events::{PortalSessionEvent as E, PortalSessionStatus};
use chrono::{DateTime, Utc};
use kernel::{ClientId, Machine, Name, Personal, PortalUserId, SessionId, Timestamp, read_model};

/// The sessions of portal users.
// Not a `read`, which every viewer has of everything.
#[read_model(
    "portal.portal_sessions",
    id = SessionId,
    read = "portal.portal_session.audit",
    created_at(filter),
    ties(client(client_id), portal_user(portal_user_id))
)]
pub struct PortalSessionRow {
    /// Whose it is.
    #[column(filter)]
    pub portal_user_id: PortalUserId,
    /// At which client.
    #[column(filter)]
    pub client_id: ClientId,
    /// When it ends at the latest; earlier if it is not used for a while.
    #[column(filter)]
    pub ends_at: Timestamp,
    /// What the person's browser calls itself.
    pub user_agent: Option<Personal<Name>>,
    /// When it was ended, if it was.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why.
    pub ended_reason: Option<Name>,
    /// Where it stands.
    #[column(filter)]
    pub status: PortalSessionStatus,
}

impl Fold for PortalSessionRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Started { portal_user_id, client_id, ends_at, user_agent, .. } = change else { return None };
        Some(Self {
            portal_user_id: *portal_user_id,
            client_id: *client_id,
            ends_at: *ends_at,
            user_agent: user_agent.clone(),
            ended_at: None,
            ended_reason: None,
            status: PortalSessionStatus::default().after(change),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Started { .. } => {}
            E::Ended { reason } => {
                (self.ended_at, self.ended_reason) = (Some(event.recorded_at), Some(reason.clone()));
            }
        }
        Ok(())
    }
}
