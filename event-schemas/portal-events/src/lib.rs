//! What did happen in the portal context: the event enums other crates may read.

mod client_approval;
mod client_task;
mod portal_session;
mod portal_user;

pub use client_approval::{
    ClientApprovalEvent, ClientApprovalId, ClientApprovalStatus, ClientApprovalSubject, SubjectKind,
};
pub use client_task::{ClientTaskEvent, ClientTaskId, ClientTaskStatus};
pub use portal_session::{PortalSessionEvent, PortalSessionStatus};
pub use portal_user::{PortalUserEvent, PortalUserStatus, patterns_of_part};
