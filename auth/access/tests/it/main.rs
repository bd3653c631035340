//! Who comes in and what they may do, on a real log.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod directory;
