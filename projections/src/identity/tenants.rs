//! The firm itself: a list of one.

use crate::model::{Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{TenantEvent as E, TenantStatus};
use kernel::{Issuer, Machine, Name, TenantId, TimeZone, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A firm that uses UBOS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// Where it stands.
    pub status: TenantStatus,
    /// Until when it may try UBOS.
    pub trial_ends_at: Timestamp,
    /// Its owners.
    pub owners: Vec<UserId>,
    /// Why it is kept out, if so.
    pub suspended_reason: Option<Name>,
    /// When its data is destroyed, if it is closed.
    pub purge_at: Option<Timestamp>,
    /// The providers that its people log in at; any of the installation's if there are none.
    pub login_issuers: Vec<Issuer>,
    /// Where its clocks hang, an IANA name.
    pub time_zone: TimeZone,
}

impl ReadModel for TenantRow {
    const TABLE: &'static str = "identity.tenants";
    const STREAMS: &'static [&'static str] = &["identity.tenant"];
    const PATH: &'static str = "identity/tenants";
    const READ: &'static str = "identity.tenant.read";
    const ABOUT: &'static str = "The firm itself.";
    const FILTER: &'static [&'static str] = &[];
    const SORT: &'static [&'static str] = &["created_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Tenant(change) = &event.payload else { return Ok(row) };
        if let E::Registered { name, owner_id, trial_ends_at } = change {
            return Ok(Some(Self {
                id: TenantId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.clone(),
                status: TenantStatus::default().after(change),
                trial_ends_at: *trial_ends_at,
                owners: vec![*owner_id],
                suspended_reason: None,
                purge_at: None,
                login_issuers: vec![],
                time_zone: TimeZone::default(),
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Registered { .. } => {}
            E::Renamed { name } => row.name = name.clone(),
            E::Activated {} | E::Resumed {} => row.suspended_reason = None,
            E::PaymentOverdue {} | E::EventRepaired { .. } => {}
            E::Suspended { reason } => row.suspended_reason = Some(reason.clone()),
            E::Closed { purge_at } => row.purge_at = Some(*purge_at),
            E::Reopened { .. } => row.purge_at = None,
            E::TimeZoneSet { time_zone } => row.time_zone = time_zone.clone(),
            E::LoginsLimited { issuers } => row.login_issuers = issuers.clone(),
            E::OwnerAdded { user_id } => row.owners.push(*user_id),
            E::OwnerRemoved { user_id } => row.owners.retain(|owner| owner != user_id),
            E::OwnershipTransferred { from_user_id, to_user_id } => {
                row.owners.retain(|owner| owner != from_user_id && owner != to_user_id);
                row.owners.push(*to_user_id);
            }
        }
        Ok(Some(row))
    }

    stamped!();
}
