//! What users were told.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::communications_events::{NotificationEvent as E, NotificationId, NotificationStatus};
use chrono::{DateTime, Utc};
use kernel::{About, AboutKind, Machine, Name, Personal, Slug, Text, UserId, read_model};
use uuid::Uuid;

/// What users were told: everybody sees their own. Not `read`, because whoever may look at the work need not see what others are
/// told.
#[read_model(
    "communications.notifications",
    id = NotificationId,
    read = "communications.notification.inspect",
    created_at(filter),
    updated_at(sort),
    ties(user(user_id))
)]
pub struct NotificationRow {
    /// Who was told.
    #[column(filter)]
    pub user_id: UserId,
    /// What kind of thing.
    #[column(filter)]
    pub kind: Slug,
    /// In one line.
    pub title: Personal<Name>,
    /// In full.
    pub body: Option<Personal<Text>>,
    /// What kind of thing it is about.
    pub about_kind: Option<AboutKind>,
    /// What it is about.
    #[column(filter)]
    pub about_id: Option<Uuid>,
    /// Where in the app it leads: a path.
    pub link: Option<Name>,
    /// Where it stands.
    #[column(filter)]
    pub status: NotificationStatus,
    /// It is shown in the product, as the user had it then.
    #[column(filter)]
    pub in_product: bool,
    /// It is sent by email, as the user had it then.
    pub by_email: bool,
    /// When it was seen.
    pub read_at: Option<DateTime<Utc>>,
}

impl Fold for NotificationRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Sent { user_id, kind, title, body, about, link, in_product, by_email } = change else { return None };
        Some(Self {
            user_id: *user_id,
            kind: kind.clone(),
            title: title.clone(),
            body: body.clone(),
            about_kind: about.as_ref().map(About::kind),
            about_id: about.as_ref().map(About::id),
            link: link.clone(),
            status: NotificationStatus::default().after(change),
            in_product: *in_product,
            by_email: *by_email,
            read_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Sent { .. } | E::Dismissed {} => {}
            E::Read {} => self.read_at = Some(event.recorded_at),
        }
        Ok(())
    }
}
