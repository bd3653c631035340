//! Firms, their users, roles, teams, service accounts, API keys, subscribers and sessions, as settings pages show them. What
//! a caller may do is not read here: that must not lag.

mod api_keys;
mod erasures;
mod operators;
mod roles;
mod service_accounts;
mod sessions;
mod subscribers;
mod teams;
mod tenants;
mod users;

use crate::group::Group;

pub use api_keys::{ApiKeyRow, PrincipalKind};
pub use erasures::ErasureRow;
pub use operators::{Firm, FirmDetails, firm, firms, readers, users_by_status};
pub use roles::RoleRow;
pub use service_accounts::ServiceAccountRow;
pub use sessions::SessionRow;
pub use subscribers::SubscriberRow;
pub use teams::TeamRow;
pub use tenants::TenantRow;
pub use users::UserRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("identity", 1, "Firms, users, roles, teams, service accounts, API keys and subscribers.")
        .with::<TenantRow>()
        .with::<UserRow>()
        .with::<RoleRow>()
        .with::<TeamRow>()
        .with::<ServiceAccountRow>()
        .with::<ApiKeyRow>()
        .with::<SubscriberRow>()
        .with::<SessionRow>()
        .with::<ErasureRow>()
}
