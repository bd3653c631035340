//! The roles that the firm made itself.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{RoleEvent as E, RoleStatus};
use kernel::{Grant, Machine, Pattern, Slug, Text, read_model};

/// The roles that the firm made itself, beside owner, admin, member and viewer.
#[read_model("identity.roles", read = "identity.role.read", away(status = "withdrawn"))]
pub struct RoleRow {
    /// What it is called where it is assigned.
    #[column(filter, sort)]
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

impl Fold for RoleRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { name, description, patterns } = change else { return None };
        Some(Self {
            name: name.clone(),
            description: description.clone(),
            patterns: patterns.clone(),
            grants: vec![],
            status: RoleStatus::default().after(change),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Defined { .. } => {}
            E::Changed { description, patterns } => {
                (self.description, self.patterns) = (description.clone(), patterns.clone());
            }
            E::Granted { pattern, resource } => {
                self.grants.push(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                self.grants.retain(|grant| (&grant.pattern, &grant.resource) != (pattern, resource));
            }
            E::Withdrawn {} => {}
        }
        Ok(())
    }
}
