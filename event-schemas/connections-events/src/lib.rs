//! What did happen in the connections context: the event enums other crates may read.

mod api_call;
mod connection;
mod webhook_endpoint;

pub use api_call::{ApiCallEvent, ApiCallId, ApiCallStatus, CallMethod, KeptValue, QueryParameter, Wanted};
pub use connection::{ConnectionEvent, ConnectionStatus, Provider, Trouble};
pub use webhook_endpoint::{
    DisabledBecause, WebhookEndpointEvent, WebhookEndpointId, WebhookEndpointStatus, WebhookOrder, WebhookSecret,
};
