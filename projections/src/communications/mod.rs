//! Conversations, notes, emails and notifications, as lists and cards show them.

mod email_templates;
mod emails;
mod messages;
mod notes;
mod notification_preferences;
mod notifications;
mod threads;

use crate::group::Group;
use kernel::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use email_templates::EmailTemplateRow;
pub use emails::OutgoingEmailRow;
pub use messages::MessageRow;
pub use notes::NoteRow;
pub(crate) use notes::belongs;
pub use notification_preferences::NotificationPreferencesRow;
pub use notifications::NotificationRow;
pub use threads::{ReadMark, ThreadRow};

/// Who wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    /// A member of staff.
    User,
    /// A program.
    ServiceAccount,
    /// A person at a client, in the portal.
    PortalUser,
}

/// An author as two columns have it.
pub(crate) fn author(author: Option<Principal>) -> (Option<AuthorKind>, Option<Uuid>) {
    match author {
        None => (None, None),
        Some(Principal::User { id }) => (Some(AuthorKind::User), Some(id.0)),
        Some(Principal::ServiceAccount { id }) => (Some(AuthorKind::ServiceAccount), Some(id.0)),
        Some(Principal::PortalUser { id }) => (Some(AuthorKind::PortalUser), Some(id.0)),
    }
}

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("communications", 1, "Conversations, notes, emails and notifications.")
        .with::<ThreadRow>()
        .with::<MessageRow>()
        .with::<NoteRow>()
        .with::<EmailTemplateRow>()
        .with::<OutgoingEmailRow>()
        .with::<NotificationRow>()
        .with::<NotificationPreferencesRow>()
}
