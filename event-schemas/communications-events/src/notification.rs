//! What happens to a notification.

use kernel::{About, Machine, Name, Personal, Slug, Text, UserId, event, status};

use NotificationEvent as E;

kernel::ids! {
    /// Something that a user was told.
    NotificationId,
}

/// Where a notification stands.
#[status]
pub enum NotificationStatus {
    /// Not seen yet.
    #[default]
    Unread,
    /// Seen.
    Read,
    /// Put away.
    Dismissed,
}

impl Machine<E> for NotificationStatus {
    const BEGINS: &'static [&'static str] = &["notification.sent"];

    fn after(self, event: &E) -> Self {
        match (self, event) {
            (Self::Unread, E::Read {}) => Self::Read,
            (_, E::Dismissed {}) => Self::Dismissed,
            _ => self,
        }
    }
}

/// Everything that happens to a notification.
#[event("communications.notification")]
pub enum NotificationEvent {
    /// A user was told something.
    Sent {
        /// Who.
        user_id: UserId,
        /// What kind of thing, by which the user says how it comes: `task_assigned`.
        kind: Slug,
        /// In one line.
        title: Personal<Name>,
        /// In full.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Personal<Text>>,
        /// What it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<About>,
        /// Where in the app it leads: a path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<Name>,
        /// It is shown in the product, as the user has it.
        in_product: bool,
        /// It is sent by email, as the user has it.
        by_email: bool,
    },
    /// The user has seen it.
    Read {},
    /// The user has put it away.
    Dismissed {},
}
