//! Folder trees, and the templates they are made from.

mod folder_templates;
mod folders;

use crate::group::Group;

pub use folder_templates::FolderTemplateRow;
pub use folders::{FolderRow, SubfolderRow};

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("files", 1, "Folders and their templates.").with::<FolderRow>().with::<FolderTemplateRow>()
}
