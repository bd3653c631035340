//! What did happen in the identity context: the event enums other crates may read.

use kernel::{
    Email, EventScope, InvitationId, Issuer, Name, Pattern, Personal, Principal, Resource, RoleId, SecretHash, Slug,
    Subject, Text, TimeZone, Timestamp, UserId, event,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A role as somebody has it. The name of a role of the firm's own is free again once it is withdrawn, so the id says which
/// one it is, and whoever had the one does not have the next of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct GivenRole {
    /// What it is called.
    pub name: Slug,
    /// Which one of the firm's own; none of those that every firm has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RoleId>,
}

/// Everything that happens to a tenant, the firm itself. Its stream's id is the tenant's.
#[event("identity.tenant")]
pub enum TenantEvent {
    /// A firm began to use UBOS, with its first owner.
    Registered {
        /// What the firm is called.
        name: Name,
        /// Its first owner.
        owner_id: UserId,
        /// Until when it may try UBOS.
        trial_ends_at: Timestamp,
    },
    /// The firm got another name.
    Renamed {
        /// What it is called now.
        name: Name,
    },
    /// The firm said where its clocks hang; before that it is UTC.
    TimeZoneSet {
        /// An IANA name.
        time_zone: TimeZone,
    },
    /// The firm became a customer, or is one again.
    Activated {},
    /// The firm owes a payment.
    PaymentOverdue {},
    /// Nobody of the firm comes in for the time being.
    Suspended {
        /// Why.
        reason: Name,
    },
    /// The firm comes in again.
    Resumed {},
    /// The firm stopped; its data is kept for the time being.
    Closed {
        /// When its data is destroyed.
        purge_at: Timestamp,
    },
    /// The firm changed its mind before its data was destroyed.
    Reopened {},
    /// The firm said which providers its people log in at.
    LoginsLimited {
        /// Each provider's `iss`; any of the installation's if there are none.
        issuers: Vec<Issuer>,
    },
    /// A user became an owner of the firm.
    OwnerAdded {
        /// Who.
        user_id: UserId,
    },
    /// A user is no owner any more.
    OwnerRemoved {
        /// Who.
        user_id: UserId,
    },
    /// One owner stepped down for another.
    OwnershipTransferred {
        /// Who was an owner.
        from_user_id: UserId,
        /// Who is one now.
        to_user_id: UserId,
    },
    /// An operator put something else in the place of an event of the firm that could not be applied; whoever keeps copies
    /// reads it again.
    #[name("event.repaired")]
    EventRepaired {
        /// The event's position.
        position: i64,
        /// The event.
        event_id: Uuid,
        /// The kind of stream it belongs to.
        aggregate_type: String,
        /// The stream.
        aggregate_id: Uuid,
        /// Why, in the operator's words.
        reason: Name,
    },
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
    /// The letter about the open invitation could not be sent, and is not tried again.
    LetterFailed {
        /// The invitation.
        invitation_id: InvitationId,
        /// Why, often in the words of the mail server, which may name the person.
        reason: Personal<Text>,
    },
    /// The letter about the open invitation, which could not be sent at first, was sent after all.
    LetterSent {
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

/// Everything that happens to a role that a firm made itself.
#[event("identity.role")]
pub enum RoleEvent {
    /// A role was made.
    Defined {
        /// What it is called where it is assigned; one role per name.
        name: Slug,
        /// What it is for.
        description: Text,
        /// What it grants and denies.
        patterns: Vec<Pattern>,
    },
    /// The role grants something else.
    Changed {
        /// What it is for.
        description: Text,
        /// What it grants and denies.
        patterns: Vec<Pattern>,
    },
    /// Whoever has the role got a right for one resource.
    Granted {
        /// What may be done.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Whoever has the role lost a right for one resource.
    GrantRevoked {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// The role grants nothing any more; its name is free again.
    Withdrawn {},
}

/// Everything that happens to a team.
#[event("identity.team")]
pub enum TeamEvent {
    /// A team was made.
    Created {
        /// What it is called; one team per name.
        name: Name,
    },
    /// The team is called something else.
    Renamed {
        /// What it is called now.
        name: Name,
    },
    /// A user joined.
    MemberAdded {
        /// Who.
        user_id: UserId,
        /// Which of the person's times in the firm: how often they had gone before. Whoever comes back is no member.
        membership: u32,
    },
    /// A user is no member any more.
    MemberRemoved {
        /// Who.
        user_id: UserId,
    },
    /// Its members got a right for one resource.
    Granted {
        /// What may be done.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Its members lost a right for one resource.
    GrantRevoked {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// The team ended.
    Disbanded {},
}

/// Everything that happens to a service account: a program that acts in the firm's name.
#[event("identity.service_account")]
pub enum ServiceAccountEvent {
    /// A program got an account.
    Created {
        /// What it is called; one account per name.
        name: Name,
        /// What it may do.
        roles: Vec<GivenRole>,
    },
    /// The program got a role.
    RoleAssigned {
        /// Which one.
        role: GivenRole,
    },
    /// The program lost a role.
    RoleRevoked {
        /// Which one.
        role: GivenRole,
    },
    /// None of its keys opens anything.
    Disabled {},
    /// Its keys are good again.
    Enabled {},
}

/// Everything that happens to an API key. The secret itself is in no event.
#[event("identity.api_key")]
pub enum ApiKeyEvent {
    /// A key was issued.
    Issued {
        /// What it is called.
        name: Name,
        /// Whom it speaks for.
        principal: Principal,
        /// Which of the user's times in the firm: how often they had gone before. It ends with that time; 0 of a program.
        membership: u32,
        /// The most it may do, whatever its principal may; empty for all of that.
        scopes: Vec<Pattern>,
        /// What its secret hashes to.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when it is good, if not for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// The key got another secret; the one before it is good for a while.
    Rotated {
        /// What its secret hashes to now.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when the secret before it is good.
        previous_until: Timestamp,
    },
    /// The key opens nothing any more.
    Revoked {
        /// Why.
        reason: Name,
    },
}

/// Everything that happens to an integrator: a program that reads the firm's events from NATS and does nothing else. The
/// secret itself is in no event.
#[event("identity.integrator")]
pub enum IntegratorEvent {
    /// A program may read the firm's events.
    Added {
        /// What it is called.
        name: Name,
        /// What its secret hashes to.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when it may, if not for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// Which events, if not all of the firm's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scopes: Vec<EventScope>,
    },
    /// It got another secret; the one before it is good for a while.
    Rotated {
        /// What its secret hashes to now.
        #[serde(default, skip_serializing_if = "SecretHash::is_withheld")]
        secret_hash: SecretHash,
        /// Until when the secret before it is good.
        previous_until: Timestamp,
    },
    /// It reads nothing any more.
    Revoked {
        /// Why.
        reason: Name,
    },
}

/// Everything that happens to a session: the time between a person's login and its end.
#[event("identity.session")]
pub enum SessionEvent {
    /// A person logged in.
    Started {
        /// Who.
        user_id: UserId,
        /// Which of the person's times in the firm: how often they had gone before. It ends with that time.
        membership: u32,
        /// Where the person showed who they are.
        issuer: Issuer,
        /// When it ends at the latest.
        ends_at: Timestamp,
        /// What the person's browser calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_agent: Option<Personal<Name>>,
    },
    /// The session opens nothing any more.
    Ended {
        /// Why.
        reason: Name,
    },
}

/// Everything that happens to an erasure: what is personal about somebody is made unreadable for good.
#[event("identity.erasure")]
pub enum ErasureEvent {
    /// The erasure of a subject was ordered.
    Requested {
        /// Whose: the id of a user, contact, client, portal user, appointment or whatever else speaks of one person.
        subject_id: Uuid,
        /// Why: a ticket or a paragraph, never the person's name.
        reason: Name,
        /// What workflows had made of it is erased too.
        derived: bool,
        /// The firm was closed, and operators asked for it: also of an owner.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_closed_firm: bool,
    },
    /// Its keys are destroyed, and what had been made of what they sealed is gone.
    Completed {
        /// Streams that were erased.
        streams: u32,
        /// Keys that were destroyed.
        keys: u32,
        /// Events of these streams.
        events: u32,
        /// Events among them that were written before there was a vault and still say something personal.
        plain_events: u32,
        /// Rows of read models that were folded anew.
        rows: u32,
        /// Messages that were deleted from NATS.
        messages: u32,
    },
}
