//! Outgoing emails, and what became of them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::communications_events::{EmailEvent as E, EmailId, EmailStatus};
use chrono::{DateTime, Utc};
use kernel::{
    ClientId, ContactId, Email, FileId, Machine, Name, Personal, PortalUserId, Slug, Text, ThreadId, UserId, read_model,
};

/// Emails that the firm sends.
#[read_model(
    "communications.emails",
    id = EmailId,
    read = "communications.email.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(staff_client(client_id))
)]
pub struct OutgoingEmailRow {
    /// The contact that it is for.
    #[column(filter)]
    pub contact_id: Option<ContactId>,
    /// The user that it is for.
    #[column(filter)]
    pub user_id: Option<UserId>,
    /// The portal user that it is for.
    #[column(filter)]
    pub portal_user_id: Option<PortalUserId>,
    /// Where it goes or went; not known before it was sent if it is for somebody.
    #[column(filter)]
    pub address: Option<Personal<Email>>,
    /// What is its subject.
    #[column(sort)]
    pub subject: Shown<Name>,
    /// What it says, in Markdown.
    pub body: Personal<Text>,
    /// The template that it was made from.
    #[column(filter)]
    pub template: Option<Slug>,
    /// The client that it is about.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The thread that it belongs to.
    #[column(filter)]
    pub thread_id: Option<ThreadId>,
    /// Where it stands.
    #[column(filter)]
    pub status: EmailStatus,
    /// How often it was to be sent.
    pub attempt: i64,
    /// When the mail server took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// Why it could not be sent, as a stable code.
    #[column(filter)]
    pub code: Option<Slug>,
    /// Why it could not be sent, came back, or nobody knows.
    pub reason: Option<Personal<Text>>,
    /// The files that come with it.
    pub attachments: Vec<FileId>,
}

impl Fold for OutgoingEmailRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Queued {
            contact_id,
            user_id,
            portal_user_id,
            address,
            subject,
            body,
            template,
            client_id,
            thread_id,
            attachments,
        } = change
        else {
            return None;
        };
        Some(Self {
            contact_id: *contact_id,
            user_id: *user_id,
            portal_user_id: *portal_user_id,
            address: address.clone(),
            subject: subject.into(),
            body: body.clone(),
            template: template.clone(),
            client_id: *client_id,
            thread_id: *thread_id,
            status: EmailStatus::default().after(change),
            attempt: 1,
            sent_at: None,
            code: None,
            reason: None,
            attachments: attachments.clone(),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Queued { .. } => {}
            E::QueuedAgain { attempt } => {
                self.attempt = i64::from(*attempt);
                (self.sent_at, self.code, self.reason) = (None, None, None);
            }
            E::Sent { address, .. } => {
                (self.address, self.sent_at) = (Some(address.clone()), Some(event.recorded_at));
                (self.code, self.reason) = (None, None);
            }
            E::Failed { code, reason, .. } => (self.code, self.reason) = (Some(code.clone()), Some(reason.clone())),
            E::OutcomeUnknown { reason, .. } | E::Bounced { reason, .. } => self.reason = Some(reason.clone()),
        }
        Ok(())
    }
}
