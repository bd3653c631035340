//! Versions of files.

use super::files::bytes;
use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::files_events::{FileEvent as E, FileVersionId};
use kernel::{Checksum, ClientId, FileId, MediaType, ProjectId, read_model};
use uuid::Uuid;

/// Versions of files, each of which can be downloaded.
#[read_model(
    "files.file_versions",
    id = FileVersionId,
    read = "files.file_version.read",
    created_at(filter),
    ties(client(client_id), project(project_id)),
    part_of(file_id, "files.files")
)]
pub struct FileVersionRow {
    /// The file.
    #[column(filter)]
    pub file_id: FileId,
    /// Which of the file's, from 1.
    pub number: u32,
    /// How many bytes it has.
    pub size: i64,
    /// What it is.
    pub content_type: MediaType,
    /// What it hashes to.
    #[column(filter)]
    pub sha256: Checksum,
    /// Whose the file is.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// Which project's it is.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
}

impl Fold for FileVersionRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::VersionAdded { version_id, .. } => vec![version_id.0],
            E::Attached { version_ids, .. } => version_ids.iter().map(|id| id.0).collect(),
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::VersionAdded { number, size, content_type, sha256, client_id, project_id, .. } = change else {
            return None;
        };
        Some(Self {
            file_id: FileId(event.aggregate_id),
            number: *number,
            size: bytes(*size),
            content_type: content_type.clone(),
            sha256: sha256.clone(),
            client_id: *client_id,
            project_id: *project_id,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        if let E::Attached { project_id, .. } = change {
            self.project_id = Some(*project_id);
        }
        Ok(())
    }
}
