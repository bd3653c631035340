//! A team: users who work together.

use crate::User;
use identity_events::{TeamEvent as E, TeamStatus};
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Grant, GrantRefused, Grants, Machine, Name, Pattern, Reference,
    Resource, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use TeamCommand as C;
use TeamRejection as R;

/// Members of one team.
const MEMBERS_MAX: usize = 1_000;

/// What may be asked of a team.
#[command("identity.team", !member)]
pub enum TeamCommand {
    /// Makes a team.
    #[creates]
    #[refused("name.taken")]
    Create {
        /// What it is called; one team per name.
        name: Name,
    },
    /// Calls the team something else.
    #[refused(Disbanded, "name.taken")]
    Rename {
        /// What it is called from now on.
        name: Name,
    },
    /// Takes a user in.
    #[refused(UserUnknown, TooManyMembers, MembershipExceedsYourPermissions, Disbanded)]
    AddMember {
        /// Who.
        user_id: UserId,
    },
    /// Takes a user out.
    RemoveMember {
        /// Who.
        user_id: UserId,
    },
    /// Gives its members a right for one resource; nobody gives what they do not have.
    #[refused(TooManyGrants, PatternNotGrantable, GrantExceedsYourPermissions, Disbanded)]
    Grant {
        /// What may be done: `projects.*`.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a right for one resource from its members.
    RevokeGrant {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Ends the team, and gives its name free.
    Disband {},
}

/// Why a team's command may be refused.
#[rejection("identity.team")]
pub enum TeamRejection {
    /// There is no such user in the firm, or not any more.
    #[invalid("/user_id")]
    UserUnknown,
    /// A team has 1,000 members at most.
    TooManyMembers,
    /// A team has 200 rights for single resources at most.
    TooManyGrants,
    /// A right for a resource gives: no `!` in front and no `:own` behind.
    #[invalid("/pattern")]
    PatternNotGrantable,
    /// The right is more than you have.
    #[audited]
    GrantExceedsYourPermissions,
    /// The team's rights are more than you have, so you cannot give them by taking somebody in.
    #[audited]
    MembershipExceedsYourPermissions,
    /// The team was disbanded.
    Disbanded,
}

/// What is remembered of a team.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Team {
    name: Option<Name>,
    /// Each with the time in the firm that they are a member for.
    members: BTreeMap<UserId, u32>,
    grants: Grants,
    status: TeamStatus,
}

impl Aggregate for Team {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/teams";
    const STATE_VERSION: i32 = 4;

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::AddMember { user_id } => vec![Reference::id::<User>(*user_id)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { name } => vec![E::Created { name }],
            C::Disband {} if self.status == TeamStatus::Disbanded => vec![],
            C::Disband {} => vec![E::Disbanded {}],
            C::RemoveMember { .. } | C::RevokeGrant { .. } if self.status == TeamStatus::Disbanded => vec![],
            _ if self.status == TeamStatus::Disbanded => return Err(R::Disbanded),
            C::Rename { name } if Some(&name) == self.name.as_ref() => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::AddMember { user_id } => return self.take_in(user_id, ctx),
            C::RemoveMember { user_id } if self.members.contains_key(&user_id) => vec![E::MemberRemoved { user_id }],
            C::RemoveMember { .. } => vec![],
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
            E::Created { name } | E::Renamed { name } => self.name = Some(name.clone()),
            E::MemberAdded { user_id, membership } => {
                self.members.insert(*user_id, *membership);
            }
            E::MemberRemoved { user_id } => {
                self.members.remove(user_id);
            }
            E::Granted { pattern, resource } => {
                self.grants.insert(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                self.grants.remove(&Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::Disbanded {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let released = || self.name.iter().map(|name| ClaimChange::Release(named(name)));
        match event {
            E::Created { name } => vec![ClaimChange::Take(named(name))],
            // A name that differs in case only is the same claim.
            E::Renamed { name } if self.name.as_ref().map(named) == Some(named(name)) => vec![],
            E::Renamed { name } => released().chain([ClaimChange::Take(named(name))]).collect(),
            E::Disbanded {} => released().collect(),
            E::MemberAdded { .. } | E::MemberRemoved { .. } | E::Granted { .. } | E::GrantRevoked { .. } => vec![],
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

impl Team {
    /// Whoever was a member before they went from the firm is none when they are back, and is taken in like anybody else.
    fn take_in(&self, user_id: UserId, ctx: &Context) -> Decision<Self> {
        let Some(user) = ctx.referenced::<User>(user_id).filter(|user| !user.is_deactivated()) else {
            return Err(R::UserUnknown);
        };
        let membership = user.membership();
        match self.members.get(&user_id) {
            Some(known) if *known == membership => return Ok(vec![]),
            None if self.members.len() == MEMBERS_MAX => return Err(R::TooManyMembers),
            _ => {}
        }
        if !self.grants.iter().all(|grant| ctx.permissions.cover_grant(grant)) {
            return Err(R::MembershipExceedsYourPermissions);
        }
        Ok(vec![E::MemberAdded { user_id, membership }])
    }
}

fn named(name: &Name) -> Claim {
    Claim::new("identity.team.name", name.folded())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;
    use uuid::Uuid;

    fn created() -> E {
        E::Created { name: "Tax".parse().unwrap() }
    }

    fn ada() -> UserId {
        UserId(Uuid::from_u128(7))
    }

    #[test]
    fn a_name_is_one_team_whatever_its_case() {
        let claim = |name: &str| Claim::new("identity.team.name", name);
        let claims = given::<Team>([]).when(C::Create { name: "Tax".parse().unwrap() }).claims();
        assert_eq!(claims, [ClaimChange::Take(claim("tax"))]);
        let claims = given::<Team>([created()]).when(C::Rename { name: "Audit".parse().unwrap() }).claims();
        assert_eq!(claims, [ClaimChange::Release(claim("tax")), ClaimChange::Take(claim("audit"))]);
        assert_eq!(given::<Team>([created()]).when(C::Rename { name: "TAX".parse().unwrap() }).claims(), []);
    }

    #[test]
    fn only_users_of_the_firm_are_members() {
        let add = || C::AddMember { user_id: ada() };
        given::<Team>([created()]).when(add()).rejected("identity.team.user_unknown");
        let known = given::<Team>([created()]).knowing(Reference::id::<User>(ada()), ada(), User::default());
        known.when(add()).then([E::MemberAdded { user_id: ada(), membership: 0 }]);
        let member = || {
            let team = given::<Team>([created(), E::MemberAdded { user_id: ada(), membership: 0 }]);
            team.with_id(Uuid::from_u128(3))
        };
        member().knowing(Reference::id::<User>(ada()), ada(), User::default()).when(add()).then([]);
        let mut gone = User::default();
        gone.apply(&identity_events::UserEvent::Left {});
        let out = member().knowing(Reference::id::<User>(ada()), ada(), gone.clone());
        out.when(add()).rejected("identity.team.user_unknown");
        gone.apply(&identity_events::UserEvent::Invited {
            invitation_id: kernel::InvitationId(Uuid::from_u128(8)),
            email: kernel::Personal::new("ada@example.com".parse().unwrap()),
            name: kernel::Personal::new("Ada".parse().unwrap()),
            roles: vec![],
            expires_at: kernel::spec::spec_time(),
            days: 14,
        });
        let back = member().knowing(Reference::id::<User>(ada()), ada(), gone);
        back.when(add()).then([E::MemberAdded { user_id: ada(), membership: 1 }]);
    }

    #[test]
    fn nobody_comes_to_a_teams_rights_by_taking_themselves_in() {
        let resource = Resource::from(kernel::ClientId(Uuid::from_u128(5)));
        let granted = E::Granted { pattern: "projects.*".parse().unwrap(), resource };
        let add = || C::AddMember { user_id: ada() };
        let known = || {
            let team = given::<Team>([created(), granted.clone()]);
            team.knowing(Reference::id::<User>(ada()), ada(), User::default())
        };
        known()
            .asked_with(["identity.team.*"])
            .when(add())
            .rejected("identity.team.membership_exceeds_your_permissions");
        known()
            .asked_with(["identity.team.*", "projects.*"])
            .when(add())
            .then([E::MemberAdded { user_id: ada(), membership: 0 }]);
    }

    #[test]
    fn a_disbanded_team_takes_nobody() {
        let add = C::AddMember { user_id: ada() };
        let ended = || given::<Team>([created(), E::MemberAdded { user_id: ada(), membership: 0 }, E::Disbanded {}]);
        ended().when(add).rejected("identity.team.disbanded");
        ended().when(C::RemoveMember { user_id: ada() }).then([]);
    }
}
