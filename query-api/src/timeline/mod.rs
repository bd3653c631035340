//! The audit trail: changes that were made and changes that were refused, in one list, and as a file.
//!
//! What was made is a read model, folded from the log; what was refused stands in a table of its own, because the log holds
//! what happened (`docs/adr/0024`).

mod entry;
mod export;
mod filter;
mod routes;

pub use entry::{AuditEntry, Outcome};
pub use export::{Format, export};
pub use filter::AuditFilter;
pub(crate) use routes::{configure, describe};
