//! The firm's teams.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{TeamEvent as E, TeamStatus};
use kernel::{Grant, Machine, Name, TeamId, UserId, read_model};

/// The firm's teams.
#[read_model("identity.teams", id = TeamId, read = "identity.team.read", away(status = "disbanded"))]
pub struct TeamRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// Who is in it.
    pub members: Vec<UserId>,
    /// Its members' rights for single resources.
    pub grants: Vec<Grant>,
    /// Where it stands.
    pub status: TeamStatus,
}

impl Fold for TeamRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name } = change else { return None };
        Some(Self { name: name.clone(), members: vec![], grants: vec![], status: TeamStatus::default().after(change) })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::Renamed { name } => self.name = name.clone(),
            E::MemberAdded { user_id, .. } => {
                // Whoever has come back to the firm is taken in once more.
                self.members.retain(|member| member != user_id);
                self.members.push(*user_id);
            }
            E::MemberRemoved { user_id } => self.members.retain(|member| member != user_id),
            E::Granted { pattern, resource } => {
                self.grants.push(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                self.grants.retain(|grant| (&grant.pattern, &grant.resource) != (pattern, resource));
            }
            E::Disbanded {} => {}
        }
        Ok(())
    }
}
