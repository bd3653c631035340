//! What did happen in the connections context: the event enums other crates may read.

mod connection;

pub use connection::{ConnectionEvent, ConnectionStatus, Provider, Trouble};
