//! What happens to an engagement.

use kernel::{ClientId, ContractId, Date, DealId, Machine, Money, Name, Text, UserId, event, status};

use EngagementEvent as E;

/// Where an engagement stands.
#[status]
pub enum EngagementStatus {
    /// The firm works for the client.
    #[default]
    Active,
    /// Pauses.
    OnHold,
    /// Done.
    Completed,
    /// Given up.
    Cancelled,
}

impl EngagementStatus {
    /// Is there something to be done, now or later?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::OnHold)
    }
}

impl Machine<E> for EngagementStatus {
    const BEGINS: &'static [&'static str] = &["engagement.created"];

    fn after(self, event: &E) -> Self {
        match (self, event) {
            (Self::Active, E::Held { .. }) => Self::OnHold,
            (Self::OnHold, E::Resumed {}) => Self::Active,
            (Self::Active | Self::OnHold, E::Completed {}) => Self::Completed,
            (Self::Active | Self::OnHold, E::Cancelled { .. }) => Self::Cancelled,
            _ => self,
        }
    }
}

/// Everything that happens to an engagement: what a client has engaged the firm for.
#[event("crm.engagement")]
pub enum EngagementEvent {
    /// A client engaged the firm.
    Created {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// The deal that was won.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deal_id: Option<DealId>,
        /// The contract that was signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contract_id: Option<ContractId>,
        /// Who of the firm is responsible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner_id: Option<UserId>,
        /// Its first day.
        starts_on: Date,
        /// Its last day, if that is agreed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_on: Option<Date>,
        /// What it is worth.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
    },
    /// The engagement is called differently now.
    Renamed {
        /// The new name.
        name: Name,
    },
    /// Somebody of the firm became responsible for the engagement.
    OwnerAssigned {
        /// Who.
        owner_id: UserId,
    },
    /// The engagement has other first or last days.
    TermChanged {
        /// Its first day now.
        starts_on: Date,
        /// Its last day now; what is left out is not agreed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends_on: Option<Date>,
    },
    /// The engagement is worth something else.
    ValueChanged {
        /// What it is worth now; what is left out is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Money>,
    },
    /// The engagement pauses.
    Held {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// The engagement goes on after a pause.
    Resumed {},
    /// The engagement is done.
    Completed {},
    /// The engagement was given up.
    Cancelled {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
}
