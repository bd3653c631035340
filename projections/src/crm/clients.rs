//! Clients as the lists and cards show them.

use crate::model::{Event, FoldError, ReadModel, Shown, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use crm_events::{ClientEvent as E, ClientKind, ClientStatus};
use kernel::{ClientId, Email, Machine, Name, Personal, Phone, Slug, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A firm or person that is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientRow {
    /// Its id.
    pub id: ClientId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What the client is called.
    pub name: Shown<Name>,
    /// Organisation or person.
    pub kind: ClientKind,
    /// The main address.
    pub email: Option<Personal<Email>>,
    /// The main telephone number.
    pub phone: Option<Personal<Phone>>,
    /// Where it stands with the firm.
    pub status: ClientStatus,
    /// Who of the firm is responsible.
    pub owner_id: Option<UserId>,
    /// Its tags, in the order they were put on.
    pub tags: Vec<Slug>,
    /// Why no new work may be started for it, if so.
    pub blocked_reason: Option<Personal<Name>>,
}

impl ReadModel for ClientRow {
    const TABLE: &'static str = "crm.clients";
    const STREAMS: &'static [&'static str] = &["crm.client"];
    const PATH: &'static str = "crm/clients";
    const READ: &'static str = "crm.client.read";
    const ABOUT: &'static str = "Firms and persons that are served.";
    const FILTER: &'static [&'static str] =
        &["name", "kind", "email", "status", "owner_id", "tags", "created_at", "updated_at"];
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::Client("id"), Tie::User("owner_id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Client(change) = &event.payload else { return Ok(row) };
        if let E::Created { name, kind, details } = change {
            return Ok(Some(Self {
                id: ClientId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.into(),
                kind: *kind,
                email: details.email.clone(),
                phone: details.phone.clone(),
                status: ClientStatus::default().after(change),
                owner_id: None,
                tags: vec![],
                blocked_reason: None,
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => row.name = name.into(),
            E::ContactDetailsChanged { details } => {
                (row.email, row.phone) = (details.email.clone(), details.phone.clone());
            }
            E::StatusChanged { .. } => {}
            E::OwnerAssigned { owner_id } => row.owner_id = Some(*owner_id),
            E::Tagged { tag } => {
                row.tags.retain(|t| t != tag);
                row.tags.push(tag.clone());
            }
            E::Untagged { tag } => row.tags.retain(|t| t != tag),
            E::Blocked { reason } => row.blocked_reason = Some(reason.clone()),
            E::Unblocked {} => row.blocked_reason = None,
        }
        Ok(Some(row))
    }

    stamped!();
}
