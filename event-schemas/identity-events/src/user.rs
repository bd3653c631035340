//! What happens to a user.

use crate::GivenRole;
use kernel::{
    Email, InvitationId, Issuer, Machine, Name, Pattern, Personal, Resource, Subject, Text, Timestamp, event, status,
};

use UserEvent as E;

/// Where a user stands.
#[status]
pub enum UserStatus {
    /// Has not come in yet; the invitation is open, has expired or was taken back.
    #[default]
    Invited,
    /// Comes in.
    Active,
    /// Kept out for the time being.
    Suspended,
    /// Taken out of the firm, or left it.
    Deactivated,
}

impl Machine<E> for UserStatus {
    const BEGINS: &'static [&'static str] = &["user.invited"];

    fn after(self, event: &E) -> Self {
        use UserStatus::{Active, Deactivated, Invited, Suspended};
        match (self, event) {
            (Deactivated, E::Invited { .. }) => Invited,
            (Invited, E::Activated { .. }) => Active,
            (Active, E::Suspended { .. }) => Suspended,
            (Suspended, E::Reinstated {}) => Active,
            (_, E::Deactivated { .. } | E::Left {}) => Deactivated,
            _ => self,
        }
    }
}

/// Everything that happens to a user: one person's membership in one firm.
#[event("identity.user")]
pub enum UserEvent {
    /// Somebody was invited into the firm; an earlier open invitation is void.
    Invited {
        /// The invitation.
        invitation_id: InvitationId,
        /// Where it goes; one user per address.
        email: Personal<Email>,
        /// What the person is called.
        name: Personal<Name>,
        /// The roles that the person will have.
        roles: Vec<GivenRole>,
        /// Until when it can be accepted.
        expires_at: Timestamp,
        /// For how many days that is.
        days: u32,
    },
    /// The email about the open invitation could not be sent, and is not tried again.
    EmailFailed {
        /// The invitation.
        invitation_id: InvitationId,
        /// Why, often in the words of the mail server, which may name the person.
        reason: Personal<Text>,
    },
    /// The email about the open invitation, which could not be sent at first, was sent after all.
    EmailSent {
        /// The invitation.
        invitation_id: InvitationId,
    },
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
    /// The person is called something else.
    Renamed {
        /// What the person is called now.
        name: Personal<Name>,
    },
    /// The person got a role.
    RoleAssigned {
        /// Which one.
        role: GivenRole,
    },
    /// The person lost a role.
    RoleRevoked {
        /// Which one.
        role: GivenRole,
    },
    /// The person got a right for one resource.
    Granted {
        /// What may be done.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// The person lost a right for one resource.
    GrantRevoked {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// A login at a provider is this person's.
    LoginLinked {
        /// The provider's `iss`.
        issuer: Issuer,
        /// The provider's `sub`.
        subject: Personal<Subject>,
    },
    /// A login at a provider is not this person's any more.
    LoginUnlinked {
        /// The provider's `iss`.
        issuer: Issuer,
        /// The provider's `sub`.
        subject: Personal<Subject>,
    },
    /// The person does not come in for the time being.
    Suspended {
        /// Why.
        reason: Personal<Name>,
    },
    /// The person comes in again.
    Reinstated {},
    /// The person was taken out of the firm.
    Deactivated {
        /// Why.
        reason: Personal<Name>,
    },
    /// The person left the firm.
    Left {},
}
