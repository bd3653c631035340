//! Persons with a place in the client portal, and their sessions.

mod portal_sessions;
mod portal_users;

use crate::group::Group;

pub use portal_sessions::PortalSessionRow;
pub use portal_users::PortalUserRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("portal", 1, "People of clients who come in, and their sessions.")
        .with::<PortalUserRow>()
        .with::<PortalSessionRow>()
}
