//! A role that a firm made itself, beside owner, admin, member and viewer: a name for a list of patterns.

use identity_events::RoleEvent as E;
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Grant, GrantRefused, Grants, Pattern, Reference, Resource, Role,
    Slug, Text, command, rejection,
};
use serde::{Deserialize, Serialize};

use RoleCommand as C;
use RoleRejection as R;

/// Patterns of one role.
const PATTERNS_MAX: usize = 100;

/// What may be asked of a role.
#[command("identity.role")]
pub enum RoleCommand {
    /// Makes a role.
    #[creates]
    #[refused(NameIsBuiltIn, TooManyPatterns, PatternsBeyondYours, "name.taken")]
    Define {
        /// What it is called where it is assigned; one role per name.
        name: Slug,
        /// What it is for.
        description: Text,
        /// What it grants and denies, at most 100; nobody grants what they do not have.
        patterns: Vec<Pattern>,
    },
    /// Lets the role grant something else, to everybody who has it.
    #[refused(TooManyPatterns, PatternsBeyondYours, Withdrawn)]
    Change {
        /// What it is for.
        description: Text,
        /// What it grants and denies, at most 100; nobody grants what they do not have.
        patterns: Vec<Pattern>,
    },
    /// Gives whoever has the role a right for one resource; nobody gives what they do not have.
    #[refused(TooManyGrants, NotPlain, GrantBeyondYours, Withdrawn)]
    Grant {
        /// What may be done: `projects.*`.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a right for one resource from whoever has the role.
    #[refused(Withdrawn)]
    RevokeGrant {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Lets the role grant nothing any more, and gives its name free.
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
    /// The patterns grant more than you have.
    PatternsBeyondYours,
    /// A role has 200 rights for single resources at most.
    TooManyGrants,
    /// A right for a resource gives: no `!` in front and no `:own` behind.
    #[invalid("/pattern")]
    NotPlain,
    /// The right is more than you have.
    GrantBeyondYours,
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
    withdrawn: bool,
}

impl Aggregate for CustomRole {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/roles";
    const STATE_VERSION: i32 = 2;

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { name, .. } if name.as_str().parse::<Role>().is_ok() => return Err(R::NameIsBuiltIn),
            C::Define { name, description, patterns } => {
                vec![E::Defined { name, description, patterns: granted(patterns, ctx)? }]
            }
            C::Withdraw {} if self.withdrawn => vec![],
            C::Withdraw {} => vec![E::Withdrawn {}],
            _ if self.withdrawn => return Err(R::Withdrawn),
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
            C::Change { description, patterns } => vec![E::Changed { description, patterns: granted(patterns, ctx)? }],
        })
    }

    fn apply(&mut self, event: &E) {
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
            E::Withdrawn {} => self.withdrawn = true,
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
            GrantRefused::NotPlain => R::NotPlain,
            GrantRefused::Beyond => R::GrantBeyondYours,
        }
    }
}

impl CustomRole {
    /// The role of this name, if it is one of the firm's own.
    pub fn reference(name: &Slug) -> Option<Reference> {
        name.as_str().parse::<Role>().is_err().then(|| Reference::claim::<Self>(Self::named(name)))
    }

    /// Is all that a role grants, built in or asked for by [`CustomRole::reference`], among what whoever asks may do? None
    /// if there is no such role.
    pub fn is_held(name: &Slug, ctx: &Context) -> Option<bool> {
        if let Ok(role) = name.as_str().parse::<Role>() {
            return Some(ctx.permissions.cover(role.patterns().iter().copied()));
        }
        let claim = Self::named(name);
        let (_, role) = ctx.holder::<Self>(claim.scope, &claim.value)?;
        let patterns = ctx.permissions.cover(role.patterns.iter().map(Pattern::as_str));
        Some(patterns && role.grants.iter().all(|grant| ctx.permissions.cover_grant(grant)))
    }

    fn named(name: &Slug) -> Claim {
        Claim::new("identity.role.name", name.as_str())
    }
}

/// The patterns, if there are not too many and whoever grants them holds what they grant.
fn granted(patterns: Vec<Pattern>, ctx: &Context) -> Result<Vec<Pattern>, R> {
    if patterns.len() > PATTERNS_MAX {
        return Err(R::TooManyPatterns);
    }
    if !ctx.permissions.cover(patterns.iter().map(Pattern::as_str)) {
        return Err(R::PatternsBeyondYours);
    }
    Ok(patterns)
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

/// Is there such a role, and does whoever gives it hold what it grants?
pub(crate) fn may_give(name: &Slug, ctx: &Context) -> Result<(), Giving> {
    match CustomRole::is_held(name, ctx) {
        _ if name.as_str() == Role::Owner.name() => Err(Giving::Owner),
        None => Err(Giving::Unknown),
        Some(false) => Err(Giving::Beyond),
        Some(true) => Ok(()),
    }
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
        admin().when(define("all", &["*"])).rejected("identity.role.patterns_beyond_yours");
        admin().when(define("firm", &["identity.*"])).rejected("identity.role.patterns_beyond_yours");
        assert_eq!(admin().when(define("people", &["identity.user.*"])).events().len(), 1);
    }

    #[test]
    fn a_role_with_a_right_for_a_resource_is_given_by_who_has_that_too() {
        let resource = Resource::from(kernel::ClientId(uuid::Uuid::from_u128(5)));
        let granted = E::Granted { pattern: "workflow.*".parse().unwrap(), resource };
        let grant = C::Grant { pattern: "workflow.*".parse().unwrap(), resource };
        let role = || given::<CustomRole>([defined()]);
        role().asked_with(["crm.*"]).when(grant.clone()).rejected("identity.role.grant_beyond_yours");
        role().when(grant).then([granted.clone()]);
        let mut partner = CustomRole::default();
        [defined(), granted].iter().for_each(|event| partner.apply(event));
        let name: Slug = "partner".parse().unwrap();
        let assign = crate::user::UserCommand::AssignRole { role: name.clone() };
        let known = || {
            let id = uuid::Uuid::from_u128(9);
            given::<crate::User>([]).knowing(CustomRole::reference(&name).unwrap(), id, partner.clone())
        };
        known().asked_with(["crm.*"]).when(assign.clone()).rejected("identity.user.role_beyond_yours");
        assert_eq!(known().asked_with(["crm.*", "workflow.*"]).when(assign).events().len(), 1);
    }

    #[test]
    fn a_change_to_the_same_is_already_so() {
        let change = |granted: &[&str]| C::Change {
            description: "Runs engagements".parse().unwrap(),
            patterns: patterns(granted),
        };
        given::<CustomRole>([defined()]).when(change(&["crm.*"])).then([]);
        given::<CustomRole>([defined(), E::Withdrawn {}]).when(change(&[])).rejected("identity.role.withdrawn");
        let many = vec!["crm.*"; PATTERNS_MAX + 1];
        given::<CustomRole>([defined()]).when(change(&many)).rejected("identity.role.too_many_patterns");
    }
}
