//! Requests for files.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::files_events::{FileRequestEvent as E, FileRequestId, FileRequestStatus, FolderId};
use chrono::{DateTime, Utc};
use kernel::{ClientId, Date, Machine, Name, ProjectId, Text, read_model};
use uuid::Uuid;

/// What clients are asked for.
#[read_model(
    "files.file_requests",
    id = FileRequestId,
    read = "files.file_request.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(asked_client_id), project(asked_project_id))
)]
pub struct FileRequestRow {
    /// What it is called.
    #[column(filter, sort)]
    pub title: Name,
    /// Who is asked.
    #[column(filter)]
    pub client_id: ClientId,
    /// For which project.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// The tree of folders that the files are for, by its root.
    #[column(filter)]
    pub folder_id: Option<FolderId>,
    /// What is said to the client.
    pub message: Option<Text>,
    /// The last day on which it is in time.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// Where it stands.
    #[column(filter)]
    pub status: FileRequestStatus,
    /// When the client was asked.
    pub sent_at: Option<DateTime<Utc>>,
    /// When all that is required was there for the last time.
    pub completed_at: Option<DateTime<Utc>>,
    /// When the client was asked once more.
    pub reminded_at: Option<DateTime<Utc>>,
    /// The client once it was asked: whoever sees some clients' records only sees the request from then on.
    #[column(filter)]
    pub asked_client_id: Option<ClientId>,
    /// The same for the project.
    #[column(filter)]
    pub asked_project_id: Option<ProjectId>,
}

impl Fold for FileRequestRow {
    type Event = E;

    fn keys(_: &E, event: &Event) -> Vec<Uuid> {
        vec![event.aggregate_id]
    }

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { title, client_id, project_id, folder_id, message, due_on, request_items: _ } = change else {
            return None;
        };
        Some(Self {
            title: title.clone(),
            client_id: *client_id,
            project_id: *project_id,
            folder_id: *folder_id,
            message: message.clone(),
            due_on: *due_on,
            status: FileRequestStatus::default(),
            sent_at: None,
            completed_at: None,
            reminded_at: None,
            asked_client_id: None,
            asked_project_id: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Sent { client_id, project_id, .. } => {
                self.sent_at = Some(event.recorded_at);
                (self.asked_client_id, self.asked_project_id) = (Some(*client_id), *project_id);
            }
            E::Completed { .. } => self.completed_at = Some(event.recorded_at),
            E::Reopened {} => self.completed_at = None,
            E::Reminded { .. } => self.reminded_at = Some(event.recorded_at),
            E::DueDateChanged { due_on } => self.due_on = *due_on,
            E::Created { .. }
            | E::ItemAdded { .. }
            | E::ItemSubmitted { .. }
            | E::ItemAccepted { .. }
            | E::ItemRejected { .. }
            | E::Closed {}
            | E::Expired {}
            | E::Cancelled { .. } => {}
        }
        Ok(())
    }
}
