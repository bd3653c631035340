//! An engagement: what a client has engaged the firm for.

use crate::{Client, Deal};
use crm_events::{EngagementEvent as E, EngagementStatus};
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, Context, ContractId, Date, DealId, Decision, EngagementId, Flag, Machine,
    Money, Name, Patch, Reference, Resource, Scope, Text, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use EngagementCommand as C;
use EngagementRejection as R;

/// Which engagement came of a deal.
const DEAL_CLAIM: &str = "crm.engagement.deal_id";
/// Which engagement came of a contract.
const CONTRACT_CLAIM: &str = "crm.engagement.contract_id";

/// What may be asked of an engagement.
#[command("crm.engagement", member)]
pub enum EngagementCommand {
    /// Notes that a client engaged the firm: by a deal that was won, by a contract that was signed, or otherwise. Of one deal, and
    /// of one contract, there comes one engagement, unless it was cancelled.
    #[creates]
    #[refused(
        UnknownClient,
        UnknownDeal,
        DealOfAnotherClient,
        DealNotWon,
        EndsBeforeStart,
        NegativeValue,
        "deal_id.taken",
        "contract_id.taken",
        "crm.client.blocked"
    )]
    Create {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// The deal that was won.
        #[serde(default)]
        deal_id: Option<DealId>,
        /// The contract that was signed.
        #[serde(default)]
        contract_id: Option<ContractId>,
        /// Who of the firm is responsible.
        #[serde(default)]
        owner_id: Option<UserId>,
        /// Its first day; the firm's today unless given.
        #[serde(default)]
        starts_on: Option<Date>,
        /// Its last day, if that is agreed.
        #[serde(default)]
        ends_on: Option<Date>,
        /// What it is worth.
        #[serde(default)]
        value: Option<Money>,
    },
    /// Gives the engagement another name.
    #[refused(Closed)]
    Rename {
        /// The new name.
        name: Name,
    },
    /// Makes somebody of the firm responsible for the engagement.
    #[refused(Closed)]
    AssignOwner {
        /// Who.
        owner_id: UserId,
    },
    /// Changes when the engagement begins or ends. What is left out stays; without a last day it goes on.
    #[refused(Closed, EndsBeforeStart)]
    ChangeTerm {
        /// Its first day.
        #[serde(default)]
        starts_on: Option<Date>,
        /// Its last day; `null` removes it.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        ends_on: Patch<Date>,
    },
    /// Changes what the engagement is worth. What is left out stays, `null` removes it.
    #[refused(Closed, NegativeValue)]
    ChangeValue {
        /// What it is worth.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        value: Patch<Money>,
    },
    /// Puts the engagement on hold.
    #[refused(Closed)]
    Hold {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Goes on with the engagement after a pause.
    #[refused(Closed, "crm.client.blocked")]
    Resume {},
    /// Notes that the engagement is done.
    #[refused(Closed)]
    Complete {},
    /// Gives the engagement up.
    #[refused(Closed)]
    Cancel {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
}

/// Why an engagement's command may be refused.
#[rejection("crm.engagement")]
pub enum EngagementRejection {
    /// There is no such client.
    #[invalid("/client_id")]
    UnknownClient,
    /// There is no such deal.
    #[invalid("/deal_id")]
    UnknownDeal,
    /// The deal is another client's.
    #[invalid("/deal_id")]
    DealOfAnotherClient,
    /// The deal was not won.
    DealNotWon,
    /// An engagement does not end before it begins.
    #[invalid("/ends_on")]
    EndsBeforeStart,
    /// An engagement is not worth less than nothing.
    #[invalid("/value")]
    NegativeValue,
    /// The engagement is completed or cancelled.
    Closed,
}

/// What is remembered of an engagement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Engagement {
    name: String,
    client_id: ClientId,
    deal_id: Option<DealId>,
    contract_id: Option<ContractId>,
    owner_id: Option<UserId>,
    term: Option<(Date, Option<Date>)>,
    value: Option<Money>,
    status: EngagementStatus,
}

impl Aggregate for Engagement {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "crm/engagements";

    fn belongs_to(&self, id: Uuid) -> Vec<Resource> {
        vec![self.client_id.into(), EngagementId(id).into()]
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, .. } => Scope::begins_in([(*client_id).into()]),
            _ => Scope::of(self.belongs_to(id)).owned_by(self.owner_id),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Create { client_id, deal_id, .. } => {
                let deal = deal_id.map(Reference::id::<Deal>);
                [Reference::id::<Client>(*client_id)].into_iter().chain(deal).collect()
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { value: Some(value), .. } if value.is_negative() => return Err(R::NegativeValue),
            C::Create { name, client_id, deal_id, contract_id, owner_id, starts_on, ends_on, value } => {
                let starts_on = starts_on.unwrap_or(ctx.today());
                in_order(starts_on, ends_on)?;
                if ctx.referenced::<Client>(client_id).is_none() {
                    return Err(R::UnknownClient);
                }
                if let Some(deal_id) = deal_id {
                    won_by(client_id, ctx.referenced::<Deal>(deal_id))?;
                }
                vec![E::Created { name, client_id, deal_id, contract_id, owner_id, starts_on, ends_on, value }]
            }
            C::Complete {} if self.status == EngagementStatus::Completed => vec![],
            C::Cancel { .. } if self.status == EngagementStatus::Cancelled => vec![],
            _ if !self.status.is_open() => return Err(R::Closed),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::AssignOwner { owner_id } if self.owner_id == Some(owner_id) => vec![],
            C::AssignOwner { owner_id } => vec![E::OwnerAssigned { owner_id }],
            C::ChangeTerm { starts_on, ends_on } => {
                let (began_on, ended_on) = self.term.unwrap_or((ctx.today(), None));
                let (starts_on, ends_on) = (starts_on.unwrap_or(began_on), ends_on.over(&ended_on));
                in_order(starts_on, ends_on)?;
                let is_so = self.term == Some((starts_on, ends_on));
                if is_so { vec![] } else { vec![E::TermChanged { starts_on, ends_on }] }
            }
            C::ChangeValue { value } => {
                let value = value.over(&self.value);
                if value.is_some_and(Money::is_negative) {
                    return Err(R::NegativeValue);
                }
                if value == self.value { vec![] } else { vec![E::ValueChanged { value }] }
            }
            // The first reason stays.
            C::Hold { .. } if self.status == EngagementStatus::OnHold => vec![],
            C::Hold { reason } => vec![E::Held { reason }],
            C::Resume {} if self.status == EngagementStatus::Active => vec![],
            C::Resume {} => vec![E::Resumed {}],
            C::Complete {} => vec![E::Completed {}],
            C::Cancel { reason } => vec![E::Cancelled { reason }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { name, client_id, deal_id, contract_id, owner_id, starts_on, ends_on, value } => {
                self.name = name.as_str().to_owned();
                (self.client_id, self.deal_id, self.contract_id) = (*client_id, *deal_id, *contract_id);
                (self.owner_id, self.term, self.value) = (*owner_id, Some((*starts_on, *ends_on)), *value);
            }
            E::Renamed { name } => self.name = name.as_str().to_owned(),
            E::OwnerAssigned { owner_id } => self.owner_id = Some(*owner_id),
            E::TermChanged { starts_on, ends_on } => self.term = Some((*starts_on, *ends_on)),
            E::ValueChanged { value } => self.value = *value,
            E::Held { .. } | E::Resumed {} | E::Completed {} | E::Cancelled { .. } => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Created { deal_id, contract_id, .. } => came_of(*deal_id, *contract_id).map(ClaimChange::Take).collect(),
            // What came to nothing does not stand in the way of what the same contract leads to after all.
            E::Cancelled { .. } => came_of(self.deal_id, self.contract_id).map(ClaimChange::Release).collect(),
            _ => vec![],
        }
    }

    /// For a blocked client nothing is begun or gone on with; what was begun may be finished, paused or given up.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => Some(*client_id),
            E::Resumed {} => Some(self.client_id),
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

/// The claims on being what came of a deal and of a contract.
fn came_of(deal_id: Option<DealId>, contract_id: Option<ContractId>) -> impl Iterator<Item = Claim> {
    let deal = deal_id.map(|id| Claim::new(DEAL_CLAIM, id.to_string()));
    deal.into_iter().chain(contract_id.map(|id| Claim::new(CONTRACT_CLAIM, id.to_string())))
}

fn in_order(starts_on: Date, ends_on: Option<Date>) -> Result<(), R> {
    if ends_on.is_some_and(|ends_on| ends_on < starts_on) { Err(R::EndsBeforeStart) } else { Ok(()) }
}

/// Is it this client's deal, and was it won?
fn won_by(client_id: ClientId, deal: Option<&Deal>) -> Result<(), R> {
    match deal {
        None => Err(R::UnknownDeal),
        Some(deal) if deal.client_id() != client_id => Err(R::DealOfAnotherClient),
        Some(deal) if !deal.is_won() => Err(R::DealNotWon),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
