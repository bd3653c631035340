//! Whom a text means: a member of staff, a team, or whoever has a role, as the log has it now. Whoever has left, or is kept out, is
//! nobody any more.

use catalogue::AnyEvent;
use catalogue::identity_events::{GivenRole, RoleEvent, TeamEvent, TenantEvent, UserEvent, UserStatus};
use kernel::{Machine, RoleId, TenantId, UserId};
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// What everybody has who owns the firm.
const OWNER: &str = "owner";

#[derive(Debug, Default)]
struct User {
    status: UserStatus,
    roles: BTreeSet<GivenRole>,
    /// How often the person had gone: whoever comes back is in no team.
    membership: u32,
}

#[derive(Debug, Default)]
struct Team {
    name: String,
    members: BTreeMap<UserId, u32>,
    disbanded: bool,
}

/// A firm's people, their teams and roles.
#[derive(Debug, Default)]
pub(crate) struct Staff {
    owners: BTreeSet<UserId>,
    users: BTreeMap<UserId, User>,
    teams: BTreeMap<Uuid, Team>,
    withdrawn: HashSet<RoleId>,
}

/// The kinds of streams that say it.
const STREAMS: [&str; 4] = ["identity.tenant", "identity.user", "identity.team", "identity.role"];

impl Staff {
    /// As the log has them. `pool` connects as `ubos_worker`.
    pub async fn of(pool: &PgPool, tenant: TenantId) -> sqlx::Result<Self> {
        let sql = "select e.aggregate_type, e.aggregate_id, e.event_type, e.event_version, e.payload
                   from eventstore.identity_events($1) e where e.aggregate_type = any($2)";
        let events: Vec<(String, Uuid, String, i32, String)> =
            sqlx::query_as(sql).bind(tenant.0).bind(&STREAMS[..]).fetch_all(pool).await?;
        let mut staff = Self::default();
        for (stream, id, event_type, version, payload) in events {
            let version = u32::try_from(version).unwrap_or(u32::MAX);
            match AnyEvent::read(&stream, &event_type, version, &payload) {
                Ok(event) => staff.apply(id, &event),
                Err(error) => tracing::error!(event_type, error = %error, "an event of identity cannot be read"),
            }
        }
        Ok(staff)
    }

    fn apply(&mut self, id: Uuid, event: &AnyEvent) {
        match event {
            AnyEvent::Tenant(event) => match event {
                TenantEvent::Registered { owner_id, .. } => drop(self.owners.insert(*owner_id)),
                TenantEvent::OwnerAdded { user_id } => drop(self.owners.insert(*user_id)),
                TenantEvent::OwnerRemoved { user_id } => drop(self.owners.remove(user_id)),
                TenantEvent::OwnershipTransferred { from_user_id, to_user_id } => {
                    self.owners.remove(from_user_id);
                    self.owners.insert(*to_user_id);
                }
                _ => {}
            },
            AnyEvent::User(event) => {
                let user = self.users.entry(UserId(id)).or_default();
                user.status = user.status.after(event);
                match event {
                    UserEvent::Invited { roles, .. } => user.roles = roles.iter().cloned().collect(),
                    UserEvent::RoleAssigned { role } => drop(user.roles.insert(role.clone())),
                    UserEvent::RoleRevoked { role } => drop(user.roles.remove(role)),
                    UserEvent::Deactivated { .. } | UserEvent::Left {} => {
                        user.roles.clear();
                        user.membership += 1;
                    }
                    _ => {}
                }
            }
            AnyEvent::Team(event) => {
                let team = self.teams.entry(id).or_default();
                match event {
                    TeamEvent::Created { name } | TeamEvent::Renamed { name } => team.name = name.to_string(),
                    TeamEvent::MemberAdded { user_id, membership } => {
                        team.members.insert(*user_id, *membership);
                    }
                    TeamEvent::MemberRemoved { user_id } => drop(team.members.remove(user_id)),
                    TeamEvent::Disbanded {} => team.disbanded = true,
                    TeamEvent::Granted { .. } | TeamEvent::GrantRevoked { .. } => {}
                }
            }
            AnyEvent::Role(RoleEvent::Withdrawn {}) => drop(self.withdrawn.insert(RoleId(id))),
            _ => {}
        }
    }

    /// Whom it means: the id of a user or of a team, `team:` and its name or id, `role:` and its name, or the role's name alone. In
    /// the order of their ids, each once; nobody if there is nobody of that name any more.
    pub fn named(&self, to: &str) -> Vec<UserId> {
        let to = to.trim();
        if let Some(name) = to.strip_prefix("role:") {
            return self.with_role(name.trim());
        }
        if let Some(name) = to.strip_prefix("team:") {
            let name = name.trim();
            let id = name.parse::<Uuid>().ok();
            return self.in_team(|team_id, team| Some(team_id) == id || team.name == name);
        }
        match to.parse::<Uuid>() {
            Ok(id) if self.teams.contains_key(&id) => self.in_team(|team_id, _| team_id == id),
            Ok(id) => Some(UserId(id)).filter(|user| self.is_there(*user)).into_iter().collect(),
            Err(_) => self.with_role(to),
        }
    }

    fn in_team(&self, is_meant: impl Fn(Uuid, &Team) -> bool) -> Vec<UserId> {
        let team = self.teams.iter().find(|(id, team)| !team.disbanded && is_meant(**id, team));
        let members = team.into_iter().flat_map(|(_, team)| &team.members);
        let stays = |(user, membership): &(&UserId, &u32)| {
            self.is_there(**user) && self.users.get(user).is_none_or(|known| known.membership == **membership)
        };
        members.filter(stays).map(|(user, _)| *user).collect()
    }

    fn with_role(&self, name: &str) -> Vec<UserId> {
        if name == OWNER {
            return self.owners.iter().copied().filter(|user| self.is_there(*user)).collect();
        }
        let is_good =
            |role: &GivenRole| role.name.as_str() == name && role.id.is_none_or(|id| !self.withdrawn.contains(&id));
        let having = self.users.iter().filter(|(_, user)| user.roles.iter().any(is_good));
        having.map(|(id, _)| *id).filter(|user| self.is_there(*user)).collect()
    }

    /// Whoever was invited comes in one day. A firm's first owner is known before they are a user.
    fn is_there(&self, user: UserId) -> bool {
        match self.users.get(&user) {
            Some(known) => matches!(known.status, UserStatus::Invited | UserStatus::Active),
            None => self.owners.contains(&user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::spec_time;
    use kernel::{InvitationId, Personal};

    fn user(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    fn invited(role: &str) -> AnyEvent {
        let roles = vec![GivenRole { name: role.parse().unwrap(), id: None }];
        let invited = UserEvent::Invited {
            invitation_id: InvitationId::default(),
            email: Personal::erased(),
            name: Personal::erased(),
            roles,
            expires_at: spec_time(),
            days: 14,
        };
        invited.into()
    }

    fn left() -> AnyEvent {
        UserEvent::Left {}.into()
    }

    fn staff() -> Staff {
        let mut staff = Staff::default();
        let registered =
            TenantEvent::Registered { name: "Engines".parse().unwrap(), owner_id: user(1), trial_ends_at: spec_time() };
        staff.apply(Uuid::nil(), &registered.into());
        staff.apply(user(2).0, &invited("member"));
        staff.apply(user(3).0, &invited("member"));
        let team = Uuid::from_u128(50);
        staff.apply(team, &TeamEvent::Created { name: "Tax".parse().unwrap() }.into());
        for user_id in [user(2), user(3)] {
            staff.apply(team, &TeamEvent::MemberAdded { user_id, membership: 0 }.into());
        }
        staff
    }

    #[test]
    fn a_text_means_a_user_a_team_or_whoever_has_a_role() {
        let staff = staff();
        assert_eq!(staff.named("owner"), [user(1)], "though no user of the firm yet");
        assert_eq!(staff.named(&user(2).to_string()), [user(2)]);
        for both in ["member", "role:member", "team:Tax", &format!("{}", Uuid::from_u128(50))] {
            assert_eq!(staff.named(both), [user(2), user(3)], "{both}");
        }
        for nobody in ["", "partner", "team:Audit", "role:", &user(9).to_string()] {
            assert_eq!(staff.named(nobody), [], "{nobody}");
        }
    }

    #[test]
    fn whoever_has_left_is_nobody_and_comes_back_to_no_team() {
        let mut staff = staff();
        staff.apply(user(2).0, &left());
        for to in ["member", "team:Tax"] {
            assert_eq!(staff.named(to), [user(3)], "{to}");
        }
        assert_eq!(staff.named(&user(2).to_string()), []);
        staff.apply(user(2).0, &invited("member"));
        assert_eq!(staff.named("member"), [user(2), user(3)]);
        assert_eq!(staff.named("team:Tax"), [user(3)]);
    }
}
