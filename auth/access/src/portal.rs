//! One portal user and one portal session, folded from their events: pure functions of the log.

use crate::stored::{Stored, read};
use chrono::{DateTime, Utc};
use credentials::Standing;
use identity_events::SessionEvent;
use kernel::{
    ClientId, EngagementId, Event, Grant, Grants, Pattern, Permissions, PortalUserId, Principal, Resource, Slug,
    Timestamp, UnreadableEvent,
};
use portal_events::{PortalSessionEvent, PortalUserEvent, patterns_of_part};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What every portal user may do: see who they are, and see and end their own sessions.
const OF_EVERY_PORTAL_USER: [&str; 3] =
    ["portal.portal_user.read:own", "portal.portal_session.audit:own", "portal.portal_session.end:own"];

/// A stream of portal that says who comes in.
#[derive(Debug)]
pub enum Person {
    /// A portal user: whether they come in, what they may do, and which of their times in the portal it is.
    User(PortalUserId, bool, Arc<Permissions>, u32),
    /// A session, of the portal or of the firm.
    Session(Begun),
}

/// A session as the log has it: what a store of sessions says besides opens nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    principal: Principal,
    membership: u32,
    ends_at: Timestamp,
    /// Whether it was ended; only known of sessions of the portal, of the firm's the firm knows.
    ended: bool,
}

impl Begun {
    /// Why it opens nothing for this one, if so; `membership` is which of their times it is, if they are known.
    pub(crate) fn keeps_out(
        &self,
        shown: Principal,
        membership: Option<u32>,
        now: DateTime<Utc>,
    ) -> Option<&'static str> {
        if self.principal != shown {
            return Some("the session is somebody else's");
        }
        if self.ended {
            return Some("the session was ended");
        }
        if membership != Some(self.membership) {
            return Some("the session's person has left since");
        }
        (self.ends_at <= now).then_some("the session is over")
    }
}

impl Person {
    /// Folds the events of one portal user, in their order.
    ///
    /// # Errors
    /// If one of them cannot be read: the person does not come in then.
    pub fn user<'e>(id: PortalUserId, events: impl IntoIterator<Item = &'e Stored>) -> Result<Self, UnreadableEvent> {
        let mut user = PortalUser::default();
        for event in events.into_iter().filter(|event| event.aggregate_type == PortalUserEvent::STREAM) {
            user.apply(read(event)?);
        }
        Ok(Self::User(id, user.active, Arc::new(user.permissions()), user.membership))
    }

    /// Folds the events of one session; none if the log never began it.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn session<'e>(events: impl IntoIterator<Item = &'e Stored>) -> Result<Option<Self>, UnreadableEvent> {
        let mut begun: Option<Begun> = None;
        let mut begin = |principal, membership, ends_at| {
            begun = Some(Begun { principal, membership, ends_at, ended: false });
        };
        let mut ended = false;
        for event in events {
            match event.aggregate_type.as_str() {
                PortalSessionEvent::STREAM => match read(event)? {
                    PortalSessionEvent::Started { portal_user_id: id, membership, ends_at, .. } => {
                        begin(Principal::PortalUser { id }, membership, ends_at);
                    }
                    PortalSessionEvent::Ended { .. } => ended = true,
                },
                SessionEvent::STREAM => match read(event)? {
                    SessionEvent::Started { user_id: id, membership, ends_at, .. } => {
                        begin(Principal::User { id }, membership, ends_at);
                    }
                    SessionEvent::Ended { .. } => ended = true,
                },
                _ => {}
            }
        }
        Ok(begun.map(|begun| Self::Session(Begun { ended, ..begun })))
    }

    /// What is so for this portal user in this session.
    pub fn standing(user: &Self, session: &Self, now: DateTime<Utc>) -> Standing {
        let Self::User(id, active, permissions, membership) = user else {
            return Standing::Out("this is no portal user", None);
        };
        let principal = Principal::PortalUser { id: *id };
        let Self::Session(begun) = session else { return Standing::Out("this is no session", None) };
        match begun.keeps_out(principal, Some(*membership), now) {
            Some(why) => Standing::Out(why, (begun.principal == principal).then_some(principal)),
            None if *active => Standing::In(principal, permissions.clone()),
            None => Standing::Out("this portal user does not come in", None),
        }
    }
}

#[derive(Debug, Default)]
struct PortalUser {
    client_id: ClientId,
    active: bool,
    membership: u32,
    parts: BTreeSet<Slug>,
    grants: Grants,
}

impl PortalUser {
    fn apply(&mut self, event: PortalUserEvent) {
        match event {
            PortalUserEvent::Created { client_id, .. } => self.client_id = client_id,
            PortalUserEvent::Activated { .. } | PortalUserEvent::Unlocked {} => self.active = true,
            PortalUserEvent::Locked { .. } => self.active = false,
            PortalUserEvent::Disabled {} => {
                self.active = false;
                self.membership += 1;
                self.parts.clear();
                self.grants.clear();
            }
            PortalUserEvent::AccessGranted { scope } => {
                self.parts.insert(scope);
            }
            PortalUserEvent::AccessRevoked { scope } => {
                self.parts.remove(&scope);
            }
            PortalUserEvent::Granted { pattern, engagement_id } => {
                let grant = self.grant(pattern, engagement_id);
                self.grants.insert(grant);
            }
            PortalUserEvent::GrantRevoked { pattern, engagement_id } => {
                let grant = self.grant(pattern, engagement_id);
                self.grants.remove(&grant);
            }
            // Whoever is let in again after having been closed out needs a new invitation.
            PortalUserEvent::Enabled {}
            | PortalUserEvent::Invited { .. }
            | PortalUserEvent::EmailFailed { .. }
            | PortalUserEvent::EmailSent {}
            | PortalUserEvent::InvitationRevoked { .. } => {}
        }
    }

    /// For the person's client, or for one engagement of it.
    fn grant(&self, pattern: Pattern, engagement: Option<EngagementId>) -> Grant {
        Grant { pattern, resource: engagement.map_or(self.client_id.into(), Resource::from) }
    }

    /// Rights of a portal user are for the person's client and its engagements, and for nothing else.
    fn permissions(&self) -> Permissions {
        let parts = self.parts.iter().flat_map(patterns_of_part).filter_map(|pattern| pattern.parse().ok());
        let mut grants = self.grants.clone();
        for pattern in parts {
            grants.insert(self.grant(pattern, None));
        }
        Permissions::patterns(OF_EVERY_PORTAL_USER).granted(grants.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm::tests::stored;
    use kernel::spec::spec_time;
    use kernel::{InvitationId, Personal, Scope};
    use uuid::Uuid;

    const ADA: PortalUserId = PortalUserId(Uuid::from_u128(10));
    const CLIENT: ClientId = ClientId(Uuid::from_u128(20));

    fn history(more: impl IntoIterator<Item = PortalUserEvent>) -> Vec<Stored> {
        let created = PortalUserEvent::Created {
            client_id: CLIENT,
            contact_id: None,
            name: Personal::new("Ada".parse().unwrap()),
            email: Personal::new("ada@example.com".parse().unwrap()),
        };
        [created].into_iter().chain(more).map(|event| stored(ADA, event)).collect()
    }

    fn begun(membership: u32) -> Stored {
        let ends_at = spec_time() + chrono::TimeDelta::hours(1);
        let (portal_user_id, client_id) = (ADA, CLIENT);
        let started = PortalSessionEvent::Started { portal_user_id, membership, client_id, ends_at, user_agent: None };
        stored(Uuid::from_u128(30), started)
    }

    fn session(events: &[Stored]) -> Person {
        Person::session(events).unwrap().unwrap()
    }

    fn activated() -> PortalUserEvent {
        PortalUserEvent::Activated { invitation_id: InvitationId(Uuid::from_u128(8)) }
    }

    fn standing(events: &[Stored]) -> Standing {
        Person::standing(&Person::user(ADA, events).unwrap(), &session(&[begun(0)]), spec_time().utc())
    }

    #[test]
    fn only_who_is_active_comes_in() {
        let locked = || PortalUserEvent::Locked { reason: Personal::new("lost".parse().unwrap()) };
        for (more, comes_in) in [
            (vec![], false),
            (vec![activated()], true),
            (vec![activated(), locked()], false),
            (vec![activated(), locked(), PortalUserEvent::Unlocked {}], true),
            (vec![activated(), PortalUserEvent::Disabled {}], false),
            (vec![activated(), PortalUserEvent::Disabled {}, PortalUserEvent::Enabled {}], false),
        ] {
            let standing = standing(&history(more.clone()));
            assert_eq!(matches!(standing, Standing::In(..)), comes_in, "{more:?}");
        }
    }

    #[test]
    fn a_right_for_an_engagement_reaches_nothing_else_of_the_client() {
        let engagement = EngagementId(Uuid::from_u128(31));
        let grant = PortalUserEvent::Granted { pattern: "*".parse().unwrap(), engagement_id: Some(engagement) };
        let Standing::In(principal, permissions) = standing(&history([activated(), grant])) else { panic!() };
        let reach = permissions.reach("projects.task.read");
        assert!(reach.covers(&Scope::of([engagement.into()]), Some(principal)));
        assert!(!reach.covers(&Scope::of([CLIENT.into()]), Some(principal)));
    }

    #[test]
    fn what_a_portal_user_may_is_for_the_client_alone() {
        let part = PortalUserEvent::AccessGranted { scope: "projects".parse().unwrap() };
        let grant = PortalUserEvent::Granted { pattern: "*".parse().unwrap(), engagement_id: None };
        let Standing::In(principal, permissions) = standing(&history([activated(), part, grant])) else { panic!() };
        for permission in ["projects.task.read", "crm.client.read", "identity.user.read"] {
            let reach = permissions.reach(permission);
            assert!(reach.covers(&Scope::of([CLIENT.into()]), Some(principal)), "{permission}");
            let other = Scope::of([Resource::Client { id: ClientId(Uuid::from_u128(21)) }]);
            assert!(!reach.covers(&other, Some(principal)), "{permission}");
            assert!(!reach.covers(&Scope::default(), Some(principal)), "{permission}");
        }
    }

    #[test]
    fn a_session_that_was_ended_lets_nobody_in() {
        let user = Person::user(ADA, &history([activated()])).unwrap();
        let at = |events: &[Stored], now: Timestamp| Person::standing(&user, &session(events), now.utc());
        assert!(matches!(at(&[begun(0)], spec_time()), Standing::In(..)));
        assert!(matches!(at(&[begun(0)], spec_time() + chrono::TimeDelta::hours(1)), Standing::Out(..)), "over");
        assert!(Person::session(&[]).unwrap().is_none(), "never begun");
        let ended = PortalSessionEvent::Ended { reason: "logged out".parse().unwrap() };
        let ended = [begun(0), stored(Uuid::from_u128(30), ended)];
        assert!(matches!(at(&ended, spec_time()), Standing::Out(..)));
        let somebody = Person::user(PortalUserId(Uuid::from_u128(11)), &history([activated()])).unwrap();
        let standing = Person::standing(&somebody, &session(&[begun(0)]), spec_time().utc());
        assert!(matches!(standing, Standing::Out(..)), "another's");
    }

    #[test]
    fn who_comes_back_has_neither_the_sessions_nor_the_rights_of_before() {
        let part = PortalUserEvent::AccessGranted { scope: "projects".parse().unwrap() };
        let gone = [PortalUserEvent::Disabled {}, PortalUserEvent::Enabled {}, activated()];
        let back = history([activated(), part].into_iter().chain(gone));
        let user = Person::user(ADA, &back).unwrap();
        let at = |membership| Person::standing(&user, &session(&[begun(membership)]), spec_time().utc());
        assert!(matches!(at(0), Standing::Out(..)), "a session from before");
        let Standing::In(_, permissions) = at(1) else { panic!("a new one") };
        assert_eq!(permissions.reach("projects.project.read"), kernel::Reach::Nothing);
    }
}
