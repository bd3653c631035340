//! Folder trees and the templates they are made from, files, and what clients are asked for.

mod file_requests;
mod file_versions;
#[expect(clippy::module_inception, reason = "the context and its main table share their name")]
mod files;
mod folder_templates;
mod folders;
mod request_items;
mod uploads;

use crate::group::Group;

pub use file_requests::FileRequestRow;
pub use file_versions::FileVersionRow;
pub use files::FileRow;
pub use folder_templates::FolderTemplateRow;
pub use folders::{FolderRow, SubfolderRow};
pub use request_items::RequestItemRow;
pub use uploads::UploadRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("files", 1, "Folders and their templates, files and their versions, and requests for files.")
        .with::<FolderRow>()
        .with::<FolderTemplateRow>()
        .with::<FileRow>()
        .with::<FileVersionRow>()
        .with::<UploadRow>()
        .with::<FileRequestRow>()
        .with::<RequestItemRow>()
}
