//! The log on a real PostgreSQL: what commands, units and readers may rely on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
mod concurrency;
mod contract;
mod sealed;
mod store;
mod unit_crashes;
mod unit_histories;
mod units;
