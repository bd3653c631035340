//! Files as lists and cards show them, from their first version on.

use crate::model::{Envelope, Event, Fold, FoldError};
use crate::shown::Shown;
use catalogue::files_events::{FileEvent as E, FileStatus, FileVersionId, FolderId};
use kernel::{Checksum, ClientId, FileId, FileName, Machine, MediaType, ProjectId, read_model};
use uuid::Uuid;

/// Files of which a version can be downloaded. What is in quarantine or was refused is none.
#[read_model(
    "files.files",
    id = FileId,
    read = "files.file.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), project(project_id)),
    away(status = "deleted")
)]
pub struct FileRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Shown<FileName>,
    /// The tree of folders that it lies in, by its root.
    #[column(filter)]
    pub folder_id: Option<FolderId>,
    /// The folder of that tree; the root if there is none.
    #[column(filter)]
    pub subfolder_id: Option<FolderId>,
    /// Whose it is.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// Which project's it is.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// Where it stands.
    #[column(filter)]
    pub status: FileStatus,
    /// Its current version.
    pub version_id: FileVersionId,
    /// How many versions it has.
    pub versions: u32,
    /// How many bytes the current one has.
    pub size: i64,
    /// What the current one is.
    #[column(filter)]
    pub content_type: MediaType,
    /// What the current one hashes to.
    #[column(filter)]
    pub sha256: Checksum,
}

impl Fold for FileRow {
    type Event = E;

    /// Before its first version nothing is shown, and nothing can be asked of the file.
    fn keys(change: &E, event: &Event) -> Vec<Uuid> {
        match change {
            E::VersionAdded { .. }
            | E::Renamed { .. }
            | E::Moved { .. }
            | E::Attached { .. }
            | E::Deleted {}
            | E::Restored {} => vec![event.aggregate_id],
            _ => vec![],
        }
    }

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::VersionAdded {
            version_id,
            number,
            name,
            size,
            content_type,
            sha256,
            folder_id,
            subfolder_id,
            client_id,
            project_id,
        } = change
        else {
            return None;
        };
        Some(Self {
            name: name.into(),
            folder_id: *folder_id,
            subfolder_id: *subfolder_id,
            client_id: *client_id,
            project_id: *project_id,
            status: FileStatus::default().after(change),
            version_id: *version_id,
            versions: *number,
            size: bytes(*size),
            content_type: content_type.clone(),
            sha256: sha256.clone(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::VersionAdded { version_id, number, size, content_type, sha256, .. } => {
                (self.version_id, self.versions, self.size) = (*version_id, *number, bytes(*size));
                (self.content_type, self.sha256) = (content_type.clone(), sha256.clone());
            }
            E::Renamed { name } => self.name = name.into(),
            E::Moved { folder_id, subfolder_id } => {
                (self.folder_id, self.subfolder_id) = (*folder_id, *subfolder_id);
            }
            E::Attached { project_id, .. } => self.project_id = Some(*project_id),
            // Everything else moves the status alone, or is about uploads, see `keys`.
            _ => {}
        }
        Ok(())
    }
}

/// No file has as many bytes as do not fit.
pub(super) fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
