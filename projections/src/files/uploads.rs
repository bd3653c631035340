//! Uploads: what is on its way, in quarantine, or came to nothing, and why.

use super::files::bytes;
use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::files_events::{FileEvent as E, RejectReason, UploadId, UploadStatus};
use chrono::{DateTime, Utc};
use kernel::{Checksum, FileId, Machine, MediaType, Text, read_model};
use uuid::Uuid;

/// Uploads of files, those in quarantine and those that came to nothing included. They are tied to no client, so whoever sees some
/// clients' records only sees none of them.
#[read_model(
    "files.uploads",
    id = UploadId,
    read = "files.upload.read",
    created_at(filter),
    updated_at(filter, sort)
)]
pub struct UploadRow {
    /// The file.
    #[column(filter)]
    pub file_id: FileId,
    /// Where it stands.
    #[column(filter)]
    pub status: UploadStatus,
    /// How many bytes were announced.
    pub size: i64,
    /// What they are said to be.
    pub content_type: MediaType,
    /// What they are said to hash to.
    pub sha256: Checksum,
    /// Bytes of each part but the last, if it comes in parts.
    pub part_size: Option<i64>,
    /// When it is given up unless it is completed.
    #[column(filter)]
    pub expires_at: DateTime<Utc>,
    /// Why it was refused.
    #[column(filter)]
    pub reason: Option<RejectReason>,
    /// The same in words, or what the scanner calls what it found.
    pub detail: Option<Text>,
}

impl Fold for UploadRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::UploadBegun { upload_id, .. }
            | E::UploadPrepared { upload_id, .. }
            | E::UploadCompleted { upload_id, .. }
            | E::UploadAccepted { upload_id }
            | E::UploadRejected { upload_id, .. }
            | E::UploadInfected { upload_id, .. }
            | E::UploadAborted { upload_id, .. }
            | E::UploadExpired { upload_id, .. } => vec![upload_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::UploadBegun { announced, expires_at, .. } = change else { return None };
        Some(Self {
            file_id: FileId(event.aggregate_id),
            status: UploadStatus::default(),
            size: bytes(announced.size),
            content_type: announced.content_type.clone(),
            sha256: announced.sha256.clone(),
            part_size: announced.part_size.map(bytes),
            expires_at: expires_at.utc(),
            reason: None,
            detail: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::UploadRejected { reason, detail, .. } => {
                (self.reason, self.detail) = (Some(*reason), Some(detail.clone()));
            }
            E::UploadInfected { signature, .. } => self.detail = Some(signature.clone()),
            // Everything else moves the status alone, or is no upload's, see `keys`.
            _ => {}
        }
        Ok(())
    }
}
