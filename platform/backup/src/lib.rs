//! Backups of the database with PostgreSQL's own tools, and restores that begin a new history of the log.
//!
//! A backup folder holds base backups in `base/<label>` and the write-ahead log in `wal`. A base backup and the
//! write-ahead log from its start on give back any later moment. What is restored goes back in time, so nobody can
//! connect to it before its log goes on under another name.

mod check;
mod create;
mod folder;
mod recovery;
mod restore;
mod server;
mod tools;
mod wal;

pub use check::{Check, archive_settings, check};
pub use create::create;
pub use folder::{Backup, Folder, Head, Pruned, Restorable, read_list};
pub use restore::{RestoreOptions, Restored, Target, restore};
pub use server::Source;
pub use tools::Tools;

/// Told each step that takes time.
pub type Say<'a> = &'a (dyn Fn(&str) + Sync);
