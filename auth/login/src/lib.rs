//! People come in: an OpenID provider says who somebody is, the log says whether that is a user of the firm, and the browser
//! gets a session. A portal user comes in by a link in a letter.
//!
//! Authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636, RFC 9700). An account is found by
//! its linked login, or by an address that the provider has verified, and by nothing else.

mod document;
mod firms;
mod login;
mod pages;
mod portal;
mod provider;
mod reply;
mod routes;
mod sign_in;
mod user;

pub use document::describe;
pub use login::{Addresses, Login};
pub use provider::{Provider, ProviderSettings};
pub use routes::configure;
