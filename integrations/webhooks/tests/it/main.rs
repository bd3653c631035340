//! Messages on a real log, to receivers of all kinds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod common;
mod endpoints;
mod receiver;
mod receivers;
mod verified;
