//! The roles that the firm made itself.

use crate::model::{Away, Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{RoleEvent as E, RoleStatus};
use kernel::{Grant, Machine, Pattern, Slug, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A role that the firm made itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleRow {
    /// Its id.
    pub id: Uuid,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called where it is assigned.
    pub name: Slug,
    /// What it is for.
    pub description: Text,
    /// What it grants and denies.
    pub patterns: Vec<Pattern>,
    /// What it grants for single resources.
    pub grants: Vec<Grant>,
    /// Where it stands.
    pub status: RoleStatus,
}

impl ReadModel for RoleRow {
    const TABLE: &'static str = "identity.roles";
    const STREAMS: &'static [&'static str] = &["identity.role"];
    const PATH: &'static str = "identity/roles";
    const READ: &'static str = "identity.role.read";
    const ABOUT: &'static str = "The roles that the firm made itself, beside owner, admin, member and viewer.";
    const FILTER: &'static [&'static str] = &["name"];
    const AWAY: Option<Away> = Some(Away::Status("withdrawn"));
    const SORT: &'static [&'static str] = &["name", "created_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Role(change) = &event.payload else { return Ok(row) };
        if let E::Defined { name, description, patterns } = change {
            return Ok(Some(Self {
                id: key,
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.clone(),
                description: description.clone(),
                patterns: patterns.clone(),
                grants: vec![],
                status: RoleStatus::default().after(change),
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Defined { .. } => {}
            E::Changed { description, patterns } => {
                (row.description, row.patterns) = (description.clone(), patterns.clone());
            }
            E::Granted { pattern, resource } => {
                row.grants.push(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                row.grants.retain(|grant| (&grant.pattern, &grant.resource) != (pattern, resource));
            }
            E::Withdrawn {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
