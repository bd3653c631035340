//! What did happen in the identity context: the event enums other crates may read.

mod api_key;
mod erasure;
mod role;
mod service_account;
mod session;
mod subscriber;
mod team;
mod tenant;
mod user;

pub use api_key::{ApiKeyEvent, ApiKeyStatus};
pub use erasure::{ErasureEvent, ErasureStatus};
pub use role::{GivenRole, RoleEvent, RoleStatus};
pub use service_account::{ServiceAccountEvent, ServiceAccountStatus};
pub use session::{SessionEvent, SessionStatus};
pub use subscriber::{SubscriberEvent, SubscriberStatus};
pub use team::{TeamEvent, TeamStatus};
pub use tenant::{TenantEvent, TenantStatus};
pub use user::{UserEvent, UserStatus};
