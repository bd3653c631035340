//! What happens to an outgoing email.

use kernel::{
    ClientId, ContactId, Email, FileId, Machine, Name, Personal, PortalUserId, Slug, Text, ThreadId, UserId, event,
    status,
};

use EmailEvent as E;

kernel::ids! {
    /// An outgoing email.
    EmailId,
}

/// Where an outgoing email stands.
#[status]
pub enum EmailStatus {
    /// Waits to be handed to the mail server.
    #[default]
    Queued,
    /// The mail server took it.
    Sent,
    /// The mail server took it, and it came back.
    Bounced,
    /// The mail server refuses it, or it reaches nobody.
    Failed,
    /// It was handed in and no answer came: it may have been sent or not.
    Unknown,
}

impl Machine<E> for EmailStatus {
    const BEGINS: &'static [&'static str] = &["email.queued"];

    fn after(self, event: &E) -> Self {
        use EmailStatus::{Bounced, Failed, Queued, Sent, Unknown};
        match (self, event) {
            (Queued | Failed | Unknown, E::Sent { .. }) => Sent,
            (Queued | Unknown, E::Failed { .. }) => Failed,
            (Queued, E::OutcomeUnknown { .. }) => Unknown,
            (Sent | Unknown, E::Bounced { .. }) => Bounced,
            (Failed | Unknown | Bounced, E::QueuedAgain { .. }) => Queued,
            _ => self,
        }
    }
}

/// Everything that happens to an outgoing email.
#[event("communications.email")]
pub enum EmailEvent {
    /// An email is to be sent. It is for one contact, user or portal user, whose address is looked up when it goes out, or for an
    /// address.
    Queued {
        /// The contact that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
        /// The user that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// The portal user that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        portal_user_id: Option<PortalUserId>,
        /// The address that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Personal<Email>>,
        /// What is its subject.
        subject: Personal<Name>,
        /// What it says, in Markdown.
        body: Personal<Text>,
        /// The template that it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<Slug>,
        /// The client that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The thread that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread_id: Option<ThreadId>,
        /// The files of the client that come with it; the newest version of each goes out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<FileId>,
    },
    /// The email is to be sent once more, as the same one.
    QueuedAgain {
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// The mail server took the email.
    Sent {
        /// Which attempt it was.
        attempt: u32,
        /// Where it went.
        address: Personal<Email>,
    },
    /// The email cannot be sent.
    Failed {
        /// Which attempt it was.
        attempt: u32,
        /// Why, as a stable code: `refused`, `no_address`, `exhausted`.
        code: Slug,
        /// Why, often in the words of the mail server, which may name the person.
        reason: Personal<Text>,
    },
    /// The email was handed in and no answer came: nobody knows whether it was sent.
    OutcomeUnknown {
        /// Which attempt it was.
        attempt: u32,
        /// What was seen.
        reason: Personal<Text>,
    },
    /// The email came back.
    Bounced {
        /// Which attempt it was.
        attempt: u32,
        /// Why, in the words of the mail server that it came back from.
        reason: Personal<Text>,
    },
}
