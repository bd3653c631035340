//! A session: the time between a person's login and its end. What a browser shows is kept elsewhere; here is what happened.

use crate::{Tenant, User};
use identity_events::{SessionEvent as E, SessionStatus};
use kernel::{
    Actor, Aggregate, Context, Decision, Issuer, Machine, Name, Reference, Scope, Timestamp, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use SessionCommand as C;
use SessionRejection as R;

/// Who may keep a person out may end that person's sessions.
const KEEPS_OUT: &str = "identity.user.suspend";

/// What may be asked of a session.
#[command("identity.session", !member)]
pub enum SessionCommand {
    /// Starts a session; only the login does, once it has seen who it is.
    #[creates]
    #[refused(LoginOnly, EndsInThePast)]
    Start {
        /// Who.
        user_id: UserId,
        /// Where the person showed who they are.
        issuer: Issuer,
        /// When it ends at the latest.
        ends_at: Timestamp,
        /// What the person's browser calls itself.
        #[serde(default)]
        user_agent: Option<Name>,
    },
    /// Lets the session open nothing any more: one's own, or that of somebody whom one may suspend; an owner's only another
    /// owner.
    #[refused(NotYourOwn)]
    End {
        /// Why.
        reason: Name,
    },
}

/// Why a session's command may be refused.
#[rejection("identity.session")]
pub enum SessionRejection {
    /// Only the login does this, for whoever has shown who they are.
    #[audited]
    LoginOnly,
    /// A session ends after it starts.
    #[invalid("/ends_at")]
    EndsInThePast,
    /// It is somebody else's.
    #[audited]
    NotYourOwn,
}

/// What is remembered of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    user_id: UserId,
    status: SessionStatus,
}

impl Aggregate for Session {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/sessions";
    const STATE_VERSION: i32 = 2;

    fn scope(&self, _id: Uuid, _command: &C) -> Scope {
        Scope::default().owned_by([self.user_id])
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Start { user_id, .. } => vec![Reference::id::<User>(*user_id)],
            C::End { .. } => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        match command {
            C::Start { .. } => vec![],
            C::End { .. } => vec![Reference::id::<Tenant>(ctx.tenant.0)],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Start { .. } if !ctx.actor.is_system() => return Err(R::LoginOnly),
            C::Start { ends_at, .. } if ends_at <= ctx.now => return Err(R::EndsInThePast),
            C::Start { user_id, issuer, ends_at, user_agent } => {
                let membership = ctx.referenced::<User>(user_id).map_or(0, User::membership);
                vec![E::Started { user_id, membership, issuer, ends_at, user_agent: user_agent.map(Into::into) }]
            }
            C::End { .. } if self.status == SessionStatus::Ended => vec![],
            C::End { .. } if !self.may_be_ended_by(ctx) => return Err(R::NotYourOwn),
            C::End { reason } => vec![E::Ended { reason }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Started { user_id, .. } => self.user_id = *user_id,
            E::Ended { .. } => {}
        }
    }
}

impl Session {
    fn may_be_ended_by(&self, ctx: &Context) -> bool {
        let owner = ctx.referenced::<Tenant>(ctx.tenant.0).is_some_and(|firm| firm.is_owner(self.user_id));
        ctx.actor == (Actor::User { id: self.user_id })
            || ctx.permissions.allow(KEEPS_OUT) && (!owner || ctx.permissions.allow(Tenant::OWNERS_DO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use kernel::Role;
    use kernel::spec::{given, spec_time};

    fn started(user: u128) -> E {
        E::Started {
            user_id: UserId(Uuid::from_u128(user)),
            membership: 0,
            issuer: "https://login.example.com".parse().unwrap(),
            ends_at: spec_time() + TimeDelta::days(30),
            user_agent: None,
        }
    }

    fn start() -> C {
        C::Start {
            user_id: UserId(Uuid::from_u128(2)),
            issuer: "https://login.example.com".parse().unwrap(),
            ends_at: spec_time() + TimeDelta::days(30),
            user_agent: None,
        }
    }

    fn end() -> C {
        C::End { reason: "logged out".parse().unwrap() }
    }

    #[test]
    fn nobody_makes_a_session_for_themselves() {
        given::<Session>([]).when(start()).rejected("identity.session.login_only");
        given::<Session>([]).by_system().when(start()).then([started(2)]);
        let late = given::<Session>([]).by_system().at(spec_time() + TimeDelta::days(30));
        late.when(start()).rejected("identity.session.ends_in_the_past");
    }

    #[test]
    fn a_session_is_ended_by_its_person_or_by_who_may_keep_that_person_out() {
        let member = |user| given::<Session>([started(user)]).asked_with(Role::Member.patterns().iter().copied());
        assert_eq!(member(2).when(end()).events().len(), 1, "one's own");
        member(7).when(end()).rejected("identity.session.not_your_own");
        assert_eq!(given::<Session>([started(7)]).asked_with([KEEPS_OUT]).when(end()).events().len(), 1);
        let ended = [started(7), E::Ended { reason: "logged out".parse().unwrap() }];
        given::<Session>(ended).when(end()).then([]);
    }
}
