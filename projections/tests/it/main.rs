//! The read models: their folds in memory, and the engine on a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod common;
mod engine;
mod folds;
mod golden;
mod machines;
mod properties;
mod properties_database;
mod replay;
mod schema;
mod worker;
