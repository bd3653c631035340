//! What clients are asked to do: portal users see what their client is asked, and the firm sees all of it.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::portal_events::{ClientTaskEvent as E, ClientTaskId, ClientTaskStatus};
use chrono::{DateTime, Utc};
use kernel::{ClientId, Date, Machine, Name, Personal, PortalUserId, ProjectId, Text, read_model};

/// What clients are asked to do.
#[read_model(
    "portal.client_tasks",
    id = ClientTaskId,
    read = "portal.client_task.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), project(project_id), portal_user(portal_user_id)),
    away(status = "withdrawn")
)]
pub struct ClientTaskRow {
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// Who there; anybody if none.
    #[column(filter)]
    pub portal_user_id: Option<PortalUserId>,
    /// The project that it is for.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// What is to be done.
    #[column(filter, sort)]
    pub title: Name,
    /// How.
    pub description: Option<Text>,
    /// When it is due.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// Where it stands.
    #[column(filter)]
    pub status: ClientTaskStatus,
    /// What the client said of it last.
    pub note: Option<Personal<Text>>,
    /// What was wrong with it, while the client is to do it again.
    pub return_reason: Option<Text>,
    /// When the client last said that it is done.
    pub submitted_at: Option<DateTime<Utc>>,
}

impl Fold for ClientTaskRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Assigned { client_id, portal_user_id, project_id, title, description, due_on } = change else {
            return None;
        };
        Some(Self {
            client_id: *client_id,
            portal_user_id: *portal_user_id,
            project_id: *project_id,
            title: title.clone(),
            description: description.clone(),
            due_on: *due_on,
            status: ClientTaskStatus::default().after(change),
            note: None,
            return_reason: None,
            submitted_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Assigned { .. } => {}
            E::Revised { title, description, due_on } => {
                (self.title, self.description, self.due_on) = (title.clone(), description.clone(), *due_on);
            }
            E::Submitted { note } => {
                (self.note, self.return_reason) = (note.clone(), None);
                self.submitted_at = Some(event.recorded_at);
            }
            E::Returned { reason } => self.return_reason = Some(reason.clone()),
            E::Accepted {} | E::Completed {} | E::Withdrawn {} => {}
        }
        Ok(())
    }
}
