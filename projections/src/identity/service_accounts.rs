//! Programs that act in the firm's name.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::identity_events::{ServiceAccountEvent as E, ServiceAccountStatus};
use kernel::{Machine, Name, ServiceAccountId, Slug, read_model};

/// Programs that act in the firm's name.
#[read_model("identity.service_accounts", id = ServiceAccountId, read = "identity.service_account.read")]
pub struct ServiceAccountRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// What it may do.
    pub roles: Vec<Slug>,
    /// Where it stands.
    #[column(filter)]
    pub status: ServiceAccountStatus,
}

impl Fold for ServiceAccountRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, roles } = change else { return None };
        Some(Self {
            name: name.clone(),
            roles: roles.iter().map(|role| role.name.clone()).collect(),
            status: ServiceAccountStatus::default().after(change),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Created { .. } => {}
            E::RoleAssigned { role } => {
                self.roles.retain(|name| *name != role.name);
                self.roles.push(role.name.clone());
            }
            E::RoleRevoked { role } => self.roles.retain(|name| *name != role.name),
            E::Disabled {} | E::Enabled {} => {}
        }
        Ok(())
    }
}
