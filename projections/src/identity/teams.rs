//! The firm's teams.

use crate::model::{Away, Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use identity_events::{TeamEvent as E, TeamStatus};
use kernel::{Grant, Machine, Name, TeamId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Users who work together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TeamRow {
    /// Its id.
    pub id: TeamId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// Who is in it.
    pub members: Vec<UserId>,
    /// Its members' rights for single resources.
    pub grants: Vec<Grant>,
    /// Where it stands.
    pub status: TeamStatus,
}

impl ReadModel for TeamRow {
    const TABLE: &'static str = "identity.teams";
    const STREAMS: &'static [&'static str] = &["identity.team"];
    const PATH: &'static str = "identity/teams";
    const READ: &'static str = "identity.team.read";
    const ABOUT: &'static str = "The firm's teams.";
    const FILTER: &'static [&'static str] = &["name"];
    const AWAY: Option<Away> = Some(Away::Status("disbanded"));
    const SORT: &'static [&'static str] = &["name", "created_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Team(change) = &event.payload else { return Ok(row) };
        if let E::Created { name } = change {
            return Ok(Some(Self {
                id: TeamId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                name: name.clone(),
                members: vec![],
                grants: vec![],
                status: TeamStatus::default().after(change),
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => row.name = name.clone(),
            E::MemberAdded { user_id, .. } => {
                // Whoever has come back to the firm is taken in once more.
                row.members.retain(|member| member != user_id);
                row.members.push(*user_id);
            }
            E::MemberRemoved { user_id } => row.members.retain(|member| member != user_id),
            E::Granted { pattern, resource } => {
                row.grants.push(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                row.grants.retain(|grant| (&grant.pattern, &grant.resource) != (pattern, resource));
            }
            E::Disbanded {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
