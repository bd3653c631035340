//! Appends events once, in order, and lets readers follow them without gaps.
//!
//! [`Store::execute`] is the only path a command takes; [`Log`] is the only path a reader takes.

mod append;
mod batch;
mod bus;
mod cache;
mod cqrs;
mod execute;
mod load;
mod log;
mod peers;
mod repair;
mod request;
mod seal;
mod sealing;
mod time_zones;
mod transaction;
mod wake;

pub use bus::{CommandBus, CommandInfo};
pub use cqrs::{CqrsContext, CqrsStore};
pub use execute::{COMMAND_OUTCOMES, ExecuteError, Executed, Store, StoreOptions};
pub use log::{Erasures, Kind, Log, RawEvent, Withhold};
pub use request::{IdempotencyKey, Request};
pub use seal::{is_personal_event, open_events, says_personal};
pub use sealing::hash_claims;
pub use time_zones::TimeZones;
pub use transaction::{begin, begin_with};
pub use wake::CHANNEL;
