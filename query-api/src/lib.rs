//! HTTP in, read models out.
//!
//! Ordinary questions have no code here: every read table is a list and a record by id, with filters, order, paging and
//! documentation from its row type. What is no list of one table is a [`question::Question`]. Each read is one statement that sets the tenant and reads under row-level security.

mod condition;
mod cursor;
mod document;
mod events;
mod given;
mod identity;
mod only;
mod parameters;
#[cfg(test)]
#[path = "tests/plans.rs"]
mod plans;
mod portal;
mod positions;
mod question;
mod routes;
mod row;
mod timeline;
mod value;

pub use document::openapi;
pub use positions::Positions;
pub use routes::{Api, configure};
pub use timeline::{AuditEntry, AuditFilter, Format, Outcome, export};
