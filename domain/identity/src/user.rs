//! A user: one person's membership in one firm. Whoever works for two firms is a user of each.

use crate::role::{self, Giving};
use crate::{CustomRole, Tenant};
use chrono::TimeDelta;
use identity_events::UserEvent as E;
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, Context, Decision, Email, Grant, GrantRefused, Grants, InvitationId, Issuer,
    Name, Pattern, Personal, Reference, Resource, Scope, Slug, Subject, Text, Timestamp, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use UserCommand as C;
use UserRejection as R;

/// How long an invitation is open unless the command says otherwise.
const INVITATION_DAYS: u32 = 14;
/// How long an invitation may be open at most.
const INVITATION_DAYS_MAX: u32 = 90;
/// What answers call an invitation that was issued.
const INVITATION_ID: &str = "invitation_id";
/// Roles of one user.
const ROLES_MAX: usize = 20;
/// Logins of one user.
const LOGINS_MAX: usize = 10;

/// What may be asked of a user.
#[command("identity.user")]
pub enum UserCommand {
    /// Invites somebody into the firm.
    #[creates]
    #[makes("invitation_id")]
    #[refused(
        InvitationPeriodOutOfRange,
        TooManyRoles,
        RoleUnknown,
        OwnerIsNoRoleToGive,
        RoleBeyondYours,
        "email.taken"
    )]
    Invite {
        /// Where the invitation goes; one user per firm and address.
        email: Email,
        /// What the person is called.
        name: Name,
        /// The roles that the person will have, at most 20; nobody gives what they do not have.
        roles: Vec<Slug>,
        /// Days until the invitation expires, 14 unless given, at most 90.
        #[serde(default)]
        expires_in_days: Option<u32>,
        /// The id that the invitation shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        invitation_id: Option<InvitationId>,
    },
    /// Invites the person again; an earlier open invitation becomes void. Also whoever left can be invited again.
    #[makes("invitation_id")]
    #[refused(
        InvitationPeriodOutOfRange,
        TooManyRoles,
        RoleUnknown,
        OwnerIsNoRoleToGive,
        RoleBeyondYours,
        InvitationExists,
        AlreadyActive,
        Suspended
    )]
    Reinvite {
        /// Days until the invitation expires, 14 unless given, at most 90.
        #[serde(default)]
        expires_in_days: Option<u32>,
        /// The id that the invitation shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        invitation_id: Option<InvitationId>,
    },
    /// Notes that the letter about the open invitation cannot be sent; only the mailer does.
    #[refused(OnlyTheMailer)]
    NoteLetterFailed {
        /// The invitation that it is about.
        invitation_id: InvitationId,
        /// Why.
        reason: Text,
    },
    /// Notes that the letter about the open invitation was sent after all; only the mailer does.
    #[refused(OnlyTheMailer)]
    NoteLetterSent {
        /// The invitation that it is about.
        invitation_id: InvitationId,
    },
    /// Takes the open invitation back.
    RevokeInvitation {},
    /// Accepts the open invitation; the login does, for whoever followed the link.
    #[refused(InvitationNotOpen, InvitationExpired, OnlyTheLogin)]
    AcceptInvitation {
        /// Which one; a void one is refused.
        invitation_id: InvitationId,
    },
    /// Calls the person something else.
    #[refused(Out)]
    Rename {
        /// What the person is called from now on.
        name: Name,
    },
    /// Gives the person a role; nobody gives what they do not have.
    #[refused(TooManyRoles, RoleUnknown, OwnerIsNoRoleToGive, RoleBeyondYours, Out)]
    AssignRole {
        /// Which one.
        role: Slug,
    },
    /// Takes a role from the person.
    #[refused(Out)]
    RevokeRole {
        /// Which one.
        role: Slug,
    },
    /// Gives the person a right for one resource; nobody gives what they do not have.
    #[refused(TooManyGrants, NotPlain, GrantBeyondYours, Out)]
    Grant {
        /// What may be done: `projects.*`.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a right for one resource from the person.
    #[refused(Out)]
    RevokeGrant {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a login at a provider for this person's; only the login does, once it has seen who it is.
    #[refused(Out, TooManyLogins, OnlyTheLogin, "login.taken")]
    LinkLogin {
        /// The provider's `iss`.
        issuer: Issuer,
        /// The provider's `sub`.
        subject: Subject,
    },
    /// Takes it for this person's no longer.
    #[refused(Out)]
    UnlinkLogin {
        /// The provider's `iss`.
        issuer: Issuer,
        /// The provider's `sub`.
        subject: Subject,
    },
    /// Keeps the person out for the time being; no owner.
    #[refused(NotActive, Out, Owner)]
    Suspend {
        /// Why.
        reason: Name,
    },
    /// Lets the person in again.
    #[refused(Out)]
    Reinstate {},
    /// Takes the person out of the firm; no owner.
    #[refused(Out, Owner)]
    Deactivate {
        /// Why.
        reason: Name,
    },
    /// Leaves the firm; only oneself, and no owner.
    #[refused(Out, Owner, NotYourself)]
    Leave {},
}

/// Why a user's command may be refused.
#[rejection("identity.user")]
pub enum UserRejection {
    /// An invitation is open for 1 to 90 days.
    #[invalid("/expires_in_days")]
    InvitationPeriodOutOfRange,
    /// A user has 20 roles at most.
    TooManyRoles,
    /// There is no such role.
    RoleUnknown,
    /// The firm's owners are made by the firm: identity.tenant.add_owner.
    OwnerIsNoRoleToGive,
    /// The role grants more than you have.
    RoleBeyondYours,
    /// A user has 200 rights for single resources at most.
    TooManyGrants,
    /// A right for a resource gives: no `!` in front and no `:own` behind.
    #[invalid("/pattern")]
    NotPlain,
    /// The right is more than you have.
    GrantBeyondYours,
    /// The invitation is not the open one.
    InvitationNotOpen,
    /// Another invitation of the person has this id, or it was issued for another time.
    InvitationExists,
    /// The invitation has expired; ask for a new one.
    InvitationExpired,
    /// The person comes in already.
    AlreadyActive,
    /// The person does not come in yet, or not any more.
    NotActive,
    /// The person is out; invite them again.
    Out,
    /// The person is suspended; let them in again first.
    Suspended,
    /// An owner hands the firm over first: identity.tenant.transfer_ownership.
    Owner,
    /// Only the person can leave; others deactivate.
    NotYourself,
    /// A user has 10 logins at most.
    TooManyLogins,
    /// Only the login does this, for whoever has shown who they are.
    OnlyTheLogin,
    /// Only the mailer does this, for it has tried to send the letter.
    OnlyTheMailer,
}

/// Where a user stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Standing {
    #[default]
    Invited,
    Active,
    Suspended,
    Out,
}

/// What is remembered of a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    email: Option<Personal<Email>>,
    name: Option<Personal<Name>>,
    standing: Standing,
    invitation: Option<(InvitationId, Timestamp)>,
    /// Every invitation there ever was, and for how many days.
    invitations: BTreeMap<InvitationId, u32>,
    letter_failed: bool,
    roles: BTreeSet<Slug>,
    grants: Grants,
    logins: BTreeSet<(Issuer, String)>,
}

impl Aggregate for User {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/users";
    const STATE_VERSION: i32 = 3;

    fn scope(&self, id: Uuid, _command: &C) -> Scope {
        Scope::default().owned_by([UserId(id)])
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Invite { roles, .. } => roles.iter().filter_map(CustomRole::reference).collect(),
            C::Reinvite { .. } => self.roles.iter().filter_map(CustomRole::reference).collect(),
            C::AssignRole { role } => CustomRole::reference(role).into_iter().collect(),
            _ => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        match command {
            C::Suspend { .. } | C::Deactivate { .. } | C::Leave {} => vec![Reference::id::<Tenant>(ctx.tenant.0)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let is_owner = || ctx.referenced::<Tenant>(ctx.tenant.0).is_some_and(|firm| firm.is_owner(UserId(ctx.id)));
        Ok(match command {
            C::Invite { email, name, roles, expires_in_days, invitation_id } => {
                let roles: BTreeSet<Slug> = roles.into_iter().collect();
                return self.invited(email.into(), name.into(), roles, expires_in_days, invitation_id, ctx);
            }
            // The repeat of what was done before, whatever became of it: it makes no invitation void that came after.
            C::Reinvite { expires_in_days, invitation_id: Some(id) } if self.invitations.contains_key(&id) => {
                let id = ctx.part(INVITATION_ID, Some(id));
                match self.invitations.get(&id) {
                    Some(there) if *there == expires_in_days.unwrap_or(INVITATION_DAYS) => vec![],
                    _ => return Err(R::InvitationExists),
                }
            }
            C::Reinvite { .. } if self.standing == Standing::Active => return Err(R::AlreadyActive),
            C::Reinvite { .. } if self.standing == Standing::Suspended => return Err(R::Suspended),
            C::Reinvite { expires_in_days, invitation_id } => match (&self.email, &self.name) {
                (Some(email), Some(name)) => {
                    let (email, name, roles) = (email.clone(), name.clone(), self.roles.clone());
                    return self.invited(email, name, roles, expires_in_days, invitation_id, ctx);
                }
                _ => vec![],
            },
            C::NoteLetterFailed { .. } | C::NoteLetterSent { .. } if !ctx.actor.is_system() => {
                return Err(R::OnlyTheMailer);
            }
            // What became of the letter about another invitation no longer matters.
            C::NoteLetterFailed { invitation_id, reason } if self.has_open(invitation_id) && !self.letter_failed => {
                vec![E::LetterFailed { invitation_id, reason: reason.into() }]
            }
            C::NoteLetterSent { invitation_id } if self.has_open(invitation_id) && self.letter_failed => {
                vec![E::LetterSent { invitation_id }]
            }
            C::NoteLetterFailed { .. } | C::NoteLetterSent { .. } => vec![],
            C::RevokeInvitation {} => {
                self.invitation.iter().map(|(id, _)| E::InvitationRevoked { invitation_id: *id }).collect()
            }
            C::AcceptInvitation { .. } | C::LinkLogin { .. } if !ctx.actor.is_system() => return Err(R::OnlyTheLogin),
            C::AcceptInvitation { invitation_id } => match self.invitation {
                Some((open, expires_at)) if open == invitation_id && ctx.now <= expires_at => {
                    vec![E::Activated { invitation_id }]
                }
                Some((open, _)) if open == invitation_id => return Err(R::InvitationExpired),
                _ => return Err(R::InvitationNotOpen),
            },
            C::Deactivate { .. } | C::Leave {} if self.standing == Standing::Out => vec![],
            _ if self.standing == Standing::Out => return Err(R::Out),
            C::Deactivate { .. } | C::Suspend { .. } | C::Leave {} if is_owner() => return Err(R::Owner),
            C::Deactivate { reason } => vec![E::Deactivated { reason: reason.into() }],
            C::Leave {} if ctx.actor != (Actor::User { id: UserId(ctx.id) }) => return Err(R::NotYourself),
            C::Leave {} => vec![E::Left {}],
            C::Suspend { .. } if self.standing == Standing::Suspended => vec![],
            C::Suspend { .. } if self.standing != Standing::Active => return Err(R::NotActive),
            C::Suspend { reason } => vec![E::Suspended { reason: reason.into() }],
            C::Reinstate {} if self.standing == Standing::Suspended => vec![E::Reinstated {}],
            C::Reinstate {} => vec![],
            C::Rename { name } if self.name.as_ref().and_then(Personal::expose) == Some(&name) => vec![],
            C::Rename { name } => vec![E::Renamed { name: name.into() }],
            C::AssignRole { role } if self.roles.contains(&role) => vec![],
            C::AssignRole { .. } if self.roles.len() == ROLES_MAX => return Err(R::TooManyRoles),
            C::AssignRole { role } => {
                may_give(&role, ctx)?;
                vec![E::RoleAssigned { role }]
            }
            C::RevokeRole { role } if self.roles.contains(&role) => vec![E::RoleRevoked { role }],
            C::RevokeRole { .. } => vec![],
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
            C::LinkLogin { issuer, subject } if self.has_login(&issuer, &subject) => vec![],
            C::LinkLogin { .. } if self.logins.len() == LOGINS_MAX => return Err(R::TooManyLogins),
            C::LinkLogin { issuer, subject } => vec![E::LoginLinked { issuer, subject: subject.into() }],
            C::UnlinkLogin { issuer, subject } if self.has_login(&issuer, &subject) => {
                vec![E::LoginUnlinked { issuer, subject: subject.into() }]
            }
            C::UnlinkLogin { .. } => vec![],
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Invited { invitation_id, email, name, roles, expires_at, days } => {
                (self.email, self.name) = (Some(email.clone()), Some(name.clone()));
                self.roles = roles.iter().cloned().collect();
                self.invitation = Some((*invitation_id, *expires_at));
                self.invitations.insert(*invitation_id, *days);
                self.letter_failed = false;
                self.standing = Standing::Invited;
            }
            E::LetterFailed { .. } => self.letter_failed = true,
            E::LetterSent { .. } => self.letter_failed = false,
            E::InvitationRevoked { invitation_id: _ } => self.invitation = None,
            E::Activated { invitation_id: _ } => {
                self.invitation = None;
                self.standing = Standing::Active;
            }
            E::Renamed { name } => self.name = Some(name.clone()),
            E::RoleAssigned { role } => {
                self.roles.insert(role.clone());
            }
            E::RoleRevoked { role } => {
                self.roles.remove(role);
            }
            E::Granted { pattern, resource } => {
                self.grants.insert(Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::GrantRevoked { pattern, resource } => {
                self.grants.remove(&Grant { pattern: pattern.clone(), resource: *resource });
            }
            E::LoginLinked { issuer, subject } => {
                self.logins.extend(subject.expose().map(|subject| (issuer.clone(), subject.to_string())));
            }
            E::LoginUnlinked { issuer, subject } => {
                self.logins.remove(&(issuer.clone(), subject.text().to_owned()));
            }
            E::Suspended { reason: _ } => self.standing = Standing::Suspended,
            E::Reinstated {} => self.standing = Standing::Active,
            E::Deactivated { reason: _ } | E::Left {} => {
                self.invitation = None;
                self.logins.clear();
                self.grants.clear();
                self.standing = Standing::Out;
            }
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Invited { email, .. } if self.email.is_none() => {
                let address = email.expose().map(|email| Claim::personal("identity.user.email", email.as_str()));
                address.map(ClaimChange::Take).into_iter().collect()
            }
            E::LoginLinked { issuer, subject } => {
                vec![ClaimChange::Take(Self::login(issuer, subject.text()))]
            }
            E::LoginUnlinked { issuer, subject } => {
                vec![ClaimChange::Release(Self::login(issuer, subject.text()))]
            }
            // The address stays, so that it is the same user who is invited again; the logins may be somebody else's.
            E::Deactivated { .. } | E::Left {} => {
                self.logins.iter().map(|(issuer, subject)| ClaimChange::Release(Self::login(issuer, subject))).collect()
            }
            _ => vec![],
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

impl User {
    /// Does the person come in?
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }

    /// The open invitation, if there is one.
    pub fn invitation(&self) -> Option<InvitationId> {
        self.invitation.map(|(id, _)| id)
    }

    /// The claim that a login is one user's.
    pub fn login(issuer: &Issuer, subject: &str) -> Claim {
        Claim::personal("identity.user.login", format!("{issuer} {subject}"))
    }

    fn has_open(&self, invitation_id: InvitationId) -> bool {
        self.invitation() == Some(invitation_id)
    }

    fn has_login(&self, issuer: &Issuer, subject: &Subject) -> bool {
        self.logins.contains(&(issuer.clone(), subject.to_string()))
    }

    fn invited(
        &self,
        email: Personal<Email>,
        name: Personal<Name>,
        roles: BTreeSet<Slug>,
        expires_in_days: Option<u32>,
        invitation_id: Option<InvitationId>,
        ctx: &Context,
    ) -> Decision<Self> {
        let days = expires_in_days.unwrap_or(INVITATION_DAYS);
        if !(1..=INVITATION_DAYS_MAX).contains(&days) {
            return Err(R::InvitationPeriodOutOfRange);
        }
        if roles.len() > ROLES_MAX {
            return Err(R::TooManyRoles);
        }
        roles.iter().try_for_each(|role| may_give(role, ctx))?;
        let expires_at = ctx.now + TimeDelta::days(i64::from(days));
        let roles = roles.into_iter().collect();
        let invitation_id = ctx.part(INVITATION_ID, invitation_id);
        Ok(vec![E::Invited { invitation_id, email, name, roles, expires_at, days }])
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
    use identity_events::{RoleEvent, TenantEvent};
    use kernel::spec::{given, spec_time};
    use kernel::{ClientId, Role};

    const SELF: Uuid = Uuid::from_u128(2);

    #[test]
    fn what_became_of_a_letter_is_noted_by_the_mailer_once_and_of_the_open_invitation_only() {
        let [open, void] = [8, 9].map(|id| InvitationId(Uuid::from_u128(id)));
        let reason: Text = "550 no such mailbox".parse().unwrap();
        let note = |invitation_id| C::NoteLetterFailed { invitation_id, reason: reason.clone() };
        let failed = E::LetterFailed { invitation_id: open, reason: Personal::new(reason.clone()) };
        let sent = |invitation_id| C::NoteLetterSent { invitation_id };
        let has = |events: &[E]| given::<User>([&[invited(&[])][..], events].concat()).by_system();
        has(&[]).when(note(open)).then([failed.clone()]);
        has(&[]).when(note(void)).then([]);
        has(&[]).when(sent(open)).then([]);
        has(&[failed.clone()]).when(note(open)).then([]);
        has(&[failed.clone()]).when(sent(open)).then([E::LetterSent { invitation_id: open }]);
        given::<User>([invited(&[])]).when(note(open)).rejected("identity.user.only_the_mailer");
    }

    fn slug(text: &str) -> Slug {
        text.parse().unwrap()
    }

    fn invited(roles: &[&str]) -> E {
        E::Invited {
            invitation_id: InvitationId(Uuid::from_u128(8)),
            email: Personal::new("ada@example.com".parse().unwrap()),
            name: Personal::new("Ada Lovelace".parse().unwrap()),
            roles: roles.iter().map(|role| slug(role)).collect(),
            expires_at: spec_time() + TimeDelta::days(14),
            days: 14,
        }
    }

    fn activated() -> E {
        E::Activated { invitation_id: InvitationId(Uuid::from_u128(8)) }
    }

    fn invite(roles: &[&str]) -> C {
        C::Invite {
            email: "ada@example.com".parse().unwrap(),
            name: "Ada Lovelace".parse().unwrap(),
            roles: roles.iter().map(|role| slug(role)).collect(),
            expires_in_days: None,
            invitation_id: None,
        }
    }

    fn accept(number: u128) -> C {
        C::AcceptInvitation { invitation_id: InvitationId(Uuid::from_u128(number)) }
    }

    fn owned_by(user: Uuid) -> Tenant {
        let mut firm = Tenant::default();
        let name = "Analytical Engines".parse().unwrap();
        firm.apply(&TenantEvent::Registered { name, owner_id: UserId(user), trial_ends_at: spec_time() });
        firm
    }

    fn login() -> (Issuer, Subject) {
        ("https://login.example.com".parse().unwrap(), "ada".parse().unwrap())
    }

    #[test]
    fn one_address_is_one_user_of_the_firm() {
        let when = given::<User>([]).when(invite(&["member"]));
        assert_eq!(when.claims(), [ClaimChange::Take(Claim::personal("identity.user.email", "ada@example.com"))]);
        match when.events() {
            [E::Invited { roles, expires_at, .. }] => {
                assert_eq!(
                    (roles.as_slice(), *expires_at),
                    ([slug("member")].as_slice(), spec_time() + TimeDelta::days(14))
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_gives_what_they_do_not_have() {
        let member = || given::<User>([]).asked_with(Role::Member.patterns().iter().copied());
        member().when(invite(&["admin"])).rejected("identity.user.role_beyond_yours");
        assert_eq!(member().when(invite(&["viewer"])).events().len(), 1);
        given::<User>([]).when(invite(&["owner"])).rejected("identity.user.owner_is_no_role_to_give");
        given::<User>([]).when(invite(&["partner"])).rejected("identity.user.role_unknown");
    }

    #[test]
    fn a_role_of_the_firms_own_is_given_like_the_others() {
        let mut partner = CustomRole::default();
        partner.apply(&RoleEvent::Defined {
            name: slug("partner"),
            description: "Runs engagements".parse().unwrap(),
            patterns: vec!["crm.*".parse().unwrap(), "workflow.*".parse().unwrap()],
        });
        let reference = CustomRole::reference(&slug("partner")).unwrap();
        let known = || {
            given::<User>([invited(&[]), activated()]).knowing(reference.clone(), Uuid::from_u128(9), partner.clone())
        };
        let assign = || C::AssignRole { role: slug("partner") };
        known().when(assign()).then([E::RoleAssigned { role: slug("partner") }]);
        known().asked_with(["crm.*"]).when(assign()).rejected("identity.user.role_beyond_yours");
    }

    #[test]
    fn a_right_for_a_resource_is_given_by_who_has_it() {
        let acme = Resource::from(ClientId(Uuid::from_u128(5)));
        let grant = |pattern: &str| C::Grant { pattern: pattern.parse().unwrap(), resource: acme };
        let granted = E::Granted { pattern: "projects.*".parse().unwrap(), resource: acme };
        let user = || given::<User>([invited(&[]), activated()]);
        user().when(grant("projects.*")).then([granted.clone()]);
        user().asked_with(["crm.*"]).when(grant("projects.*")).rejected("identity.user.grant_beyond_yours");
        user().when(grant("!projects.*")).rejected("identity.user.not_plain");
        user().when(grant("projects.*:own")).rejected("identity.user.not_plain");
        let has = || given::<User>([invited(&[]), activated(), granted.clone()]);
        has().when(grant("projects.*")).then([]);
        let revoke = || C::RevokeGrant { pattern: "projects.*".parse().unwrap(), resource: acme };
        let revoked = E::GrantRevoked { pattern: "projects.*".parse().unwrap(), resource: acme };
        has().asked_with(["crm.*"]).when(revoke()).then([revoked]);
        let gone = given::<User>([invited(&[]), activated(), granted.clone(), E::Left {}, invited(&[]), activated()]);
        gone.when(revoke()).then([]);
    }

    #[test]
    fn an_invitation_is_accepted_once_and_in_time() {
        let user = |events: &[E]| given::<User>(events.to_vec()).by_system();
        user(&[invited(&[])]).when(accept(8)).then([activated()]);
        user(&[invited(&[])]).when(accept(9)).rejected("identity.user.invitation_not_open");
        user(&[invited(&[]), activated()]).when(accept(8)).rejected("identity.user.invitation_not_open");
        let late = user(&[invited(&[])]).at(spec_time() + TimeDelta::days(15));
        late.when(accept(8)).rejected("identity.user.invitation_expired");
    }

    #[test]
    fn an_owner_hands_the_firm_over_before_leaving() {
        let known = |owner| {
            let user = given::<User>([invited(&[]), activated()]).with_id(SELF);
            let firm = Uuid::from_u128(1);
            user.knowing(Reference::id::<Tenant>(firm), firm, owned_by(owner))
        };
        for command in [
            C::Leave {},
            C::Suspend { reason: "on leave".parse().unwrap() },
            C::Deactivate { reason: "has gone".parse().unwrap() },
        ] {
            known(SELF).when(command).rejected("identity.user.owner");
        }
        known(Uuid::from_u128(7)).when(C::Leave {}).then([E::Left {}]);
    }

    #[test]
    fn nobody_leaves_for_somebody_else() {
        given::<User>([invited(&[]), activated()]).when(C::Leave {}).rejected("identity.user.not_yourself");
    }

    #[test]
    fn who_goes_gives_the_logins_up_and_can_be_invited_again() {
        let (issuer, subject) = login();
        let linked = E::LoginLinked { issuer: issuer.clone(), subject: subject.into() };
        let deactivate = C::Deactivate { reason: "has gone".parse().unwrap() };
        let gone = given::<User>([invited(&[]), activated(), linked]).when(deactivate);
        assert_eq!(gone.claims(), [ClaimChange::Release(User::login(&issuer, "ada"))]);
        let out = [invited(&["viewer"]), activated(), E::Left {}];
        given::<User>(out.clone()).when(C::AssignRole { role: slug("admin") }).rejected("identity.user.out");
        let again = given::<User>(out).when(C::Reinvite { expires_in_days: None, invitation_id: None });
        assert_eq!((again.claims(), again.events().len()), (vec![], 1), "the address is still this user's");
    }

    #[test]
    fn a_login_is_one_persons() {
        let (issuer, subject) = login();
        let link = C::LinkLogin { issuer: issuer.clone(), subject };
        let user = || given::<User>([invited(&[]), activated()]);
        user().when(link.clone()).rejected("identity.user.only_the_login");
        let when = user().by_system().when(link);
        assert_eq!(when.claims(), [ClaimChange::Take(User::login(&issuer, "ada"))]);
    }
}
