//! Tasks of projects as boards and lists show them.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::projects_events::{MilestoneId, Priority, ProjectEvent as E, TaskId, TaskStatus};
use chrono::{DateTime, Utc};
use kernel::{Date, Machine, Name, ProjectId, Slug, Text, UserId, read_model};
use uuid::Uuid;

/// Tasks of projects.
#[read_model(
    "projects.tasks",
    id = TaskId,
    read = "projects.task.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(
        project(project_id),
        client_of(project_id, "projects.projects"),
        engagement_of(project_id, "projects.projects"),
        user(assignee_id)
    ),
    away(project_id, "projects.projects"),
    part_of(project_id, "projects.projects")
)]
pub struct TaskRow {
    /// The project.
    #[column(filter)]
    pub project_id: ProjectId,
    /// The milestone it leads to.
    #[column(filter)]
    pub milestone_id: Option<MilestoneId>,
    /// What is to be done.
    #[column(filter, sort)]
    pub title: Name,
    /// How it is done.
    pub description: Option<Text>,
    /// Where it stands.
    #[column(filter)]
    pub status: TaskStatus,
    /// When it is due.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// Which role does it.
    #[column(filter)]
    pub role: Option<Slug>,
    /// Who does it.
    #[column(filter)]
    pub assignee_id: Option<UserId>,
    /// What stands in its way.
    pub blocked_reason: Option<Text>,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
    /// How soon it is wanted.
    #[column(filter)]
    pub priority: Priority,
}

impl Fold for TaskRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::Created { tasks, .. } => tasks.iter().map(|task| task.id.0).collect(),
            E::TaskCreated { task } => vec![task.id.0],
            E::TaskAssigned { task_id, .. }
            | E::TaskStarted { task_id }
            | E::TaskBlocked { task_id, .. }
            | E::TaskCompleted { task_id, .. }
            | E::TaskReopened { task_id }
            | E::TaskCancelled { task_id }
            | E::TaskDescribed { task_id, .. }
            | E::TaskPrioritised { task_id, .. } => vec![task_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let new = match change {
            E::Created { tasks, .. } => tasks.iter().find(|new| new.id.0 == event.row)?,
            E::TaskCreated { task } => task,
            _ => return None,
        };
        let new = new.clone();
        Some(Self {
            project_id: ProjectId(event.aggregate_id),
            milestone_id: new.milestone_id,
            title: new.title,
            description: new.description,
            status: TaskStatus::default(),
            due_on: new.due_on,
            role: new.role,
            assignee_id: new.assignee_id,
            blocked_reason: None,
            completed_at: None,
            priority: new.priority,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        let before = self.status;
        self.status = before.after(change);
        if self.status != before {
            // Another status ends what the one before said.
            (self.blocked_reason, self.completed_at) = (None, None);
        }
        match change {
            E::TaskAssigned { assignee_id, .. } => self.assignee_id = Some(*assignee_id),
            E::TaskBlocked { reason, .. } => self.blocked_reason = Some(reason.clone()),
            E::TaskCompleted { .. } => self.completed_at = Some(event.recorded_at),
            E::TaskDescribed { description, .. } => self.description = description.clone(),
            E::TaskPrioritised { priority, .. } => self.priority = *priority,
            // Everything else is about the project or its milestones, see `keys`, or moves the status alone.
            _ => {}
        }
        Ok(())
    }
}
