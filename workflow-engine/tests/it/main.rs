//! The engine on a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accepted;
mod approvals;
mod blocked;
mod common;
mod engine;
mod files_review;
mod flagship;
mod invoice_paid;
mod language;
mod money;
mod positions;
mod rights;
mod segments;
mod telling;
mod unbilled;
