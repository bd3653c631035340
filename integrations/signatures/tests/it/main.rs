//! Contracts on real servers, signed at the lab.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documents;
mod dropbox_sign;
mod envelopes;
mod world;
