//! How people come in, at providers that are real and at some that have ways of their own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod login;
mod providers;
