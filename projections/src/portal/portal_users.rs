//! Portal users as the lists and cards show them.

use crate::model::{Event, FoldError, ReadModel, Shown, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{
    ClientId, ContactId, Email, InvitationId, Machine, Name, Pattern, Personal, PortalUserId, Slug, Text, Timestamp,
};
use portal_events::{PortalUserEvent as E, PortalUserStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person at a client with a place in the portal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortalUserRow {
    /// Its id.
    pub id: PortalUserId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The client.
    pub client_id: ClientId,
    /// The person in the golden record, if known.
    pub contact_id: Option<ContactId>,
    /// What the person is called.
    pub name: Shown<Name>,
    /// Where invitations go.
    pub email: Shown<Email>,
    /// Where the person stands.
    pub status: PortalUserStatus,
    /// The open invitation.
    pub invitation_id: Option<InvitationId>,
    /// Until when it can be accepted.
    pub invitation_expires_at: Option<Timestamp>,
    /// When the person came in for the first time.
    pub activated_at: Option<DateTime<Utc>>,
    /// The parts of the portal that the person may see.
    pub scopes: Vec<Slug>,
    /// Why the person is kept out, if so.
    pub locked_reason: Option<Personal<Name>>,
    /// What the person may do of what concerns the client, beside what the parts open.
    pub grants: Vec<Pattern>,
    /// Why the newest email to the person could not be sent; none if it was, or is on its way.
    pub email_failure: Option<Personal<Text>>,
}

impl ReadModel for PortalUserRow {
    const TABLE: &'static str = "portal.portal_users";
    const STREAMS: &'static [&'static str] = &["portal.portal_user"];
    const PATH: &'static str = "portal/portal-users";
    const READ: &'static str = "portal.portal_user.read";
    const ABOUT: &'static str = "Persons at clients with a place in the portal.";
    const FILTER: &'static [&'static str] =
        &["name", "client_id", "contact_id", "email", "status", "created_at", "updated_at"];
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::Client("client_id"), Tie::PortalUser("id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::PortalUser(change) = &event.payload else { return Ok(row) };
        if let E::Created { client_id, contact_id, name, email } = change {
            return Ok(Some(Self {
                id: PortalUserId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                client_id: *client_id,
                contact_id: *contact_id,
                name: name.into(),
                email: email.into(),
                status: PortalUserStatus::default().after(change),
                invitation_id: None,
                invitation_expires_at: None,
                activated_at: None,
                scopes: vec![],
                locked_reason: None,
                grants: vec![],
                email_failure: None,
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Invited { invitation_id, expires_at, .. } => {
                (row.invitation_id, row.invitation_expires_at) = (Some(*invitation_id), Some(*expires_at));
                row.email_failure = None;
            }
            E::EmailFailed { reason, .. } => row.email_failure = Some(reason.clone()),
            E::EmailSent {} => row.email_failure = None,
            E::InvitationRevoked { .. } => (row.invitation_id, row.invitation_expires_at) = (None, None),
            E::Activated { .. } => {
                (row.invitation_id, row.invitation_expires_at) = (None, None);
                row.activated_at = row.activated_at.or(Some(event.recorded_at));
            }
            E::AccessGranted { scope } => {
                row.scopes.retain(|s| s != scope);
                row.scopes.push(scope.clone());
            }
            E::AccessRevoked { scope } => row.scopes.retain(|s| s != scope),
            E::Granted { pattern } => row.grants.push(pattern.clone()),
            E::GrantRevoked { pattern } => row.grants.retain(|granted| granted != pattern),
            E::Locked { reason } => row.locked_reason = Some(reason.clone()),
            E::Unlocked {} => row.locked_reason = None,
            E::Disabled {} => {
                (row.invitation_id, row.invitation_expires_at, row.locked_reason) = (None, None, None);
                row.scopes.clear();
                row.grants.clear();
            }
            E::Enabled {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
