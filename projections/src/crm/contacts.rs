//! Contacts as the lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::crm_events::ContactEvent as E;
use kernel::{Archivable, ClientId, ContactId, Email, Machine, Name, Personal, Phone, read_model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A client that a contact speaks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactClient {
    /// The client.
    pub client_id: ClientId,
    /// In which role.
    pub role: Name,
    /// Is this the first person to ask?
    pub primary: bool,
}

/// Persons at clients.
#[read_model(
    "crm.contacts",
    id = ContactId,
    read = "crm.contact.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(clients(clients)),
    away(archived)
)]
pub struct ContactRow {
    /// What the person is called.
    #[column(filter, sort)]
    pub name: Shown<Name>,
    /// The person's address.
    #[column(filter)]
    pub email: Option<Personal<Email>>,
    /// The person's telephone number.
    pub phone: Option<Personal<Phone>>,
    /// The client the person speaks for in the first place: a primary one, else the first.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// Every client the person speaks for.
    pub clients: Vec<ContactClient>,
    /// Taken out of the lists.
    pub archived: Archivable,
    /// What the person's job is called.
    pub title: Option<Personal<Name>>,
}

impl Fold for ContactRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, details, title } = change else { return None };
        Some(Self {
            name: name.into(),
            email: details.email.clone(),
            phone: details.phone.clone(),
            client_id: None,
            clients: vec![],
            archived: Archivable::default(),
            title: title.clone(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.archived = self.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.into(),
            E::ContactDetailsChanged { details } => {
                (self.email, self.phone) = (details.email.clone(), details.phone.clone());
            }
            E::TitleChanged { title } => self.title = title.clone(),
            E::LinkedToClient { client_id, role, primary } => {
                self.clients.retain(|c| c.client_id != *client_id);
                // Whoever was erased cannot be asked, and another may be asked first.
                let primary = *primary && !self.name.text().is_empty();
                self.clients.push(ContactClient { client_id: *client_id, role: role.clone(), primary });
            }
            E::UnlinkedFromClient { client_id } => self.clients.retain(|c| c.client_id != *client_id),
            E::Archived {} | E::Restored {} => {}
        }
        self.client_id = self.clients.iter().find(|c| c.primary).or(self.clients.first()).map(|c| c.client_id);
        Ok(())
    }
}
