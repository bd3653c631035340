//! Projects as boards and lists show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::projects_events::{ProjectEvent as E, ProjectStatus};
use chrono::{DateTime, Utc};
use kernel::{Archivable, ClientId, Date, Machine, Name, ProjectId, Slug, Text, read_model};

/// Projects.
#[read_model(
    "projects.projects",
    id = ProjectId,
    read = "projects.project.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), project(id)),
    away(archived)
)]
pub struct ProjectRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// For whom.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The template it was made from.
    #[column(filter)]
    pub template: Option<Slug>,
    /// Where it stands.
    #[column(filter)]
    pub status: ProjectStatus,
    /// Its first day.
    #[column(filter, sort)]
    pub starts_on: Date,
    /// Why it pauses or was given up.
    pub reason: Option<Text>,
    /// How many milestones it has.
    pub milestone_count: u32,
    /// How many tasks it has, cancelled ones included.
    pub task_count: u32,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
    /// Taken out of the lists.
    pub archived: Archivable,
}

impl Fold for ProjectRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, client_id, template, starts_on, milestones, tasks } = change else { return None };
        Some(Self {
            name: name.clone(),
            client_id: *client_id,
            template: template.clone(),
            status: ProjectStatus::default().after(change),
            starts_on: *starts_on,
            reason: None,
            milestone_count: u32::try_from(milestones.len()).unwrap_or(u32::MAX),
            task_count: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
            completed_at: None,
            archived: Archivable::default(),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        self.archived = self.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::Activated {} => self.reason = None,
            E::Held { reason } | E::Cancelled { reason } => self.reason = reason.clone(),
            E::Completed {} => self.completed_at = Some(event.recorded_at),
            E::Archived {} | E::Restored {} => {}
            E::MilestoneCreated { .. } => self.milestone_count += 1,
            E::TaskCreated { .. } => self.task_count += 1,
            // The version and the time of the project move on with its parts.
            E::MilestoneCompleted { .. }
            | E::MilestoneAccepted { .. }
            | E::TaskAssigned { .. }
            | E::TaskStarted { .. }
            | E::TaskBlocked { .. }
            | E::TaskCompleted { .. }
            | E::TaskReopened { .. }
            | E::TaskCancelled { .. } => {}
        }
        Ok(())
    }
}
