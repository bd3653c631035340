//! Appends events once, in order, and lets readers follow them without gaps.
//!
//! [`Store::execute`] is the only path a command takes; [`Log`] is the only path a reader takes.

mod bus;
mod execute;
mod log;
mod request;

pub use bus::{CommandBus, CommandInfo};
pub use execute::{ExecuteError, Executed, Store, StoreOptions};
pub use log::{Log, RawEvent};
pub use request::{IdempotencyKey, Request};
