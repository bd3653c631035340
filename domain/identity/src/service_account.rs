//! A service account: a program that acts in the firm's name, by API keys.

use crate::CustomRole;
use crate::role::{self, Giving};
use identity_events::ServiceAccountEvent as E;
use kernel::{Aggregate, Claim, ClaimChange, Context, Decision, Name, Reference, Slug, command, rejection};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use ServiceAccountCommand as C;
use ServiceAccountRejection as R;

/// Roles of one account.
const ROLES_MAX: usize = 20;

/// What may be asked of a service account.
#[command("identity.service_account")]
pub enum ServiceAccountCommand {
    /// Gives a program an account.
    #[creates]
    #[refused(TooManyRoles, RoleUnknown, OwnerIsNoRoleToGive, RoleBeyondYours, "name.taken")]
    Create {
        /// What it is called; one account per name.
        name: Name,
        /// What it may do, at most 20 roles; nobody gives what they do not have.
        roles: Vec<Slug>,
    },
    /// Gives the program a role; nobody gives what they do not have.
    #[refused(TooManyRoles, RoleUnknown, OwnerIsNoRoleToGive, RoleBeyondYours, Disabled)]
    AssignRole {
        /// Which one.
        role: Slug,
    },
    /// Takes a role from the program.
    #[refused(Disabled)]
    RevokeRole {
        /// Which one.
        role: Slug,
    },
    /// Lets none of its keys open anything.
    Disable {},
    /// Lets its keys open what they did.
    Enable {},
}

/// Why a service account's command may be refused.
#[rejection("identity.service_account")]
pub enum ServiceAccountRejection {
    /// An account has 20 roles at most.
    TooManyRoles,
    /// There is no such role.
    RoleUnknown,
    /// A program owns no firm.
    OwnerIsNoRoleToGive,
    /// The role grants more than you have.
    RoleBeyondYours,
    /// The account is disabled; enable it first.
    Disabled,
}

/// What is remembered of a service account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccount {
    name: Option<Name>,
    roles: BTreeSet<Slug>,
    disabled: bool,
}

impl Aggregate for ServiceAccount {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/service-accounts";

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Create { roles, .. } => roles.iter().filter_map(CustomRole::reference).collect(),
            C::AssignRole { role } => CustomRole::reference(role).into_iter().collect(),
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { roles, .. } if roles.len() > ROLES_MAX => return Err(R::TooManyRoles),
            C::Create { name, roles } => {
                roles.iter().try_for_each(|role| may_give(role, ctx))?;
                vec![E::Created { name, roles }]
            }
            C::Disable {} if self.disabled => vec![],
            C::Disable {} => vec![E::Disabled {}],
            C::Enable {} if self.disabled => vec![E::Enabled {}],
            C::Enable {} => vec![],
            _ if self.disabled => return Err(R::Disabled),
            C::AssignRole { role } if self.roles.contains(&role) => vec![],
            C::AssignRole { .. } if self.roles.len() == ROLES_MAX => return Err(R::TooManyRoles),
            C::AssignRole { role } => {
                may_give(&role, ctx)?;
                vec![E::RoleAssigned { role }]
            }
            C::RevokeRole { role } if self.roles.contains(&role) => vec![E::RoleRevoked { role }],
            C::RevokeRole { .. } => vec![],
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Created { name, roles } => {
                self.name = Some(name.clone());
                self.roles = roles.iter().cloned().collect();
            }
            E::RoleAssigned { role } => {
                self.roles.insert(role.clone());
            }
            E::RoleRevoked { role } => {
                self.roles.remove(role);
            }
            E::Disabled {} => self.disabled = true,
            E::Enabled {} => self.disabled = false,
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Created { name, .. } => {
                vec![ClaimChange::Take(Claim::new("identity.service_account.name", name.folded()))]
            }
            _ => vec![],
        }
    }
}

impl ServiceAccount {
    /// The roles it has.
    pub fn roles(&self) -> impl Iterator<Item = &Slug> {
        self.roles.iter()
    }
}

fn may_give(role: &Slug, ctx: &Context) -> Result<(), R> {
    role::may_give(role, ctx).map_err(|why| match why {
        Giving::Owner => R::OwnerIsNoRoleToGive,
        Giving::Unknown => R::RoleUnknown,
        Giving::Beyond => R::RoleBeyondYours,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Role;
    use kernel::spec::given;

    fn create(roles: &[&str]) -> C {
        C::Create { name: "Ledger sync".parse().unwrap(), roles: roles.iter().map(|r| r.parse().unwrap()).collect() }
    }

    fn created() -> E {
        E::Created { name: "Ledger sync".parse().unwrap(), roles: vec!["viewer".parse().unwrap()] }
    }

    #[test]
    fn a_program_gets_no_more_than_whoever_lets_it_in() {
        let claims = given::<ServiceAccount>([]).when(create(&["viewer"])).then([created()]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("identity.service_account.name", "ledger sync"))]);
        given::<ServiceAccount>([])
            .when(create(&["owner"]))
            .rejected("identity.service_account.owner_is_no_role_to_give");
        let member = given::<ServiceAccount>([]).asked_with(Role::Member.patterns().iter().copied());
        member.when(create(&["admin"])).rejected("identity.service_account.role_beyond_yours");
        let unknown = given::<ServiceAccount>([]).when(create(&["partner"]));
        unknown.rejected("identity.service_account.role_unknown");
    }

    #[test]
    fn a_disabled_program_gets_no_roles() {
        let assign = C::AssignRole { role: "member".parse().unwrap() };
        given::<ServiceAccount>([created(), E::Disabled {}]).when(assign).rejected("identity.service_account.disabled");
        given::<ServiceAccount>([created(), E::Disabled {}]).when(C::Enable {}).then([E::Enabled {}]);
        given::<ServiceAccount>([created()]).when(C::Enable {}).then([]);
    }
}
