//! What happens to a portal user.

use kernel::{
    ClientId, ContactId, Email, EngagementId, InvitationId, Machine, Name, Pattern, Personal, Slug, Text, Timestamp,
    event, status,
};

use PortalUserEvent as E;

/// What a part of the portal opens, of the person's client and of nothing else. Parts with other names are the frontend's
/// own and open nothing.
pub fn patterns_of_part(part: &Slug) -> &'static [&'static str] {
    match part.as_str() {
        "projects" => &["projects.project.read", "projects.milestone.read", "projects.task.read"],
        "tasks" => &["portal.client_task.read", "portal.client_task.submit"],
        "approvals" => &[
            "projects.project.accept_milestone",
            "agreements.proposal.accept",
            "agreements.proposal.decline",
            "portal.client_approval.read",
            "portal.client_approval.approve",
            "portal.client_approval.decline",
        ],
        "agreements" => &[
            "agreements.proposal.read",
            "agreements.proposal.record_viewed",
            "agreements.proposal_line.read",
            "agreements.contract.read",
            "agreements.contract_recipient.read",
        ],
        "files" => &["files.folder.read"],
        "invoices" => &[
            "revenue.invoice.read",
            "revenue.invoice_line.read",
            "revenue.credit_note.read",
            "revenue.payment.read",
            "revenue.balance.read",
        ],
        "messages" => &[
            "communications.thread.read",
            "communications.message.read",
            "communications.thread.open",
            "communications.thread.post_message",
            "communications.thread.edit_message",
            "communications.thread.redact_message",
            "communications.thread.mark_read",
        ],
        _ => &[],
    }
}

/// Where a portal user stands.
#[status]
pub enum PortalUserStatus {
    /// Not invited, or the invitation was taken back.
    #[default]
    Created,
    /// An invitation was issued.
    Invited,
    /// Comes in.
    Active,
    /// Kept out for the time being.
    Locked,
    /// Closed.
    Disabled,
}

impl Machine<E> for PortalUserStatus {
    const BEGINS: &'static [&'static str] = &["portal_user.created"];

    fn after(self, event: &E) -> Self {
        use PortalUserStatus::{Active, Created, Disabled, Invited, Locked};
        match (self, event) {
            (Created, E::Invited { .. }) => Invited,
            (Invited, E::InvitationRevoked { .. }) => Created,
            (Invited, E::Activated { .. }) => Active,
            (Active, E::Locked { .. }) => Locked,
            (Locked, E::Unlocked {}) => Active,
            (_, E::Disabled {}) => Disabled,
            (Disabled, E::Enabled {}) => Created,
            _ => self,
        }
    }
}

/// Everything that happens to a portal user.
#[event("portal.portal_user")]
pub enum PortalUserEvent {
    /// Somebody at a client got a place in the portal.
    Created {
        /// The client.
        client_id: ClientId,
        /// The person in the golden record, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_id: Option<ContactId>,
        /// What the person is called.
        name: Personal<Name>,
        /// Where the invitation goes; one portal user per address.
        email: Personal<Email>,
    },
    /// An invitation was issued; an earlier open one is void.
    Invited {
        /// The invitation.
        invitation_id: InvitationId,
        /// Until when it can be accepted.
        expires_at: Timestamp,
        /// For how many days that is.
        days: u32,
    },
    /// An email to the person could not be sent, and is not tried again.
    EmailFailed {
        /// The invitation that it was about; none if it had the link that the person asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invitation_id: Option<InvitationId>,
        /// Why, often in the words of the mail server, which may name the person.
        reason: Personal<Text>,
    },
    /// Emails reach the person again.
    EmailSent {},
    /// The open invitation was taken back.
    InvitationRevoked {
        /// The invitation.
        invitation_id: InvitationId,
    },
    /// The invitation was accepted; the person may come in.
    Activated {
        /// The invitation.
        invitation_id: InvitationId,
    },
    /// The person may see a part of the portal.
    AccessGranted {
        /// Which part.
        scope: Slug,
    },
    /// The person may no longer see a part of the portal.
    AccessRevoked {
        /// Which part.
        scope: Slug,
    },
    /// The person may do something more of what concerns the client.
    Granted {
        /// What.
        pattern: Pattern,
        /// Of which engagement alone; of all that concerns the client unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
    },
    /// The person may not do it any more.
    GrantRevoked {
        /// What.
        pattern: Pattern,
        /// Of which engagement, if it was for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
    },
    /// The person may not come in for the time being.
    Locked {
        /// Why.
        reason: Personal<Name>,
    },
    /// The person may come in again.
    Unlocked {},
    /// The person's place in the portal was closed: sessions and rights have ended.
    Disabled {},
    /// The person's place in the portal was opened again; a new invitation is needed.
    Enabled {},
}
