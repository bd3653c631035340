//! What happens to a service account.

use crate::GivenRole;
use kernel::{Machine, Name, event, status};

use ServiceAccountEvent as E;

/// Where a service account stands.
#[status]
pub enum ServiceAccountStatus {
    /// Its keys open what they may.
    #[default]
    Active,
    /// None of its keys opens anything.
    Disabled,
}

impl Machine<E> for ServiceAccountStatus {
    const BEGINS: &'static [&'static str] = &["service_account.created"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Disabled {} => Self::Disabled,
            E::Enabled {} => Self::Active,
            _ => self,
        }
    }
}

/// Everything that happens to a service account: a program that acts in the firm's name.
#[event("identity.service_account")]
pub enum ServiceAccountEvent {
    /// A program got an account.
    Created {
        /// What it is called; one account per name.
        name: Name,
        /// What it may do.
        roles: Vec<GivenRole>,
    },
    /// The program got a role.
    RoleAssigned {
        /// Which one.
        role: GivenRole,
    },
    /// The program lost a role.
    RoleRevoked {
        /// Which one.
        role: GivenRole,
    },
    /// None of its keys opens anything.
    Disabled {},
    /// Its keys are good again.
    Enabled {},
}
