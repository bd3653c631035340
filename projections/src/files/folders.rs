//! Folder trees: one row per root, with its subfolders.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::files_events::{FolderEvent as E, FolderId, Subfolder};
use kernel::{Archivable, ClientId, FolderName, Machine, ProjectId, Slug, read_model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Folder trees, each with all its subfolders.
#[read_model(
    "files.folders",
    id = FolderId,
    read = "files.folder.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), project(project_id)),
    away(archived)
)]
pub struct FolderRow {
    /// The root's name.
    #[column(filter, sort)]
    pub name: Shown<FolderName>,
    /// Whose papers it holds.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// Which project's papers it holds.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// The template it was made from.
    #[column(filter)]
    pub template: Option<Slug>,
    /// The folders below the root; parents come before children they were made with.
    pub subfolders: Vec<SubfolderRow>,
    /// Taken out of the lists.
    pub archived: Archivable,
}

impl Fold for FolderRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, client_id, project_id, template, subfolders } = change else { return None };
        Some(Self {
            name: name.into(),
            client_id: *client_id,
            project_id: *project_id,
            template: template.clone(),
            subfolders: subfolders.iter().map(SubfolderRow::from).collect(),
            archived: Archivable::default(),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.archived = self.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::SubfolderAdded { subfolder } => self.subfolders.push(subfolder.into()),
            E::Renamed { folder_id, name } if folder_id.0 == event.row => self.name = name.into(),
            E::Renamed { folder_id, name } => self.subfolder(*folder_id, event)?.name = name.into(),
            E::SubfolderMoved { folder_id, parent_id } => self.subfolder(*folder_id, event)?.parent_id = *parent_id,
            E::Archived {} | E::Restored {} => {}
        }
        Ok(())
    }
}

impl FolderRow {
    fn subfolder(&mut self, id: FolderId, event: Envelope<'_>) -> Result<&mut SubfolderRow, FoldError> {
        let found = self.subfolders.iter_mut().find(|folder| folder.id == id);
        found.ok_or_else(|| FoldError(format!("{} of a subfolder {id} that does not exist", event.event_type)))
    }
}
