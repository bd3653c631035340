//! What happens to a question whether a client approves of something.

use kernel::{ClientId, Machine, Name, Personal, PortalUserId, ProjectId, Text, Timestamp, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ClientApprovalEvent as E;

kernel::ids! {
    /// A question whether a client approves of something.
    ClientApprovalId,
}

/// What kind of thing a client is asked to approve.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, Default, kernel::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// An offer.
    #[default]
    Proposal,
    /// A milestone of a project.
    Milestone,
    /// A file.
    File,
}

impl SubjectKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposal => "proposal",
            Self::Milestone => "milestone",
            Self::File => "file",
        }
    }
}

/// What a client is asked to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct ClientApprovalSubject {
    /// What it is.
    pub kind: SubjectKind,
    /// Which one.
    pub id: Uuid,
    /// What it is called.
    pub title: Name,
}

/// Where the question stands.
#[status]
pub enum ClientApprovalStatus {
    /// The client is asked.
    #[default]
    Requested,
    /// The client says yes.
    Approved,
    /// The client says no.
    Declined,
    /// The firm asks no more.
    Withdrawn,
    /// The client has not answered in time.
    Expired,
}

impl Machine<E> for ClientApprovalStatus {
    const BEGINS: &'static [&'static str] = &["client_approval.requested"];

    fn after(self, event: &E) -> Self {
        use ClientApprovalStatus::{Approved, Declined, Expired, Requested, Withdrawn};
        match (self, event) {
            (Requested, E::Approved { .. }) => Approved,
            (Requested, E::Declined { .. }) => Declined,
            (Requested, E::Withdrawn {}) => Withdrawn,
            (Requested, E::Expired {}) => Expired,
            _ => self,
        }
    }
}

/// Everything that happens to a question whether a client approves of something. Portal users see all of it.
#[event("portal.client_approval")]
pub enum ClientApprovalEvent {
    /// A client is asked to approve of something.
    Requested {
        /// The client.
        client_id: ClientId,
        /// Who there; anybody if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        portal_user_id: Option<PortalUserId>,
        /// The project that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// Of what.
        subject: ClientApprovalSubject,
        /// What the firm says of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Text>,
        /// Until when the client may answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// The client says yes.
    Approved {
        /// Who at the client.
        portal_user_id: PortalUserId,
        /// Of what.
        subject: ClientApprovalSubject,
    },
    /// The client says no.
    Declined {
        /// Who at the client.
        portal_user_id: PortalUserId,
        /// Of what.
        subject: ClientApprovalSubject,
        /// Why.
        reason: Personal<Text>,
    },
    /// The firm asks no more.
    Withdrawn {},
    /// The client has not answered in time.
    Expired {},
}
