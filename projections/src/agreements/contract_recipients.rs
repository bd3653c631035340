//! Those who get contracts: who signs, who gets a copy, who looks at them.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::agreements_events::{
    ContractEvent as E, ContractRecipient, RecipientId, RecipientRole, RecipientStatus,
};
use kernel::{ClientId, ContractId, Email, Machine, Name, Personal, Text, Timestamp, read_model};
use uuid::Uuid;

/// Those who get contracts. A client sees them from the moment on at which the contract is to be signed.
#[read_model(
    "agreements.contract_recipients",
    id = RecipientId,
    read = "agreements.contract_recipient.read",
    ties(client(shown_to_client_id), shown_engagement_of(contract_id, "agreements.contracts")),
    away(dropped),
    part_of(contract_id, "agreements.contracts")
)]
pub struct ContractRecipientRow {
    /// Which contract.
    #[column(filter)]
    pub contract_id: ContractId,
    /// The client who sees it; nobody does while the contract is a draft.
    pub shown_to_client_id: Option<ClientId>,
    /// What the person is called.
    pub name: Personal<Name>,
    /// Where it is sent.
    #[column(filter)]
    pub email: Option<Personal<Email>>,
    /// What the person does with it.
    #[column(filter)]
    pub role: RecipientRole,
    /// Whose turn it is: everybody with 1 first, then everybody with 2.
    #[column(sort)]
    pub turn: u16,
    /// Where the person stands.
    #[column(filter)]
    pub status: RecipientStatus,
    /// When the person signed.
    pub signed_at: Option<Timestamp>,
    /// Why it did not reach the person.
    pub reason: Option<Personal<Text>>,
    /// The person does not get it any more.
    pub dropped: bool,
}

/// Those whom an event lists.
fn listed(change: &E) -> &[ContractRecipient] {
    match change {
        E::Created { recipients, .. } | E::Changed { recipients, .. } | E::SentForSignature { recipients, .. } => {
            recipients
        }
        _ => &[],
    }
}

impl Fold for ContractRecipientRow {
    type Event = E;

    fn keys(change: &E, _: &Event) -> Vec<Uuid> {
        match change {
            E::Created { .. } | E::SentForSignature { .. } => listed(change).iter().map(|who| who.id.0).collect(),
            E::Changed { dropped, .. } => {
                listed(change).iter().map(|who| who.id.0).chain(dropped.iter().map(|id| id.0)).collect()
            }
            E::RecipientSent { recipient_id }
            | E::RecipientDelivered { recipient_id }
            | E::RecipientSigned { recipient_id, .. }
            | E::RecipientDeclined { recipient_id }
            | E::RecipientBounced { recipient_id, .. } => vec![recipient_id.0],
            _ => vec![],
        }
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let who = listed(change).iter().find(|who| who.id.0 == event.row)?;
        Some(Self {
            contract_id: ContractId(event.aggregate_id),
            shown_to_client_id: None,
            name: who.name.clone(),
            email: Some(who.email.clone()),
            role: who.role,
            turn: who.order,
            status: RecipientStatus::default().after(change),
            signed_at: None,
            reason: None,
            dropped: false,
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Changed { dropped, .. } => self.dropped = dropped.iter().any(|id| id.0 == event.row),
            E::SentForSignature { client_id, .. } => self.shown_to_client_id = Some(*client_id),
            E::RecipientSigned { signed_at, .. } => self.signed_at = Some(*signed_at),
            E::RecipientBounced { reason, .. } => self.reason.clone_from(reason),
            // Everything else moves the status alone, or is about the contract, see `keys`.
            _ => {}
        }
        Ok(())
    }
}
