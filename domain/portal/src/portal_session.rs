//! A portal session: the time between a portal user's coming in and its end. What a browser shows is kept elsewhere; here is
//! what happened.

use crate::PortalUser;
use kernel::{
    Actor, Aggregate, ClientId, Context, Decision, Machine, Name, PortalUserId, Reference, Resource, Scope, Timestamp,
    command, rejection,
};
use portal_events::{PortalSessionEvent as E, PortalSessionStatus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use PortalSessionCommand as C;
use PortalSessionRejection as R;

/// Who may keep a portal user out may end that person's sessions.
const KEEPS_OUT: &str = "portal.portal_user.lock";

/// What may be asked of a portal session.
#[command("portal.portal_session", member)]
pub enum PortalSessionCommand {
    /// Starts a session; only the login does, once it has seen who it is.
    #[creates]
    #[refused(LoginOnly, EndsInThePast)]
    Start {
        /// Who.
        portal_user_id: PortalUserId,
        /// At which client.
        client_id: ClientId,
        /// When it ends at the latest.
        ends_at: Timestamp,
        /// What the person's browser calls itself.
        #[serde(default)]
        user_agent: Option<Name>,
    },
    /// Lets the session open nothing any more: one's own, or that of somebody whom one may lock.
    #[refused(NotYourOwn)]
    End {
        /// Why.
        reason: Name,
    },
}

/// Why a portal session's command may be refused.
#[rejection("portal.portal_session")]
pub enum PortalSessionRejection {
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

/// What is remembered of a portal session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PortalSession {
    portal_user_id: PortalUserId,
    client_id: ClientId,
    status: PortalSessionStatus,
}

impl Aggregate for PortalSession {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "portal/portal-sessions";
    const STATE_VERSION: i32 = 2;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        vec![self.client_id.into()]
    }

    fn scope(&self, _id: Uuid, command: &C) -> Scope {
        match command {
            C::Start { client_id, .. } => Scope::begins_in([(*client_id).into()]),
            C::End { .. } => self.belongs(),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Start { portal_user_id, .. } => vec![Reference::id::<PortalUser>(*portal_user_id)],
            C::End { .. } => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Start { .. } if !ctx.actor.is_system() => return Err(R::LoginOnly),
            C::Start { ends_at, .. } if ends_at <= ctx.now => return Err(R::EndsInThePast),
            C::Start { portal_user_id, client_id, ends_at, user_agent } => {
                let membership = ctx.referenced::<PortalUser>(portal_user_id).map_or(0, PortalUser::membership);
                let user_agent = user_agent.map(Into::into);
                vec![E::Started { portal_user_id, membership, client_id, ends_at, user_agent }]
            }
            C::End { .. } if self.status == PortalSessionStatus::Ended => vec![],
            C::End { .. } if !self.may_be_ended_by(ctx) => return Err(R::NotYourOwn),
            C::End { reason } => vec![E::Ended { reason }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Started { portal_user_id, client_id, .. } => {
                (self.portal_user_id, self.client_id) = (*portal_user_id, *client_id);
            }
            E::Ended { .. } => {}
        }
    }
}

impl PortalSession {
    fn belongs(&self) -> Scope {
        Scope::of([self.client_id.into()]).owned_by([self.portal_user_id])
    }

    fn may_be_ended_by(&self, ctx: &Context) -> bool {
        ctx.actor == (Actor::PortalUser { id: self.portal_user_id })
            || ctx.permissions.reach(KEEPS_OUT).covers(&self.belongs(), ctx.actor.principal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use kernel::spec::{given, spec_time};

    fn started() -> E {
        E::Started {
            portal_user_id: PortalUserId(Uuid::from_u128(7)),
            membership: 0,
            client_id: ClientId(Uuid::from_u128(8)),
            ends_at: spec_time() + TimeDelta::hours(12),
            user_agent: None,
        }
    }

    fn start() -> C {
        C::Start {
            portal_user_id: PortalUserId(Uuid::from_u128(7)),
            client_id: ClientId(Uuid::from_u128(8)),
            ends_at: spec_time() + TimeDelta::hours(12),
            user_agent: None,
        }
    }

    fn end() -> C {
        C::End { reason: "logged out".parse().unwrap() }
    }

    #[test]
    fn nobody_makes_a_session_for_themselves() {
        given::<PortalSession>([]).when(start()).rejected("portal.portal_session.login_only");
        given::<PortalSession>([]).by_system().when(start()).then([started()]);
        let late = given::<PortalSession>([]).by_system().at(spec_time() + TimeDelta::hours(12));
        late.when(start()).rejected("portal.portal_session.ends_in_the_past");
    }

    #[test]
    fn a_session_is_ended_by_its_person_or_by_who_may_keep_that_person_out() {
        let asked = |pattern| given::<PortalSession>([started()]).asked_with([pattern]);
        asked("portal.portal_session.end").when(end()).rejected("portal.portal_session.not_your_own");
        assert_eq!(asked(KEEPS_OUT).when(end()).events().len(), 1);
        let ended = [started(), E::Ended { reason: "logged out".parse().unwrap() }];
        given::<PortalSession>(ended).when(end()).then([]);
    }
}
