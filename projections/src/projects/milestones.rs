//! Milestones of projects.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::projects_events::{MilestoneId, MilestoneStatus, ProjectEvent as E};
use chrono::{DateTime, Utc};
use kernel::{Date, Machine, Name, ProjectId, read_model};
use uuid::Uuid;

/// Milestones of projects.
#[read_model(
    "projects.milestones",
    id = MilestoneId,
    read = "projects.milestone.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(
        project(project_id),
        client_of(project_id, "projects.projects"),
        engagement_of(project_id, "projects.projects")
    ),
    away(project_id, "projects.projects"),
    part_of(project_id, "projects.projects")
)]
pub struct MilestoneRow {
    /// The project.
    #[column(filter)]
    pub project_id: ProjectId,
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// Where it stands.
    #[column(filter)]
    pub status: MilestoneStatus,
    /// When it is due.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// When it was reached.
    pub completed_at: Option<DateTime<Utc>>,
}

impl Fold for MilestoneRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::Created { milestones, .. } => milestones.iter().map(|milestone| milestone.id.0).collect(),
            E::MilestoneCreated { milestone } => vec![milestone.id.0],
            E::MilestoneCompleted { milestone_id, .. } | E::MilestoneAccepted { milestone_id } => vec![milestone_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let new = match change {
            E::Created { milestones, .. } => milestones.iter().find(|new| new.id.0 == event.row)?,
            E::MilestoneCreated { milestone } => milestone,
            _ => return None,
        };
        Some(Self {
            project_id: ProjectId(event.aggregate_id),
            name: new.name.clone(),
            status: MilestoneStatus::default(),
            due_on: new.due_on,
            completed_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        // Everything else is about the project or its tasks, see `keys`, or moves the status alone.
        if let E::MilestoneCompleted { .. } = change {
            self.completed_at = Some(event.recorded_at);
        }
        Ok(())
    }
}
