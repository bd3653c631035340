//! Folder trees, and the templates they are made from.

mod folder_templates;
mod folders;

pub use folder_templates::FolderTemplateRow;
pub use folders::{FolderRow, SubfolderRow};
