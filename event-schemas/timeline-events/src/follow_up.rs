//! What happens to a follow-up.

use kernel::{About, ClientId, Machine, Name, Personal, Text, Timestamp, UserId, event, status};

use FollowUpEvent as E;

kernel::ids! {
    /// Something that is to be followed up.
    FollowUpId,
}

/// Where a follow-up stands.
#[status]
pub enum FollowUpStatus {
    /// Its time has not come.
    #[default]
    Scheduled,
    /// Its time has come.
    Due,
    /// Put off; its time comes again.
    Snoozed,
    /// Done.
    Done,
    /// Need not be done.
    Dismissed,
}

impl FollowUpStatus {
    /// Is it to be done still?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Due | Self::Snoozed)
    }

    /// Does it wait for its time?
    pub fn waits(self) -> bool {
        matches!(self, Self::Scheduled | Self::Snoozed)
    }
}

impl Machine<E> for FollowUpStatus {
    const BEGINS: &'static [&'static str] = &["follow_up.scheduled"];

    fn after(self, event: &E) -> Self {
        match event {
            _ if !self.is_open() => self,
            E::Scheduled { .. } | E::Reassigned { .. } => self,
            E::Due { .. } => Self::Due,
            E::Snoozed { .. } => Self::Snoozed,
            E::Completed {} => Self::Done,
            E::Dismissed { .. } => Self::Dismissed,
        }
    }
}

/// Everything that happens to a follow-up.
#[event("timeline.follow_up")]
pub enum FollowUpEvent {
    /// Something is to be followed up.
    Scheduled {
        /// What it is about.
        about: About,
        /// The client that what it is about belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Who does it.
        assignee_id: UserId,
        /// What is to be done.
        title: Personal<Name>,
        /// What there is to know about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Personal<Text>>,
        /// When its time comes.
        due_at: Timestamp,
    },
    /// Its time has come.
    Due {
        /// Who does it.
        assignee_id: UserId,
    },
    /// It was put off.
    Snoozed {
        /// When its time comes again.
        due_at: Timestamp,
    },
    /// Somebody else does it.
    Reassigned {
        /// Who.
        assignee_id: UserId,
    },
    /// It is done.
    Completed {},
    /// It need not be done.
    Dismissed {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Personal<Text>>,
    },
}
