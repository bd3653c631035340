//! A role that a firm made itself, beside owner, admin, member and viewer: a name for a list of patterns.

use identity_events::{GivenRole, RoleEvent as E, RoleStatus};
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Grant, GrantRefused, Grants, Machine, Pattern, Reference,
    Resource, Rights, Role, RoleId, Slug, Text, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use RoleCommand as C;
use RoleRejection as R;

/// Patterns of one role.
const PATTERNS_MAX: usize = 100;

/// What may be asked of a role.
#[command("identity.role", !member)]
pub enum RoleCommand {
    /// Makes a role.
    #[creates]
    #[refused(NameIsBuiltIn, TooManyPatterns, PatternsExceedYourPermissions, "name.taken")]
    Define {
        /// What it is called where it is assigned; one role per name.
        name: Slug,
        /// What it is for.
        description: Text,
        /// What it grants and denies, at most 100; nobody grants what they do not have.
        patterns: Vec<Pattern>,
    },
    /// Lets the role grant something else, to everybody who has it; nobody gives what they do not have, and to deny less is
    /// to give.
    #[refused(TooManyPatterns, PatternsExceedYourPermissions, Withdrawn)]
    Change {
        /// What it is for.
        description: Text,
        /// What it grants and denies, at most 100; nobody grants what they do not have.
        patterns: Vec<Pattern>,
    },
    /// Gives whoever has the role a right for one resource; nobody gives what they do not have.
    #[refused(TooManyGrants, PatternNotGrantable, GrantExceedsYourPermissions, Withdrawn)]
    Grant {
        /// What may be done: `projects.*`.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a right for one resource from whoever has the role.
    RevokeGrant {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Lets the role grant and deny nothing any more, and gives its name free; whoever has it does not have the next role of
    /// that name. Only who may do what it denies ends the denial.
    #[refused(PatternsExceedYourPermissions)]
    Withdraw {},
}

/// Why a role's command may be refused.
#[rejection("identity.role")]
pub enum RoleRejection {
    /// Every firm has a role of this name already.
    #[invalid("/name")]
    NameIsBuiltIn,
    /// A role has 100 patterns at most.
    #[invalid("/patterns")]
    TooManyPatterns,
    /// The patterns grant more than you have, or no longer deny what you may not do.
    #[audited]
    PatternsExceedYourPermissions,
    /// A role has 200 rights for single resources at most.
    TooManyGrants,
    /// A right for a resource gives: no `!` in front and no `:own` behind.
    #[invalid("/pattern")]
    PatternNotGrantable,
    /// The right is more than you have.
    #[audited]
    GrantExceedsYourPermissions,
    /// The role was withdrawn.
    Withdrawn,
}

/// What is remembered of a role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomRole {
    name: Option<Slug>,
    description: Option<Text>,
    patterns: Vec<Pattern>,
    grants: Grants,
    status: RoleStatus,
}

impl Aggregate for CustomRole {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/roles";
    const STATE_VERSION: i32 = 3;

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { name, .. } if name.as_str().parse::<Role>().is_ok() => return Err(R::NameIsBuiltIn),
            C::Define { name, description, patterns } => {
                vec![E::Defined { name, description, patterns: self.granted(patterns, ctx)? }]
            }
            C::Withdraw {} if self.is_withdrawn() => vec![],
            C::Withdraw {} if !ctx.permissions.cover_role_change(&self.rights(), &Rights::default()) => {
                return Err(R::PatternsExceedYourPermissions);
            }
            C::Withdraw {} => vec![E::Withdrawn {}],
            // Whatever it granted is taken already.
            C::RevokeGrant { .. } if self.is_withdrawn() => vec![],
            _ if self.is_withdrawn() => return Err(R::Withdrawn),
            C::Grant { pattern, resource } => {
                let grant = Grant { pattern, resource };
                let new = self.grants.may_get(&grant, &ctx.permissions)?;
                let Grant { pattern, resource } = grant;
                new.then_some(E::Granted { pattern, resource }).into_iter().collect()
            }
            C::RevokeGrant { pattern, resource } => {
                let held = self.grants.contains(&Grant { pattern: pattern.clone(), resource });
                held.then_some(E::GrantRevoked { pattern, resource }).into_iter().collect()
            }
            C::Change { description, patterns }
                if patterns == self.patterns && Some(&description) == self.description.as_ref() =>
            {
                vec![]
            }
            C::Change { description, patterns } => {
                vec![E::Changed { description, patterns: self.granted(patterns, ctx)? }]
            }
        })
    }

    fn concerns(&self, _id: Uuid, event: &E) -> Vec<Resource> {
        match event {
            E::Granted { resource, .. } | E::GrantRevoked { resource, .. } => vec![*resource],
            _ => vec![],
        }
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Defined { name, description, patterns } => {
                self.name = Some(name.clone());
                (self.description, self.patterns) = (Some(description.clone()), patterns.clone());
            }
            E::Changed { description, patterns } => {
                (self.description, self.patterns) = (Some(description.clone()), patterns.clone());
            }
            E::Granted { pattern, resource } => {
                self.grants.insert(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                self.grants.remove(&Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::Withdrawn {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Defined { name, .. } => vec![ClaimChange::Take(Self::named(name))],
            E::Withdrawn {} => self.name.iter().map(|name| ClaimChange::Release(Self::named(name))).collect(),
            E::Changed { .. } | E::Granted { .. } | E::GrantRevoked { .. } => vec![],
        }
    }
}

impl From<GrantRefused> for R {
    fn from(why: GrantRefused) -> Self {
        match why {
            GrantRefused::TooMany => R::TooManyGrants,
            GrantRefused::PatternNotGrantable => R::PatternNotGrantable,
            GrantRefused::Beyond => R::GrantExceedsYourPermissions,
        }
    }
}

impl CustomRole {
    /// The role of this name, if it is one of the firm's own.
    pub fn reference(name: &Slug) -> Option<Reference> {
        name.as_str().parse::<Role>().is_err().then(|| Reference::claim::<Self>(Self::named(name)))
    }

    fn is_withdrawn(&self) -> bool {
        self.status == RoleStatus::Withdrawn
    }

    /// What it comes to for whoever has it.
    fn rights(&self) -> Rights {
        match self.is_withdrawn() {
            true => Rights::default(),
            false => Rights::of(self.patterns.iter().map(Pattern::as_str), self.grants.iter()),
        }
    }

    /// The patterns, if there are not too many and whoever grants them holds what that gives.
    fn granted(&self, patterns: Vec<Pattern>, ctx: &Context) -> Result<Vec<Pattern>, R> {
        if patterns.len() > PATTERNS_MAX {
            return Err(R::TooManyPatterns);
        }
        let after = Rights::of(patterns.iter().map(Pattern::as_str), self.grants.iter());
        if !ctx.permissions.cover_role_change(&self.rights(), &after) {
            return Err(R::PatternsExceedYourPermissions);
        }
        Ok(patterns)
    }

    fn named(name: &Slug) -> Claim {
        Claim::new("identity.role.name", name.as_str())
    }
}

/// The roles that somebody has, by name. Of the firm's own it is noted which one, because the name is free again once it is
/// withdrawn.
pub(crate) type Held = BTreeMap<Slug, Option<RoleId>>;

/// As they are remembered.
pub(crate) fn held<'r>(roles: impl IntoIterator<Item = &'r GivenRole>) -> Held {
    roles.into_iter().map(|role| (role.name.clone(), role.id)).collect()
}

/// As they are written down.
pub(crate) fn given(roles: &Held) -> Vec<GivenRole> {
    roles.iter().map(|(name, id)| GivenRole { name: name.clone(), id: *id }).collect()
}

/// What has to be looked at for [`rights`].
pub(crate) fn references(roles: &Held) -> impl Iterator<Item = Reference> + '_ {
    roles.values().flatten().map(|id| Reference::id::<CustomRole>(*id))
}

/// What roles come to; one that was withdrawn to nothing.
pub(crate) fn rights(roles: &Held, ctx: &Context) -> Rights {
    let of = |(name, id): (&Slug, &Option<RoleId>)| match id {
        Some(id) => ctx.referenced::<CustomRole>(*id).map(CustomRole::rights),
        None => name.as_str().parse::<Role>().ok().map(|role| Rights::of(role.patterns().iter().copied(), [])),
    };
    roles.iter().filter_map(of).fold(Rights::default(), Rights::and)
}

/// Why a role cannot be given.
pub(crate) enum Giving {
    /// Owners are made by the firm.
    Owner,
    /// There is no such role.
    Unknown,
    /// It grants more than whoever gives it has.
    Beyond,
}

/// The role of this name, asked for by [`CustomRole::reference`], if there is one and whoever gives it holds what it grants.
pub(crate) fn may_give(name: Slug, ctx: &Context) -> Result<GivenRole, Giving> {
    let (id, rights) = match name.as_str().parse::<Role>() {
        Ok(Role::Owner) => return Err(Giving::Owner),
        Ok(role) => (None, Rights::of(role.patterns().iter().copied(), [])),
        Err(_) => {
            let claim = CustomRole::named(&name);
            let (id, role) = ctx.holder::<CustomRole>(claim.scope, &claim.value).ok_or(Giving::Unknown)?;
            (Some(RoleId(id)), role.rights())
        }
    };
    if ctx.permissions.cover_rights(&rights) { Ok(GivenRole { name, id }) } else { Err(Giving::Beyond) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn define(name: &str, granted: &[&str]) -> C {
        C::Define {
            name: name.parse().unwrap(),
            description: "Runs engagements".parse().unwrap(),
            patterns: patterns(granted),
        }
    }

    fn defined() -> E {
        E::Defined {
            name: "partner".parse().unwrap(),
            description: "Runs engagements".parse().unwrap(),
            patterns: patterns(&["crm.*"]),
        }
    }

    #[test]
    fn a_name_is_one_role_of_the_firm() {
        let claims = given::<CustomRole>([]).when(define("partner", &["crm.*"])).then([defined()]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("identity.role.name", "partner"))]);
        let claims = given::<CustomRole>([defined()]).when(C::Withdraw {}).claims();
        assert_eq!(claims, [ClaimChange::Release(Claim::new("identity.role.name", "partner"))]);
    }

    #[test]
    fn the_names_that_every_firm_has_are_not_taken() {
        given::<CustomRole>([]).when(define("admin", &[])).rejected("identity.role.name_is_built_in");
    }

    #[test]
    fn nobody_grants_what_they_do_not_have() {
        let admin = || given::<CustomRole>([]).asked_with(Role::Admin.patterns().iter().copied());
        admin().when(define("all", &["*"])).rejected("identity.role.patterns_exceed_your_permissions");
        admin().when(define("firm", &["identity.*"])).rejected("identity.role.patterns_exceed_your_permissions");
        assert_eq!(admin().when(define("people", &["identity.user.*"])).events().len(), 1);
    }

    #[test]
    fn a_role_with_a_right_for_a_resource_is_given_by_who_has_that_too() {
        let resource = Resource::from(kernel::ClientId(uuid::Uuid::from_u128(5)));
        let granted = E::Granted { pattern: "workflow.*".parse().unwrap(), resource };
        let grant = C::Grant { pattern: "workflow.*".parse().unwrap(), resource };
        let role = || given::<CustomRole>([defined()]);
        role().asked_with(["crm.*"]).when(grant.clone()).rejected("identity.role.grant_exceeds_your_permissions");
        role().when(grant).then([granted.clone()]);
        let mut partner = CustomRole::default();
        [defined(), granted].iter().for_each(|event| partner.apply(event));
        let name: Slug = "partner".parse().unwrap();
        let assign = crate::user::UserCommand::AssignRole { role: name.clone() };
        let known = || {
            let id = uuid::Uuid::from_u128(9);
            given::<crate::User>([]).knowing(CustomRole::reference(&name).unwrap(), id, partner.clone())
        };
        known().asked_with(["crm.*"]).when(assign.clone()).rejected("identity.user.role_exceeds_your_permissions");
        assert_eq!(known().asked_with(["crm.*", "workflow.*"]).when(assign).events().len(), 1);
    }

    #[test]
    fn who_is_denied_something_ends_no_denial() {
        let denying = |granted: &[&str]| E::Defined {
            name: "partner".parse().unwrap(),
            description: "Runs engagements".parse().unwrap(),
            patterns: patterns(granted),
        };
        let change = |granted: &[&str]| C::Change {
            description: "Runs engagements".parse().unwrap(),
            patterns: patterns(granted),
        };
        let role = || given::<CustomRole>([denying(&["crm.*", "!identity.tenant.*"])]);
        let denied = || role().asked_with(["*", "!identity.tenant.*"]);
        for less in [&["crm.*"][..], &[], &["crm.*", "!identity.tenant.close"]] {
            denied().when(change(less)).rejected("identity.role.patterns_exceed_your_permissions");
            assert_eq!(role().when(change(less)).events().len(), 1, "an owner may");
        }
        denied().when(C::Withdraw {}).rejected("identity.role.patterns_exceed_your_permissions");
        role().when(C::Withdraw {}).then([E::Withdrawn {}]);
        for more in [&["!identity.tenant.*"][..], &["!identity.*"], &["crm.*", "!identity.tenant.*", "!workflow.*"]] {
            assert_eq!(denied().when(change(more)).events().len(), 1, "{more:?}");
        }
    }

    #[test]
    fn what_a_key_gives_by_a_role_is_within_the_key() {
        let key = |scopes: &[&'static str]| given::<CustomRole>([]).asked_by_key(scopes.iter().copied(), None);
        key(&["identity.role.*"])
            .when(define("all", &["crm.*"]))
            .rejected("identity.role.patterns_exceed_your_permissions");
        assert_eq!(key(&["identity.role.*", "crm.*"]).when(define("all", &["crm.*"])).events().len(), 1);
        let ends = given::<CustomRole>([]).asked_by_key([], Some(kernel::spec::spec_time()));
        ends.when(define("all", &["crm.*"])).rejected("identity.role.patterns_exceed_your_permissions");
    }

    #[test]
    fn a_change_to_the_same_is_already_so() {
        let change = |granted: &[&str]| C::Change {
            description: "Runs engagements".parse().unwrap(),
            patterns: patterns(granted),
        };
        given::<CustomRole>([defined()]).when(change(&["crm.*"])).then([]);
        given::<CustomRole>([defined(), E::Withdrawn {}]).when(change(&[])).rejected("identity.role.withdrawn");
        let resource = Resource::from(kernel::ClientId(uuid::Uuid::from_u128(5)));
        let revoke = C::RevokeGrant { pattern: "crm.*".parse().unwrap(), resource };
        given::<CustomRole>([defined(), E::Withdrawn {}]).when(revoke).then([]);
        let many = vec!["crm.*"; PATTERNS_MAX + 1];
        given::<CustomRole>([defined()]).when(change(&many)).rejected("identity.role.too_many_patterns");
    }
}
