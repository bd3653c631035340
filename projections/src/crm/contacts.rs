//! Contacts as the lists and cards show them.

use crate::model::{Away, Event, FoldError, ReadModel, Shown, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use crm_events::ContactEvent as E;
use kernel::{Archivable, ClientId, ContactId, Email, Machine, Name, Personal, Phone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

/// A person at a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactRow {
    /// Its id.
    pub id: ContactId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What the person is called.
    pub name: Shown<Name>,
    /// The person's address.
    pub email: Option<Personal<Email>>,
    /// The person's telephone number.
    pub phone: Option<Personal<Phone>>,
    /// The client the person speaks for in the first place: a primary one, else the first.
    pub client_id: Option<ClientId>,
    /// Every client the person speaks for.
    pub clients: Vec<ContactClient>,
    /// Taken out of the lists.
    pub archived: Archivable,
}

impl ReadModel for ContactRow {
    const TABLE: &'static str = "crm.contacts";
    const STREAMS: &'static [&'static str] = &["crm.contact"];
    const PATH: &'static str = "crm/contacts";
    const READ: &'static str = "crm.contact.read";
    const ABOUT: &'static str = "Persons at clients.";
    const FILTER: &'static [&'static str] = &["name", "email", "client_id", "created_at", "updated_at"];
    const AWAY: Option<Away> = Some(Away::Column("archived"));
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::Clients("clients")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Contact(change) = &event.payload else { return Ok(row) };
        if let E::Created { name, details } = change {
            return Ok(Some(Self {
                id: ContactId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.into(),
                email: details.email.clone(),
                phone: details.phone.clone(),
                client_id: None,
                clients: vec![],
                archived: Archivable::default(),
            }));
        }
        let mut row = existing(row, event)?;
        row.archived = row.archived.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => row.name = name.into(),
            E::ContactDetailsChanged { details } => {
                (row.email, row.phone) = (details.email.clone(), details.phone.clone());
            }
            E::LinkedToClient { client_id, role, primary } => {
                row.clients.retain(|c| c.client_id != *client_id);
                // Whoever was erased cannot be asked, and another may be asked first.
                let primary = *primary && !row.name.text().is_empty();
                row.clients.push(ContactClient { client_id: *client_id, role: role.clone(), primary });
            }
            E::UnlinkedFromClient { client_id } => row.clients.retain(|c| c.client_id != *client_id),
            E::Archived {} | E::Restored {} => {}
        }
        row.client_id = row.clients.iter().find(|c| c.primary).or(row.clients.first()).map(|c| c.client_id);
        Ok(Some(row))
    }

    stamped!();
}
