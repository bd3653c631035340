//! Messages of threads.

use crate::communications::{AuthorKind, author};
use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::communications_events::{MessageId, MessageStatus, ThreadEvent as E, ThreadKind};
use chrono::{DateTime, Utc};
use kernel::{ClientId, EngagementId, Machine, Personal, ProjectId, Resource, Text, ThreadId, read_model};
use uuid::Uuid;

/// Messages of threads.
#[read_model(
    "communications.messages",
    id = MessageId,
    read = "communications.message.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(
        client(portal_client_id),
        staff_client(client_id),
        engagement(portal_engagement_id),
        staff_engagement(engagement_id),
        project(project_id)
    ),
    part_of(thread_id, "communications.threads")
)]
pub struct MessageRow {
    /// The thread.
    #[column(filter)]
    pub thread_id: ThreadId,
    /// Who takes part in the thread.
    pub kind: ThreadKind,
    /// The client of the thread.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The client whose people see it in the portal; none if its thread is internal.
    pub portal_client_id: Option<ClientId>,
    /// The project of the thread.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// What wrote it; nobody if a workflow or UBOS itself did.
    pub author_kind: Option<AuthorKind>,
    /// Who wrote it.
    #[column(filter)]
    pub author_id: Option<Uuid>,
    /// What it says, in Markdown; nothing once it was taken back.
    pub body: Option<Personal<Text>>,
    /// Where it stands.
    #[column(filter)]
    pub status: MessageStatus,
    /// When it was changed last, if it was.
    pub edited_at: Option<DateTime<Utc>>,
    /// Why it was taken back, if somebody said so.
    pub redacted_reason: Option<Personal<Text>>,
    /// The engagement of the thread.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// The same, if people of the client see it in the portal.
    pub portal_engagement_id: Option<EngagementId>,
}

impl Fold for MessageRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::MessagePosted { message_id, .. }
            | E::MessageEdited { message_id, .. }
            | E::MessageRedacted { message_id, .. } => vec![message_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::MessagePosted { kind, author: by, body, .. } = change else { return None };
        let (author_kind, author_id) = author(*by);
        let (mut client_id, mut engagement_id, mut project_id) = (None, None, None);
        for resource in &event.metadata.concerns {
            match resource {
                Resource::Client { id } => client_id = Some(*id),
                Resource::Project { id } => project_id = Some(*id),
                Resource::Engagement { id } => engagement_id = Some(*id),
            }
        }
        Some(Self {
            thread_id: ThreadId(event.aggregate_id),
            kind: *kind,
            client_id,
            portal_client_id: client_id.filter(|_| *kind == ThreadKind::Client),
            project_id,
            author_kind,
            author_id,
            body: Some(body.clone()),
            status: MessageStatus::default().after(change),
            edited_at: None,
            redacted_reason: None,
            engagement_id,
            portal_engagement_id: engagement_id.filter(|_| *kind == ThreadKind::Client),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::MessageEdited { body, .. } => {
                (self.body, self.edited_at) = (Some(body.clone()), Some(event.recorded_at));
            }
            E::MessageRedacted { reason, .. } => (self.body, self.redacted_reason) = (None, reason.clone()),
            // Everything else is about the thread, see `keys`.
            _ => {}
        }
        Ok(())
    }
}
