//! Questions whether clients approve of something: portal users see what their client is asked, and the firm sees all of it.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::portal_events::{ClientApprovalEvent as E, ClientApprovalId, ClientApprovalStatus, SubjectKind};
use chrono::{DateTime, Utc};
use kernel::{ClientId, Machine, Name, Personal, PortalUserId, ProjectId, Text, Timestamp, read_model};
use uuid::Uuid;

/// Questions whether clients approve of something.
#[read_model(
    "portal.client_approvals",
    id = ClientApprovalId,
    read = "portal.client_approval.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), project(project_id), portal_user(portal_user_id))
)]
pub struct ClientApprovalRow {
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// Who there is asked; anybody if none.
    #[column(filter)]
    pub portal_user_id: Option<PortalUserId>,
    /// The project that it belongs to.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// What kind of thing it is about.
    #[column(filter)]
    pub subject_kind: SubjectKind,
    /// Which one.
    #[column(filter)]
    pub subject_id: Uuid,
    /// What that is called.
    #[column(filter, sort)]
    pub title: Name,
    /// What the firm says of it.
    pub message: Option<Text>,
    /// Until when the client may answer.
    #[column(filter)]
    pub expires_at: Option<Timestamp>,
    /// Where it stands.
    #[column(filter)]
    pub status: ClientApprovalStatus,
    /// Who at the client has decided.
    pub decided_by: Option<PortalUserId>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// Why the client said no.
    pub reason: Option<Personal<Text>>,
}

impl Fold for ClientApprovalRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Requested { client_id, portal_user_id, project_id, subject, message, expires_at } = change else {
            return None;
        };
        Some(Self {
            client_id: *client_id,
            portal_user_id: *portal_user_id,
            project_id: *project_id,
            subject_kind: subject.kind,
            subject_id: subject.id,
            title: subject.title.clone(),
            message: message.clone(),
            expires_at: *expires_at,
            status: ClientApprovalStatus::default().after(change),
            decided_by: None,
            decided_at: None,
            reason: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Requested { .. } | E::Withdrawn {} | E::Expired {} => {}
            E::Approved { portal_user_id, .. } => {
                (self.decided_by, self.decided_at) = (Some(*portal_user_id), Some(event.recorded_at));
            }
            E::Declined { portal_user_id, reason, .. } => {
                (self.decided_by, self.decided_at) = (Some(*portal_user_id), Some(event.recorded_at));
                self.reason = Some(reason.clone());
            }
        }
        Ok(())
    }
}
