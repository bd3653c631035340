//! Project templates as whoever chooses one sees them.

use crate::model::{Away, Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Machine, Name, ProjectTemplateId, Retirable, Slug};
use projects_events::{ProjectTemplateEvent as E, TemplateMilestone, TemplateTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A project skeleton to copy from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectTemplateRow {
    /// Its id.
    pub id: ProjectTemplateId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What definitions call it.
    pub key: Slug,
    /// What people call it.
    pub name: Name,
    /// Its milestones.
    pub milestones: Vec<TemplateMilestone>,
    /// Its tasks.
    pub tasks: Vec<TemplateTask>,
    /// No new projects are made from it.
    pub retired: Retirable,
}

impl ReadModel for ProjectTemplateRow {
    const TABLE: &'static str = "projects.project_templates";
    const STREAMS: &'static [&'static str] = &["projects.project_template"];
    const PATH: &'static str = "projects/project-templates";
    const READ: &'static str = "projects.project_template.read";
    const ABOUT: &'static str = "Project skeletons to copy from.";
    const FILTER: &'static [&'static str] = &["key", "name"];
    const AWAY: Option<Away> = Some(Away::Column("retired"));
    const SORT: &'static [&'static str] = &["key", "name", "created_at", "updated_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::ProjectTemplate(change) = &event.payload else { return Ok(row) };
        if let E::Defined { key: slug, name, milestones, tasks } = change {
            return Ok(Some(Self {
                id: ProjectTemplateId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                key: slug.clone(),
                name: name.clone(),
                milestones: milestones.clone(),
                tasks: tasks.clone(),
                retired: Retirable::default(),
            }));
        }
        let mut row = existing(row, event)?;
        row.retired = row.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { name, milestones, tasks } => {
                row.name = name.clone();
                row.milestones = milestones.clone();
                row.tasks = tasks.clone();
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
