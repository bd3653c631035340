//! Portal users as the lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::portal_events::{PortalUserEvent as E, PortalUserStatus};
use chrono::{DateTime, Utc};
use kernel::{
    ClientId, ContactId, Email, EngagementId, InvitationId, Machine, Name, Pattern, Personal, PortalUserId, Slug, Text,
    Timestamp, read_model,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a person may do of one engagement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngagementGrant {
    /// Which one.
    pub engagement_id: EngagementId,
    /// What.
    pub pattern: Pattern,
}

/// Persons at clients with a place in the portal.
#[read_model(
    "portal.portal_users",
    id = PortalUserId,
    read = "portal.portal_user.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), portal_user(id))
)]
pub struct PortalUserRow {
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// The person in the golden record, if known.
    #[column(filter)]
    pub contact_id: Option<ContactId>,
    /// What the person is called.
    #[column(filter, sort)]
    pub name: Shown<Name>,
    /// Where invitations go.
    #[column(filter)]
    pub email: Shown<Email>,
    /// Where the person stands.
    #[column(filter)]
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
    /// What the person may do of single engagements.
    pub engagement_grants: Vec<EngagementGrant>,
}

impl Fold for PortalUserRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { client_id, contact_id, name, email } = change else { return None };
        Some(Self {
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
            engagement_grants: vec![],
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Invited { invitation_id, expires_at, .. } => {
                (self.invitation_id, self.invitation_expires_at) = (Some(*invitation_id), Some(*expires_at));
                self.email_failure = None;
            }
            E::EmailFailed { reason, .. } => self.email_failure = Some(reason.clone()),
            E::EmailSent {} => self.email_failure = None,
            E::InvitationRevoked { .. } => (self.invitation_id, self.invitation_expires_at) = (None, None),
            E::Activated { .. } => {
                (self.invitation_id, self.invitation_expires_at) = (None, None);
                self.activated_at = self.activated_at.or(Some(event.recorded_at));
            }
            E::AccessGranted { scope } => {
                self.scopes.retain(|s| s != scope);
                self.scopes.push(scope.clone());
            }
            E::AccessRevoked { scope } => self.scopes.retain(|s| s != scope),
            E::Granted { pattern, engagement_id: None } => self.grants.push(pattern.clone()),
            E::Granted { pattern, engagement_id: Some(engagement_id) } => {
                self.engagement_grants
                    .push(EngagementGrant { engagement_id: *engagement_id, pattern: pattern.clone() });
            }
            E::GrantRevoked { pattern, engagement_id: None } => self.grants.retain(|granted| granted != pattern),
            E::GrantRevoked { pattern, engagement_id: Some(engagement_id) } => {
                let is_it =
                    |grant: &EngagementGrant| grant.engagement_id == *engagement_id && grant.pattern == *pattern;
                self.engagement_grants.retain(|grant| !is_it(grant));
            }
            E::Locked { reason } => self.locked_reason = Some(reason.clone()),
            E::Unlocked {} => self.locked_reason = None,
            E::Disabled {} => {
                (self.invitation_id, self.invitation_expires_at, self.locked_reason) = (None, None, None);
                self.scopes.clear();
                self.grants.clear();
                self.engagement_grants.clear();
            }
            E::Enabled {} => {}
        }
        Ok(())
    }
}
