//! A portal user: a person at a client with a place in the portal.

use chrono::TimeDelta;
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, ContactId, Context, Decision, Email, EngagementId, Flag, Grant,
    GrantRefused, Grants, InvitationId, Machine, Name, Pattern, Personal, PortalUserId, Resource, Rights, Scope, Slug,
    Text, Timestamp, command, rejection,
};
use portal_events::{PortalUserEvent as E, PortalUserStatus as Status, patterns_of_part};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use PortalUserCommand as C;
use PortalUserRejection as R;

/// How long an invitation is open unless the command says otherwise.
const INVITATION_DAYS: u32 = 14;
/// How long an invitation may be open at most.
const INVITATION_DAYS_MAX: u32 = 90;
/// What answers call an invitation that was issued.
const INVITATION_ID: &str = "invitation_id";

/// What may be asked of a portal user.
#[command("portal.portal_user", member)]
pub enum PortalUserCommand {
    /// Gives somebody at a client a place in the portal.
    #[creates]
    #[refused("email.taken", "crm.client.blocked")]
    Create {
        /// The client.
        client_id: ClientId,
        /// The person in the golden record, if known.
        #[serde(default)]
        contact_id: Option<ContactId>,
        /// What the person is called.
        name: Name,
        /// Where the invitation goes; one portal user per client and address.
        email: Email,
    },
    /// Invites the person in; an earlier open invitation becomes void. An active person needs none.
    #[makes("invitation_id?")]
    #[refused(
        Disabled,
        Locked,
        InvitationPeriodOutOfRange,
        InvitationExists,
        GrantExceedsYourPermissions,
        "crm.client.blocked"
    )]
    Invite {
        /// Days until it expires, 14 unless given, at most 90.
        #[serde(default)]
        expires_in_days: Option<u32>,
        /// The id that the invitation shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        invitation_id: Option<InvitationId>,
    },
    /// Notes that an email to the person cannot be sent; only the mailer does.
    #[refused(MailerOnly)]
    NoteEmailFailed {
        /// The invitation that it is about; none if it has the link that the person asked for.
        #[serde(default)]
        invitation_id: Option<InvitationId>,
        /// Why.
        reason: Text,
    },
    /// Notes that emails reach the person again; only the mailer does.
    #[refused(MailerOnly)]
    NoteEmailSent {
        /// The invitation that the email is about; none if it has the link that the person asked for.
        #[serde(default)]
        invitation_id: Option<InvitationId>,
    },
    /// Takes the open invitation back.
    RevokeInvitation {},
    /// Accepts the open invitation.
    #[refused(Disabled, Locked, InvitationNotOpen, InvitationExpired, "crm.client.blocked")]
    AcceptInvitation {
        /// Which one; a void one is refused.
        invitation_id: InvitationId,
    },
    /// Lets the person see a part of the portal; nobody gives what they do not have.
    #[refused(Disabled, Locked, GrantExceedsYourPermissions, "crm.client.blocked")]
    GrantAccess {
        /// Which part: `projects`, `tasks`, `approvals`, `agreements`, `files`, `messages`, or one of the frontend's own.
        scope: Slug,
    },
    /// Hides a part of the portal from the person.
    RevokeAccess {
        /// Which part.
        scope: Slug,
    },
    /// Lets the person do something more of what concerns the client, or one engagement of it alone; nobody gives what they do not have.
    #[refused(Disabled, Locked, TooManyGrants, PatternNotGrantable, GrantExceedsYourPermissions, "crm.client.blocked")]
    Grant {
        /// What: `projects.project.accept_milestone`, `projects.*`.
        pattern: Pattern,
        /// Of which engagement alone; of all that concerns the client unless given.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
    },
    /// Lets the person do it no longer.
    RevokeGrant {
        /// What.
        pattern: Pattern,
        /// Of which engagement, if it was for one.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
    },
    /// Keeps the person out for the time being. From who has not come in yet the invitation is taken.
    Lock {
        /// Why.
        reason: Name,
    },
    /// Lets the person in again; nobody gives what they do not have.
    #[refused(Disabled, GrantExceedsYourPermissions, "crm.client.blocked")]
    Unlock {},
    /// Closes the person's place in the portal. Sessions and rights end, and stay ended.
    Disable {},
    /// Opens the person's place in the portal again; a new invitation is needed, and new rights.
    #[refused("crm.client.blocked")]
    Enable {},
}

/// Why a portal user's command may be refused.
#[rejection("portal.portal_user")]
pub enum PortalUserRejection {
    /// The portal user is disabled; enable it first.
    Disabled,
    /// The portal user is locked; unlock it first.
    Locked,
    /// The invitation is not the open one.
    InvitationNotOpen,
    /// Another invitation of the person has this id, or it was issued for another time.
    InvitationExists,
    /// The invitation has expired; send a new one.
    InvitationExpired,
    /// An invitation is open for 1 to 90 days.
    #[invalid("/expires_in_days")]
    InvitationPeriodOutOfRange,
    /// A portal user has 200 rights at most.
    TooManyGrants,
    /// A right of a portal user gives: no `!` in front and no `:own` behind.
    #[invalid("/pattern")]
    PatternNotGrantable,
    /// It is more than you may do for this client.
    #[audited]
    GrantExceedsYourPermissions,
    /// Only the mailer does this, for it has tried to send the email.
    #[audited]
    MailerOnly,
}

/// What is remembered of a portal user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PortalUser {
    client_id: ClientId,
    email: Option<Personal<Email>>,
    status: Status,
    invitation: Option<(InvitationId, Timestamp)>,
    /// Every invitation there ever was, and for how many days.
    invitations: BTreeMap<InvitationId, u32>,
    email_failed: bool,
    scopes: BTreeSet<Slug>,
    grants: Grants,
    /// How often the place was closed: what was the person's before is not theirs after.
    membership: u32,
}

impl Aggregate for PortalUser {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "portal/portal-users";
    const STATE_VERSION: i32 = 5;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        vec![self.client_id.into()]
    }

    fn concerns(&self, id: Uuid, event: &E) -> Vec<Resource> {
        let named = match event {
            E::Granted { engagement_id, .. } | E::GrantRevoked { engagement_id, .. } => *engagement_id,
            _ => None,
        };
        self.belongs_to(id).into_iter().chain(named.map(Resource::from)).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        if let C::Grant { engagement_id: Some(engagement), .. } = command {
            return Scope::of(self.belongs_to(id)).naming([(*engagement).into()]);
        }
        match command {
            C::Create { client_id, .. } => Scope::begins_in([(*client_id).into()]),
            _ => Scope::of(self.belongs_to(id)).owned_by([PortalUserId(id)]),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { client_id, contact_id, name, email } => {
                vec![E::Created { client_id, contact_id, name: name.into(), email: email.into() }]
            }
            C::NoteEmailFailed { .. } | C::NoteEmailSent { .. } if !ctx.actor.is_system() => {
                return Err(R::MailerOnly);
            }
            C::NoteEmailFailed { invitation_id, reason } if self.matters(invitation_id) && !self.email_failed => {
                vec![E::EmailFailed { invitation_id, reason: reason.into() }]
            }
            C::NoteEmailSent { invitation_id } if self.matters(invitation_id) && self.email_failed => {
                vec![E::EmailSent {}]
            }
            C::NoteEmailFailed { .. } | C::NoteEmailSent { .. } => vec![],
            C::Enable {} if self.status == Status::Disabled => vec![E::Enabled {}],
            C::Enable {} => vec![],
            C::Disable {} if self.status == Status::Disabled => vec![],
            C::Disable {} => vec![E::Disabled {}],
            // To take something away works however the person stands.
            C::Lock { reason } if self.status == Status::Active => vec![E::Locked { reason: reason.into() }],
            C::Lock { .. } | C::RevokeInvitation {} => {
                self.invitation.iter().map(|(id, _)| E::InvitationRevoked { invitation_id: *id }).collect()
            }
            C::RevokeAccess { scope } if self.scopes.contains(&scope) => vec![E::AccessRevoked { scope }],
            C::RevokeAccess { .. } => vec![],
            C::RevokeGrant { pattern, engagement_id } => {
                let held = self.grants.contains(&self.grant(pattern.clone(), engagement_id));
                held.then_some(E::GrantRevoked { pattern, engagement_id }).into_iter().collect()
            }
            _ if self.status == Status::Disabled => return Err(R::Disabled),
            C::Unlock {} if self.status != Status::Locked => vec![],
            C::Unlock {} if !ctx.permissions.cover_rights(&self.rights()) => {
                return Err(R::GrantExceedsYourPermissions);
            }
            C::Unlock {} => vec![E::Unlocked {}],
            _ if self.status == Status::Locked => return Err(R::Locked),
            C::Invite { .. } if !ctx.permissions.cover_rights(&self.rights()) => {
                return Err(R::GrantExceedsYourPermissions);
            }
            C::Invite { expires_in_days, invitation_id } => return self.invite(expires_in_days, invitation_id, ctx),
            C::AcceptInvitation { invitation_id } => match self.invitation {
                Some((open, expires_at)) if open == invitation_id && ctx.now <= expires_at => {
                    vec![E::Activated { invitation_id }]
                }
                Some((open, _)) if open == invitation_id => return Err(R::InvitationExpired),
                _ => return Err(R::InvitationNotOpen),
            },
            C::GrantAccess { scope } if self.scopes.contains(&scope) => vec![],
            C::GrantAccess { scope } => {
                self.may_open(&scope, ctx)?;
                vec![E::AccessGranted { scope }]
            }
            C::Grant { pattern, engagement_id } => {
                let grant = self.grant(pattern, engagement_id);
                let new = self.grants.may_get(&grant, &ctx.permissions)?;
                new.then_some(E::Granted { pattern: grant.pattern, engagement_id }).into_iter().collect()
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { client_id, email, .. } => {
                (self.client_id, self.email) = (*client_id, Some(email.clone()));
            }
            E::Invited { invitation_id, expires_at, days } => {
                self.invitation = Some((*invitation_id, *expires_at));
                self.invitations.insert(*invitation_id, *days);
                self.email_failed = false;
            }
            E::EmailFailed { .. } => self.email_failed = true,
            E::EmailSent {} => self.email_failed = false,
            E::InvitationRevoked { .. } | E::Activated { .. } => self.invitation = None,
            E::AccessGranted { scope } => {
                self.scopes.insert(scope.clone());
            }
            E::AccessRevoked { scope } => {
                self.scopes.remove(scope);
            }
            E::Granted { pattern, engagement_id } => {
                let grant = self.grant(pattern.clone(), *engagement_id);
                self.grants.insert(grant);
            }
            E::GrantRevoked { pattern, engagement_id } => {
                let grant = self.grant(pattern.clone(), *engagement_id);
                self.grants.remove(&grant);
            }
            E::Locked { .. } | E::Unlocked {} | E::Enabled {} => {}
            E::Disabled {} => {
                self.invitation = None;
                self.scopes.clear();
                self.grants.clear();
                self.membership += 1;
            }
        }
    }

    /// Nobody of a blocked client gets a place in the portal, or more of it; taking away always works.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => *client_id,
            E::Invited { .. } | E::Activated { .. } | E::Unlocked {} | E::Enabled {} => self.client_id,
            E::AccessGranted { .. } | E::Granted { .. } => self.client_id,
            _ => return vec![],
        };
        vec![(Flag::CLIENT_BLOCKED, client.0)]
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            // One person may have a place at several clients, but only one at each.
            E::Created { client_id, email, .. } => {
                let place = email.expose().map(|email| format!("{client_id}/{email}"));
                let claim = place.map(|place| Claim::personal("portal.portal_user.email", place));
                claim.map(ClaimChange::Take).into_iter().collect()
            }
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

impl PortalUser {
    /// The client whose things the person sees.
    pub fn client_id(&self) -> ClientId {
        self.client_id
    }

    /// Is the portal user, if one is named, one of this client's? `ctx` knows the portal user.
    pub(crate) fn is_of_client(user: Option<PortalUserId>, client: ClientId, ctx: &Context) -> bool {
        user.is_none_or(|user| ctx.referenced::<Self>(user).is_some_and(|known| known.client_id == client))
    }

    /// Does the person come in?
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Which of the person's times in the portal it is: how often the place was closed before.
    pub fn membership(&self) -> u32 {
        self.membership
    }

    /// The open invitation, if there is one.
    pub fn invitation(&self) -> Option<InvitationId> {
        self.invitation.map(|(id, _)| id)
    }

    /// Does it matter what became of the email? That about another invitation does not.
    fn matters(&self, invitation_id: Option<InvitationId>) -> bool {
        invitation_id.is_none() || self.invitation() == invitation_id
    }

    /// A right of a portal user is for the person's client, or for one of the client's engagements.
    fn grant(&self, pattern: Pattern, engagement: Option<EngagementId>) -> Grant {
        match engagement {
            Some(engagement) => Grant { pattern, resource: engagement.into() },
            None => self.of_client(pattern),
        }
    }

    /// A right for all that concerns the person's client.
    fn of_client(&self, pattern: Pattern) -> Grant {
        Grant { pattern, resource: self.client_id.into() }
    }

    /// What a part of the portal comes to.
    fn part(&self, part: &Slug) -> Vec<Grant> {
        let patterns = patterns_of_part(part).iter().filter_map(|pattern| pattern.parse().ok());
        patterns.map(|pattern| self.of_client(pattern)).collect()
    }

    /// What all parts and rights come to.
    fn rights(&self) -> Rights {
        let parts: Vec<Grant> = self.scopes.iter().flat_map(|part| self.part(part)).collect();
        Rights::of([], parts.iter().chain(self.grants.iter()))
    }

    fn may_open(&self, part: &Slug, ctx: &Context) -> Result<(), R> {
        let held = self.part(part).iter().all(|grant| ctx.permissions.cover_grant(grant));
        if held { Ok(()) } else { Err(R::GrantExceedsYourPermissions) }
    }

    fn invite(
        &self,
        expires_in_days: Option<u32>,
        invitation_id: Option<InvitationId>,
        ctx: &Context,
    ) -> Decision<Self> {
        let days = expires_in_days.unwrap_or(INVITATION_DAYS);
        // The repeat of what was done before, whatever became of it: it makes no invitation void that came after.
        match invitation_id.and_then(|id| Some((id, self.invitations.get(&id)?))) {
            Some((id, there)) if *there == days => {
                ctx.part(INVITATION_ID, Some(id));
                return Ok(vec![]);
            }
            Some(_) => return Err(R::InvitationExists),
            None => {}
        }
        if !(1..=INVITATION_DAYS_MAX).contains(&days) {
            return Err(R::InvitationPeriodOutOfRange);
        }
        if self.status == Status::Active {
            return Ok(vec![]);
        }
        let expires_at = ctx.now + TimeDelta::days(i64::from(days));
        Ok(vec![E::Invited { invitation_id: ctx.part(INVITATION_ID, invitation_id), expires_at, days }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::{given, spec_time};

    fn created() -> E {
        E::Created {
            client_id: ClientId(Uuid::from_u128(7)),
            contact_id: None,
            name: Personal::new("Ada Lovelace".parse().unwrap()),
            email: Personal::new("ada@example.com".parse().unwrap()),
        }
    }

    fn invited() -> E {
        let expires_at = spec_time() + TimeDelta::days(14);
        E::Invited { invitation_id: InvitationId(Uuid::from_u128(8)), expires_at, days: 14 }
    }

    fn accept(id: u128) -> C {
        C::AcceptInvitation { invitation_id: InvitationId(Uuid::from_u128(id)) }
    }

    #[test]
    fn an_address_has_one_place_per_client() {
        let create = C::Create {
            client_id: ClientId(Uuid::from_u128(7)),
            contact_id: None,
            name: "Ada Lovelace".parse().unwrap(),
            email: "ada@example.com".parse().unwrap(),
        };
        let claims = given::<PortalUser>([]).when(create).then([created()]).claims();
        let value = format!("{}/ada@example.com", Uuid::from_u128(7));
        assert_eq!(claims, [ClaimChange::Take(Claim::personal("portal.portal_user.email", value))]);
    }

    #[test]
    fn an_invitation_is_open_for_two_weeks() {
        let when = given::<PortalUser>([created()]).when(C::Invite { expires_in_days: None, invitation_id: None });
        match when.events() {
            [E::Invited { expires_at, .. }] => assert_eq!(*expires_at, spec_time() + TimeDelta::days(14)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_accepted_invitation_opens_the_portal_once() {
        let activated = E::Activated { invitation_id: InvitationId(Uuid::from_u128(8)) };
        given::<PortalUser>([created(), invited()]).when(accept(8)).then([activated.clone()]);
        let again = given::<PortalUser>([created(), invited(), activated]).when(accept(8));
        again.rejected("portal.portal_user.invitation_not_open");
    }

    #[test]
    fn a_void_or_expired_invitation_is_refused() {
        given::<PortalUser>([created(), invited()]).when(accept(9)).rejected("portal.portal_user.invitation_not_open");
        let late = given::<PortalUser>([created(), invited()]).at(spec_time() + TimeDelta::days(15)).when(accept(8));
        late.rejected("portal.portal_user.invitation_expired");
    }

    #[test]
    fn nobody_opens_more_of_a_client_than_they_may_see() {
        let slug = |text: &str| text.parse::<Slug>().unwrap();
        let grant = |pattern: &str| C::Grant { pattern: pattern.parse().unwrap(), engagement_id: None };
        let asked = || given::<PortalUser>([created()]).asked_with(["portal.*", "projects.*"]);
        asked()
            .when(C::GrantAccess { scope: slug("files") })
            .rejected("portal.portal_user.grant_exceeds_your_permissions");
        asked().when(grant("*")).rejected("portal.portal_user.grant_exceeds_your_permissions");
        asked().when(grant("!crm.*")).rejected("portal.portal_user.pattern_not_grantable");
        let part = E::AccessGranted { scope: slug("projects") };
        asked().when(C::GrantAccess { scope: slug("projects") }).then([part]);
        asked().when(C::GrantAccess { scope: slug("news") }).then([E::AccessGranted { scope: slug("news") }]);
        let granted = E::Granted { pattern: "projects.*".parse().unwrap(), engagement_id: None };
        asked().when(grant("projects.*")).then([granted.clone()]);
        let has = || given::<PortalUser>([created(), granted.clone()]);
        has().when(grant("projects.*")).then([]);
        let revoke = C::RevokeGrant { pattern: "projects.*".parse().unwrap(), engagement_id: None };
        has().when(revoke).then([E::GrantRevoked { pattern: "projects.*".parse().unwrap(), engagement_id: None }]);
    }

    #[test]
    fn what_became_of_an_email_is_noted_by_the_mailer_and_once() {
        let open = Some(InvitationId(Uuid::from_u128(8)));
        let reason: Text = "550 no such mailbox".parse().unwrap();
        let note = |invitation_id| C::NoteEmailFailed { invitation_id, reason: reason.clone() };
        let failed = |invitation_id| E::EmailFailed { invitation_id, reason: Personal::new(reason.clone()) };
        let has = |events: &[E]| given::<PortalUser>([&[created(), invited()][..], events].concat()).by_system();
        has(&[]).when(note(open)).then([failed(open)]);
        has(&[]).when(note(None)).then([failed(None)]);
        has(&[]).when(note(Some(InvitationId(Uuid::from_u128(9))))).then([]);
        has(&[]).when(C::NoteEmailSent { invitation_id: None }).then([]);
        has(&[failed(open)]).when(note(open)).then([]);
        has(&[failed(open)]).when(C::NoteEmailSent { invitation_id: None }).then([E::EmailSent {}]);
        let asked = given::<PortalUser>([created(), invited()]).when(note(open));
        asked.rejected("portal.portal_user.mailer_only");
    }

    #[test]
    fn a_disabled_portal_user_cannot_be_invited() {
        let invite = C::Invite { expires_in_days: None, invitation_id: None };
        given::<PortalUser>([created(), E::Disabled {}]).when(invite).rejected("portal.portal_user.disabled");
    }

    #[test]
    fn an_invitation_for_a_year_is_refused() {
        let invite = C::Invite { expires_in_days: Some(365), invitation_id: None };
        given::<PortalUser>([created()]).when(invite).rejected("portal.portal_user.invitation_period_out_of_range");
    }

    fn activated() -> E {
        E::Activated { invitation_id: InvitationId(Uuid::from_u128(8)) }
    }

    #[test]
    fn something_is_taken_away_however_the_person_stands() {
        let (part, pattern): (Slug, Pattern) = ("projects".parse().unwrap(), "projects.*".parse().unwrap());
        let rights = || {
            vec![E::AccessGranted { scope: part.clone() }, E::Granted { pattern: pattern.clone(), engagement_id: None }]
        };
        let lock = || C::Lock { reason: "lost laptop".parse().unwrap() };
        let locked = E::Locked { reason: Personal::new("lost laptop".parse().unwrap()) };
        for (standing, taken) in [(vec![activated(), locked], 1), (vec![activated(), E::Disabled {}], 0)] {
            let events = || [vec![created(), invited()], rights(), standing.clone()].concat();
            let count = |command| given::<PortalUser>(events()).when(command).events().len();
            assert_eq!(count(C::RevokeAccess { scope: part.clone() }), taken);
            assert_eq!(count(C::RevokeGrant { pattern: pattern.clone(), engagement_id: None }), taken);
            assert_eq!(count(C::RevokeInvitation {}), 0);
            assert_eq!(count(lock()), 0);
            assert_eq!(count(C::Disable {}), taken);
        }
        let invitation_id = InvitationId(Uuid::from_u128(8));
        given::<PortalUser>([created(), invited()]).when(lock()).then([E::InvitationRevoked { invitation_id }]);
        given::<PortalUser>([created()]).when(lock()).then([]);
    }

    #[test]
    fn a_place_that_is_opened_again_has_no_rights() {
        let part: Slug = "projects".parse().unwrap();
        let events = [
            created(),
            E::AccessGranted { scope: part.clone() },
            invited(),
            activated(),
            E::Disabled {},
            E::Enabled {},
        ];
        let when = given::<PortalUser>(events).when(C::GrantAccess { scope: part.clone() });
        let when = when.then([E::AccessGranted { scope: part }]);
        assert_eq!((when.state().membership(), when.state().is_active()), (1, false));
    }

    #[test]
    fn a_right_for_one_engagement_is_another_than_the_same_for_the_client() {
        let (pattern, engagement_id) =
            ("projects.*".parse::<Pattern>().unwrap(), Some(EngagementId(Uuid::from_u128(31))));
        let granted = || E::Granted { pattern: pattern.clone(), engagement_id };
        let mut person = PortalUser::default();
        [created(), granted()].iter().for_each(|event| person.apply(event));
        assert!(!person.grants.contains(&person.of_client(pattern.clone())));
        assert!(person.grants.contains(&person.grant(pattern.clone(), engagement_id)));
        let revoke = C::RevokeGrant { pattern: pattern.clone(), engagement_id: None };
        given::<PortalUser>([created(), granted()]).when(revoke).then_nothing();
        let revoke = C::RevokeGrant { pattern: pattern.clone(), engagement_id };
        let revoked = E::GrantRevoked { pattern: pattern.clone(), engagement_id };
        given::<PortalUser>([created(), granted()]).when(revoke).then([revoked]);
    }

    #[test]
    fn nobody_lets_in_who_may_do_more() {
        let part: Slug = "projects".parse().unwrap();
        let locked = E::Locked { reason: Personal::new("lost laptop".parse().unwrap()) };
        let place = || vec![created(), E::AccessGranted { scope: part.clone() }];
        let asked = |events: Vec<E>| given::<PortalUser>(events).asked_with(["portal.*"]);
        let invite = C::Invite { expires_in_days: None, invitation_id: None };
        asked(place()).when(invite).rejected("portal.portal_user.grant_exceeds_your_permissions");
        let events = [place(), vec![invited(), activated(), locked]].concat();
        asked(events.clone()).when(C::Unlock {}).rejected("portal.portal_user.grant_exceeds_your_permissions");
        given::<PortalUser>(events).when(C::Unlock {}).then([E::Unlocked {}]);
    }
}
