//! Servers that are started for real.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod servers;
