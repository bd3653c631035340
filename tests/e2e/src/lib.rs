//! Black-box journeys, attacks and architecture rules.
//!
//! A [`World`] is the whole product on servers of its own: real PostgreSQL, NATS and Redis, every role as a process.

mod connected;
mod load;
mod world;

pub use load::{Load, Report};
pub use world::{Answer, Copy, MET_BY_NOBODY, VAULT_KEY, World};
