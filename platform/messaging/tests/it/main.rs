//! The relay and the feed on a real NATS.

mod common;
mod faults;
mod relay;
