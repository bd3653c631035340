//! Programs that act in the firm's name.

use crate::model::{Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{ServiceAccountEvent as E, ServiceAccountStatus};
use kernel::{Machine, Name, ServiceAccountId, Slug};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A program that acts in the firm's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccountRow {
    /// Its id.
    pub id: ServiceAccountId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it got its account.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// What it may do.
    pub roles: Vec<Slug>,
    /// Where it stands.
    pub status: ServiceAccountStatus,
}

impl ReadModel for ServiceAccountRow {
    const TABLE: &'static str = "identity.service_accounts";
    const STREAMS: &'static [&'static str] = &["identity.service_account"];
    const PATH: &'static str = "identity/service-accounts";
    const READ: &'static str = "identity.service_account.read";
    const ABOUT: &'static str = "Programs that act in the firm's name.";
    const FILTER: &'static [&'static str] = &["name", "status"];
    const SORT: &'static [&'static str] = &["name", "created_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::ServiceAccount(change) = &event.payload else { return Ok(row) };
        if let E::Created { name, roles } = change {
            return Ok(Some(Self {
                id: ServiceAccountId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.clone(),
                roles: roles.iter().map(|role| role.name.clone()).collect(),
                status: ServiceAccountStatus::default().after(change),
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Created { .. } => {}
            E::RoleAssigned { role } => {
                row.roles.retain(|name| *name != role.name);
                row.roles.push(role.name.clone());
            }
            E::RoleRevoked { role } => row.roles.retain(|name| *name != role.name),
            E::Disabled {} | E::Enabled {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
