//! One portal user and one portal session, folded from their events: pure functions of the log.

use crate::firm::{Stored, read};
use kernel::{ClientId, Event, Grant, Grants, Pattern, Permissions, PortalUserId, Principal, Slug, UnreadableEvent};
use portal_events::{PortalSessionEvent, PortalUserEvent, patterns_of_part};
use std::collections::BTreeSet;
use std::sync::Arc;
use web::Standing;

/// What every portal user may do: see who they are, and see and end their own sessions.
const OF_EVERY_PORTAL_USER: [&str; 3] =
    ["portal.portal_user.read:own", "portal.portal_session.audit:own", "portal.portal_session.end:own"];

/// A stream of portal that says who comes in.
#[derive(Debug)]
pub enum Person {
    /// A portal user: whether they come in, and what they may do.
    User(PortalUserId, bool, Arc<Permissions>),
    /// A session that was ended.
    Ended,
    /// Nothing that keeps anybody out: a session that goes on, or one that is too new to be known.
    Nothing,
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
        Ok(Self::User(id, user.active, Arc::new(user.permissions())))
    }

    /// Folds the events of one session.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn session<'e>(events: impl IntoIterator<Item = &'e Stored>) -> Result<Self, UnreadableEvent> {
        for event in events.into_iter().filter(|event| event.aggregate_type == PortalSessionEvent::STREAM) {
            if let PortalSessionEvent::Ended { .. } = read(event)? {
                return Ok(Self::Ended);
            }
        }
        Ok(Self::Nothing)
    }

    /// What is so for this portal user in this session.
    pub fn standing(user: &Self, session: &Self) -> Standing {
        match (user, session) {
            (Self::User(id, ..), Self::Ended) => {
                Standing::Out("the session was ended", Some(Principal::PortalUser { id: *id }))
            }
            (_, Self::Ended) => Standing::Out("the session was ended", None),
            (Self::User(id, true, permissions), _) => {
                Standing::In(Principal::PortalUser { id: *id }, permissions.clone())
            }
            _ => Standing::Out("this portal user does not come in", None),
        }
    }
}

#[derive(Debug, Default)]
struct PortalUser {
    client_id: ClientId,
    active: bool,
    parts: BTreeSet<Slug>,
    grants: BTreeSet<Pattern>,
}

impl PortalUser {
    fn apply(&mut self, event: PortalUserEvent) {
        match event {
            PortalUserEvent::Created { client_id, .. } => self.client_id = client_id,
            PortalUserEvent::Activated { .. } | PortalUserEvent::Unlocked {} => self.active = true,
            PortalUserEvent::Locked { .. } | PortalUserEvent::Disabled {} => self.active = false,
            PortalUserEvent::AccessGranted { scope } => {
                self.parts.insert(scope);
            }
            PortalUserEvent::AccessRevoked { scope } => {
                self.parts.remove(&scope);
            }
            PortalUserEvent::Granted { pattern } => {
                self.grants.insert(pattern);
            }
            PortalUserEvent::GrantRevoked { pattern } => {
                self.grants.remove(&pattern);
            }
            // Whoever is let in again after having been closed out needs a new invitation.
            PortalUserEvent::Enabled {}
            | PortalUserEvent::Invited { .. }
            | PortalUserEvent::LetterFailed { .. }
            | PortalUserEvent::LetterSent {}
            | PortalUserEvent::InvitationRevoked { .. } => {}
        }
    }

    /// Rights of a portal user are for the person's client, and for nothing else.
    fn permissions(&self) -> Permissions {
        let parts = self.parts.iter().flat_map(patterns_of_part).filter_map(|pattern| pattern.parse().ok());
        let mut grants = Grants::default();
        for pattern in parts.chain(self.grants.iter().cloned()) {
            grants.insert(Grant { pattern, resource: self.client_id.into() });
        }
        Permissions::patterns(OF_EVERY_PORTAL_USER).granted(grants.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firm::tests::stored;
    use kernel::{InvitationId, Personal, Resource, Scope};
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

    fn activated() -> PortalUserEvent {
        PortalUserEvent::Activated { invitation_id: InvitationId(Uuid::from_u128(8)) }
    }

    fn standing(events: &[Stored]) -> Standing {
        Person::standing(&Person::user(ADA, events).unwrap(), &Person::Nothing)
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
    fn what_a_portal_user_may_is_for_the_client_alone() {
        let part = PortalUserEvent::AccessGranted { scope: "projects".parse().unwrap() };
        let grant = PortalUserEvent::Granted { pattern: "*".parse().unwrap() };
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
        let ended = PortalSessionEvent::Ended { reason: "logged out".parse().unwrap() };
        let session = Person::session(&[stored(Uuid::from_u128(30), ended)]).unwrap();
        assert!(matches!(Person::standing(&user, &session), Standing::Out(..)));
    }
}
