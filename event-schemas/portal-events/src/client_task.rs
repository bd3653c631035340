//! What happens to something that a client is asked to do.

use kernel::{ClientId, Date, Machine, Name, Personal, PortalUserId, ProjectId, Text, event, status};

use ClientTaskEvent as E;

kernel::ids! {
    /// Something that a client is asked to do.
    ClientTaskId,
}

/// Where it stands.
#[status]
pub enum ClientTaskStatus {
    /// The client is to do it.
    #[default]
    Open,
    /// The client says that it is done.
    Submitted,
    /// It is as it should be.
    Accepted,
    /// It is not, and the client is to do it again.
    Returned,
    /// Over and done with.
    Done,
    /// The client need not do it.
    Withdrawn,
}

impl ClientTaskStatus {
    /// Is the client to do it?
    pub fn is_with_client(self) -> bool {
        matches!(self, Self::Open | Self::Returned)
    }
}

impl Machine<E> for ClientTaskStatus {
    const BEGINS: &'static [&'static str] = &["client_task.assigned"];

    fn after(self, event: &E) -> Self {
        use ClientTaskStatus::{Accepted, Done, Open, Returned, Submitted, Withdrawn};
        match (self, event) {
            (Open | Returned, E::Submitted { .. }) => Submitted,
            (Submitted, E::Accepted {}) => Accepted,
            (Submitted | Accepted, E::Returned { .. }) => Returned,
            (Accepted, E::Completed {}) => Done,
            (Open | Submitted | Returned, E::Withdrawn {}) => Withdrawn,
            _ => self,
        }
    }
}

/// Everything that happens to something that a client is asked to do. Portal users see all of it.
#[event("portal.client_task")]
pub enum ClientTaskEvent {
    /// A client is asked to do something.
    Assigned {
        /// The client.
        client_id: ClientId,
        /// Who there; anybody if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        portal_user_id: Option<PortalUserId>,
        /// The project that it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// What is to be done.
        title: Name,
        /// How.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Text>,
        /// When it is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<Date>,
    },
    /// Something else is asked for now, or by another day.
    Revised {
        /// What is to be done.
        title: Name,
        /// How.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Text>,
        /// When it is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<Date>,
    },
    /// The client says that it is done.
    Submitted {
        /// What the client says of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Personal<Text>>,
    },
    /// It is as it should be.
    Accepted {},
    /// It is not as it should be; the client is to do it again.
    Returned {
        /// What is wrong.
        reason: Text,
    },
    /// It is over and done with.
    Completed {},
    /// The client need not do it.
    Withdrawn {},
}
