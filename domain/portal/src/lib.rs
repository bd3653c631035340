//! Portal users, their invitations and their sessions, and what clients are asked for: how clients come in, and what they do there.
//!
//! A *client task* is something that a client is asked to do; a *client approval* is a question whether a client approves of something.

pub mod client_approval;
pub mod client_task;
pub mod portal_session;
pub mod portal_user;

pub use client_approval::ClientApproval;
pub use client_task::ClientTask;
pub use portal_session::PortalSession;
pub use portal_user::PortalUser;
