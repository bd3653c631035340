//! Portal users, their invitations and their sessions: how clients come in.

pub mod portal_session;
pub mod portal_user;

pub use portal_session::PortalSession;
pub use portal_user::PortalUser;
