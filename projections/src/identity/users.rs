//! The firm's users as lists and cards show them.

use crate::model::{Event, FoldError, ReadModel, Shown, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{UserEvent as E, UserStatus};
use kernel::{Email, Grant, InvitationId, Issuer, Machine, Name, Personal, Slug, Text, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One person's membership in the firm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserRow {
    /// Its id.
    pub id: UserId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was invited for the first time.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Where invitations go.
    pub email: Shown<Email>,
    /// What the person is called.
    pub name: Shown<Name>,
    /// Where the person stands.
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

impl ReadModel for UserRow {
    const TABLE: &'static str = "identity.users";
    const STREAMS: &'static [&'static str] = &["identity.user"];
    const PATH: &'static str = "identity/users";
    const READ: &'static str = "identity.user.read";
    const ABOUT: &'static str = "The firm's users.";
    const FILTER: &'static [&'static str] = &["name", "email", "status", "created_at", "updated_at"];
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::User("id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::User(change) = &event.payload else { return Ok(row) };
        if let E::Invited { invitation_id, email, name, roles, expires_at, .. } = change {
            let grants = row.as_ref().map_or(vec![], |row| row.grants.clone());
            return Ok(Some(Self {
                id: UserId(key),
                version: event.sequence,
                created_at: row.as_ref().map_or(event.recorded_at, |row| row.created_at),
                updated_at: event.recorded_at,
                email: email.into(),
                name: name.into(),
                status: row.as_ref().map_or(UserStatus::default(), |row| row.status).after(change),
                roles: roles.iter().map(|role| role.name.clone()).collect(),
                invitation_id: Some(*invitation_id),
                invitation_expires_at: Some(*expires_at),
                activated_at: row.as_ref().and_then(|row| row.activated_at),
                login_issuers: row.map_or(vec![], |row| row.login_issuers),
                reason: None,
                grants,
                email_failure: None,
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Invited { .. } => {}
            E::EmailFailed { reason, .. } => row.email_failure = Some(reason.clone()),
            E::EmailSent { .. } => row.email_failure = None,
            E::InvitationRevoked { .. } => row.end_invitation(),
            E::Activated { .. } => {
                row.end_invitation();
                row.activated_at = row.activated_at.or(Some(event.recorded_at));
            }
            E::Renamed { name } => row.name = name.into(),
            E::RoleAssigned { role } => {
                row.roles.retain(|name| *name != role.name);
                row.roles.push(role.name.clone());
            }
            E::RoleRevoked { role } => row.roles.retain(|name| *name != role.name),
            E::Granted { pattern, resource } => {
                row.grants.push(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                row.grants.retain(|grant| (&grant.pattern, &grant.resource) != (pattern, resource));
            }
            E::LoginLinked { issuer, .. } => row.login_issuers.push(issuer.clone()),
            E::LoginUnlinked { issuer, .. } => {
                // One person may have several logins at a provider, each with a place of its own in the list.
                if let Some(at) = row.login_issuers.iter().position(|i| i == issuer) {
                    row.login_issuers.remove(at);
                }
            }
            E::Suspended { reason } => row.reason = Some(reason.clone()),
            E::Reinstated {} => row.reason = None,
            E::Deactivated { reason } => row.take_out(Some(reason.clone())),
            E::Left {} => row.take_out(None),
        }
        Ok(Some(row))
    }

    stamped!();
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
