//! The vault on a real database.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod vault;
