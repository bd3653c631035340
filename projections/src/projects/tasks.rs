//! Tasks of projects as boards and lists show them.

use crate::model::{Away, Event, FoldError, PartOf, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Date, Machine, MilestoneId, Name, ProjectId, Slug, TaskId, Text, UserId};
use projects_events::{NewTask, ProjectEvent as E, TaskStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// The project's version when it changed last.
    pub version: i64,
    /// When it was put into the project.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The project.
    pub project_id: ProjectId,
    /// The milestone it leads to.
    pub milestone_id: Option<MilestoneId>,
    /// What is to be done.
    pub title: Name,
    /// How it is done.
    pub description: Option<Text>,
    /// Where it stands.
    pub status: TaskStatus,
    /// When it is due.
    pub due_on: Option<Date>,
    /// Which role does it.
    pub role: Option<Slug>,
    /// Who does it.
    pub assignee_id: Option<UserId>,
    /// What stands in its way.
    pub blocked_reason: Option<Text>,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
}

impl ReadModel for TaskRow {
    const TABLE: &'static str = "projects.tasks";
    const STREAMS: &'static [&'static str] = &["projects.project"];
    const PATH: &'static str = "projects/tasks";
    const READ: &'static str = "projects.task.read";
    const ABOUT: &'static str = "Tasks of projects.";
    const PART_OF: Option<PartOf> = Some(PartOf { column: "project_id", table: "projects.projects" });
    const FILTER: &'static [&'static str] =
        &["title", "project_id", "milestone_id", "status", "role", "assignee_id", "due_on", "created_at", "updated_at"];
    const AWAY: Option<Away> = Some(Away::Of { column: "project_id", table: "projects.projects" });
    const SORT: &'static [&'static str] = &["title", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[
        Tie::Project("project_id"),
        Tie::ClientOf { column: "project_id", table: "projects.projects" },
        Tie::User("assignee_id"),
    ];

    fn keys(event: &Event) -> Vec<Uuid> {
        let AnyEvent::Project(change) = &event.payload else { return vec![] };
        match change {
            E::Created { tasks, .. } => tasks.iter().map(|task| task.id.0).collect(),
            E::TaskCreated { task } => vec![task.id.0],
            E::TaskAssigned { task_id, .. }
            | E::TaskStarted { task_id }
            | E::TaskBlocked { task_id, .. }
            | E::TaskCompleted { task_id, .. }
            | E::TaskReopened { task_id }
            | E::TaskCancelled { task_id } => vec![task_id.0],
            _ => vec![],
        }
    }

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Project(change) = &event.payload else { return Ok(row) };
        match change {
            E::Created { tasks, .. } => {
                return Ok(tasks.iter().find(|new| new.id.0 == key).map(|new| Self::new(new, event)));
            }
            E::TaskCreated { task } => return Ok(Some(Self::new(task, event))),
            _ => {}
        }
        let mut row = existing(row, event)?;
        let before = row.status;
        row.status = before.after(change);
        if row.status != before {
            // Another status ends what the one before said.
            (row.blocked_reason, row.completed_at) = (None, None);
        }
        match change {
            E::TaskAssigned { assignee_id, .. } => row.assignee_id = Some(*assignee_id),
            E::TaskBlocked { reason, .. } => row.blocked_reason = Some(reason.clone()),
            E::TaskCompleted { .. } => row.completed_at = Some(event.recorded_at),
            // Everything else is about the project or its milestones, see `keys`, or moves the status alone.
            _ => {}
        }
        Ok(Some(row))
    }

    stamped!();
}

impl TaskRow {
    fn new(new: &NewTask, event: &Event) -> Self {
        let new = new.clone();
        Self {
            id: new.id,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
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
        }
    }
}
