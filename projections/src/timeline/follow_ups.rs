//! Follow-ups as whoever does them sees them.

use crate::communications::belongs;
use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::timeline_events::{FollowUpEvent as E, FollowUpId, FollowUpStatus};
use chrono::{DateTime, Utc};
use kernel::{
    AboutKind, ClientId, EngagementId, Machine, Name, Personal, ProjectId, Text, Timestamp, UserId, read_model,
};
use uuid::Uuid;

/// What is to be followed up, and what was.
#[read_model(
    "timeline.follow_ups",
    id = FollowUpId,
    read = "timeline.follow_up.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(staff_client(client_id), staff_engagement(engagement_id), project(project_id), user(assignee_id))
)]
pub struct FollowUpRow {
    /// What kind of thing it is about.
    #[column(filter)]
    pub about_kind: AboutKind,
    /// What it is about.
    #[column(filter)]
    pub about_id: Uuid,
    /// The client that it is about, or that what it is about belongs to.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The project that it is about.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// Who does it.
    #[column(filter)]
    pub assignee_id: UserId,
    /// What is to be done.
    #[column(sort)]
    pub title: Shown<Name>,
    /// What there is to know about it.
    pub note: Option<Personal<Text>>,
    /// When its time comes, or came last.
    #[column(filter, sort)]
    pub due_at: Timestamp,
    /// Where it stands.
    #[column(filter)]
    pub status: FollowUpStatus,
    /// When it was done, or need not be done any more.
    pub closed_at: Option<DateTime<Utc>>,
    /// Why it need not be done.
    pub reason: Option<Personal<Text>>,
    /// The engagement that it is about.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
}

impl Fold for FollowUpRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Scheduled { about, client_id, assignee_id, title, note, due_at } = change else { return None };
        let (client_id, engagement_id, project_id) = belongs(about, *client_id);
        Some(Self {
            about_kind: about.kind(),
            about_id: about.id(),
            client_id,
            project_id,
            assignee_id: *assignee_id,
            title: title.into(),
            note: note.clone(),
            due_at: *due_at,
            status: FollowUpStatus::default().after(change),
            closed_at: None,
            reason: None,
            engagement_id,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Scheduled { .. } | E::Due { .. } => {}
            E::Snoozed { due_at } => self.due_at = *due_at,
            E::Reassigned { assignee_id } => self.assignee_id = *assignee_id,
            E::Completed {} => self.closed_at = Some(event.recorded_at),
            E::Dismissed { reason } => {
                (self.closed_at, self.reason) = (Some(event.recorded_at), reason.clone());
            }
        }
        Ok(())
    }
}
