//! Who may come in and what they may do: firms, their users, roles, teams, service accounts, API keys, subscribers,
//! sessions and erasures.
//!
//! What all of this comes to for one caller is folded from the events by the crate `access`, which both APIs ask.

pub mod api_key;
pub mod erasure;
pub mod role;
mod rotation;
pub mod service_account;
pub mod session;
pub mod subscriber;
pub mod team;
pub mod tenant;
pub mod user;

pub use api_key::ApiKey;
pub use erasure::Erasure;
pub use role::CustomRole;
pub use service_account::ServiceAccount;
pub use session::Session;
pub use subscriber::Subscriber;
pub use team::Team;
pub use tenant::Tenant;
pub use user::User;
