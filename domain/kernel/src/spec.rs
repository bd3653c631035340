//! Given, when, then: the way a decision is proven.
//!
//! ```text
//! given::<Client>([E::Created { … }]).when(C::Rename { … }).then([E::Renamed { … }]);
//! given::<Client>([E::Blocked]).when(C::Rename { … }).rejected("crm.client.blocked");
//! ```

use crate::{
    Actor, Aggregate, ClaimChange, Command, Companions, Context, Event, Flag, Parts, Permissions, Reference, Rejection,
    SecretHash, TeamId, TenantId, TimeZone, Timestamp, UserId,
};
use chrono::{TimeZone as _, Utc};
use std::sync::Arc;
use uuid::Uuid;

/// An aggregate with a history, waiting for a command.
#[derive(Debug)]
pub struct Given<A> {
    state: A,
    ctx: Context,
}

/// The time at which specs happen unless they say otherwise: Monday, 2 November 2026, 09:00 UTC.
pub fn spec_time() -> Timestamp {
    Timestamp::of_clock(Utc.with_ymd_and_hms(2026, 11, 2, 9, 0, 0).single().unwrap_or_default())
}

/// Starts a spec from past events.
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let mut state = A::default();
    events.into_iter().for_each(|event| state.apply(&event));
    let actor = Actor::User { id: UserId(Uuid::from_u128(2)) };
    let ctx = Context::new(TenantId(Uuid::from_u128(1)), actor, spec_time(), Uuid::from_u128(3), Uuid::from_u128(4));
    Given { state, ctx }
}

impl<A: Aggregate> Given<A> {
    /// The command arrives at this time.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.ctx.now = now;
        self
    }

    /// The firm's clocks hang there.
    pub fn in_zone(mut self, zone: &TimeZone) -> Self {
        self.ctx.time_zone = zone.rules();
        self
    }

    /// The system itself asks: an operator, the login.
    pub fn by_system(mut self) -> Self {
        self.ctx.actor = Actor::System { name: "spec".to_owned() };
        self
    }

    /// This user asks.
    pub fn by_user(mut self, id: UserId) -> Self {
        self.ctx.actor = Actor::User { id };
        self
    }

    /// Whoever asks has these roles and is a member of these teams.
    pub fn known_as<'r>(mut self, roles: impl IntoIterator<Item = &'r str>, teams: &[TeamId]) -> Self {
        let held = Arc::unwrap_or_clone(self.ctx.permissions);
        let roles = roles.into_iter().filter_map(|role| role.parse().ok());
        self.ctx.permissions = Arc::new(held.known_as(roles, teams.iter().copied()));
        self
    }

    /// Somebody else asks than the user who does in specs.
    pub fn by(mut self, actor: Actor) -> Self {
        self.ctx.actor = actor;
        self
    }

    /// This secret was made for the command.
    pub fn minted(mut self, secret: &str) -> Self {
        self.ctx.secret = Some(SecretHash::of(secret));
        self
    }

    /// A portal user asks.
    pub fn by_portal_user(mut self, id: impl Into<crate::PortalUserId>) -> Self {
        self.ctx.actor = Actor::PortalUser { id: id.into() };
        self
    }

    /// The command is brought along by this one to that aggregate.
    pub fn brought_by(mut self, command: &'static str, id: impl Into<Uuid>) -> Self {
        self.ctx.brought_by = Some((command, id.into()));
        self
    }

    /// The aggregate has this id.
    pub fn with_id(mut self, id: impl Into<Uuid>) -> Self {
        self.ctx.id = id.into();
        self
    }

    /// Whoever asks may do no more than these patterns grant.
    pub fn asked_with<'p>(mut self, patterns: impl IntoIterator<Item = &'p str>) -> Self {
        self.ctx.permissions = Arc::new(Permissions::patterns(patterns));
        self
    }

    /// Whoever asks came in with a key that has these scopes and ends then.
    pub fn asked_by_key<'p>(mut self, scopes: impl IntoIterator<Item = &'p str>, ends_at: Option<Timestamp>) -> Self {
        let held = Arc::unwrap_or_clone(self.ctx.permissions);
        let mut scopes = scopes.into_iter().peekable();
        let held = if scopes.peek().is_some() { held.within(scopes) } else { held };
        self.ctx.permissions = Arc::new(held.until(ends_at));
        self
    }

    /// People log in to this installation at these providers.
    pub fn at_providers(mut self, issuers: &[&str]) -> Self {
        self.ctx.providers = Some(issuers.iter().filter_map(|issuer| issuer.parse().ok()).collect());
        self
    }

    /// The aggregate `reference` asks for exists and has this state.
    pub fn knowing<B: Aggregate>(mut self, reference: Reference, id: impl Into<Uuid>, state: B) -> Self {
        let found = Some((id.into(), Arc::new(state) as Arc<_>));
        self.ctx.insert_reference(B::Event::STREAM, reference.key(), found);
        self
    }

    /// The state that the past events led to, for somebody else to refer to.
    pub fn state(self) -> A {
        self.state
    }

    /// Decides.
    pub fn when(self, command: A::Command) -> When<A> {
        let entry = command.entry();
        let mut companions = Listed(vec![]);
        self.state.companions(&command, &self.ctx, &mut companions);
        let outcome = self.state.decide(command.clone(), &self.ctx);
        self.ctx.restart();
        let again = self.state.decide(command, &self.ctx);
        assert_eq!(
            outcome.as_ref().map_err(|r| r.entry().code),
            again.as_ref().map_err(|r| r.entry().code),
            "a decision must be deterministic"
        );
        if let Err(rejection) = &outcome {
            let code = rejection.entry().code;
            assert!(entry.refusals.contains(&code), "{} does not say that it may be #[refused({code})]", entry.name);
        }
        let Listed(companions) = companions;
        When { id: self.ctx.id, state: self.state, outcome, parts: self.ctx.parts(), companions }
    }
}

/// Companions as a spec sees them.
struct Listed(Vec<(&'static str, Uuid, String)>);

impl Companions for Listed {
    fn add<B: Aggregate>(&mut self, id: impl Into<Uuid>, command: B::Command) {
        self.0.push((command.entry().name, id.into(), format!("{command:?}")));
    }
}

/// What was decided.
#[derive(Debug)]
pub struct When<A: Aggregate> {
    id: Uuid,
    state: A,
    outcome: Result<Vec<A::Event>, A::Rejection>,
    parts: Parts,
    companions: Vec<(&'static str, Uuid, String)>,
}

impl<A: Aggregate> When<A> {
    /// Exactly these events.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.outcome {
            Ok(events) => assert_eq!(*events, expected),
            Err(rejection) => panic!("rejected with {}: {rejection}", rejection.entry().code),
        }
        self
    }

    /// No event: it is already so.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then([])
    }

    /// Refused with this code.
    #[track_caller]
    pub fn rejected(self, code: &str) {
        match self.outcome {
            Ok(events) => panic!("expected {code}, got {events:?}"),
            Err(rejection) => assert_eq!(rejection.entry().code, code),
        }
    }

    /// The events, for an assertion that `then` cannot express.
    #[track_caller]
    pub fn events(&self) -> &[A::Event] {
        match &self.outcome {
            Ok(events) => events,
            Err(rejection) => panic!("rejected with {}: {rejection}", rejection.entry().code),
        }
    }

    /// The parts whose ids the answer tells.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Together with exactly this command to the aggregate `id`.
    #[track_caller]
    pub fn together_with<B: Aggregate>(self, id: impl Into<Uuid>, command: B::Command) -> Self {
        assert_eq!(self.companions, [(command.entry().name, id.into(), format!("{command:?}"))]);
        self
    }

    /// By itself.
    #[track_caller]
    pub fn alone(self) -> Self {
        assert_eq!(self.companions, []);
        self
    }

    /// What the decided events take and release.
    #[track_caller]
    pub fn claims(&self) -> Vec<ClaimChange> {
        let mut state = self.state.clone();
        let mut claims = vec![];
        for event in self.events() {
            claims.extend(state.claims(event));
            state.apply(event);
        }
        claims
    }

    /// The flags that the decided events put up and take down.
    #[track_caller]
    pub fn flags(&self) -> Vec<(Flag, bool)> {
        let mut state = self.state.clone();
        let mut flags = vec![];
        for event in self.events() {
            flags.extend(state.flags(event));
            state.apply(event);
        }
        flags
    }

    /// What would forbid the decided events.
    #[track_caller]
    pub fn forbidden_by(&self) -> Vec<(Flag, Uuid)> {
        let mut state = self.state.clone();
        let mut flags = vec![];
        for event in self.events() {
            flags.extend(state.forbidden_by(self.id, event));
            state.apply(event);
        }
        flags
    }

    /// The state that was decided on.
    pub fn before(self) -> A {
        self.state
    }

    /// The state after the decided events.
    #[track_caller]
    pub fn state(&self) -> A {
        let mut state = self.state.clone();
        self.events().iter().for_each(|event| state.apply(event));
        state
    }
}
