//! Sessions: everybody sees their own, and whoever may keep people out sees all.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{SessionEvent as E, SessionStatus};
use chrono::{DateTime, Utc};
use kernel::{Issuer, Machine, Name, Personal, SessionId, Timestamp, UserId, read_model};

/// The sessions of the firm's users.
// Not a `read`, which every viewer has of everything.
#[read_model(
    "identity.sessions",
    id = SessionId,
    read = "identity.session.audit",
    created_at(filter),
    ties(user(user_id))
)]
pub struct SessionRow {
    /// Whose it is.
    #[column(filter)]
    pub user_id: UserId,
    /// Where the person showed who they are.
    pub issuer: Issuer,
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
    pub status: SessionStatus,
}

impl Fold for SessionRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Started { user_id, issuer, ends_at, user_agent, .. } = change else { return None };
        Some(Self {
            user_id: *user_id,
            issuer: issuer.clone(),
            ends_at: *ends_at,
            user_agent: user_agent.clone(),
            ended_at: None,
            ended_reason: None,
            status: SessionStatus::default().after(change),
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
