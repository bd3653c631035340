//! What did happen in the portal context: the event enums other crates may read.

mod portal_session;
mod portal_user;

pub use portal_session::{PortalSessionEvent, PortalSessionStatus};
pub use portal_user::{PortalUserEvent, PortalUserStatus, patterns_of_part};
