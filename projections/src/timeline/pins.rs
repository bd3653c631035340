//! Pins in timelines.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::timeline_events::{PinEvent as E, PinId, PinStatus};
use kernel::{ClientId, Machine, ProjectId, read_model};
use uuid::Uuid;

/// Entries of timelines that are kept in sight.
#[read_model(
    "timeline.pins",
    id = PinId,
    read = "timeline.pin.read",
    created_at(filter),
    ties(staff_client(client_id), project(project_id)),
    away(status = "removed")
)]
pub struct PinRow {
    /// The entry of the timeline: an event's id.
    #[column(filter)]
    pub entry_id: Uuid,
    /// The client on whose timeline it is pinned.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The project on whose timeline it is pinned.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// Where it stands.
    #[column(filter)]
    pub status: PinStatus,
}

impl Fold for PinRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Placed { entry_id, client_id, project_id } = change else { return None };
        let status = PinStatus::default().after(change);
        Some(Self { entry_id: *entry_id, client_id: *client_id, project_id: *project_id, status })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        Ok(())
    }
}
