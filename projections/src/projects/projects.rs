//! Projects as boards and lists show them.

use crate::model::{Away, Event, FoldError, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Archivable, ClientId, Date, Machine, Name, ProjectId, Slug, Text};
use projects_events::{ProjectEvent as E, ProjectStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A project; its milestones and tasks have tables of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectRow {
    /// Its id.
    pub id: ProjectId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// For whom.
    pub client_id: Option<ClientId>,
    /// The template it was made from.
    pub template: Option<Slug>,
    /// Where it stands.
    pub status: ProjectStatus,
    /// Its first day.
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

impl ReadModel for ProjectRow {
    const TABLE: &'static str = "projects.projects";
    const STREAMS: &'static [&'static str] = &["projects.project"];
    const PATH: &'static str = "projects/projects";
    const READ: &'static str = "projects.project.read";
    const ABOUT: &'static str = "Projects.";
    const FILTER: &'static [&'static str] =
        &["name", "client_id", "template", "status", "starts_on", "created_at", "updated_at"];
    const AWAY: Option<Away> = Some(Away::Column("archived"));
    const SORT: &'static [&'static str] = &["name", "starts_on", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::Client("client_id"), Tie::Project("id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Project(change) = &event.payload else { return Ok(row) };
        if let E::Created { name, client_id, template, starts_on, milestones, tasks } = change {
            return Ok(Some(Self {
                id: ProjectId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
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
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        row.archived = row.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => row.name = name.clone(),
            E::Activated {} => row.reason = None,
            E::Held { reason } | E::Cancelled { reason } => row.reason = reason.clone(),
            E::Completed {} => row.completed_at = Some(event.recorded_at),
            E::Archived {} | E::Restored {} => {}
            E::MilestoneCreated { .. } => row.milestone_count += 1,
            E::TaskCreated { .. } => row.task_count += 1,
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
        Ok(Some(row))
    }

    stamped!();
}
