//! An API key: a secret with which a program comes in, for a service account or for a user. Only what it hashes to is known
//! here; the key itself is shown once, to whoever asked for it.

use crate::{CustomRole, ServiceAccount, rotation};
use identity_events::ApiKeyEvent as E;
use kernel::{
    Actor, Aggregate, Context, Decision, Name, Pattern, Principal, Reference, Scope, Timestamp, command, rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use ApiKeyCommand as C;
use ApiKeyRejection as R;

/// Patterns of one key.
const SCOPES_MAX: usize = 100;

/// What may be asked of an API key.
#[command("identity.api_key")]
pub enum ApiKeyCommand {
    /// Issues a key: for oneself, or for a service account whose roles one holds.
    #[creates]
    #[mints("ubk")]
    #[refused(
        TooManyScopes,
        ExpiresInThePast,
        ServiceAccountUnknown,
        AnotherUsers,
        PrincipalBeyondYou,
        PortalUsersHaveNone,
        NobodyWouldSeeIt
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
    /// Gives the key another secret; whoever may issue it may do that.
    #[mints("ubk")]
    #[refused(
        ServiceAccountUnknown,
        AnotherUsers,
        PrincipalBeyondYou,
        PortalUsersHaveNone,
        OverlapTooLong,
        Revoked,
        NobodyWouldSeeIt
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
    AnotherUsers,
    /// The service account may do more than you.
    #[invalid("/principal")]
    PrincipalBeyondYou,
    /// A portal user comes in by a link; keys are for users and programs.
    #[invalid("/principal")]
    PortalUsersHaveNone,
    /// The secret before a rotation stays good for 168 hours at most.
    #[invalid("/overlap_hours")]
    OverlapTooLong,
    /// The key was revoked; issue another.
    Revoked,
    /// A key is shown once, to whoever asks for it over HTTP; nobody would see this one.
    NobodyWouldSeeIt,
}

/// What is remembered of an API key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    principal: Option<Principal>,
    revoked: bool,
}

impl Aggregate for ApiKey {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/api-keys";

    fn scope(&self, _id: Uuid, command: &C) -> Scope {
        Scope::default().owned_by(self.principal.or(self.speaks_for(command)))
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match self.speaks_for(command) {
            Some(Principal::ServiceAccount { id }) => vec![Reference::id::<ServiceAccount>(id)],
            _ => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        let Some(Principal::ServiceAccount { id }) = self.speaks_for(command) else { return vec![] };
        let account = ctx.referenced::<ServiceAccount>(id);
        account.into_iter().flat_map(ServiceAccount::roles).filter_map(CustomRole::reference).collect()
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        if let Some(principal) = self.speaks_for(&command) {
            may_hand_out(principal, ctx)?;
        }
        Ok(match command {
            C::Issue { scopes, .. } if scopes.len() > SCOPES_MAX => return Err(R::TooManyScopes),
            C::Issue { expires_at: Some(end), .. } if end <= ctx.now => return Err(R::ExpiresInThePast),
            C::Issue { name, principal, scopes, expires_at } => {
                let secret_hash = ctx.secret.clone().ok_or(R::NobodyWouldSeeIt)?;
                vec![E::Issued { name, principal, scopes, secret_hash, expires_at }]
            }
            C::Revoke { .. } if self.revoked => vec![],
            C::Revoke { reason } => vec![E::Revoked { reason }],
            C::Rotate { .. } if self.revoked => return Err(R::Revoked),
            C::Rotate { overlap_hours } => {
                let previous_until = rotation::previous_until(overlap_hours, ctx.now).ok_or(R::OverlapTooLong)?;
                let secret_hash = ctx.secret.clone().ok_or(R::NobodyWouldSeeIt)?;
                vec![E::Rotated { secret_hash, previous_until }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Issued { principal, .. } => self.principal = Some(*principal),
            E::Rotated { .. } => {}
            E::Revoked { reason: _ } => self.revoked = true,
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

/// Whoever learns a secret can do what its principal may.
fn may_hand_out(principal: Principal, ctx: &Context) -> Result<(), R> {
    match principal {
        Principal::User { id } if ctx.actor == (Actor::User { id }) => Ok(()),
        Principal::User { .. } => Err(R::AnotherUsers),
        Principal::ServiceAccount { id } => {
            let account = ctx.referenced::<ServiceAccount>(id).ok_or(R::ServiceAccountUnknown)?;
            // A role that was withdrawn grants nothing.
            let covered = account.roles().filter_map(|role| CustomRole::is_held(role, ctx)).all(|held| held);
            if covered { Ok(()) } else { Err(R::PrincipalBeyondYou) }
        }
        Principal::PortalUser { .. } => Err(R::PortalUsersHaveNone),
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
        E::Issued { name: "CI".parse().unwrap(), principal, scopes: vec![], secret_hash, expires_at: None }
    }

    fn account(role: &str) -> ServiceAccount {
        let mut account = ServiceAccount::default();
        let (name, roles) = ("Ledger sync".parse().unwrap(), vec![role.parse().unwrap()]);
        account.apply(&ServiceAccountEvent::Created { name, roles });
        account
    }

    #[test]
    fn a_users_key_is_the_users_own_to_ask_for() {
        given::<ApiKey>([]).minted("secret").when(issue(oneself())).then([issued(oneself())]);
        let other = Principal::User { id: UserId(Uuid::from_u128(7)) };
        given::<ApiKey>([]).minted("secret").when(issue(other)).rejected("identity.api_key.another_users");
        let rotate = C::Rotate { overlap_hours: None };
        given::<ApiKey>([issued(other)]).minted("next").when(rotate).rejected("identity.api_key.another_users");
    }

    #[test]
    fn nobody_hands_out_a_program_that_may_do_more() {
        let program = Principal::ServiceAccount { id: PROGRAM };
        let key = || given::<ApiKey>([]).minted("secret").asked_with(Role::Member.patterns().iter().copied());
        key().when(issue(program)).rejected("identity.api_key.service_account_unknown");
        let known = |role| key().knowing(Reference::id::<ServiceAccount>(PROGRAM), PROGRAM, account(role));
        known("admin").when(issue(program)).rejected("identity.api_key.principal_beyond_you");
        known("viewer").when(issue(program)).then([issued(program)]);
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
        given::<ApiKey>([]).when(issue(oneself())).rejected("identity.api_key.nobody_would_see_it");
    }
}
