//! Threads as lists show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::communications_events::{MessageId, ThreadEvent as E, ThreadKind, ThreadStatus};
use chrono::{DateTime, Utc};
use kernel::{ClientId, EngagementId, Machine, Name, Principal, ProjectId, ThreadId, UserId, read_model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far somebody has read a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadMark {
    /// Who.
    pub reader: Principal,
    /// The newest message that was read.
    pub message_id: MessageId,
    /// When.
    pub at: DateTime<Utc>,
}

/// Conversations, among the firm's own people and with clients.
#[read_model(
    "communications.threads",
    id = ThreadId,
    read = "communications.thread.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(
        client(portal_client_id),
        staff_client(client_id),
        engagement(portal_engagement_id),
        staff_engagement(engagement_id),
        project(project_id)
    )
)]
pub struct ThreadRow {
    /// Who takes part.
    #[column(filter)]
    pub kind: ThreadKind,
    /// What it is about.
    #[column(filter, sort)]
    pub subject: Shown<Name>,
    /// The client that takes part, or that an internal one is about.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The client whose people take part in the portal; none if it is internal.
    pub portal_client_id: Option<ClientId>,
    /// The project that it is about.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// Who of the firm takes part.
    pub participants: Vec<UserId>,
    /// Where it stands.
    #[column(filter)]
    pub status: ThreadStatus,
    /// How many messages it has, those that were taken back too.
    pub message_count: i64,
    /// When the newest message was posted.
    #[column(filter)]
    pub last_message_at: Option<DateTime<Utc>>,
    /// The newest message.
    pub last_message_id: Option<MessageId>,
    /// How far everybody has read.
    pub reads: Vec<ReadMark>,
    /// The engagement that it is about.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// The same, if people of the client see it in the portal.
    pub portal_engagement_id: Option<EngagementId>,
}

impl Fold for ThreadRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Opened { kind, subject, client_id, project_id, engagement_id, participants } = change else {
            return None;
        };
        Some(Self {
            kind: *kind,
            subject: subject.into(),
            client_id: *client_id,
            portal_client_id: client_id.filter(|_| *kind == ThreadKind::Client),
            project_id: *project_id,
            participants: participants.clone(),
            status: ThreadStatus::default().after(change),
            message_count: 0,
            last_message_at: None,
            last_message_id: None,
            reads: vec![],
            engagement_id: *engagement_id,
            portal_engagement_id: engagement_id.filter(|_| *kind == ThreadKind::Client),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Opened { .. } | E::Closed {} | E::Reopened {} => {}
            E::Renamed { subject } => self.subject = subject.into(),
            E::ParticipantAdded { user_id } => {
                self.participants.retain(|user| user != user_id);
                self.participants.push(*user_id);
            }
            E::ParticipantRemoved { user_id } => self.participants.retain(|user| user != user_id),
            E::Read { reader, message_id } => {
                self.reads.retain(|mark| mark.reader != *reader);
                self.reads.push(ReadMark { reader: *reader, message_id: *message_id, at: event.recorded_at });
            }
            E::MessagePosted { message_id, .. } => {
                self.message_count += 1;
                (self.last_message_at, self.last_message_id) = (Some(event.recorded_at), Some(*message_id));
            }
            // A message's own, see its table.
            E::MessageEdited { .. } | E::MessageRedacted { .. } => {}
        }
        Ok(())
    }
}
