//! Connections on real servers, against the lab.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod at_quickbooks;
mod books;
mod browser;
mod calls;
mod common;
mod door;
mod dropbox_sign;
mod grants;
mod health;
mod papers;
