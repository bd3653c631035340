//! Connects the firm with providers. In a browser somebody of the firm agrees at the provider, and we keep what that gives, sealed
//! (authorization code with PKCE and state, RFC 9700); through the door providers say by themselves what may have changed; and the
//! record of a connection is told how it is.
//!
//! Nobody here knows a provider by name: each is an [`Adapter`](providers::Adapter) and a [`Sweeper`](providers::Sweeper).

mod api_call;
mod desk;
mod document;
mod door;
mod follow;
mod hint;
mod measure;
mod note;
mod pages;
mod routes;
mod work;

pub use api_call::ApiCalls;
pub use desk::Desk;
pub use document::describe;
pub use routes::configure;
pub use work::Providers;
