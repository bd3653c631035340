//! What an aggregate remembers, without its type: the path of a command is compiled once, and not once for each aggregate
//! (docs/adr/0042).

use crate::ExecuteError;
use crate::load::StreamKey;
use crate::seal::is_personal;
use anyhow::anyhow;
use kernel::{
    Aggregate, Claim, ClaimChange, Event, EventEntry, History, Resource, Stored, TenantId, UnreadableEvent, read_event,
};
use std::any::Any;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use uuid::Uuid;

/// A state whose type only its kind of stream tells.
pub(crate) type State = Arc<dyn Any + Send + Sync>;

/// Folds one more event, for somebody who does not know the state's type.
pub(crate) type Advance = fn(&State, &Stored) -> Result<State, UnreadableEvent>;

/// What is the same for all aggregates of one type.
pub(crate) struct StreamKind {
    /// Its wire name.
    pub name: &'static str,
    pub state_version: i32,
    pub snapshot_every: i64,
    /// Do its events say something personal?
    pub is_personal: fn() -> bool,
    /// The state of one that does not exist.
    pub nothing: fn() -> State,
    pub fold: fn(&History) -> Result<State, UnreadableEvent>,
    pub advance: Advance,
    /// A state as JSON.
    pub write: fn(&State) -> Result<String, ExecuteError>,
}

impl StreamKind {
    /// The kind of this aggregate's streams.
    pub const fn of<A: Aggregate>() -> &'static Self {
        Of::<A>::KIND
    }

    /// The stream of one aggregate.
    pub fn stream(&self, tenant: TenantId, id: Uuid) -> StreamKey {
        StreamKey { tenant: tenant.0, aggregate_type: self.name, aggregate_id: id }
    }
}

struct Of<A>(PhantomData<A>);

impl<A: Aggregate> Of<A> {
    const KIND: &'static StreamKind = &StreamKind {
        name: A::Event::STREAM,
        state_version: A::STATE_VERSION,
        snapshot_every: A::SNAPSHOT_EVERY,
        is_personal: is_personal::<A>,
        nothing: || Arc::new(A::default()),
        fold: |history| Ok(Arc::new(history.fold::<A>()?)),
        advance: advance::<A>,
        write: |state| json(typed::<A>(state)?),
    };
}

fn advance<A: Aggregate>(state: &State, event: &Stored) -> Result<State, UnreadableEvent> {
    let known = state.downcast_ref::<A>().ok_or_else(|| UnreadableEvent("another kind of stream".to_owned()))?;
    let mut state = known.clone();
    state.apply(&read_event(&event.event_type, event.event_version, &event.payload)?);
    Ok(Arc::new(state))
}

/// The state with its type.
pub(crate) fn typed<A: Aggregate>(state: &State) -> Result<&A, ExecuteError> {
    state.downcast_ref().ok_or_else(|| ExecuteError::Fault(anyhow!("another kind of stream")))
}

/// What a decision comes to.
pub(crate) struct Changes {
    pub events: Vec<Change>,
    /// The state after them.
    pub state: State,
    /// Whom they are about.
    pub concerns: BTreeSet<Resource>,
}

/// One event, and what goes with it.
pub(crate) struct Change {
    pub entry: &'static EventEntry,
    /// As JSON.
    pub payload: String,
    /// What it takes and releases, flags included.
    pub claims: Vec<ClaimChange>,
    /// What nobody may hold.
    pub forbidden: Vec<Claim>,
}

/// Folds what was decided, and collects what goes with each event.
pub(crate) fn changes<A: Aggregate>(before: &State, id: Uuid, events: &[A::Event]) -> Result<Changes, ExecuteError> {
    let mut concerns = BTreeSet::new();
    if events.is_empty() {
        return Ok(Changes { events: vec![], state: before.clone(), concerns });
    }
    let mut state = typed::<A>(before)?.clone();
    let mut changes = Vec::with_capacity(events.len());
    for event in events {
        let mut claims = state.claims(event);
        claims.extend(state.flags(event).into_iter().map(|(flag, is_up)| {
            let claim = flag.of(id);
            if is_up { ClaimChange::Take(claim) } else { ClaimChange::Release(claim) }
        }));
        let forbidden = state.forbidden_by(id, event).into_iter().map(|(flag, whom)| flag.of(whom)).collect();
        state.apply(event);
        concerns.extend(state.concerns(id, event));
        changes.push(Change { entry: event.entry(), payload: json(event)?, claims, forbidden });
    }
    Ok(Changes { events: changes, state: Arc::new(state), concerns })
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, ExecuteError> {
    serde_json::to_string(value).map_err(|e| ExecuteError::Fault(e.into()))
}
