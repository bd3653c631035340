//! Persons with a place in the client portal, their sessions, and what their clients are asked for.

mod client_approvals;
mod client_tasks;
mod portal_sessions;
mod portal_users;

use crate::group::Group;

pub use client_approvals::ClientApprovalRow;
pub use client_tasks::ClientTaskRow;
pub use portal_sessions::PortalSessionRow;
pub use portal_users::{EngagementGrant, PortalUserRow};

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("portal", 1, "People of clients who come in, their sessions, and what clients are asked for.")
        .with::<PortalUserRow>()
        .with::<PortalSessionRow>()
        .with::<ClientTaskRow>()
        .with::<ClientApprovalRow>()
}
