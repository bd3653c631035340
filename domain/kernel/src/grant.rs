//! Rights for single resources: this client, this engagement, this project, or whatever is one's own.

use crate::{ClientId, EngagementId, Pattern, Permissions, Principal, ProjectId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Rights for single resources that one user, team, role or portal user has at most.
const GRANTS_MAX: usize = 200;

/// Something that a right can be given for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, crate::Input,
)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// A client and everything that says it is this client's.
    Client {
        /// Which one.
        id: ClientId,
    },
    /// An engagement and everything that says it is this engagement's.
    Engagement {
        /// Which one.
        id: EngagementId,
    },
    /// A project with its milestones and tasks.
    Project {
        /// Which one.
        id: ProjectId,
    },
}

/// `client/01935a00-0000-7000-8000-000000000001`
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { id } => write!(f, "client/{}", id.0),
            Self::Engagement { id } => write!(f, "engagement/{}", id.0),
            Self::Project { id } => write!(f, "project/{}", id.0),
        }
    }
}

/// The text is no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected client/, engagement/ or project/ and an id")]
pub struct NoResource;

impl FromStr for Resource {
    type Err = NoResource;

    fn from_str(text: &str) -> Result<Self, NoResource> {
        let (kind, id) = text.split_once('/').ok_or(NoResource)?;
        let id: Uuid = id.parse().map_err(|_| NoResource)?;
        match kind {
            "client" => Ok(ClientId(id).into()),
            "engagement" => Ok(EngagementId(id).into()),
            "project" => Ok(ProjectId(id).into()),
            _ => Err(NoResource),
        }
    }
}

/// A right for one resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, crate::Input)]
pub struct Grant {
    /// What may be done: `projects.*`, `*.read`. It gives, so it has no `!` in front and no `:own` behind.
    pub pattern: Pattern,
    /// To what.
    pub resource: Resource,
}

/// The rights for single resources that somebody was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(BTreeSet<Grant>);

/// Why a right for a resource cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantRefused {
    /// There are 200 already.
    TooMany,
    /// The pattern denies, or is limited to what is one's own.
    PatternNotGrantable,
    /// Whoever gives it does not hold it.
    Beyond,
}

impl Grants {
    /// Is it new, and may whoever has these permissions give it?
    ///
    /// # Errors
    /// If it cannot be given.
    pub fn may_get(&self, grant: &Grant, held: &Permissions) -> Result<bool, GrantRefused> {
        match grant {
            grant if self.0.contains(grant) => Ok(false),
            grant if !grant.pattern.only_gives() => Err(GrantRefused::PatternNotGrantable),
            grant if !held.cover_grant(grant) => Err(GrantRefused::Beyond),
            _ if self.0.len() >= GRANTS_MAX => Err(GrantRefused::TooMany),
            _ => Ok(true),
        }
    }

    /// Takes it in.
    pub fn insert(&mut self, grant: Grant) {
        self.0.insert(grant);
    }

    /// Takes it out. Was it there?
    pub fn remove(&mut self, grant: &Grant) -> bool {
        self.0.remove(grant)
    }

    /// Is it there?
    pub fn contains(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }
}

/// What a command touches, or a record belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// It belongs to each of these: a right for one of them is enough.
    pub resources: Vec<Resource>,
    /// Whose own it is.
    pub owners: Vec<Principal>,
    /// What it names besides: a right for each of them is needed, so that nothing is put where the caller may not go.
    pub named: Vec<Resource>,
}

impl Scope {
    /// Of something that belongs to these.
    pub fn of(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self { resources: resources.into_iter().collect(), ..Self::default() }
    }

    /// Of something that begins as a part of these.
    pub fn begins_in(resources: impl IntoIterator<Item = Resource>) -> Self {
        let named: Vec<Resource> = resources.into_iter().collect();
        Self { resources: named.clone(), owners: vec![], named }
    }

    /// The same, and it is these principals' own.
    pub fn owned_by<P: Into<Principal>>(mut self, owners: impl IntoIterator<Item = P>) -> Self {
        self.owners.extend(owners.into_iter().map(Into::into));
        self
    }

    /// The same, and it names these too.
    pub fn naming(mut self, named: impl IntoIterator<Item = Resource>) -> Self {
        self.named.extend(named);
        self
    }
}

/// How far a permission reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// To everything of the firm.
    Everything,
    /// To some of it.
    Only(Limits),
    /// To nothing.
    Nothing,
}

/// What a permission is limited to; one of them is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// What belongs to these.
    pub resources: Vec<Resource>,
    /// What is the caller's own.
    pub own: bool,
}

impl Reach {
    /// Does it reach something of this scope, for this caller?
    pub fn covers(&self, scope: &Scope, caller: Option<Principal>) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Only(limits) => limits.cover(scope, caller),
        }
    }
}

impl Limits {
    fn cover(&self, scope: &Scope, caller: Option<Principal>) -> bool {
        let granted = |resource: &Resource| self.resources.contains(resource);
        let own = self.own && caller.is_some_and(|caller| scope.owners.contains(&caller));
        (own || scope.resources.iter().any(granted)) && scope.named.iter().all(granted)
    }
}

impl From<ClientId> for Resource {
    fn from(id: ClientId) -> Self {
        Self::Client { id }
    }
}

impl From<EngagementId> for Resource {
    fn from(id: EngagementId) -> Self {
        Self::Engagement { id }
    }
}

impl From<ProjectId> for Resource {
    fn from(id: ProjectId) -> Self {
        Self::Project { id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Permissions, UserId};

    fn client(number: u128) -> Resource {
        ClientId(Uuid::from_u128(number)).into()
    }

    fn user(number: u128) -> Principal {
        Principal::User { id: UserId(Uuid::from_u128(number)) }
    }

    fn grant(pattern: &str, resource: Resource) -> Grant {
        Grant { pattern: pattern.parse().unwrap(), resource }
    }

    fn holding(patterns: &[&str], grants: &[Grant]) -> Permissions {
        Permissions::patterns(patterns.iter().copied()).granted(grants)
    }

    #[test]
    fn a_resource_reads_as_it_is_written() {
        let others: [Resource; 2] = [EngagementId(Uuid::from_u128(2)).into(), ProjectId(Uuid::from_u128(2)).into()];
        for resource in others.into_iter().chain([client(1)]) {
            assert_eq!(resource.to_string().parse(), Ok(resource));
        }
        for other in ["", "client", "client/", "client/1", "user/00000000-0000-0000-0000-000000000001"] {
            assert_eq!(other.parse::<Resource>(), Err(NoResource), "{other}");
        }
    }

    #[test]
    fn a_grant_reaches_its_resource_and_no_other() {
        let held = holding(&[], &[grant("projects.*", client(1))]);
        assert!(!held.allow("projects.project.rename"), "not for everything");
        let reach = held.reach("projects.project.rename");
        assert!(reach.covers(&Scope::of([client(2), client(1)]), None), "one of them is enough");
        assert!(!reach.covers(&Scope::of([client(2)]), None));
        assert!(!reach.covers(&Scope::default(), None), "what belongs to nothing is nobody's by a grant");
        assert_eq!(held.reach("crm.client.read"), Reach::Nothing);
        assert_eq!(holding(&["projects.*"], &[]).reach("projects.project.rename"), Reach::Everything);
    }

    #[test]
    fn a_grant_for_a_client_reaches_what_is_the_clients_and_one_for_an_engagement_that_alone() {
        let engagement = |number| Resource::from(EngagementId(Uuid::from_u128(number)));
        let scope = |number| Scope::of([client(1), engagement(number)]);
        let of_client = holding(&[], &[grant("crm.engagement.*", client(1))]).reach("crm.engagement.hold");
        assert!(of_client.covers(&scope(1), None) && of_client.covers(&scope(2), None));
        let of_one = holding(&[], &[grant("crm.engagement.*", engagement(1))]).reach("crm.engagement.hold");
        assert!(of_one.covers(&scope(1), None) && !of_one.covers(&scope(2), None));
        assert!(!of_one.covers(&Scope::of([client(1)]), None), "nothing else of the client");
    }

    #[test]
    fn what_is_named_besides_must_be_granted_too() {
        let reach = holding(&[], &[grant("crm.*", client(1))]).reach("crm.contact.link_to_client");
        assert!(!reach.covers(&Scope::of([client(1)]).naming([client(2)]), None));
        assert!(!reach.covers(&Scope::begins_in([client(1), client(2)]), None));
        assert!(reach.covers(&Scope::begins_in([client(1)]), None));
    }

    #[test]
    fn own_is_what_the_caller_owns() {
        let held = holding(&["crm.client.*:own"], &[]);
        assert!(!held.allow("crm.client.rename"));
        let reach = held.reach("crm.client.rename");
        let mine = Scope::of([client(1)]).owned_by([user(7)]);
        assert!(reach.covers(&mine, Some(user(7))));
        assert!(!reach.covers(&mine, Some(user(8))) && !reach.covers(&mine, None));
        assert_eq!(held.reach("crm.contact.rename"), Reach::Nothing);
    }

    #[test]
    fn a_denial_and_a_keys_scopes_hold_for_grants_too() {
        let grants = [grant("crm.*", client(1))];
        assert_eq!(holding(&["!crm.client.block"], &grants).reach("crm.client.block"), Reach::Nothing);
        let key = holding(&[], &grants).within(["crm.client.read"]);
        assert!(key.reach("crm.client.read").covers(&Scope::of([client(1)]), None));
        assert_eq!(key.reach("crm.client.rename"), Reach::Nothing);
        let own = holding(&["*"], &grants).within(["crm.*:own"]);
        assert_eq!(own.reach("crm.client.read"), Reach::Only(Limits { resources: vec![], own: true }));
    }

    #[test]
    fn nobody_grants_for_a_resource_what_they_do_not_hold_there() {
        let wanted = grant("projects.project.read", client(1));
        assert!(holding(&["projects.*"], &[]).cover_grant(&wanted));
        assert!(holding(&[], &[grant("projects.*", client(1))]).cover_grant(&wanted));
        assert!(!holding(&[], &[grant("projects.*", client(2))]).cover_grant(&wanted));
        assert!(!holding(&["projects.*:own"], &[]).cover_grant(&wanted), "it may be somebody else's tomorrow");
        assert!(!holding(&["!projects.project.read"], &[grant("projects.*", client(1))]).cover_grant(&wanted));
        let key = holding(&[], &[grant("projects.*", client(1))]).within(["crm.*"]);
        assert!(!key.cover_grant(&wanted));
    }

    #[test]
    fn own_is_less_than_everything_when_it_is_given_on() {
        assert!(holding(&["crm.*"], &[]).cover(["crm.client.read:own"]));
        assert!(holding(&["crm.*:own"], &[]).cover(["crm.client.read:own"]));
        assert!(!holding(&["crm.*:own"], &[]).cover(["crm.client.read"]));
        assert!(!holding(&[], &[grant("crm.*", client(1))]).cover(["crm.client.read"]));
    }

    #[test]
    fn a_grant_gives_and_does_nothing_else() {
        assert!("crm.*".parse::<Pattern>().unwrap().only_gives());
        for other in ["!crm.*", "crm.*:own"] {
            assert!(!other.parse::<Pattern>().unwrap().only_gives(), "{other}");
        }
        assert!("!crm.*:own".parse::<Pattern>().is_err(), "nothing that is one's own can be denied apart");
    }
}
