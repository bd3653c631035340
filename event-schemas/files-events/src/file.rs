//! What happens to a file, its uploads and its versions.

use crate::FolderId;
use kernel::{
    __json::Value, Checksum, ClientId, Faults, FileName, Input, InvalidValue, Machine, MediaType, Personal, ProjectId,
    Text, Timestamp, event, status,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

use FileEvent as E;

kernel::ids! {
    /// One upload; the version that it becomes has the same id.
    UploadId,
    /// A version of a file; the upload that brought it had the same id.
    FileVersionId,
}

/// Declares numbers of bytes with their bounds.
macro_rules! sizes {
    ($($(#[$doc:meta])* $name:ident = $min:expr, $max:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl Input for $name {
            fn read(value: Value, faults: &mut Faults) -> Option<Self> {
                let read = u64::read(value, faults)?;
                match ($min..=$max).contains(&read) {
                    true => Some(Self(read)),
                    false => faults.refuse(InvalidValue::out_of_range($min, $max)),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "format": "int64", "minimum": $min, "maximum": $max })
            }
        }
    )*};
}

sizes! {
    /// How many bytes a file has, 10 GiB at most.
    FileSize = 0_u64, 10_737_418_240_u64;
    /// How many bytes each part of a file has but the last: what S3 takes, 5 MiB to 5 GiB.
    PartSize = 5_242_880_u64, 5_368_709_120_u64;
}

/// What was announced of a file's bytes before they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Announced {
    /// How many bytes they are.
    pub size: u64,
    /// What they are said to be.
    pub content_type: MediaType,
    /// What they hash to.
    pub sha256: Checksum,
    /// Bytes of each part but the last, if they come in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<u64>,
}

impl Announced {
    /// In how many parts they come; none if in one piece.
    pub fn parts(&self) -> Option<u64> {
        self.part_size.map(|part| self.size.div_ceil(part.max(1)).max(1))
    }

    /// Bytes of a part, counted from 1.
    pub fn bytes_of_part(&self, number: u64) -> u64 {
        let part = self.part_size.unwrap_or(self.size);
        self.size.saturating_sub(part.saturating_mul(number.saturating_sub(1))).min(part)
    }
}

/// Why the bytes that came are no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Nothing came, or it is gone.
    Missing,
    /// The parts that were named are not those that came.
    WrongParts,
    /// They are more or fewer than announced.
    WrongSize,
    /// They hash to something else than announced.
    WrongChecksum,
    /// They are something else than announced.
    WrongType,
}

/// Where a file stands.
#[status]
pub enum FileStatus {
    /// No version of it is there yet.
    #[default]
    Pending,
    /// It can be downloaded.
    Available,
    /// It was deleted, and can be restored.
    Deleted,
}

impl Machine<E> for FileStatus {
    const BEGINS: &'static [&'static str] = &["file.created"];

    fn after(self, event: &E) -> Self {
        match event {
            E::VersionAdded { .. } if self == Self::Pending => Self::Available,
            E::Deleted {} if self == Self::Available => Self::Deleted,
            E::Restored {} if self == Self::Deleted => Self::Available,
            E::Created { .. }
            | E::UploadBegun { .. }
            | E::UploadPrepared { .. }
            | E::UploadCompleted { .. }
            | E::UploadAccepted { .. }
            | E::UploadRejected { .. }
            | E::UploadInfected { .. }
            | E::UploadAborted { .. }
            | E::UploadExpired { .. }
            | E::VersionAdded { .. }
            | E::Renamed { .. }
            | E::Moved { .. }
            | E::Attached { .. }
            | E::Deleted {}
            | E::Restored {} => self,
        }
    }
}

/// Where an upload stands.
#[status]
pub enum UploadStatus {
    /// It was announced; its bytes may come.
    #[default]
    Initiated,
    /// The store expects its parts.
    Uploading,
    /// All of it came; it is in quarantine until it was inspected.
    Completed,
    /// It is a version.
    Accepted,
    /// It is not what was announced.
    Rejected,
    /// It carries something harmful.
    Infected,
    /// It was given up.
    Aborted,
    /// It was not completed in time.
    Expired,
}

impl UploadStatus {
    /// May its bytes still come?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Initiated | Self::Uploading)
    }
}

impl Machine<E> for UploadStatus {
    const BEGINS: &'static [&'static str] = &["upload.begun"];

    fn after(self, event: &E) -> Self {
        match event {
            E::UploadPrepared { .. } if self == Self::Initiated => Self::Uploading,
            E::UploadCompleted { .. } if self.is_open() => Self::Completed,
            E::UploadAborted { .. } if self.is_open() => Self::Aborted,
            E::UploadExpired { .. } if self.is_open() => Self::Expired,
            E::UploadAccepted { .. } if self == Self::Completed => Self::Accepted,
            E::UploadRejected { .. } if self == Self::Completed => Self::Rejected,
            E::UploadInfected { .. } if self == Self::Completed => Self::Infected,
            E::Created { .. }
            | E::UploadBegun { .. }
            | E::UploadPrepared { .. }
            | E::UploadCompleted { .. }
            | E::UploadAccepted { .. }
            | E::UploadRejected { .. }
            | E::UploadInfected { .. }
            | E::UploadAborted { .. }
            | E::UploadExpired { .. }
            | E::VersionAdded { .. }
            | E::Renamed { .. }
            | E::Moved { .. }
            | E::Attached { .. }
            | E::Deleted {}
            | E::Restored {} => self,
        }
    }
}

/// Everything that happens to a file.
#[event("files.file")]
pub enum FileEvent {
    /// A file was begun; nobody sees it before a version of it is there.
    Created {
        /// What it is called.
        name: Personal<FileName>,
        /// The tree of folders that it lies in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder_id: Option<FolderId>,
        /// The folder of that tree; the root if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subfolder_id: Option<FolderId>,
        /// Whose it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Which project's it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
    },
    /// Bytes were announced, and may come until then.
    #[name("upload.begun")]
    UploadBegun {
        /// Which upload.
        upload_id: UploadId,
        /// What was announced.
        announced: Announced,
        /// When it is given up unless it is completed.
        expires_at: Timestamp,
    },
    /// The store expects the parts of an upload.
    #[name("upload.prepared")]
    UploadPrepared {
        /// Which upload.
        upload_id: UploadId,
        /// What the store calls it.
        store_upload: String,
    },
    /// All bytes came, whoever sent them says; they are in quarantine until they were inspected.
    #[name("upload.completed")]
    UploadCompleted {
        /// Which upload.
        upload_id: UploadId,
        /// What was announced.
        announced: Announced,
        /// What the store calls it, if it came in parts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store_upload: Option<String>,
        /// What the store answered to each part.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        etags: Vec<String>,
    },
    /// The bytes are what was announced, and nothing harmful was found in them.
    #[name("upload.accepted")]
    UploadAccepted {
        /// Which upload.
        upload_id: UploadId,
    },
    /// The bytes are not what was announced.
    #[name("upload.rejected")]
    UploadRejected {
        /// Which upload.
        upload_id: UploadId,
        /// Why.
        reason: RejectReason,
        /// The same in words.
        detail: Text,
    },
    /// Something harmful was found in the bytes.
    #[name("upload.infected")]
    UploadInfected {
        /// Which upload.
        upload_id: UploadId,
        /// What the scanner calls it.
        signature: Text,
    },
    /// An upload was given up.
    #[name("upload.aborted")]
    UploadAborted {
        /// Which upload.
        upload_id: UploadId,
        /// What the store calls it, if it was to come in parts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store_upload: Option<String>,
    },
    /// An upload was not completed in time.
    #[name("upload.expired")]
    UploadExpired {
        /// Which upload.
        upload_id: UploadId,
        /// What the store calls it, if it was to come in parts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store_upload: Option<String>,
    },
    /// The file has one more version, the current one from now on.
    VersionAdded {
        /// Which version.
        version_id: FileVersionId,
        /// Which of the file's, from 1.
        number: u32,
        /// What the file is called.
        name: Personal<FileName>,
        /// How many bytes it has.
        size: u64,
        /// What it is.
        content_type: MediaType,
        /// What it hashes to.
        sha256: Checksum,
        /// The tree of folders that the file lies in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder_id: Option<FolderId>,
        /// The folder of that tree; the root if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subfolder_id: Option<FolderId>,
        /// Whose the file is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Which project's it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
    },
    /// The file is called differently now.
    Renamed {
        /// Its new name.
        name: Personal<FileName>,
    },
    /// The file lies elsewhere now.
    Moved {
        /// The tree of folders that it lies in; none if in no folder.
        folder_id: Option<FolderId>,
        /// The folder of that tree; the root if there is none.
        subfolder_id: Option<FolderId>,
    },
    /// The file is a project's from now on too.
    Attached {
        /// Which project's.
        project_id: ProjectId,
        /// All its versions.
        version_ids: Vec<FileVersionId>,
    },
    /// The file was taken out of every list; its bytes are kept.
    Deleted {},
    /// The file is back.
    Restored {},
}

/// Where the bytes of a file are to be sent, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UploadPlace {
    /// Which upload.
    pub upload_id: UploadId,
    /// Where it stands; its bytes are only taken while it is `initiated` or `uploading`, and there are no requests otherwise.
    pub status: UploadStatus,
    /// One request, or one for each part, in order. Each is to be sent with exactly these headers, because they are signed.
    pub requests: Vec<UploadRequest>,
    /// So long the requests are good; a repeat of the command with its Idempotency-Key answers fresh ones.
    pub good_until: Timestamp,
    /// When the upload is given up unless it is completed.
    pub expires_at: Timestamp,
}

/// One request to the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UploadRequest {
    /// Which part, from 1.
    pub part: u64,
    /// `PUT`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// With which headers; browsers set `content-length` themselves.
    pub headers: BTreeMap<String, String>,
    /// How many bytes.
    pub size: u64,
}
