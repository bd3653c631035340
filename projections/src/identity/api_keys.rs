//! API keys; neither the secrets nor what they hash to.

use crate::model::{Beside, Event, FoldError, Kind, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{ApiKeyEvent as E, ApiKeyStatus};
use kernel::{ApiKeyId, Machine, Name, Pattern, Principal, Timestamp};
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

/// A secret with which a program comes in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyRow {
    /// Its id, also a part of the key itself.
    pub id: ApiKeyId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// What it speaks for.
    pub principal_kind: PrincipalKind,
    /// Whom it speaks for.
    pub principal_id: Uuid,
    /// The most it may do; all that its principal may if there are none.
    pub scopes: Vec<Pattern>,
    /// Until when it is good, if not for ever.
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
    pub status: ApiKeyStatus,
}

impl ReadModel for ApiKeyRow {
    const TABLE: &'static str = "identity.api_keys";
    const STREAMS: &'static [&'static str] = &["identity.api_key"];
    const PATH: &'static str = "identity/api-keys";
    const READ: &'static str = "identity.api_key.read";
    const ABOUT: &'static str = "API keys, without their secrets.";
    const FILTER: &'static [&'static str] = &["name", "status", "principal_kind", "principal_id", "expires_at"];
    const SORT: &'static [&'static str] = &["name", "created_at"];
    const TIES: &'static [Tie] = &[Tie::User("principal_id")];

    const BESIDE: &'static [Beside] = &[Beside {
        name: "last_used_at",
        kind: Kind::Time,
        about: "When it let somebody in last, to the minute.",
        sql: "(select u.last_used_at from audit.api_key_uses u where u.tenant_id = r.tenant_id and u.api_key_id = r.id)",
    }];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::ApiKey(change) = &event.payload else { return Ok(row) };
        if let E::Issued { name, principal, scopes, expires_at, .. } = change {
            let (principal_kind, principal_id) = match principal {
                Principal::User { id } => (PrincipalKind::User, id.0),
                Principal::ServiceAccount { id } => (PrincipalKind::ServiceAccount, id.0),
                // None is issued to a portal user.
                Principal::PortalUser { id } => (PrincipalKind::PortalUser, id.0),
            };
            return Ok(Some(Self {
                id: ApiKeyId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
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
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Issued { .. } => {}
            E::Rotated { secret_hash: _, previous_until } => {
                (row.rotated_at, row.previous_until) = (Some(event.recorded_at), Some(*previous_until));
            }
            E::Revoked { reason } => {
                (row.revoked_at, row.revoked_reason) = (Some(event.recorded_at), Some(reason.clone()));
            }
        }
        Ok(Some(row))
    }

    stamped!();
}
