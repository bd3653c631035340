//! Reactions on a real log.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
mod conformance;
mod crashes;
mod due;
mod jobs;
