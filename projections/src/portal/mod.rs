//! Persons with a place in the client portal.

mod portal_users;

pub use portal_users::{PortalUserRow, PortalUserStatus};
