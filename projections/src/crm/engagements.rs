//! Engagements as lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::crm_events::{EngagementEvent as E, EngagementStatus};
use chrono::{DateTime, Utc};
use kernel::{
    ClientId, ContractId, Currency, Date, DealId, EngagementId, Machine, Money, Name, Text, UserId, read_model,
};

/// What clients have engaged the firm for.
#[read_model(
    "crm.engagements",
    id = EngagementId,
    read = "crm.engagement.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), engagement(id), user(owner_id))
)]
pub struct EngagementRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// The deal that was won.
    #[column(filter)]
    pub deal_id: Option<DealId>,
    /// The contract that was signed.
    #[column(filter)]
    pub contract_id: Option<ContractId>,
    /// Who of the firm is responsible.
    #[column(filter)]
    pub owner_id: Option<UserId>,
    /// Where it stands.
    #[column(filter)]
    pub status: EngagementStatus,
    /// Its first day.
    #[column(filter, sort)]
    pub starts_on: Date,
    /// Its last day, if that is agreed.
    #[column(filter)]
    pub ends_on: Option<Date>,
    /// What it is worth, in minor units of `currency`.
    pub value_minor: Option<i64>,
    /// The currency of `value_minor`.
    #[column(filter)]
    pub currency: Option<Currency>,
    /// Why it pauses or was given up.
    pub reason: Option<Text>,
    /// When it was completed or given up.
    #[column(filter)]
    pub closed_at: Option<DateTime<Utc>>,
}

impl Fold for EngagementRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, client_id, deal_id, contract_id, owner_id, starts_on, ends_on, value } = change else {
            return None;
        };
        Some(Self {
            name: name.clone(),
            client_id: *client_id,
            deal_id: *deal_id,
            contract_id: *contract_id,
            owner_id: *owner_id,
            status: EngagementStatus::default().after(change),
            starts_on: *starts_on,
            ends_on: *ends_on,
            value_minor: value.map(Money::minor),
            currency: value.map(Money::currency),
            reason: None,
            closed_at: None,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::OwnerAssigned { owner_id } => self.owner_id = Some(*owner_id),
            E::TermChanged { starts_on, ends_on } => (self.starts_on, self.ends_on) = (*starts_on, *ends_on),
            E::ValueChanged { value } => {
                (self.value_minor, self.currency) = (value.map(Money::minor), value.map(Money::currency));
            }
            E::Held { reason } => self.reason = reason.clone(),
            E::Resumed {} => self.reason = None,
            E::Completed {} => (self.closed_at, self.reason) = (Some(event.recorded_at), None),
            E::Cancelled { reason } => {
                (self.closed_at, self.reason) = (Some(event.recorded_at), reason.clone());
            }
        }
        Ok(())
    }
}
