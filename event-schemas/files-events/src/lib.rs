//! What did happen in the files context: the event enums other crates may read.

mod file;
mod file_request;

pub use file::{
    Announced, FileEvent, FileSize, FileStatus, FileVersionId, PartSize, RejectReason, UploadId, UploadPlace,
    UploadRequest, UploadStatus,
};
pub use file_request::{
    FileRequestEvent, FileRequestId, FileRequestStatus, RequestItem, RequestItemId, RequestItemStatus, SubmittedFile,
};

use kernel::{ClientId, FolderName, Personal, ProjectId, Slug, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// A folder, or one of its subfolders.
    FolderId,
    /// A tree of folders to copy from.
    FolderTemplateId,
}

/// A folder that a template makes, by its path from the root: `["Contracts", "Drafts"]`.
pub type TemplatePath = Vec<FolderName>;

/// Everything that happens to a folder template.
#[event("files.folder_template")]
pub enum FolderTemplateEvent {
    /// A tree of folders to copy from was defined.
    Defined {
        /// What definitions call it.
        key: Slug,
        /// What people call it.
        name: FolderName,
        /// The subfolders, each by its path; parents come before children.
        paths: Vec<TemplatePath>,
    },
    /// The tree changed; folders made earlier stay as they are.
    Revised {
        /// What people call it.
        name: FolderName,
        /// The subfolders.
        paths: Vec<TemplatePath>,
    },
    /// No new folders are made from it.
    Retired {},
    /// New folders may be made from it again.
    Reinstated {},
}

kernel::retirable!(FolderTemplateEvent begins "folder_template.defined");

/// One folder inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subfolder {
    /// Its id.
    pub id: FolderId,
    /// The folder it lies in.
    pub parent_id: FolderId,
    /// Its name.
    pub name: FolderName,
}

/// Everything that happens to a folder tree; the aggregate is its root.
#[event("files.folder")]
pub enum FolderEvent {
    /// A folder was made, with all its subfolders.
    Created {
        /// The root's name, often a person's.
        name: Personal<FolderName>,
        /// Whose papers it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Which project's papers it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// The template it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<Slug>,
        /// The subfolders; parents come before children.
        subfolders: Vec<Subfolder>,
    },
    /// A folder was put into the tree.
    SubfolderAdded {
        /// The folder.
        subfolder: Subfolder,
    },
    /// A folder of the tree, or its root, is called differently now.
    Renamed {
        /// Which one.
        folder_id: FolderId,
        /// Its new name.
        name: Personal<FolderName>,
    },
    /// A folder of the tree lies elsewhere in it now.
    SubfolderMoved {
        /// Which one.
        folder_id: FolderId,
        /// The folder it lies in now.
        parent_id: FolderId,
    },
    /// The tree was taken out of every list; nothing is deleted.
    Archived {},
    /// The tree is back in the lists.
    Restored {},
}

kernel::archivable!(FolderEvent begins "folder.created");
