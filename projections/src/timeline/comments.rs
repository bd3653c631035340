//! Comments on what happened.

use crate::communications::{AuthorKind, author};
use crate::model::{Envelope, Fold, FoldError};
use catalogue::timeline_events::{CommentEvent as E, CommentId, CommentStatus};
use chrono::{DateTime, Utc};
use kernel::{ClientId, Machine, Personal, ProjectId, Text, read_model};
use uuid::Uuid;

/// What the firm's people say about what happened; nobody of a client sees it.
#[read_model(
    "timeline.comments",
    id = CommentId,
    read = "timeline.comment.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(staff_client(client_id), project(project_id)),
    away(status = "deleted")
)]
pub struct CommentRow {
    /// The entry of the timeline: an event's id.
    #[column(filter)]
    pub entry_id: Uuid,
    /// The client on whose timeline it is.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The project on whose timeline it is.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// What wrote it; nobody if a workflow or UBOS itself did.
    pub author_kind: Option<AuthorKind>,
    /// Who wrote it.
    #[column(filter)]
    pub author_id: Option<Uuid>,
    /// What it says, in Markdown; nothing once it was deleted.
    pub body: Option<Personal<Text>>,
    /// Where it stands.
    #[column(filter)]
    pub status: CommentStatus,
    /// When it was changed last, if it was.
    pub edited_at: Option<DateTime<Utc>>,
}

impl Fold for CommentRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Written { entry_id, client_id, project_id, author: by, body } = change else { return None };
        let (author_kind, author_id) = author(*by);
        Some(Self {
            entry_id: *entry_id,
            client_id: *client_id,
            project_id: *project_id,
            author_kind,
            author_id,
            body: Some(body.clone()),
            status: CommentStatus::default().after(change),
            edited_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Written { .. } => {}
            E::Edited { body } => (self.body, self.edited_at) = (Some(body.clone()), Some(event.recorded_at)),
            E::Deleted {} => self.body = None,
        }
        Ok(())
    }
}
