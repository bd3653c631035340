//! Folder templates and the folder trees made from them.

pub mod folder;
pub mod folder_template;

pub use folder::Folder;
pub use folder_template::FolderTemplate;
