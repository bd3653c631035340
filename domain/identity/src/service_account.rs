//! A service account: a program that acts in the firm's name, by API keys.

use crate::CustomRole;
use crate::role::{self, Giving, Held};
use identity_events::{GivenRole, ServiceAccountEvent as E, ServiceAccountStatus};
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Machine, Name, Reference, Rights, Slug, command, rejection,
};
use serde::{Deserialize, Serialize};

use ServiceAccountCommand as C;
use ServiceAccountRejection as R;

/// Roles of one account.
const ROLES_MAX: usize = 20;

/// What may be asked of a service account.
#[command("identity.service_account", !member)]
pub enum ServiceAccountCommand {
    /// Gives a program an account.
    #[creates]
    #[refused(TooManyRoles, RoleUnknown, OwnerRoleNotAssignable, RoleExceedsYourPermissions, "name.taken")]
    Create {
        /// What it is called; one account per name.
        name: Name,
        /// What it may do, at most 20 roles; nobody gives what they do not have.
        roles: Vec<Slug>,
    },
    /// Gives the program a role; nobody gives what they do not have.
    #[refused(TooManyRoles, RoleUnknown, OwnerRoleNotAssignable, RoleExceedsYourPermissions, Disabled)]
    AssignRole {
        /// Which one.
        role: Slug,
    },
    /// Takes a role from the program; where that ends a denial, only who may do what was denied.
    #[refused(RoleExceedsYourPermissions)]
    RevokeRole {
        /// Which one.
        role: Slug,
    },
    /// Lets none of its keys open anything.
    Disable {},
    /// Lets its keys open what they did; nobody gives what they do not have.
    #[refused(RoleExceedsYourPermissions)]
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
    OwnerRoleNotAssignable,
    /// The role grants more than you have.
    #[audited]
    RoleExceedsYourPermissions,
    /// The account is disabled; enable it first.
    Disabled,
}

/// What is remembered of a service account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccount {
    name: Option<Name>,
    roles: Held,
    status: ServiceAccountStatus,
}

impl Aggregate for ServiceAccount {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/service-accounts";
    const STATE_VERSION: i32 = 3;

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Create { roles, .. } => roles.iter().filter_map(CustomRole::reference).collect(),
            C::AssignRole { role } => CustomRole::reference(role).into_iter().collect(),
            C::RevokeRole { .. } | C::Enable {} => role::references(&self.roles).collect(),
            C::Disable {} => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { roles, .. } if roles.len() > ROLES_MAX => return Err(R::TooManyRoles),
            C::Create { name, roles } => {
                let roles = roles.into_iter().map(|role| may_give(role, ctx)).collect::<Result<Vec<_>, _>>()?;
                vec![E::Created { name, roles: role::given(&role::held(&roles)) }]
            }
            C::Disable {} if self.is_disabled() => vec![],
            C::Disable {} => vec![E::Disabled {}],
            C::RevokeRole { role } => {
                let mut left = self.roles.clone();
                let Some(id) = left.remove(&role) else { return Ok(vec![]) };
                if !ctx.permissions.cover_change(&self.rights(ctx), &role::rights(&left, ctx)) {
                    return Err(R::RoleExceedsYourPermissions);
                }
                vec![E::RoleRevoked { role: GivenRole { name: role, id } }]
            }
            C::Enable {} if !self.is_disabled() => vec![],
            C::Enable {} if !ctx.permissions.cover_rights(&self.rights(ctx)) => {
                return Err(R::RoleExceedsYourPermissions);
            }
            C::Enable {} => vec![E::Enabled {}],
            _ if self.is_disabled() => return Err(R::Disabled),
            C::AssignRole { role } => {
                let role = may_give(role, ctx)?;
                match self.roles.get(&role.name) {
                    Some(id) if *id == role.id => vec![],
                    None if self.roles.len() == ROLES_MAX => return Err(R::TooManyRoles),
                    _ => vec![E::RoleAssigned { role }],
                }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { name, roles } => {
                self.name = Some(name.clone());
                self.roles = role::held(roles);
            }
            E::RoleAssigned { role } => {
                self.roles.insert(role.name.clone(), role.id);
            }
            E::RoleRevoked { role } => {
                self.roles.remove(&role.name);
            }
            E::Disabled {} | E::Enabled {} => {}
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
    fn is_disabled(&self) -> bool {
        self.status == ServiceAccountStatus::Disabled
    }

    /// What its roles come to, of which those of the firm's own were asked for with [`ServiceAccount::own_roles`].
    pub(crate) fn rights(&self, ctx: &Context) -> Rights {
        role::rights(&self.roles, ctx)
    }

    /// The roles of the firm's own that it has.
    pub(crate) fn own_roles(&self) -> impl Iterator<Item = Reference> + '_ {
        role::references(&self.roles)
    }
}

fn may_give(role: Slug, ctx: &Context) -> Result<GivenRole, R> {
    role::may_give(role, ctx).map_err(|why| match why {
        Giving::Owner => R::OwnerRoleNotAssignable,
        Giving::Unknown => R::RoleUnknown,
        Giving::Beyond => R::RoleExceedsYourPermissions,
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
        E::Created { name: "Ledger sync".parse().unwrap(), roles: vec![built_in("viewer")] }
    }

    fn built_in(name: &str) -> GivenRole {
        GivenRole { name: name.parse().unwrap(), id: None }
    }

    #[test]
    fn a_role_is_taken_from_a_disabled_program_too() {
        let revoke = C::RevokeRole { role: "viewer".parse().unwrap() };
        let revoked = E::RoleRevoked { role: built_in("viewer") };
        given::<ServiceAccount>([created(), E::Disabled {}]).when(revoke.clone()).then([revoked.clone()]);
        given::<ServiceAccount>([created(), E::Disabled {}, revoked]).when(revoke).then([]);
    }

    #[test]
    fn a_program_that_may_do_more_is_not_let_in_again() {
        let admin = E::Created { name: "Ledger sync".parse().unwrap(), roles: vec![built_in("admin")] };
        let disabled = || given::<ServiceAccount>([admin.clone(), E::Disabled {}]);
        let member = disabled().asked_with(Role::Member.patterns().iter().copied());
        member.when(C::Enable {}).rejected("identity.service_account.role_exceeds_your_permissions");
        disabled().when(C::Enable {}).then([E::Enabled {}]);
        let revoke = C::RevokeRole { role: "admin".parse().unwrap() };
        let both = E::RoleAssigned { role: built_in("member") };
        let lifted = given::<ServiceAccount>([admin, both]).asked_with(["identity.service_account.*"]);
        lifted.when(revoke).then([E::RoleRevoked { role: built_in("admin") }]);
    }

    #[test]
    fn a_program_gets_no_more_than_whoever_lets_it_in() {
        let claims = given::<ServiceAccount>([]).when(create(&["viewer"])).then([created()]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("identity.service_account.name", "ledger sync"))]);
        given::<ServiceAccount>([])
            .when(create(&["owner"]))
            .rejected("identity.service_account.owner_role_not_assignable");
        let member = given::<ServiceAccount>([]).asked_with(Role::Member.patterns().iter().copied());
        member.when(create(&["admin"])).rejected("identity.service_account.role_exceeds_your_permissions");
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
