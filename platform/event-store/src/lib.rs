//! Appends events once, in order, and lets readers follow them without gaps.
//!
//! [`Store::execute`] is the only path a command takes, and [`Store::execute_unit`] the one of commands that belong together;
//! [`Log`] is the only path a reader takes.

mod answer;
mod append;
mod batch;
mod bus;
mod cache;
mod claims;
mod cqrs;
mod execute;
mod kind;
mod load;
mod log;
mod outcome;
mod overlay;
mod peers;
mod pending;
mod raw_event;
mod repair;
mod request;
mod seal;
mod sealing;
mod tell;
mod time_zones;
mod transaction;
mod unit;
mod unit_command;
mod wake;

pub use bus::{CommandBus, CommandInfo, NamedCommand};
pub use cqrs::{CqrsContext, CqrsStore};
pub use execute::{Store, StoreOptions, count_command};
pub use log::{Erasures, Kind, Log, Withhold};
pub use outcome::{COMMAND_OUTCOMES, ExecuteError, Executed, UNIT_BYTES_MAX, UNIT_COMMANDS_MAX, UNIT_EVENTS_MAX};
pub use raw_event::RawEvent;
pub use request::{IdempotencyKey, Request, fingerprint};
pub use seal::{is_personal_event, open_events, says_personal};
pub use sealing::hash_claims;
pub use tell::Tell;
pub use time_zones::TimeZones;
pub use transaction::{begin, begin_with};
pub use unit::{DecidedCommand, Unit};
pub use unit_command::{UnitCommand, UnitError};
pub use wake::CHANNEL;
