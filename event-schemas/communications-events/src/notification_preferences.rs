//! What happens to a user's preferences.

use kernel::{Slug, UserId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// How a user wants to be told things.
    NotificationPreferencesId,
}

/// How a kind of notification comes. Neither way is a choice, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// Which kind; `default` is for every kind that is not named.
    pub kind: Slug,
    /// Is it shown in the product?
    pub in_product: bool,
    /// Is it sent by email?
    pub by_email: bool,
}

/// Everything that happens to a user's preferences.
#[event("communications.notification_preferences")]
pub enum NotificationPreferencesEvent {
    /// A user said for the first time how notifications come.
    Set {
        /// Who.
        user_id: UserId,
        /// By kind.
        preferences: Vec<Preference>,
    },
    /// A kind of notification comes otherwise from now on.
    Changed {
        /// Which, and how.
        preference: Preference,
    },
}
