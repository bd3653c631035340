//! How users want to be told things.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::communications_events::{NotificationPreferencesEvent as E, NotificationPreferencesId, Preference};
use kernel::{UserId, read_model};

/// How users want to be told things; who has none is told in the product.
#[read_model(
    "communications.notification_preferences",
    id = NotificationPreferencesId,
    read = "communications.notification_preferences.read",
    updated_at(sort),
    ties(user(user_id))
)]
pub struct NotificationPreferencesRow {
    /// Who.
    #[column(filter)]
    pub user_id: UserId,
    /// By kind; `default` is for every kind that is not named.
    pub preferences: Vec<Preference>,
}

impl Fold for NotificationPreferencesRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Set { user_id, preferences } = change else { return None };
        Some(Self { user_id: *user_id, preferences: preferences.clone() })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::Set { .. } => {}
            E::Changed { preference } => {
                self.preferences.retain(|other| other.kind != preference.kind);
                self.preferences.push(preference.clone());
            }
        }
        Ok(())
    }
}
