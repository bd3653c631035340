//! Persons with a place in the client portal, and their sessions.

mod portal_sessions;
mod portal_users;

pub use portal_sessions::PortalSessionRow;
pub use portal_users::PortalUserRow;
