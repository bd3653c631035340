//! An email that the firm sends, as the log has it.

use anyhow::Result;
use catalogue::AnyEvent;
use communications_events::{EmailEvent, EmailStatus};
use event_store::Log;
use kernel::{ClientId, ContactId, Email, FileId, Machine, Name, PortalUserId, TenantId, Text, ThreadId, UserId};
use uuid::Uuid;

/// What goes out, and where it stands.
#[derive(Debug)]
pub struct Letter {
    /// Which of the attempts is the newest.
    pub attempt: u32,
    /// Where it stands.
    pub status: EmailStatus,
    /// Whom it is for.
    pub to: To,
    /// What is its subject.
    pub subject: Name,
    /// What it says, in Markdown.
    pub body: Text,
    /// The thread that it belongs to.
    pub thread_id: Option<ThreadId>,
    /// The client that it is about.
    pub client_id: Option<ClientId>,
    /// The client's files that come with it.
    pub attachments: Vec<FileId>,
}

/// Whom an email is for.
#[derive(Debug)]
pub enum To {
    /// A contact.
    Contact(ContactId),
    /// A member of staff.
    User(UserId),
    /// Somebody with a place in the portal.
    PortalUser(PortalUserId),
    /// An address.
    Address(Email),
}

/// The email with this id; none once it was erased.
pub async fn read(log: &Log, tenant: TenantId, id: Uuid) -> Result<Option<Letter>> {
    let mut letter = None;
    for event in log.read_stream(tenant, id, 0, i64::MAX).await? {
        let AnyEvent::Email(event) = catalogue::decode(event)?.payload else { continue };
        if let Some(Letter { status, attempt, .. }) = &mut letter {
            *status = status.after(&event);
            if let EmailEvent::QueuedAgain { attempt: newer } = event {
                *attempt = newer;
            }
            continue;
        }
        let EmailEvent::Queued {
            contact_id,
            user_id,
            portal_user_id,
            address,
            subject,
            body,
            template: _,
            client_id,
            thread_id,
            attachments,
        } = event
        else {
            continue;
        };
        let known = [
            contact_id.map(To::Contact),
            user_id.map(To::User),
            portal_user_id.map(To::PortalUser),
            address.and_then(|address| address.expose().cloned().map(To::Address)),
        ];
        let Some(to) = known.into_iter().flatten().next() else { return Ok(None) };
        let Some((subject, body)) = subject.expose().cloned().zip(body.expose().cloned()) else { return Ok(None) };
        let status = EmailStatus::default();
        letter = Some(Letter { attempt: 1, status, to, subject, body, thread_id, client_id, attachments });
    }
    Ok(letter)
}
