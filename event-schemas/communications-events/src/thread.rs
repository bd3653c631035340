//! What happens to a thread and its messages.

use kernel::{
    ClientId, EngagementId, Machine, Name, Personal, Principal, ProjectId, Text, Timestamp, UserId, event, status,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use ThreadEvent as E;

kernel::ids! {
    /// A message of a thread.
    MessageId,
}

/// Who takes part in a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum ThreadKind {
    /// The firm's own people; nobody of a client ever sees it.
    #[default]
    Internal,
    /// The firm and the people of a client, in the portal.
    Client,
}

/// Where a thread stands.
#[status]
pub enum ThreadStatus {
    /// Takes messages.
    #[default]
    Open,
    /// Takes none.
    Closed,
}

impl Machine<E> for ThreadStatus {
    const BEGINS: &'static [&'static str] = &["thread.opened"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Closed {} => Self::Closed,
            E::Reopened {} => Self::Open,
            _ => self,
        }
    }
}

/// Where a message stands.
#[status]
pub enum MessageStatus {
    /// Can be read.
    #[default]
    Posted,
    /// Was taken back; that there was one stays.
    Redacted,
}

impl Machine<E> for MessageStatus {
    const BEGINS: &'static [&'static str] = &["message.posted"];

    fn after(self, event: &E) -> Self {
        match event {
            E::MessageRedacted { .. } => Self::Redacted,
            _ => self,
        }
    }
}

/// Everything that happens to a thread; its messages are parts of it.
#[event("communications.thread")]
pub enum ThreadEvent {
    /// A thread began.
    Opened {
        /// Who takes part.
        kind: ThreadKind,
        /// What it is about.
        subject: Personal<Name>,
        /// The client that takes part, or that an internal one is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The project that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// The engagement that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// Who of the firm takes part.
        participants: Vec<UserId>,
    },
    /// The thread is about something else.
    Renamed {
        /// What it is about now.
        subject: Personal<Name>,
    },
    /// Somebody of the firm takes part too.
    ParticipantAdded {
        /// Who.
        user_id: UserId,
    },
    /// Somebody of the firm takes part no longer.
    ParticipantRemoved {
        /// Who.
        user_id: UserId,
    },
    /// The thread takes no messages any more.
    Closed {},
    /// The thread takes messages again.
    Reopened {},
    /// Somebody has read the thread so far.
    Read {
        /// Who.
        reader: Principal,
        /// The newest message that was read.
        message_id: MessageId,
    },
    /// A message was posted.
    #[name("message.posted")]
    MessagePosted {
        /// The message.
        message_id: MessageId,
        /// Who takes part in its thread.
        kind: ThreadKind,
        /// Who wrote it; nobody if a workflow or UBOS itself did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        author: Option<Principal>,
        /// Who of the firm takes part, besides the author.
        participants: Vec<UserId>,
        /// What it says, in Markdown.
        body: Personal<Text>,
        /// When; it can be edited for a while after.
        posted_at: Timestamp,
    },
    /// A message says something else.
    #[name("message.edited")]
    MessageEdited {
        /// Which one.
        message_id: MessageId,
        /// What it says now, in Markdown.
        body: Personal<Text>,
    },
    /// A message was taken back: it is shown to nobody any more.
    #[name("message.redacted")]
    MessageRedacted {
        /// Which one.
        message_id: MessageId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Personal<Text>>,
    },
}
