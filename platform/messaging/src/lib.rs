//! The relay to NATS JetStream and the feed back from it.
//!
//! JetStream is a cache of the log: the [`Relay`] fills it in the order of positions, the [`Feed`] follows it and reads
//! from the log whatever it does not bring. No component needs NATS to be right, only to be fast.

mod audit;
mod connect;
mod consumers;
mod envelope;
mod events;
mod feed;
mod flight;
mod histories;
mod lease;
mod links;
mod operate;
mod publish;
mod purge;
mod relay;
mod stream;
mod structured;
mod subject;
mod taken_back;
mod wake;

pub use audit::{Audit, audit};
pub use connect::{connect, connect_now, connect_with, place};
pub use consumers::{Backlog, Beginning, Outside, ReaderConsumers, UNACKNOWLEDGED_MAX};
pub use envelope::{CLAIM_CHECK, Decoded, POSITION, decode};
pub use events::{Events, PolledLog};
pub use feed::Feed;
pub use links::RelayOptions;
pub use operate::{DeadLetter, Progress, Retried, Status, dead_letters, request_reseed, reseed, retry, status};
pub use purge::{Purged, purge};
pub use relay::Relay;
pub use stream::StreamSettings;
pub use structured::attributes;
pub use subject::{IllegalSubject, Subject};
pub use taken_back::{Evidence, TakenBack, taken_back};
