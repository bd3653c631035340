//! An API key: a secret with which a program comes in, for a service account or for a user. Only what it hashes to is known
//! here; the key itself is shown once, to whoever asked for it.

use crate::{ServiceAccount, User, rotation};
use identity_events::{ApiKeyEvent as E, ApiKeyStatus};
use kernel::{
    Actor, Aggregate, Context, Decision, Machine, Name, Pattern, Principal, Reference, Scope, Timestamp, command,
    rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ApiKeyCommand as C;
use ApiKeyRejection as R;

/// Patterns of one key.
const SCOPES_MAX: usize = 100;

/// What may be asked of an API key.
#[command("identity.api_key", !member)]
pub enum ApiKeyCommand {
    /// Issues a key: for oneself, or for a service account whose roles one holds. With a key, none that may do more or is
    /// good for longer than the one it is asked for with.
    #[creates]
    #[mints("ubk")]
    #[refused(
        TooManyScopes,
        ExpiresInThePast,
        ServiceAccountUnknown,
        NotYourOwn,
        PrincipalExceedsYourPermissions,
        ScopesExceedYourPermissions,
        ExpiresAfterYourKey,
        PortalUsersHaveNoKeys,
        SecretUnreadable
    )]
    Issue {
        /// What it is called.
        name: Name,
        /// Whom it speaks for.
        principal: Principal,
        /// The most it may do, whatever its principal may, at most 100 patterns; all of that if there are none.
        #[serde(default)]
        scopes: Vec<Pattern>,
        /// Until when it is good, if not for ever.
        #[serde(default)]
        expires_at: Option<Timestamp>,
    },
    /// Gives the key another secret; whoever may issue such a key may do that.
    #[mints("ubk")]
    #[refused(
        ServiceAccountUnknown,
        NotYourOwn,
        PrincipalExceedsYourPermissions,
        ScopesExceedYourPermissions,
        ExpiresAfterYourKey,
        PortalUsersHaveNoKeys,
        OverlapTooLong,
        Revoked,
        Ended,
        SecretUnreadable
    )]
    Rotate {
        /// Hours for which the secret before it stays good, 24 unless given, at most 168.
        #[serde(default)]
        overlap_hours: Option<u32>,
    },
    /// Lets the key open nothing any more.
    Revoke {
        /// Why.
        reason: Name,
    },
}

/// Why an API key's command may be refused.
#[rejection("identity.api_key")]
pub enum ApiKeyRejection {
    /// A key has 100 scopes at most.
    #[invalid("/scopes")]
    TooManyScopes,
    /// A key that has expired already opens nothing.
    #[invalid("/expires_at")]
    ExpiresInThePast,
    /// There is no such service account.
    #[invalid("/principal")]
    ServiceAccountUnknown,
    /// A key that speaks for a user is that user's own to ask for.
    #[invalid("/principal")]
    #[audited]
    NotYourOwn,
    /// The service account may do more than you.
    #[invalid("/principal")]
    #[audited]
    PrincipalExceedsYourPermissions,
    /// The key may do more than the one that you ask with; its scopes have to be within that one's.
    #[invalid("/scopes")]
    #[audited]
    ScopesExceedYourPermissions,
    /// The key is good for longer than the one that you ask with.
    #[invalid("/expires_at")]
    #[audited]
    ExpiresAfterYourKey,
    /// A portal user comes in by a link; keys are for users and programs.
    #[invalid("/principal")]
    PortalUsersHaveNoKeys,
    /// The secret before a rotation stays good for 168 hours at most.
    #[invalid("/overlap_hours")]
    OverlapTooLong,
    /// The key was revoked; issue another.
    Revoked,
    /// The key's user has left the firm since; issue another.
    Ended,
    /// A key is shown once, to whoever asks for it over HTTP; nobody would see this one.
    SecretUnreadable,
}

/// What is remembered of an API key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    principal: Option<Principal>,
    membership: u32,
    scopes: Vec<Pattern>,
    expires_at: Option<Timestamp>,
    status: ApiKeyStatus,
}

impl Aggregate for ApiKey {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/api-keys";
    const STATE_VERSION: i32 = 3;

    fn scope(&self, _id: Uuid, command: &C) -> Scope {
        Scope::default().owned_by(self.principal.or(self.speaks_for(command)))
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match self.speaks_for(command) {
            Some(Principal::ServiceAccount { id }) => vec![Reference::id::<ServiceAccount>(id)],
            Some(Principal::User { id }) => vec![Reference::id::<User>(id)],
            _ => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        let Some(Principal::ServiceAccount { id }) = self.speaks_for(command) else { return vec![] };
        let account = ctx.referenced::<ServiceAccount>(id);
        account.into_iter().flat_map(ServiceAccount::own_roles).collect()
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        match &command {
            C::Issue { principal, scopes, expires_at, .. } => may_hand_out(*principal, scopes, *expires_at, ctx)?,
            C::Rotate { .. } => {
                if let Some(principal) = self.principal {
                    may_hand_out(principal, &self.scopes, self.expires_at, ctx)?;
                }
            }
            C::Revoke { .. } => {}
        }
        Ok(match command {
            C::Issue { scopes, .. } if scopes.len() > SCOPES_MAX => return Err(R::TooManyScopes),
            C::Issue { expires_at: Some(end), .. } if end <= ctx.now => return Err(R::ExpiresInThePast),
            C::Issue { name, principal, scopes, expires_at } => {
                let secret_hash = ctx.secret.clone().ok_or(R::SecretUnreadable)?;
                let membership = membership(principal, ctx);
                vec![E::Issued { name, principal, membership, scopes, secret_hash, expires_at }]
            }
            C::Revoke { .. } if self.status == ApiKeyStatus::Revoked => vec![],
            C::Revoke { reason } => vec![E::Revoked { reason }],
            C::Rotate { .. } if self.status == ApiKeyStatus::Revoked => return Err(R::Revoked),
            C::Rotate { .. } if self.principal.is_some_and(|p| membership(p, ctx) != self.membership) => {
                return Err(R::Ended);
            }
            C::Rotate { overlap_hours } => {
                let previous_until = rotation::previous_until(overlap_hours, ctx.now).ok_or(R::OverlapTooLong)?;
                let secret_hash = ctx.secret.clone().ok_or(R::SecretUnreadable)?;
                vec![E::Rotated { secret_hash, previous_until }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Issued { principal, membership, scopes, expires_at, .. } => {
                (self.principal, self.membership) = (Some(*principal), *membership);
                (self.scopes, self.expires_at) = (scopes.clone(), *expires_at);
            }
            E::Rotated { .. } | E::Revoked { .. } => {}
        }
    }
}

impl ApiKey {
    /// Whom the secret speaks for that the command brings in, if it does.
    fn speaks_for(&self, command: &C) -> Option<Principal> {
        match command {
            C::Issue { principal, .. } => Some(*principal),
            C::Rotate { .. } => self.principal,
            C::Revoke { .. } => None,
        }
    }
}

/// Which of a user's times in the firm it is.
fn membership(principal: Principal, ctx: &Context) -> u32 {
    match principal {
        Principal::User { id } => ctx.referenced::<User>(id).map_or(0, User::membership),
        Principal::ServiceAccount { .. } | Principal::PortalUser { .. } => 0,
    }
}

/// Whoever learns a secret can do what its principal may, within its scopes and until it ends. That must not be more than the
/// request itself may do.
fn may_hand_out(
    principal: Principal,
    scopes: &[Pattern],
    expires_at: Option<Timestamp>,
    ctx: &Context,
) -> Result<(), R> {
    let covered = match principal {
        Principal::User { id } if ctx.actor == (Actor::User { id }) => ctx.permissions.cover_scopes(None, scopes),
        Principal::User { .. } => return Err(R::NotYourOwn),
        Principal::ServiceAccount { id } => {
            let account = ctx.referenced::<ServiceAccount>(id).ok_or(R::ServiceAccountUnknown)?;
            let rights = account.rights(ctx);
            let by_itself = matches!(ctx.actor, Actor::ServiceAccount { id: asks, .. } if asks == id);
            if !by_itself && !ctx.permissions.cover_scopes(Some(&rights), scopes) {
                return Err(R::PrincipalExceedsYourPermissions);
            }
            ctx.permissions.cover_scopes(None, scopes)
        }
        Principal::PortalUser { .. } => return Err(R::PortalUsersHaveNoKeys),
    };
    match covered {
        false => Err(R::ScopesExceedYourPermissions),
        true if !ctx.permissions.cover_end(expires_at) => Err(R::ExpiresAfterYourKey),
        true => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use identity_events::ServiceAccountEvent;
    use kernel::spec::{given, spec_time};
    use kernel::{Role, SecretHash, ServiceAccountId, UserId};

    const PROGRAM: ServiceAccountId = ServiceAccountId(Uuid::from_u128(9));

    fn oneself() -> Principal {
        Principal::User { id: UserId(Uuid::from_u128(2)) }
    }

    fn issue(principal: Principal) -> C {
        C::Issue { name: "CI".parse().unwrap(), principal, scopes: vec![], expires_at: None }
    }

    fn issued(principal: Principal) -> E {
        let secret_hash = SecretHash::of("secret");
        let name = "CI".parse().unwrap();
        E::Issued { name, principal, membership: 0, scopes: vec![], secret_hash, expires_at: None }
    }

    fn account(role: &str) -> ServiceAccount {
        let mut account = ServiceAccount::default();
        let role = identity_events::GivenRole { name: role.parse().unwrap(), id: None };
        let (name, roles) = ("Ledger sync".parse().unwrap(), vec![role]);
        account.apply(&ServiceAccountEvent::Created { name, roles });
        account
    }

    #[test]
    fn a_users_key_is_the_users_own_to_ask_for() {
        given::<ApiKey>([]).minted("secret").when(issue(oneself())).then([issued(oneself())]);
        let other = Principal::User { id: UserId(Uuid::from_u128(7)) };
        given::<ApiKey>([]).minted("secret").when(issue(other)).rejected("identity.api_key.not_your_own");
        let rotate = C::Rotate { overlap_hours: None };
        given::<ApiKey>([issued(other)]).minted("next").when(rotate).rejected("identity.api_key.not_your_own");
    }

    #[test]
    fn nobody_hands_out_a_program_that_may_do_more() {
        let program = Principal::ServiceAccount { id: PROGRAM };
        let key = || given::<ApiKey>([]).minted("secret").asked_with(Role::Member.patterns().iter().copied());
        key().when(issue(program)).rejected("identity.api_key.service_account_unknown");
        let known = |role| key().knowing(Reference::id::<ServiceAccount>(PROGRAM), PROGRAM, account(role));
        known("admin").when(issue(program)).rejected("identity.api_key.principal_exceeds_your_permissions");
        known("viewer").when(issue(program)).then([issued(program)]);
    }

    #[test]
    fn a_key_gives_no_more_than_it_has() {
        let wanted = |scopes: &[&str], expires_at| C::Issue {
            name: "CI".parse().unwrap(),
            principal: oneself(),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            expires_at,
        };
        let (soon, late) = (spec_time() + TimeDelta::hours(1), spec_time() + TimeDelta::hours(2));
        let with = |scopes: &[&'static str], end| {
            given::<ApiKey>([]).minted("secret").asked_by_key(scopes.iter().copied(), end)
        };
        let small = || with(&["identity.api_key.issue", "crm.*"], None);
        small().when(wanted(&[], None)).rejected("identity.api_key.scopes_exceed_your_permissions");
        small().when(wanted(&["*"], None)).rejected("identity.api_key.scopes_exceed_your_permissions");
        small().when(wanted(&["crm.*", "files.*"], None)).rejected("identity.api_key.scopes_exceed_your_permissions");
        assert_eq!(small().when(wanted(&["crm.client.read"], None)).events().len(), 1);
        let ending = || with(&[], Some(soon));
        ending().when(wanted(&[], None)).rejected("identity.api_key.expires_after_your_key");
        ending().when(wanted(&[], Some(late))).rejected("identity.api_key.expires_after_your_key");
        assert_eq!(ending().when(wanted(&[], Some(soon))).events().len(), 1);
        // Somebody else's secret, or one's own full one, is not shown by a rotation either.
        let rotate = || C::Rotate { overlap_hours: None };
        let full = |scopes: &[&'static str], end| {
            let key = given::<ApiKey>([issued(oneself())]).minted("next");
            key.asked_by_key(scopes.iter().copied(), end).when(rotate())
        };
        full(&["identity.api_key.rotate"], None).rejected("identity.api_key.scopes_exceed_your_permissions");
        full(&[], Some(soon)).rejected("identity.api_key.expires_after_your_key");
        assert_eq!(full(&[], None).events().len(), 1);
    }

    #[test]
    fn a_key_of_a_program_gives_no_more_than_it_has() {
        let program = Principal::ServiceAccount { id: PROGRAM };
        let known = |scopes: &[&'static str]| {
            let key = given::<ApiKey>([]).minted("secret").asked_by_key(scopes.iter().copied(), None);
            key.knowing(Reference::id::<ServiceAccount>(PROGRAM), PROGRAM, account("viewer"))
        };
        known(&["identity.api_key.issue"])
            .when(issue(program))
            .rejected("identity.api_key.principal_exceeds_your_permissions");
        known(&["*.read", "identity.api_key.issue"])
            .when(issue(program))
            .rejected("identity.api_key.principal_exceeds_your_permissions");
        assert_eq!(known(&[]).when(issue(program)).events().len(), 1);
    }

    #[test]
    fn a_key_ends_when_its_user_goes_and_does_not_come_back() {
        let UserId(id) = UserId(Uuid::from_u128(2));
        let mut back = User::default();
        back.apply(&identity_events::UserEvent::Left {});
        let known = |events: Vec<E>| {
            given::<ApiKey>(events).minted("next").knowing(Reference::id::<User>(id), id, back.clone())
        };
        known(vec![issued(oneself())]).when(C::Rotate { overlap_hours: None }).rejected("identity.api_key.ended");
        match known(vec![]).when(issue(oneself())).events() {
            [E::Issued { membership: 1, .. }] => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rotated_key_is_good_for_a_day_more() {
        let rotate = |overlap_hours| {
            let key = given::<ApiKey>([issued(oneself())]).minted("next");
            key.when(C::Rotate { overlap_hours })
        };
        let rotated = |hours| E::Rotated {
            secret_hash: SecretHash::of("next"),
            previous_until: spec_time() + TimeDelta::hours(hours),
        };
        rotate(None).then([rotated(24)]);
        rotate(Some(0)).then([rotated(0)]);
        rotate(Some(169)).rejected("identity.api_key.overlap_too_long");
    }

    #[test]
    fn a_key_expires_in_the_future_and_a_revoked_one_is_over() {
        let mut late = issue(oneself());
        if let C::Issue { expires_at, .. } = &mut late {
            *expires_at = Some(spec_time());
        }
        given::<ApiKey>([]).minted("secret").when(late).rejected("identity.api_key.expires_in_the_past");
        let revoked = || given::<ApiKey>([issued(oneself()), E::Revoked { reason: "leaked".parse().unwrap() }]);
        revoked().minted("next").when(C::Rotate { overlap_hours: None }).rejected("identity.api_key.revoked");
        revoked().when(C::Revoke { reason: "again".parse().unwrap() }).then([]);
    }

    #[test]
    fn a_key_that_nobody_would_see_is_not_issued() {
        given::<ApiKey>([]).when(issue(oneself())).rejected("identity.api_key.secret_unreadable");
    }
}
