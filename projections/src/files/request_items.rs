//! Items of requests for files.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::files_events::{FileRequestEvent as E, FileRequestId, RequestItemId, RequestItemStatus};
use kernel::{ClientId, FileId, Machine, Name, ProjectId, Text, read_model};
use uuid::Uuid;

/// Single things that clients are asked for, and what was handed in for them.
#[read_model(
    "files.request_items",
    id = RequestItemId,
    read = "files.request_item.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(asked_client_id), project(asked_project_id)),
    part_of(file_request_id, "files.file_requests")
)]
pub struct RequestItemRow {
    /// The request.
    #[column(filter)]
    pub file_request_id: FileRequestId,
    /// What is asked for.
    pub name: Name,
    /// What exactly is wanted.
    pub description: Option<Text>,
    /// Is the request incomplete without it?
    pub required: bool,
    /// Where it stands.
    #[column(filter)]
    pub status: RequestItemStatus,
    /// What was handed in last.
    #[column(filter)]
    pub file_id: Option<FileId>,
    /// Why that will not do.
    pub reason: Option<Text>,
    /// The client once it was asked: whoever sees some clients' records only sees the item from then on.
    #[column(filter)]
    pub asked_client_id: Option<ClientId>,
    /// The same for the project.
    #[column(filter)]
    pub asked_project_id: Option<ProjectId>,
}

impl Fold for RequestItemRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::Created { request_items, .. } => request_items.iter().map(|item| item.id.0).collect(),
            E::ItemAdded { request_item, .. } => vec![request_item.id.0],
            E::Sent { request_item_ids, .. } => request_item_ids.iter().map(|id| id.0).collect(),
            E::ItemSubmitted { request_item_id, .. }
            | E::ItemAccepted { request_item_id }
            | E::ItemRejected { request_item_id, .. } => vec![request_item_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let (item, asked) = match change {
            E::Created { request_items, .. } => {
                (request_items.iter().find(|item| item.id.0 == event.row)?, (None, None))
            }
            E::ItemAdded { request_item, client_id, project_id } => (request_item, (*client_id, *project_id)),
            _ => return None,
        };
        Some(Self {
            file_request_id: FileRequestId(event.aggregate_id),
            name: item.name.clone(),
            description: item.description.clone(),
            required: item.required,
            status: RequestItemStatus::default(),
            file_id: None,
            reason: None,
            asked_client_id: asked.0,
            asked_project_id: asked.1,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Sent { client_id, project_id, .. } => {
                (self.asked_client_id, self.asked_project_id) = (Some(*client_id), *project_id);
            }
            E::ItemSubmitted { file_id, .. } => (self.file_id, self.reason) = (Some(*file_id), None),
            E::ItemRejected { reason, .. } => self.reason = Some(reason.clone()),
            // Everything else moves the status alone, or is the request's, see `keys`.
            _ => {}
        }
        Ok(())
    }
}
