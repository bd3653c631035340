//! The firm itself: a list of one.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{TenantEvent as E, TenantStatus};
use kernel::{Issuer, Machine, Name, TenantId, TimeZone, Timestamp, UserId, read_model};

/// The firm itself.
#[read_model("identity.tenants", id = TenantId, read = "identity.tenant.read")]
pub struct TenantRow {
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

impl Fold for TenantRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Registered { name, owner_id, trial_ends_at } = change else { return None };
        Some(Self {
            name: name.clone(),
            status: TenantStatus::default().after(change),
            trial_ends_at: *trial_ends_at,
            owners: vec![*owner_id],
            suspended_reason: None,
            purge_at: None,
            login_issuers: vec![],
            time_zone: TimeZone::default(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Registered { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::Activated {} | E::Resumed {} => self.suspended_reason = None,
            E::PaymentOverdue {} | E::EventRepaired { .. } => {}
            E::Suspended { reason } => self.suspended_reason = Some(reason.clone()),
            E::Closed { purge_at } => self.purge_at = Some(*purge_at),
            E::Reopened { .. } => self.purge_at = None,
            E::TimeZoneSet { time_zone } => self.time_zone = time_zone.clone(),
            E::LoginsLimited { issuers } => self.login_issuers = issuers.clone(),
            E::OwnerAdded { user_id } => self.owners.push(*user_id),
            E::OwnerRemoved { user_id } => self.owners.retain(|owner| owner != user_id),
            E::OwnershipTransferred { from_user_id, to_user_id } => {
                self.owners.retain(|owner| owner != from_user_id && owner != to_user_id);
                self.owners.push(*to_user_id);
            }
        }
        Ok(())
    }
}
