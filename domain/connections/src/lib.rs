//! What the firm has agreed with providers outside, and whether it still works.
//!
//! A *connection* leads to one account of the firm at one *provider*. It keeps its id when somebody agrees there again, so that
//! whatever was noted under that id stays good. Tokens are no part of it. An *API call* is one request to the provider's own API. A *webhook
//! endpoint* is where the firm has its own events sent.

pub mod api_call;
pub mod connection;
pub mod webhook_endpoint;

pub use api_call::ApiCall;
pub use connection::Connection;
pub use webhook_endpoint::WebhookEndpoint;
