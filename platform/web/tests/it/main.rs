//! What stands before both services, and the server on real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod front;
mod server;
