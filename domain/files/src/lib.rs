//! Folder templates, the folder trees made from them, the files in them, and what clients are asked for.
//!
//! A *version* of a file is bytes that cannot change. An *upload* brings one: its bytes are announced, sent to the store, and in
//! quarantine until they were inspected. An *item* of a *file request* is one thing that a client is asked for.

pub mod file;
pub mod file_request;
pub mod folder;
pub mod folder_template;

pub use file::File;
pub use file_request::FileRequest;
pub use folder::Folder;
pub use folder_template::FolderTemplate;
