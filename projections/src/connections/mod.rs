//! Connections to providers and calls through them, as lists show them.

mod api_calls;
#[expect(clippy::module_inception, reason = "the context and its main table share their name")]
mod connections;
mod operators;
mod webhook_endpoints;

use crate::group::Group;

pub use api_calls::ApiCallRow;
pub use connections::ConnectionRow;
pub use operators::{
    ConnectionFilter, ListedConnection, ShownBudget, ShownConnection, ShownSync, list_connections, show_connections,
};
pub use webhook_endpoints::WebhookEndpointRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("connections", 1, "Connections to providers outside, and how they are.")
        .with::<ConnectionRow>()
        .with::<ApiCallRow>()
        .with::<WebhookEndpointRow>()
}
