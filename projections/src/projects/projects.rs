//! Projects as boards and lists show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::projects_events::{Priority, ProjectEvent as E, ProjectStatus};
use chrono::{DateTime, Utc};
use kernel::{Archivable, ClientId, Date, EngagementId, Machine, Name, ProjectId, Slug, Text, read_model};

/// Projects.
#[read_model(
    "projects.projects",
    id = ProjectId,
    read = "projects.project.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), engagement(engagement_id), project(id)),
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
    /// The engagement that it is a part of.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// What it is about.
    pub description: Option<Text>,
    /// How soon it is wanted.
    #[column(filter)]
    pub priority: Priority,
}

impl Fold for ProjectRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created {
            name,
            client_id,
            template,
            starts_on,
            milestones,
            tasks,
            engagement_id,
            description,
            priority,
        } = change
        else {
            return None;
        };
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
            engagement_id: *engagement_id,
            description: description.clone(),
            priority: *priority,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        self.archived = self.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::Described { description } => self.description = description.clone(),
            E::Prioritised { priority } => self.priority = *priority,
            E::LinkedToEngagement { engagement_id } => self.engagement_id = Some(*engagement_id),
            E::UnlinkedFromEngagement { .. } => self.engagement_id = None,
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
            | E::TaskCancelled { .. }
            | E::TaskDescribed { .. }
            | E::TaskPrioritised { .. } => {}
            // What time costs and comes to is in the table of budgets.
            E::RatesSet { .. } | E::BudgetSet { .. } | E::UnbilledThresholdSet { .. } => {}
            E::TimeSpent { .. } | E::TimeTakenBack { .. } | E::TimeBilled { .. } | E::TimeUnbilled { .. } => {}
            E::BudgetThresholdReached { .. } | E::TimeThresholdReached { .. } => {}
        }
        Ok(())
    }
}
