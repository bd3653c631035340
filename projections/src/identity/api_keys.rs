//! API keys; neither the secrets nor what they hash to.

use crate::column::Kind;
use crate::model::{Beside, Envelope, Fold, FoldError};
use catalogue::identity_events::{ApiKeyEvent as E, ApiKeyStatus};
use chrono::{DateTime, Utc};
use kernel::{ApiKeyId, Machine, Name, Pattern, Principal, Timestamp, read_model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a key speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A member of staff.
    User,
    /// A program.
    ServiceAccount,
    /// A person at a client, in the portal; none has a key yet.
    PortalUser,
}

/// API keys, without their secrets.
#[read_model(
    "identity.api_keys",
    id = ApiKeyId,
    read = "identity.api_key.read",
    ties(user(principal_id)),
    beside = BESIDE
)]
pub struct ApiKeyRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// What it speaks for.
    #[column(filter)]
    pub principal_kind: PrincipalKind,
    /// Whom it speaks for.
    #[column(filter)]
    pub principal_id: Uuid,
    /// The most it may do; all that its principal may if there are none.
    pub scopes: Vec<Pattern>,
    /// Until when it is good, if not for ever.
    #[column(filter)]
    pub expires_at: Option<Timestamp>,
    /// When it got another secret, if it did.
    pub rotated_at: Option<DateTime<Utc>>,
    /// Until when the secret before that is good.
    pub previous_until: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Why.
    pub revoked_reason: Option<Name>,
    /// Where it stands.
    #[column(filter)]
    pub status: ApiKeyStatus,
}

const BESIDE: &[Beside] = &[Beside {
    name: "last_used_at",
    kind: Kind::Time,
    about: "When it let somebody in last, to the minute.",
    stream: None,
    sql: "(select u.last_used_at from audit.api_key_uses u where u.tenant_id = r.tenant_id and u.api_key_id = r.id)",
}];

impl Fold for ApiKeyRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Issued { name, principal, scopes, expires_at, .. } = change else { return None };
        let (principal_kind, principal_id) = match principal {
            Principal::User { id } => (PrincipalKind::User, id.0),
            Principal::ServiceAccount { id } => (PrincipalKind::ServiceAccount, id.0),
            // None is issued to a portal user.
            Principal::PortalUser { id } => (PrincipalKind::PortalUser, id.0),
        };
        Some(Self {
            name: name.clone(),
            principal_kind,
            principal_id,
            scopes: scopes.clone(),
            expires_at: *expires_at,
            rotated_at: None,
            previous_until: None,
            revoked_at: None,
            revoked_reason: None,
            status: ApiKeyStatus::default().after(change),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Issued { .. } => {}
            E::Rotated { secret_hash: _, previous_until } => {
                (self.rotated_at, self.previous_until) = (Some(event.recorded_at), Some(*previous_until));
            }
            E::Revoked { reason } => {
                (self.revoked_at, self.revoked_reason) = (Some(event.recorded_at), Some(reason.clone()));
            }
        }
        Ok(())
    }
}
