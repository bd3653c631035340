//! Portal users and their invitations: how clients come in.

pub mod portal_user;

pub use portal_user::PortalUser;
