//! Clients as the lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::crm_events::{AddressKind, ClientEvent as E, ClientKind, ClientStatus};
use kernel::{
    ClientId, Email, Machine, Name, Personal, Phone, PostalAddress, Slug, Text, UserId, WebAddress, read_model,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientAddress {
    /// Of which kind; there is one of each at most.
    pub kind: AddressKind,
    /// The address.
    pub address: Personal<PostalAddress>,
}

/// Firms and persons that are served.
#[read_model(
    "crm.clients",
    id = ClientId,
    read = "crm.client.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(id), user(owner_id))
)]
pub struct ClientRow {
    /// What the client is called.
    #[column(filter, sort)]
    pub name: Shown<Name>,
    /// Organisation or person.
    #[column(filter)]
    pub kind: ClientKind,
    /// The main address.
    #[column(filter)]
    pub email: Option<Personal<Email>>,
    /// The main telephone number.
    pub phone: Option<Personal<Phone>>,
    /// Where it stands with the firm.
    #[column(filter)]
    pub status: ClientStatus,
    /// Who of the firm is responsible.
    #[column(filter)]
    pub owner_id: Option<UserId>,
    /// Its tags, in the order they were put on.
    #[column(filter)]
    pub tags: Vec<Slug>,
    /// Why no new work may be started for it, if so.
    pub blocked_reason: Option<Personal<Name>>,
    /// Its addresses, in the order of their kinds.
    pub addresses: Vec<ClientAddress>,
    /// Where it is on the web.
    pub website: Option<Personal<WebAddress>>,
    /// What it does.
    #[column(filter)]
    pub industry: Option<Personal<Name>>,
    /// What else the firm should know.
    pub notes: Option<Personal<Text>>,
}

impl Fold for ClientRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, kind, details } = change else { return None };
        Some(Self {
            name: name.into(),
            kind: *kind,
            email: details.email.clone(),
            phone: details.phone.clone(),
            status: ClientStatus::default().after(change),
            owner_id: None,
            tags: vec![],
            blocked_reason: None,
            addresses: vec![],
            website: None,
            industry: None,
            notes: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.into(),
            E::ContactDetailsChanged { details } => {
                (self.email, self.phone) = (details.email.clone(), details.phone.clone());
            }
            E::StatusChanged { .. } => {}
            E::OwnerAssigned { owner_id } => self.owner_id = Some(*owner_id),
            E::Tagged { tag } => {
                self.tags.retain(|t| t != tag);
                self.tags.push(tag.clone());
            }
            E::Untagged { tag } => self.tags.retain(|t| t != tag),
            E::AddressChanged { kind, address } => {
                self.addresses.retain(|known| known.kind != *kind);
                self.addresses.push(ClientAddress { kind: *kind, address: address.clone() });
                self.addresses.sort_by_key(|known| known.kind);
            }
            E::AddressRemoved { kind } => self.addresses.retain(|known| known.kind != *kind),
            E::Described { website, industry, notes } => {
                (self.website, self.industry) = (website.clone(), industry.clone());
                self.notes = notes.clone();
            }
            E::Blocked { reason } => self.blocked_reason = Some(reason.clone()),
            E::Unblocked {} => self.blocked_reason = None,
        }
        Ok(())
    }
}
