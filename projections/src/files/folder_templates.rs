//! Folder templates as whoever chooses one sees them.

use crate::model::{Away, Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use files_events::{FolderTemplateEvent as E, TemplatePath};
use kernel::{FolderName, FolderTemplateId, Machine, Retirable, Slug};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A tree of folders to copy from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FolderTemplateRow {
    /// Its id.
    pub id: FolderTemplateId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What definitions call it.
    pub key: Slug,
    /// What people call it.
    pub name: FolderName,
    /// The subfolders, each by its path.
    pub paths: Vec<TemplatePath>,
    /// No new folders are made from it.
    pub retired: Retirable,
}

impl ReadModel for FolderTemplateRow {
    const TABLE: &'static str = "files.folder_templates";
    const STREAMS: &'static [&'static str] = &["files.folder_template"];
    const PATH: &'static str = "files/folder-templates";
    const READ: &'static str = "files.folder_template.read";
    const ABOUT: &'static str = "Trees of folders to copy from.";
    const FILTER: &'static [&'static str] = &["key", "name"];
    const AWAY: Option<Away> = Some(Away::Column("retired"));
    const SORT: &'static [&'static str] = &["key", "name", "created_at", "updated_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::FolderTemplate(change) = &event.payload else { return Ok(row) };
        if let E::Defined { key: slug, name, paths } = change {
            return Ok(Some(Self {
                id: FolderTemplateId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                key: slug.clone(),
                name: name.clone(),
                paths: paths.clone(),
                retired: Retirable::default(),
            }));
        }
        let mut row = existing(row, event)?;
        row.retired = row.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { name, paths } => {
                row.name = name.clone();
                row.paths = paths.clone();
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
