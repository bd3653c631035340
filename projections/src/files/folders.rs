//! Folder trees: one row per root, with its subfolders.

use crate::model::{Away, Event, FoldError, ReadModel, Shown, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use files_events::{FolderEvent as E, Subfolder};
use kernel::{Archivable, ClientId, FolderId, FolderName, Machine, ProjectId, Slug};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A folder inside a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubfolderRow {
    /// Its id.
    pub id: FolderId,
    /// The folder it lies in.
    pub parent_id: FolderId,
    /// Its name.
    pub name: Shown<FolderName>,
}

impl From<&Subfolder> for SubfolderRow {
    fn from(folder: &Subfolder) -> Self {
        Self { id: folder.id, parent_id: folder.parent_id, name: Shown::of(folder.name.clone()) }
    }
}

/// A folder tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FolderRow {
    /// Its id.
    pub id: FolderId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The root's name.
    pub name: Shown<FolderName>,
    /// Whose papers it holds.
    pub client_id: Option<ClientId>,
    /// Which project's papers it holds.
    pub project_id: Option<ProjectId>,
    /// The template it was made from.
    pub template: Option<Slug>,
    /// The folders below the root; parents come before children they were made with.
    pub subfolders: Vec<SubfolderRow>,
    /// Taken out of the lists.
    pub archived: Archivable,
}

impl ReadModel for FolderRow {
    const TABLE: &'static str = "files.folders";
    const STREAMS: &'static [&'static str] = &["files.folder"];
    const PATH: &'static str = "files/folders";
    const READ: &'static str = "files.folder.read";
    const ABOUT: &'static str = "Folder trees, each with all its subfolders.";
    const FILTER: &'static [&'static str] =
        &["name", "client_id", "project_id", "template", "created_at", "updated_at"];
    const AWAY: Option<Away> = Some(Away::Column("archived"));
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::Client("client_id"), Tie::Project("project_id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Folder(change) = &event.payload else { return Ok(row) };
        if let E::Created { name, client_id, project_id, template, subfolders } = change {
            return Ok(Some(Self {
                id: FolderId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.into(),
                client_id: *client_id,
                project_id: *project_id,
                template: template.clone(),
                subfolders: subfolders.iter().map(SubfolderRow::from).collect(),
                archived: Archivable::default(),
            }));
        }
        let mut row = existing(row, event)?;
        row.archived = row.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::SubfolderAdded { subfolder } => row.subfolders.push(subfolder.into()),
            E::Renamed { folder_id, name } if *folder_id == row.id => row.name = name.into(),
            E::Renamed { folder_id, name } => row.subfolder(*folder_id, event)?.name = name.into(),
            E::SubfolderMoved { folder_id, parent_id } => row.subfolder(*folder_id, event)?.parent_id = *parent_id,
            E::Archived {} | E::Restored {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}

impl FolderRow {
    fn subfolder(&mut self, id: FolderId, event: &Event) -> Result<&mut SubfolderRow, FoldError> {
        let found = self.subfolders.iter_mut().find(|folder| folder.id == id);
        found.ok_or_else(|| FoldError(format!("{} of a subfolder {id} that does not exist", event.event_type)))
    }
}
