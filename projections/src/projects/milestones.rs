//! Milestones of projects.

use crate::model::{Away, Event, FoldError, PartOf, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Date, Machine, MilestoneId, Name, ProjectId};
use projects_events::{MilestoneStatus, NewMilestone, ProjectEvent as E};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A milestone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneRow {
    /// Its id.
    pub id: MilestoneId,
    /// The project's version when it changed last.
    pub version: i64,
    /// When it was put into the project.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The project.
    pub project_id: ProjectId,
    /// What it is called.
    pub name: Name,
    /// Where it stands.
    pub status: MilestoneStatus,
    /// When it is due.
    pub due_on: Option<Date>,
    /// When it was reached.
    pub completed_at: Option<DateTime<Utc>>,
}

impl ReadModel for MilestoneRow {
    const TABLE: &'static str = "projects.milestones";
    const STREAMS: &'static [&'static str] = &["projects.project"];
    const PATH: &'static str = "projects/milestones";
    const READ: &'static str = "projects.milestone.read";
    const ABOUT: &'static str = "Milestones of projects.";
    const PART_OF: Option<PartOf> = Some(PartOf { column: "project_id", table: "projects.projects" });
    const FILTER: &'static [&'static str] = &["name", "project_id", "status", "due_on", "created_at", "updated_at"];
    const AWAY: Option<Away> = Some(Away::Of { column: "project_id", table: "projects.projects" });
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];
    const TIES: &'static [Tie] =
        &[Tie::Project("project_id"), Tie::ClientOf { column: "project_id", table: "projects.projects" }];

    fn keys(event: &Event) -> Vec<Uuid> {
        let AnyEvent::Project(change) = &event.payload else { return vec![] };
        match change {
            E::Created { milestones, .. } => milestones.iter().map(|milestone| milestone.id.0).collect(),
            E::MilestoneCreated { milestone } => vec![milestone.id.0],
            E::MilestoneCompleted { milestone_id, .. } | E::MilestoneAccepted { milestone_id } => vec![milestone_id.0],
            _ => vec![],
        }
    }

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Project(change) = &event.payload else { return Ok(row) };
        match change {
            E::Created { milestones, .. } => {
                return Ok(milestones.iter().find(|new| new.id.0 == key).map(|new| Self::new(new, event)));
            }
            E::MilestoneCreated { milestone } => return Ok(Some(Self::new(milestone, event))),
            _ => {}
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        // Everything else is about the project or its tasks, see `keys`, or moves the status alone.
        if let E::MilestoneCompleted { .. } = change {
            row.completed_at = Some(event.recorded_at);
        }
        Ok(Some(row))
    }

    stamped!();
}

impl MilestoneRow {
    fn new(new: &NewMilestone, event: &Event) -> Self {
        Self {
            id: new.id,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            project_id: ProjectId(event.aggregate_id),
            name: new.name.clone(),
            status: MilestoneStatus::default(),
            due_on: new.due_on,
            completed_at: None,
        }
    }
}
