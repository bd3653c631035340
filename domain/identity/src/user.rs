//! A user: one person's membership in one firm. Whoever works for two firms is a user of each.

use crate::role::{self, Giving, Held};
use crate::{CustomRole, Tenant};
use chrono::TimeDelta;
use identity_events::{GivenRole, UserEvent as E, UserStatus as Status};
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, Context, Decision, Email, Flag, Grant, GrantRefused, Grants, InvitationId,
    Issuer, Machine, Name, OF_EVERY_USER, Pattern, Personal, Reference, Resource, Rights, Scope, Slug, Subject, Text,
    Timestamp, UserId, command, rejection,
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
#[command("identity.user", !member)]
pub enum UserCommand {
    /// Invites somebody into the firm.
    #[creates]
    #[makes("invitation_id")]
    #[refused(
        InvitationPeriodOutOfRange,
        TooManyRoles,
        RoleUnknown,
        OwnerRoleNotAssignable,
        RoleExceedsYourPermissions,
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
    /// Invites the person again; an earlier open invitation becomes void. Also whoever left can be invited again, and begins
    /// anew: what they had ended with them.
    #[makes("invitation_id")]
    #[refused(
        InvitationPeriodOutOfRange,
        TooManyRoles,
        RoleUnknown,
        OwnerRoleNotAssignable,
        RoleExceedsYourPermissions,
        GrantExceedsYourPermissions,
        InvitationExists,
        AlreadyActive,
        Suspended
    )]
    Reinvite {
        /// The roles that the person will have; those of the open invitation unless given, and none of somebody who had left.
        #[serde(default)]
        roles: Option<Vec<Slug>>,
        /// Days until the invitation expires, 14 unless given, at most 90.
        #[serde(default)]
        expires_in_days: Option<u32>,
        /// The id that the invitation shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        invitation_id: Option<InvitationId>,
    },
    /// Notes that the email about the open invitation cannot be sent; only the mailer does.
    #[refused(MailerOnly)]
    NoteEmailFailed {
        /// The invitation that it is about.
        invitation_id: InvitationId,
        /// Why.
        reason: Text,
    },
    /// Notes that the email about the open invitation was sent after all; only the mailer does.
    #[refused(MailerOnly)]
    NoteEmailSent {
        /// The invitation that it is about.
        invitation_id: InvitationId,
    },
    /// Takes the open invitation back.
    RevokeInvitation {},
    /// Accepts the open invitation; the login does, for whoever followed the link.
    #[refused(InvitationNotOpen, InvitationExpired, LoginOnly)]
    AcceptInvitation {
        /// Which one; a void one is refused.
        invitation_id: InvitationId,
    },
    /// Calls the person something else.
    #[refused(Deactivated)]
    Rename {
        /// What the person is called from now on.
        name: Name,
    },
    /// Gives the person a role; nobody gives what they do not have.
    #[refused(TooManyRoles, RoleUnknown, OwnerRoleNotAssignable, RoleExceedsYourPermissions, Deactivated)]
    AssignRole {
        /// Which one.
        role: Slug,
    },
    /// Takes a role from the person; where that ends a denial, only who may do what was denied.
    #[refused(RoleExceedsYourPermissions)]
    RevokeRole {
        /// Which one.
        role: Slug,
    },
    /// Gives the person a right for one resource; nobody gives what they do not have.
    #[refused(TooManyGrants, PatternNotGrantable, GrantExceedsYourPermissions, Deactivated)]
    Grant {
        /// What may be done: `projects.*`.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a right for one resource from the person.
    RevokeGrant {
        /// What may not be done any more.
        pattern: Pattern,
        /// To what.
        resource: Resource,
    },
    /// Takes a login at a provider for this person's; only the login does, once it has seen who it is.
    #[refused(Deactivated, TooManyLogins, LoginOnly, "login.taken")]
    LinkLogin {
        /// The provider's `iss`.
        issuer: Issuer,
        /// The provider's `sub`.
        subject: Subject,
    },
    /// Takes it for this person's no longer; an owner's only an owner.
    #[refused(OwnersOnly)]
    UnlinkLogin {
        /// The provider's `iss`.
        issuer: Issuer,
        /// The provider's `sub`.
        subject: Subject,
    },
    /// Keeps the person out for the time being; no owner. From who has not come in yet the invitation is taken.
    #[refused(Owner)]
    Suspend {
        /// Why.
        reason: Name,
    },
    /// Lets the person in again; nobody gives what they do not have.
    #[refused(Deactivated, RoleExceedsYourPermissions)]
    Reinstate {},
    /// Takes the person out of the firm; no owner. Keys, sessions, roles, rights and memberships end, and stay ended.
    #[refused(Owner)]
    Deactivate {
        /// Why.
        reason: Name,
    },
    /// Leaves the firm; only oneself, and no owner.
    #[refused(Owner, NotYourself)]
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
    OwnerRoleNotAssignable,
    /// The role grants more than you have.
    #[audited]
    RoleExceedsYourPermissions,
    /// A user has 200 rights for single resources at most.
    TooManyGrants,
    /// A right for a resource gives: no `!` in front and no `:own` behind.
    #[invalid("/pattern")]
    PatternNotGrantable,
    /// The right is more than you have.
    #[audited]
    GrantExceedsYourPermissions,
    /// The invitation is not the open one.
    InvitationNotOpen,
    /// Another invitation of the person has this id, or it was issued for another time.
    InvitationExists,
    /// The invitation has expired; ask for a new one.
    InvitationExpired,
    /// The person comes in already.
    AlreadyActive,
    /// The person was taken out of the firm or left it; invite them again.
    Deactivated,
    /// The person is suspended; let them in again first.
    Suspended,
    /// An owner hands the firm over first: identity.tenant.transfer_ownership.
    Owner,
    /// What lets an owner in is an owner's to take.
    #[audited]
    OwnersOnly,
    /// Only the person can leave; others deactivate.
    NotYourself,
    /// A user has 10 logins at most.
    TooManyLogins,
    /// Only the login does this, for whoever has shown who they are.
    #[audited]
    LoginOnly,
    /// Only the mailer does this, for it has tried to send the email.
    #[audited]
    MailerOnly,
}

/// What is remembered of a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    email: Option<Personal<Email>>,
    name: Option<Personal<Name>>,
    status: Status,
    invitation: Option<(InvitationId, Timestamp)>,
    /// Every invitation there ever was, and for how many days.
    invitations: BTreeMap<InvitationId, u32>,
    email_failed: bool,
    roles: Held,
    grants: Grants,
    /// How often the person has gone: what was theirs before is not theirs after.
    membership: u32,
    /// Is the flag up that the person is kept out?
    barred: bool,
    logins: BTreeSet<(Issuer, String)>,
}

impl Aggregate for User {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/users";
    const STATE_VERSION: i32 = 5;

    fn scope(&self, id: Uuid, _command: &C) -> Scope {
        Scope::default().owned_by([UserId(id)])
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Invite { roles, .. } => roles.iter().filter_map(CustomRole::reference).collect(),
            C::Reinvite { roles: Some(roles), .. } => roles.iter().filter_map(CustomRole::reference).collect(),
            C::Reinvite { roles: None, .. } | C::RevokeRole { .. } | C::Reinstate {} => {
                role::references(&self.roles).collect()
            }
            C::AssignRole { role } => CustomRole::reference(role).into_iter().collect(),
            _ => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        match command {
            C::Suspend { .. } | C::Deactivate { .. } | C::Leave {} | C::UnlinkLogin { .. } => {
                vec![Reference::id::<Tenant>(ctx.tenant.0)]
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let is_oneself = ctx.actor == (Actor::User { id: UserId(ctx.id) });
        let is_owner = || ctx.referenced::<Tenant>(ctx.tenant.0).is_some_and(|firm| firm.is_owner(UserId(ctx.id)));
        Ok(match command {
            C::Invite { email, name, roles, expires_in_days, invitation_id } => {
                let roles = may_give_all(roles, ctx)?;
                return self.invited(email.into(), name.into(), roles, expires_in_days, invitation_id, ctx);
            }
            // The repeat of what was done before, whatever became of it: it makes no invitation void that came after.
            C::Reinvite { expires_in_days, invitation_id: Some(id), .. } if self.invitations.contains_key(&id) => {
                let id = ctx.part(INVITATION_ID, Some(id));
                match self.invitations.get(&id) {
                    Some(there) if *there == expires_in_days.unwrap_or(INVITATION_DAYS) => vec![],
                    _ => return Err(R::InvitationExists),
                }
            }
            C::Reinvite { .. } if self.status == Status::Active => return Err(R::AlreadyActive),
            C::Reinvite { .. } if self.status == Status::Suspended => return Err(R::Suspended),
            C::Reinvite { expires_in_days, roles, invitation_id } => {
                let roles = match roles {
                    // Rights that were given before the person comes in are let in with them.
                    Some(_) if !ctx.permissions.cover_rights(&Rights::of([], self.grants.iter())) => {
                        return Err(R::GrantExceedsYourPermissions);
                    }
                    Some(roles) => may_give_all(roles, ctx)?,
                    None if !ctx.permissions.cover_rights(&self.rights(ctx)) => {
                        return Err(R::RoleExceedsYourPermissions);
                    }
                    None => self.roles.clone(),
                };
                let (Some(email), Some(name)) = (&self.email, &self.name) else { return Ok(vec![]) };
                return self.invited(email.clone(), name.clone(), roles, expires_in_days, invitation_id, ctx);
            }
            C::NoteEmailFailed { .. } | C::NoteEmailSent { .. } if !ctx.actor.is_system() => {
                return Err(R::MailerOnly);
            }
            // What became of the email about another invitation no longer matters.
            C::NoteEmailFailed { invitation_id, reason } if self.has_open(invitation_id) && !self.email_failed => {
                vec![E::EmailFailed { invitation_id, reason: reason.into() }]
            }
            C::NoteEmailSent { invitation_id } if self.has_open(invitation_id) && self.email_failed => {
                vec![E::EmailSent { invitation_id }]
            }
            C::NoteEmailFailed { .. } | C::NoteEmailSent { .. } => vec![],
            C::RevokeInvitation {} => {
                self.invitation.iter().map(|(id, _)| E::InvitationRevoked { invitation_id: *id }).collect()
            }
            C::AcceptInvitation { .. } | C::LinkLogin { .. } if !ctx.actor.is_system() => return Err(R::LoginOnly),
            C::AcceptInvitation { invitation_id } => match self.invitation {
                Some((open, expires_at)) if open == invitation_id && ctx.now <= expires_at => {
                    vec![E::Activated { invitation_id }]
                }
                Some((open, _)) if open == invitation_id => return Err(R::InvitationExpired),
                _ => return Err(R::InvitationNotOpen),
            },
            C::Deactivate { .. } | C::Leave {} | C::Suspend { .. } if self.status == Status::Deactivated => vec![],
            // To take something away works however the person stands.
            C::RevokeRole { role } => return self.without_role(role, ctx),
            C::RevokeGrant { pattern, resource } => {
                let held = self.grants.contains(&Grant { pattern: pattern.clone(), resource });
                held.then_some(E::GrantRevoked { pattern, resource }).into_iter().collect()
            }
            C::UnlinkLogin { issuer, subject } if !self.has_login(&issuer, &subject) => vec![],
            C::UnlinkLogin { .. } if is_owner() && !is_oneself && !ctx.permissions.allow(Tenant::OWNERS_DO) => {
                return Err(R::OwnersOnly);
            }
            C::UnlinkLogin { issuer, subject } => vec![E::LoginUnlinked { issuer, subject: subject.into() }],
            _ if self.status == Status::Deactivated => return Err(R::Deactivated),
            C::Deactivate { .. } | C::Suspend { .. } | C::Leave {} if is_owner() => return Err(R::Owner),
            C::Deactivate { reason } => vec![E::Deactivated { reason: reason.into() }],
            C::Leave {} if !is_oneself => return Err(R::NotYourself),
            C::Leave {} => vec![E::Left {}],
            C::Suspend { .. } if self.status == Status::Suspended => vec![],
            C::Suspend { .. } if self.status == Status::Invited => {
                self.invitation.iter().map(|(id, _)| E::InvitationRevoked { invitation_id: *id }).collect()
            }
            C::Suspend { reason } => vec![E::Suspended { reason: reason.into() }],
            C::Reinstate {} if self.status != Status::Suspended => vec![],
            C::Reinstate {} if !ctx.permissions.cover_rights(&self.rights(ctx)) => {
                return Err(R::RoleExceedsYourPermissions);
            }
            C::Reinstate {} => vec![E::Reinstated {}],
            C::Rename { name } if self.name.as_ref().and_then(Personal::expose) == Some(&name) => vec![],
            C::Rename { name } => vec![E::Renamed { name: name.into() }],
            C::AssignRole { role } => {
                let role = may_give(role, ctx)?;
                match self.roles.get(&role.name) {
                    Some(id) if *id == role.id => vec![],
                    None if self.roles.len() == ROLES_MAX => return Err(R::TooManyRoles),
                    _ => vec![E::RoleAssigned { role }],
                }
            }
            C::Grant { pattern, resource } => {
                let grant = Grant { pattern, resource };
                let new = self.grants.may_get(&grant, &ctx.permissions)?;
                let Grant { pattern, resource } = grant;
                new.then_some(E::Granted { pattern, resource }).into_iter().collect()
            }
            C::LinkLogin { issuer, subject } if self.has_login(&issuer, &subject) => vec![],
            C::LinkLogin { .. } if self.logins.len() == LOGINS_MAX => return Err(R::TooManyLogins),
            C::LinkLogin { issuer, subject } => vec![E::LoginLinked { issuer, subject: subject.into() }],
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
            E::Invited { invitation_id, email, name, roles, expires_at, days } => {
                (self.email, self.name) = (Some(email.clone()), Some(name.clone()));
                self.roles = role::held(roles);
                self.invitation = Some((*invitation_id, *expires_at));
                self.invitations.insert(*invitation_id, *days);
                self.email_failed = false;
            }
            E::EmailFailed { .. } => self.email_failed = true,
            E::EmailSent { .. } => self.email_failed = false,
            E::InvitationRevoked { invitation_id: _ } => self.invitation = None,
            E::Activated { invitation_id: _ } => {
                self.invitation = None;
                self.barred = false;
            }
            E::Renamed { name } => self.name = Some(name.clone()),
            E::RoleAssigned { role } => {
                self.roles.insert(role.name.clone(), role.id);
            }
            E::RoleRevoked { role } => {
                self.roles.remove(&role.name);
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
            E::Suspended { reason: _ } => self.barred = true,
            E::Reinstated {} => self.barred = false,
            E::Deactivated { reason: _ } | E::Left {} => {
                self.invitation = None;
                self.logins.clear();
                self.grants.clear();
                self.roles.clear();
                self.membership += 1;
                self.barred = true;
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

    /// Nobody owns the firm and is kept out of it, whoever decides what at the same moment.
    fn flags(&self, event: &E) -> Vec<(Flag, bool)> {
        match event {
            E::Suspended { .. } | E::Deactivated { .. } | E::Left {} if !self.barred => vec![(Flag::KEPT_OUT, true)],
            E::Activated { .. } | E::Reinstated {} if self.barred => vec![(Flag::KEPT_OUT, false)],
            _ => vec![],
        }
    }

    fn forbidden_by(&self, id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Suspended { .. } | E::Deactivated { .. } | E::Left {} => vec![(Flag::OWNER, id)],
            _ => vec![],
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

impl User {
    /// Does the person come in?
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Has the person gone?
    pub fn is_deactivated(&self) -> bool {
        self.status == Status::Deactivated
    }

    /// Is nothing known of the person any more?
    pub fn is_erased(&self) -> bool {
        self.email.as_ref().is_some_and(|email| email.expose().is_none())
    }

    /// Which of the person's times in the firm it is: how often they have gone. What was given for one ends with it.
    pub fn membership(&self) -> u32 {
        self.membership
    }

    /// The providers at which the person has a login.
    pub(crate) fn logs_in_at(&self) -> impl Iterator<Item = &Issuer> {
        self.logins.iter().map(|(issuer, _)| issuer)
    }

    /// What the person's roles and grants come to, of which the roles were asked for.
    fn rights(&self, ctx: &Context) -> Rights {
        role::rights(&self.roles, ctx).and(Rights::of([], self.grants.iter()))
    }

    fn without_role(&self, role: Slug, ctx: &Context) -> Decision<Self> {
        let mut left = self.roles.clone();
        let Some(id) = left.remove(&role) else { return Ok(vec![]) };
        let after = role::rights(&left, ctx).and(Rights::of([], self.grants.iter()));
        let after = after.and(Rights::of(OF_EVERY_USER, []));
        if !ctx.permissions.cover_change(&self.rights(ctx).and(Rights::of(OF_EVERY_USER, [])), &after) {
            return Err(R::RoleExceedsYourPermissions);
        }
        Ok(vec![E::RoleRevoked { role: GivenRole { name: role, id } }])
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
        roles: Held,
        expires_in_days: Option<u32>,
        invitation_id: Option<InvitationId>,
        ctx: &Context,
    ) -> Decision<Self> {
        let days = expires_in_days.unwrap_or(INVITATION_DAYS);
        if !(1..=INVITATION_DAYS_MAX).contains(&days) {
            return Err(R::InvitationPeriodOutOfRange);
        }
        let expires_at = ctx.now + TimeDelta::days(i64::from(days));
        let roles = role::given(&roles);
        let invitation_id = ctx.part(INVITATION_ID, invitation_id);
        Ok(vec![E::Invited { invitation_id, email, name, roles, expires_at, days }])
    }
}

fn may_give_all(roles: Vec<Slug>, ctx: &Context) -> Result<Held, R> {
    let roles: BTreeSet<Slug> = roles.into_iter().collect();
    if roles.len() > ROLES_MAX {
        return Err(R::TooManyRoles);
    }
    let given = roles.into_iter().map(|role| may_give(role, ctx)).collect::<Result<Vec<_>, _>>()?;
    Ok(role::held(&given))
}

fn may_give(role: Slug, ctx: &Context) -> Result<GivenRole, R> {
    role::may_give(role, ctx).map_err(|why| match why {
        Giving::Owner => R::OwnerRoleNotAssignable,
        Giving::Unknown => R::RoleUnknown,
        Giving::Beyond => R::RoleExceedsYourPermissions,
    })
}

#[cfg(test)]
mod tests;
