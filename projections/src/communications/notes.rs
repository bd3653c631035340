//! Notes of the firm's own.

use crate::communications::{AuthorKind, author};
use crate::model::{Envelope, Fold, FoldError};
use catalogue::communications_events::{NoteEvent as E, NoteId, NoteStatus};
use chrono::{DateTime, Utc};
use kernel::{About, AboutKind, ClientId, EngagementId, Machine, Personal, ProjectId, Text, read_model};
use uuid::Uuid;

/// What the firm keeps in mind; nobody of a client sees it.
#[read_model(
    "communications.notes",
    id = NoteId,
    read = "communications.note.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(staff_client(client_id), staff_engagement(engagement_id), project(project_id)),
    away(status = "deleted")
)]
pub struct NoteRow {
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
    /// What wrote it; nobody if a workflow or UBOS itself did.
    pub author_kind: Option<AuthorKind>,
    /// Who wrote it.
    #[column(filter)]
    pub author_id: Option<Uuid>,
    /// What it says, in Markdown; nothing once it was deleted.
    pub body: Option<Personal<Text>>,
    /// Where it stands.
    #[column(filter)]
    pub status: NoteStatus,
    /// When it was changed last, if it was.
    pub edited_at: Option<DateTime<Utc>>,
    /// The engagement that it is about.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
}

/// What something belongs to that is about this: a client, an engagement, a project.
pub(crate) type Belongs = (Option<ClientId>, Option<EngagementId>, Option<ProjectId>);

/// The client that something is about, or that belongs to what it is about; the engagement and the project that it is about.
pub(crate) fn belongs(about: &About, client_id: Option<ClientId>) -> Belongs {
    match *about {
        About::Client { id } => (Some(id), None, None),
        About::Engagement { id } => (client_id, Some(id), None),
        About::Project { id } => (client_id, None, Some(id)),
        About::Contact { .. } | About::Deal { .. } => (client_id, None, None),
    }
}

impl Fold for NoteRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Added { about, client_id, author: by, body } = change else { return None };
        let (author_kind, author_id) = author(*by);
        let (client_id, engagement_id, project_id) = belongs(about, *client_id);
        Some(Self {
            about_kind: about.kind(),
            about_id: about.id(),
            client_id,
            project_id,
            author_kind,
            author_id,
            body: Some(body.clone()),
            status: NoteStatus::default().after(change),
            edited_at: None,
            engagement_id,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Added { .. } => {}
            E::Edited { body } => (self.body, self.edited_at) = (Some(body.clone()), Some(event.recorded_at)),
            E::Deleted {} => self.body = None,
        }
        Ok(())
    }
}
