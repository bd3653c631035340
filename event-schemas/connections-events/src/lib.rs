//! What did happen in the connections context: the event enums other crates may read.

mod api_call;
mod connection;

pub use api_call::{ApiCallEvent, ApiCallId, ApiCallStatus, CallMethod, KeptValue, QueryParameter, Wanted};
pub use connection::{ConnectionEvent, ConnectionStatus, Provider, Trouble};
