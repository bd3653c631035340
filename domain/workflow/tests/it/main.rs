//! Runs, whatever is recorded of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod properties;
mod story;
