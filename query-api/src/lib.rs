//! HTTP in, read models out.
//!
//! Ordinary questions have no code here: every read table is a list and a record by id, with filters, order, paging and
//! documentation from its row type. What is no list of one table is a `Question`. Each read is one statement that sets the tenant and reads under row-level security.

mod api;
mod cache;
mod condition;
mod connections;
mod crm;
mod cursor;
mod dashboard;
mod document;
mod events;
mod files;
mod given;
mod identity;
mod keeping;
mod only;
mod operation;
mod parameters;
mod permissions;
#[cfg(test)]
#[path = "tests/plans.rs"]
mod plans;
mod portal;
mod positions;
mod profile;
mod question;
mod reply;
mod revenue;
mod routes;
mod row;
mod scheduling;
mod timeline;
mod value;
mod within;

pub use api::Api;
pub use cache::Cache;
pub use document::openapi;
pub use positions::Positions;
pub use routes::configure;
pub use timeline::{AuditEntry, AuditFilter, Format, Outcome, export};
