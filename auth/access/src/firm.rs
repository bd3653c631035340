//! One firm, folded from its events: a pure function of the log.

use crate::portal::Begun;
use crate::stored::{Stored, read};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use credentials::{Credential, Standing};
use identity_events::{
    ApiKeyEvent, GivenRole, RoleEvent, ServiceAccountEvent, ServiceAccountStatus, SessionEvent, SubscriberEvent,
    TeamEvent, TenantEvent, TenantStatus, UserEvent, UserStatus,
};
use kernel::{
    ApiKeyId, Event, EventScope, Grant, Grants, Machine, Name, OF_EVERY_USER, Pattern, Permissions, Principal, Role,
    RoleId, SecretHash, ServiceAccountId, SessionId, Slug, SubscriberId, TeamId, Timestamp, UnreadableEvent, UserId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Who of one firm comes in, and what they may do.
#[derive(Debug, Default)]
pub struct Firm {
    registered: bool,
    status: TenantStatus,
    /// Where it would stand had it never closed: one that is suspended lets nobody reopen it.
    unless_closed: TenantStatus,
    /// When the data of a closed firm is destroyed.
    purge_at: Option<Timestamp>,
    owners: BTreeSet<UserId>,
    users: HashMap<UserId, User>,
    roles: HashMap<Uuid, CustomRole>,
    teams: HashMap<Uuid, Team>,
    accounts: HashMap<ServiceAccountId, Account>,
    keys: HashMap<ApiKeyId, Key>,
    subscribers: BTreeMap<SubscriberId, Subscriber>,
    ended: HashSet<SessionId>,
    time_zone: Option<Tz>,
}

/// Roles by name, with the id of each of the firm's own: its name may be another role's tomorrow.
type Roles = BTreeMap<Slug, Option<RoleId>>;

/// What an owner of a firm that is closed may do: change their mind.
const OF_A_CLOSED_FIRM: [&str; 5] = [
    "identity.tenant.reopen",
    "identity.tenant.read",
    "identity.user.read:own",
    "identity.session.audit:own",
    "identity.session.end:own",
];

#[derive(Debug, Default)]
struct User {
    status: UserStatus,
    roles: Roles,
    grants: Grants,
    /// Which of the person's times in the firm it is; what was given for another has ended with that.
    membership: u32,
    permissions: Arc<Permissions>,
}

#[derive(Debug)]
struct CustomRole {
    patterns: Vec<Pattern>,
    grants: Grants,
}

#[derive(Debug, Default)]
struct Team {
    /// Each with the time in the firm that they are a member for.
    members: BTreeMap<UserId, u32>,
    grants: Grants,
}

#[derive(Debug, Default)]
struct Account {
    status: ServiceAccountStatus,
    roles: Roles,
    permissions: Arc<Permissions>,
}

#[derive(Debug)]
struct Key {
    principal: Principal,
    membership: u32,
    scopes: Vec<Pattern>,
    secret: Secret,
    permissions: Arc<Permissions>,
}

/// A program that reads the firm's events.
#[derive(Debug)]
struct Subscriber {
    name: Name,
    scopes: Arc<[EventScope]>,
    secret: Secret,
}

/// What a secret hashes to that may be rotated, expire and be revoked.
#[derive(Debug)]
struct Secret {
    hash: SecretHash,
    previous: Option<(SecretHash, Timestamp)>,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

impl Secret {
    fn new(hash: SecretHash, expires_at: Option<Timestamp>) -> Self {
        Self { hash, previous: None, expires_at, revoked: false }
    }

    fn rotate(&mut self, hash: SecretHash, previous_until: Timestamp) {
        let previous = std::mem::replace(&mut self.hash, hash);
        self.previous = Some((previous, previous_until));
    }

    /// Is it what was shown, or was it until a while ago?
    fn is(&self, shown: &SecretHash, now: DateTime<Utc>) -> bool {
        self.hash == *shown || self.previous.as_ref().is_some_and(|(hash, until)| hash == shown && *until > now)
    }

    /// Until when the secret that was shown is good, if it is now; else why it is not.
    fn good_until(&self, shown: &SecretHash, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, &'static str> {
        if !self.is(shown, now) {
            return Err("the secret is another");
        }
        if self.revoked {
            return Err("it was revoked");
        }
        let previous_until = self.previous.as_ref().filter(|_| self.hash != *shown).map(|(_, until)| *until);
        let ends = [self.expires_at, previous_until];
        match ends.into_iter().flatten().min() {
            Some(end) if end <= now => Err("it has expired"),
            end => Ok(end.map(DateTime::from)),
        }
    }
}

impl Firm {
    /// Folds the firm's events, in their order.
    ///
    /// # Errors
    /// If one of them cannot be read: nobody of the firm comes in then, because it may have been the one that took a right
    /// away.
    pub fn fold<'e>(events: impl IntoIterator<Item = &'e Stored>) -> Result<Self, UnreadableEvent> {
        let mut firm = Self::default();
        for event in events {
            firm.apply(event)?;
        }
        firm.settle();
        Ok(firm)
    }

    /// What is so for a credential at a moment.
    ///
    /// Of a portal user only the firm's own standing is known here: none if that keeps nobody out.
    pub fn standing(&self, credential: &Credential, now: DateTime<Utc>) -> Option<Standing> {
        if !self.registered {
            return Some(Standing::Unregistered);
        }
        if self.unless_closed == TenantStatus::Suspended {
            return Some(Standing::Out("the firm is suspended", None));
        }
        if self.status == TenantStatus::Closed {
            return Some(self.closed_to(credential, self.purge_at.is_some_and(|purge_at| purge_at > now)));
        }
        Some(match credential {
            Credential::User(id) => self.user(*id),
            Credential::Session { id, user } if self.ended.contains(id) => {
                Standing::Out("the session was ended", Some(Principal::User { id: *user }))
            }
            Credential::Session { user, .. } => self.user(*user),
            Credential::ApiKey { id, secret_hash } => self.key(*id, secret_hash, now),
            Credential::Subscriber { id, secret_hash } => match self.subscribers.get(id) {
                Some(subscriber) => match subscriber.secret.good_until(secret_hash, now) {
                    Ok(until) => Standing::Reads { until, scopes: subscriber.scopes.clone() },
                    Err(why) => Standing::Out(why, None),
                },
                None => Standing::Out("no such subscriber", None),
            },
            Credential::Portal { .. } => return None,
        })
    }

    /// A closed firm lets nobody in but its owners in person, who may reopen it while its data is there.
    fn closed_to(&self, credential: &Credential, is_there: bool) -> Standing {
        let standing = match credential {
            Credential::Session { id, .. } if self.ended.contains(id) => Standing::Out("the session was ended", None),
            Credential::User(id) | Credential::Session { user: id, .. } if is_there && self.owners.contains(id) => {
                self.user(*id)
            }
            _ => Standing::Out("the firm is closed", None),
        };
        match standing {
            Standing::In(principal, _) => Standing::In(principal, Arc::new(Permissions::patterns(OF_A_CLOSED_FIRM))),
            out => out,
        }
    }

    /// Why a session of a user opens nothing, if so: `begun` is what the log says of it.
    pub(crate) fn keeps_out(&self, user: UserId, begun: &Begun, now: DateTime<Utc>) -> Option<&'static str> {
        let known = self.users.get(&user).map(|user| user.membership);
        begun.keeps_out(Principal::User { id: user }, known, now)
    }

    /// What somebody of the firm may do, shown in no way: for what goes on in their name while they are away. None if that one comes in no
    /// more; everything where the firm was not let in here, because whoever issues tokens vouches there.
    pub fn permissions(&self, of: Principal) -> Option<Arc<Permissions>> {
        if !self.registered {
            return Some(Arc::new(Permissions::all()));
        }
        if self.unless_closed == TenantStatus::Suspended || self.status == TenantStatus::Closed {
            return None;
        }
        match of {
            Principal::User { id } => match self.user(id) {
                Standing::In(_, permissions) => Some(permissions),
                _ => None,
            },
            Principal::ServiceAccount { id } => {
                let account = self.accounts.get(&id);
                let active = account.filter(|account| account.status == ServiceAccountStatus::Active);
                active.map(|account| account.permissions.clone())
            }
            Principal::PortalUser { .. } => None,
        }
    }

    /// Whether the firm was let in here.
    pub fn is_registered(&self) -> bool {
        self.registered
    }

    /// Where the firm's clocks hang.
    pub fn time_zone(&self) -> Tz {
        self.time_zone.unwrap_or(Tz::UTC)
    }

    /// Every subscriber there ever was, with what is so for its newest secret.
    pub fn subscribers(&self, now: DateTime<Utc>) -> impl Iterator<Item = (SubscriberId, &Name, Standing)> {
        self.subscribers.iter().map(move |(id, Subscriber { name, secret, .. })| {
            let credential = Credential::Subscriber { id: *id, secret_hash: secret.hash.clone() };
            (*id, name, self.standing(&credential, now).unwrap_or(Standing::Unregistered))
        })
    }

    fn user(&self, id: UserId) -> Standing {
        let who = Some(Principal::User { id });
        let Some(user) = self.users.get(&id) else { return Standing::Out("this is no user of the firm", who) };
        match user.status {
            UserStatus::Active => Standing::In(Principal::User { id }, user.permissions.clone()),
            UserStatus::Suspended => Standing::Out("this user is suspended", who),
            UserStatus::Invited => Standing::Out("this user has not accepted the invitation", who),
            UserStatus::Deactivated => Standing::Out("this user has left the firm", who),
        }
    }

    fn key(&self, id: ApiKeyId, secret_hash: &SecretHash, now: DateTime<Utc>) -> Standing {
        let Some(key) = self.keys.get(&id) else { return Standing::Out("no such key", None) };
        let who = key.secret.is(secret_hash, now).then_some(key.principal);
        if let Err(why) = key.secret.good_until(secret_hash, now) {
            return Standing::Out(why, who);
        }
        // Whoever shows the secret before a rotation has it for as long as that is good.
        let permissions = || match &key.secret.previous {
            Some((_, until)) if key.secret.hash != *secret_hash => {
                Arc::new(Permissions::clone(&key.permissions).until(Some(*until)))
            }
            _ => key.permissions.clone(),
        };
        match key.principal {
            Principal::User { id } => match self.user(id) {
                Standing::In(..) if self.users.get(&id).is_none_or(|user| user.membership != key.membership) => {
                    Standing::Out("the key's user has left the firm since", who)
                }
                Standing::In(principal, _) => Standing::In(principal, permissions()),
                out => out,
            },
            Principal::ServiceAccount { id } => match self.accounts.get(&id) {
                Some(account) if account.status == ServiceAccountStatus::Active => {
                    Standing::In(key.principal, permissions())
                }
                _ => Standing::Out("the service account is disabled", who),
            },
            Principal::PortalUser { .. } => Standing::Out("no such key", None),
        }
    }

    fn apply(&mut self, event: &Stored) -> Result<(), UnreadableEvent> {
        let id = event.aggregate_id;
        match event.aggregate_type.as_str() {
            TenantEvent::STREAM => self.tenant(read(event)?),
            UserEvent::STREAM => self.apply_user(UserId(id), read(event)?),
            RoleEvent::STREAM => self.role(id, read(event)?),
            TeamEvent::STREAM => self.team(id, read(event)?),
            ServiceAccountEvent::STREAM => self.account(ServiceAccountId(id), read(event)?),
            ApiKeyEvent::STREAM => self.api_key(ApiKeyId(id), read(event)?),
            SubscriberEvent::STREAM => self.subscriber(SubscriberId(id), read(event)?),
            SessionEvent::STREAM => {
                if let SessionEvent::Ended { .. } = read(event)? {
                    self.ended.insert(SessionId(id));
                }
            }
            // Whatever else there is grants nothing.
            _ => {}
        }
        Ok(())
    }

    fn tenant(&mut self, event: TenantEvent) {
        self.status = self.status.after(&event);
        self.unless_closed = self.unless_closed.after_unless_closed(&event);
        match event {
            TenantEvent::Registered { owner_id, .. } => {
                self.registered = true;
                self.owners.insert(owner_id);
            }
            TenantEvent::Closed { purge_at } => self.purge_at = Some(purge_at),
            TenantEvent::Reopened { .. } => self.purge_at = None,
            TenantEvent::OwnerAdded { user_id } => {
                self.owners.insert(user_id);
            }
            TenantEvent::OwnerRemoved { user_id } => {
                self.owners.remove(&user_id);
            }
            TenantEvent::TimeZoneSet { time_zone } => self.time_zone = Some(time_zone.rules()),
            TenantEvent::OwnershipTransferred { from_user_id, to_user_id } => {
                self.owners.remove(&from_user_id);
                self.owners.insert(to_user_id);
            }
            TenantEvent::Renamed { .. }
            | TenantEvent::Activated {}
            | TenantEvent::PaymentOverdue {}
            | TenantEvent::Suspended { .. }
            | TenantEvent::Resumed {}
            | TenantEvent::LoginsLimited { .. }
            | TenantEvent::EventRepaired { .. } => {}
        }
    }

    fn apply_user(&mut self, id: UserId, event: UserEvent) {
        if matches!(event, UserEvent::Invited { .. }) {
            self.users.entry(id).or_default();
        }
        let Some(user) = self.users.get_mut(&id) else { return };
        user.status = user.status.after(&event);
        match event {
            UserEvent::Invited { roles, .. } => user.roles = held(roles),
            UserEvent::Deactivated { .. } | UserEvent::Left {} => {
                user.grants.clear();
                user.roles.clear();
                user.membership += 1;
            }
            UserEvent::Granted { pattern, resource } => user.grants.insert(Grant { pattern, resource }),
            UserEvent::GrantRevoked { pattern, resource } => {
                user.grants.remove(&Grant { pattern, resource });
            }
            UserEvent::RoleAssigned { role } => {
                user.roles.insert(role.name, role.id);
            }
            UserEvent::RoleRevoked { role } => {
                user.roles.remove(&role.name);
            }
            UserEvent::Activated { .. }
            | UserEvent::Suspended { .. }
            | UserEvent::Reinstated {}
            | UserEvent::EmailFailed { .. }
            | UserEvent::EmailSent { .. }
            | UserEvent::InvitationRevoked { .. }
            | UserEvent::Renamed { .. }
            | UserEvent::LoginLinked { .. }
            | UserEvent::LoginUnlinked { .. } => {}
        }
    }

    fn role(&mut self, id: Uuid, event: RoleEvent) {
        match event {
            RoleEvent::Defined { patterns, .. } => {
                self.roles.insert(id, CustomRole { patterns, grants: Grants::default() });
            }
            RoleEvent::Granted { pattern, resource } => {
                if let Some(role) = self.roles.get_mut(&id) {
                    role.grants.insert(Grant { pattern, resource });
                }
            }
            RoleEvent::GrantRevoked { pattern, resource } => {
                if let Some(role) = self.roles.get_mut(&id) {
                    role.grants.remove(&Grant { pattern, resource });
                }
            }
            RoleEvent::Changed { patterns, .. } => {
                if let Some(role) = self.roles.get_mut(&id) {
                    role.patterns = patterns;
                }
            }
            RoleEvent::Withdrawn {} => {
                self.roles.remove(&id);
            }
        }
    }

    fn team(&mut self, id: Uuid, event: TeamEvent) {
        let team = self.teams.entry(id).or_default();
        match event {
            TeamEvent::MemberAdded { user_id, membership } => {
                team.members.insert(user_id, membership);
            }
            TeamEvent::MemberRemoved { user_id } => {
                team.members.remove(&user_id);
            }
            TeamEvent::Granted { pattern, resource } => team.grants.insert(Grant { pattern, resource }),
            TeamEvent::GrantRevoked { pattern, resource } => {
                team.grants.remove(&Grant { pattern, resource });
            }
            TeamEvent::Disbanded {} => {
                self.teams.remove(&id);
            }
            TeamEvent::Created { .. } | TeamEvent::Renamed { .. } => {}
        }
    }

    fn account(&mut self, id: ServiceAccountId, event: ServiceAccountEvent) {
        let account = self.accounts.entry(id).or_default();
        account.status = account.status.after(&event);
        match event {
            ServiceAccountEvent::Created { roles, .. } => account.roles = held(roles),
            ServiceAccountEvent::RoleAssigned { role } => {
                account.roles.insert(role.name, role.id);
            }
            ServiceAccountEvent::RoleRevoked { role } => {
                account.roles.remove(&role.name);
            }
            ServiceAccountEvent::Disabled {} | ServiceAccountEvent::Enabled {} => {}
        }
    }

    fn api_key(&mut self, id: ApiKeyId, event: ApiKeyEvent) {
        if let ApiKeyEvent::Issued { principal, membership, scopes, secret_hash, expires_at, .. } = event {
            let secret = Secret::new(secret_hash, expires_at);
            self.keys.insert(id, Key { principal, membership, scopes, secret, permissions: Arc::default() });
            return;
        }
        let Some(key) = self.keys.get_mut(&id) else { return };
        match event {
            ApiKeyEvent::Issued { .. } => {}
            ApiKeyEvent::Rotated { secret_hash, previous_until } => key.secret.rotate(secret_hash, previous_until),
            ApiKeyEvent::Revoked { .. } => key.secret.revoked = true,
        }
    }

    fn subscriber(&mut self, id: SubscriberId, event: SubscriberEvent) {
        if let SubscriberEvent::Added { name, secret_hash, expires_at, scopes } = event {
            let secret = Secret::new(secret_hash, expires_at);
            self.subscribers.insert(id, Subscriber { name, scopes: scopes.into(), secret });
            return;
        }
        let Some(Subscriber { secret, .. }) = self.subscribers.get_mut(&id) else { return };
        match event {
            SubscriberEvent::Added { .. } => {}
            SubscriberEvent::Rotated { secret_hash, previous_until } => secret.rotate(secret_hash, previous_until),
            SubscriberEvent::Revoked { .. } => secret.revoked = true,
        }
    }

    /// Computes what everybody may do, so that a request only looks it up.
    fn settle(&mut self) {
        let (owners, roles, teams) = (&self.owners, &self.roles, &self.teams);
        for (id, user) in &mut self.users {
            let theirs: Vec<_> =
                teams.iter().filter(|(_, team)| team.members.get(id) == Some(&user.membership)).collect();
            // An owner may do everything, whatever another role denies.
            let permissions = match owners.contains(id) {
                true => Permissions::of(&[Role::Owner]),
                false => {
                    let grants = theirs.iter().map(|(_, team)| &team.grants);
                    let grants =
                        grants.chain([&user.grants]).chain(granting(&user.roles, roles)).flat_map(Grants::iter);
                    let patterns = granted(&user.roles, roles).into_iter().chain(OF_EVERY_USER);
                    Permissions::patterns(patterns).granted(grants)
                }
            };
            let teams = theirs.iter().map(|(team, _)| TeamId(**team));
            user.permissions = Arc::new(permissions.known_as(in_force(&user.roles, roles), teams));
        }
        for account in self.accounts.values_mut() {
            let grants = granting(&account.roles, roles).flat_map(Grants::iter);
            let permissions = Permissions::patterns(granted(&account.roles, roles)).granted(grants);
            account.permissions = Arc::new(permissions.known_as(in_force(&account.roles, roles), []));
        }
        for key in self.keys.values_mut() {
            let held = match key.principal {
                Principal::User { id } => self.users.get(&id).map(|user| &user.permissions),
                Principal::ServiceAccount { id } => self.accounts.get(&id).map(|account| &account.permissions),
                Principal::PortalUser { .. } => None,
            };
            // A key of somebody who is not there opens nothing.
            let held = held.cloned().unwrap_or_default();
            key.permissions = match (key.scopes.as_slice(), key.secret.expires_at) {
                ([], None) => held,
                (scopes, end) => {
                    let held = Arc::unwrap_or_clone(held).until(end);
                    Arc::new(if scopes.is_empty() { held } else { held.within(scopes.iter().map(Pattern::as_str)) })
                }
            };
        }
    }
}

fn held(roles: Vec<GivenRole>) -> Roles {
    roles.into_iter().map(|role| (role.name, role.id)).collect()
}

/// The patterns of roles; one that does not exist or was withdrawn grants nothing, and owner is none to have.
fn granted<'r>(held: &Roles, custom: &'r HashMap<Uuid, CustomRole>) -> Vec<&'r str> {
    let patterns = |(name, id): (&Slug, &Option<RoleId>)| match (id, name.as_str().parse::<Role>()) {
        (Some(id), _) => {
            let role = custom.get(&id.0);
            role.map_or(vec![], |role| role.patterns.iter().map(Pattern::as_str).collect())
        }
        (None, Ok(Role::Owner) | Err(_)) => vec![],
        (None, Ok(role)) => role.patterns().to_vec(),
    };
    held.iter().flat_map(patterns).collect()
}

/// The names of the roles that are still there; owner is none to have.
fn in_force<'r>(held: &'r Roles, custom: &HashMap<Uuid, CustomRole>) -> impl Iterator<Item = Slug> + use<'r> {
    let is_there = |(name, id): &(&Slug, &Option<RoleId>)| match id {
        Some(id) => custom.contains_key(&id.0),
        None => name.as_str().parse::<Role>().is_ok_and(|role| role != Role::Owner),
    };
    let names: Vec<&Slug> = held.iter().filter(is_there).map(|(name, _)| name).collect();
    names.into_iter().cloned()
}

/// The rights for single resources that roles of the firm's own give.
fn granting<'r>(held: &Roles, custom: &'r HashMap<Uuid, CustomRole>) -> impl Iterator<Item = &'r Grants> + use<'r> {
    let ids: Vec<RoleId> = held.values().flatten().copied().collect();
    ids.into_iter().filter_map(|id| custom.get(&id.0)).map(|role| &role.grants)
}

#[cfg(test)]
pub(crate) mod tests;
