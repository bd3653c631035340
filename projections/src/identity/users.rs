//! The firm's users as lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::identity_events::{UserEvent as E, UserStatus};
use chrono::{DateTime, Utc};
use kernel::{Email, Grant, InvitationId, Issuer, Machine, Name, Personal, Slug, Text, Timestamp, UserId, read_model};

/// The firm's users.
#[read_model(
    "identity.users",
    id = UserId,
    read = "identity.user.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(user(id))
)]
pub struct UserRow {
    /// Where invitations go.
    #[column(filter)]
    pub email: Shown<Email>,
    /// What the person is called.
    #[column(filter, sort)]
    pub name: Shown<Name>,
    /// Where the person stands.
    #[column(filter)]
    pub status: UserStatus,
    /// The person's roles; whether it is an owner too, the tenant says.
    pub roles: Vec<Slug>,
    /// The open invitation.
    pub invitation_id: Option<InvitationId>,
    /// Until when it can be accepted.
    pub invitation_expires_at: Option<Timestamp>,
    /// When the person came in for the first time.
    pub activated_at: Option<DateTime<Utc>>,
    /// The providers at which the person logs in.
    pub login_issuers: Vec<Issuer>,
    /// Why the person is kept out, if so.
    pub reason: Option<Personal<Name>>,
    /// The person's rights for single resources, beside those of roles and teams.
    pub grants: Vec<Grant>,
    /// Why the email about the open invitation could not be sent; none if it was, or is on its way.
    pub email_failure: Option<Personal<Text>>,
}

impl Fold for UserRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Invited { invitation_id, email, name, roles, expires_at, .. } = change else { return None };
        Some(Self {
            email: email.into(),
            name: name.into(),
            status: UserStatus::default().after(change),
            roles: roles.iter().map(|role| role.name.clone()).collect(),
            invitation_id: Some(*invitation_id),
            invitation_expires_at: Some(*expires_at),
            activated_at: None,
            login_issuers: vec![],
            reason: None,
            grants: vec![],
            email_failure: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Invited { .. } => {
                // Whoever is invited again was here before, and that counts.
                let Some(again) = Self::begin(change, event) else { return Ok(()) };
                let before = std::mem::replace(self, again);
                (self.status, self.activated_at) = (before.status, before.activated_at);
                (self.login_issuers, self.grants) = (before.login_issuers, before.grants);
            }
            E::EmailFailed { reason, .. } => self.email_failure = Some(reason.clone()),
            E::EmailSent { .. } => self.email_failure = None,
            E::InvitationRevoked { .. } => self.end_invitation(),
            E::Activated { .. } => {
                self.end_invitation();
                self.activated_at = self.activated_at.or(Some(event.recorded_at));
            }
            E::Renamed { name } => self.name = name.into(),
            E::RoleAssigned { role } => {
                self.roles.retain(|name| *name != role.name);
                self.roles.push(role.name.clone());
            }
            E::RoleRevoked { role } => self.roles.retain(|name| *name != role.name),
            E::Granted { pattern, resource } => {
                self.grants.push(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                self.grants.retain(|grant| (&grant.pattern, &grant.resource) != (pattern, resource));
            }
            E::LoginLinked { issuer, .. } => self.login_issuers.push(issuer.clone()),
            E::LoginUnlinked { issuer, .. } => {
                // One person may have several logins at a provider, each with a place of its own in the list.
                if let Some(at) = self.login_issuers.iter().position(|i| i == issuer) {
                    self.login_issuers.remove(at);
                }
            }
            E::Suspended { reason } => self.reason = Some(reason.clone()),
            E::Reinstated {} => self.reason = None,
            E::Deactivated { reason } => self.take_out(Some(reason.clone())),
            E::Left {} => self.take_out(None),
        }
        Ok(())
    }
}

impl UserRow {
    fn end_invitation(&mut self) {
        (self.invitation_id, self.invitation_expires_at, self.email_failure) = (None, None, None);
    }

    fn take_out(&mut self, reason: Option<Personal<Name>>) {
        self.reason = reason;
        self.end_invitation();
        self.login_issuers.clear();
        self.grants.clear();
        self.roles.clear();
    }
}
