//! The trait a decision is written against.

use crate::{Command, Context, Event, Flag, Rejection, Resource, Scope, UnreadableEvent};
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use uuid::Uuid;

/// What a decision answers: the events, in order; none means "already so" and is a success.
pub type Decision<A> = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Rejection>;

/// A consistency boundary: decides on commands, remembers by events. Pure.
///
/// Existence is checked for it: a `#[creates]` command meets a fresh id, every other an existing stream.
pub trait Aggregate: Default + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What may be asked.
    type Command: Command;
    /// What is remembered.
    type Event: Event;
    /// Why it may refuse.
    type Rejection: Rejection;

    /// Where the collection lives under `/v1/`: `crm/clients`.
    const PATH: &'static str;
    /// A snapshot is written when this many events have come since the last one.
    const SNAPSHOT_EVERY: i64 = 200;
    /// Raise it when the state's shape or meaning changes, so that older snapshots are not read any more.
    const STATE_VERSION: i32 = 1;

    /// Decides. Refusals before effects, one arm per case.
    fn decide(&self, command: Self::Command, ctx: &Context) -> Decision<Self>;

    /// Remembers one event. Never fails: what is in the log has happened.
    fn apply(&mut self, event: &Self::Event);

    /// The clients, engagements and projects that the aggregate `id` belongs to, itself included if it is one. None unless said otherwise,
    /// so that only rights for everything count.
    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        vec![]
    }

    /// What a command to the aggregate `id` touches, for callers whose rights are for single resources or for their own;
    /// `self` is the state before it.
    fn scope(&self, id: Uuid, _command: &Self::Command) -> Scope {
        Scope::of(self.belongs_to(id))
    }

    /// The clients, engagements and projects that the event is about, for [`Metadata::concerns`](crate::Metadata::concerns); `self` is the
    /// state after it. What the event takes the aggregate away from belongs to them too.
    fn concerns(&self, id: Uuid, _event: &Self::Event) -> Vec<Resource> {
        self.belongs_to(id)
    }

    /// What the event takes or releases for this aggregate alone, across the tenant; `self` is the state before it.
    fn claims(&self, _event: &Self::Event) -> Vec<ClaimChange> {
        vec![]
    }

    /// The flags that the event puts up (`true`) or takes down about this aggregate, for every context to see; `self` is the
    /// state before it.
    fn flags(&self, _event: &Self::Event) -> Vec<(Flag, bool)> {
        vec![]
    }

    /// The flags, with whom they are about, any of which forbids the event while it is up; `id` is this aggregate's own. Asked
    /// within the append.
    fn forbidden_by(&self, _id: Uuid, _event: &Self::Event) -> Vec<(Flag, Uuid)> {
        vec![]
    }

    /// Aggregates of the same context that the decision wants to look at.
    fn references(&self, _command: &Self::Command) -> Vec<Reference> {
        vec![]
    }

    /// More of them, which only the first ones tell: the hours of an event type's host, say.
    fn further_references(&self, _command: &Self::Command, _ctx: &Context) -> Vec<Reference> {
        vec![]
    }

    /// Commands to other aggregates of the same context without which this one is not carried out: they are decided in the
    /// same [unit](crate::Unit), each by its own aggregate, and come before it in the log. `self` is the state before it, and what
    /// it referred to is in `ctx`.
    fn companions(&self, _command: &Self::Command, _ctx: &Context, _companions: &mut impl Companions) {}
}

/// Takes in what has to be carried out together with a command.
pub trait Companions {
    /// This command to the aggregate `id`, on behalf of whoever asked for the first one, who must be allowed it too.
    fn add<B: Aggregate>(&mut self, id: impl Into<Uuid>, command: B::Command);
}

/// Something that wants to know every aggregate type; `registry::mount_all` calls it once for each.
pub trait Mounts {
    /// Takes one aggregate in.
    fn mount<A: Aggregate>(&mut self);
}

/// A value that at most one aggregate of a tenant may hold: an e-mail address, a template's key, a slot in a calendar.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// What kind of value, `context.aggregate.what`: `crm.client.email`.
    pub scope: &'static str,
    /// The normalised value.
    pub value: String,
    /// Is the value personal data? Then the log keeps what it hashes to with the tenant's key.
    pub personal: bool,
}

impl Claim {
    /// A claim on `value` within `scope`.
    pub fn new(scope: &'static str, value: impl Into<String>) -> Self {
        Self { scope, value: value.into(), personal: false }
    }

    /// A claim on a value that is personal data.
    pub fn personal(scope: &'static str, value: impl Into<String>) -> Self {
        Self { personal: true, ..Self::new(scope, value) }
    }
}

/// A change to who holds what, stored in the append transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimChange {
    /// Fails the whole command if another aggregate holds it.
    Take(Claim),
    /// Gives it up; harmless if not held.
    Release(Claim),
}

/// One stored event of a stream, as far as folding needs it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// `client.created`.
    pub event_type: String,
    /// Version of the payload as stored.
    pub event_version: u32,
    /// The payload as JSON text.
    pub payload: String,
}

/// What the log holds of one stream: a snapshot if there is a usable one, and the events after it.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The aggregate's version after the last event, 0 if it does not exist.
    pub version: i64,
    /// Position of the last event, 0 if it does not exist.
    pub position: i64,
    /// State as JSON text, and the version it covers.
    pub snapshot: Option<(i64, String)>,
    /// The events after the snapshot, in order.
    pub events: Vec<Stored>,
}

impl History {
    /// Folds the history into the aggregate's state.
    pub fn fold<A: Aggregate>(&self) -> Result<A, UnreadableEvent> {
        let mut state = match &self.snapshot {
            Some((_, text)) => serde_json::from_str(text).map_err(|e| UnreadableEvent(format!("snapshot: {e}")))?,
            None => A::default(),
        };
        for event in &self.events {
            state.apply(&crate::read_event(&event.event_type, event.event_version, &event.payload)?);
        }
        Ok(state)
    }
}

type Fold = fn(&History) -> Result<Arc<dyn Any + Send + Sync>, UnreadableEvent>;

/// Another aggregate of the same context that a decision wants to see (read only, as of now).
#[derive(Debug, Clone)]
pub struct Reference {
    /// Wire name of its kind of stream.
    pub stream: &'static str,
    /// How it is found.
    pub by: ReferenceBy,
    /// Version of its state's shape, for its snapshot.
    pub state_version: i32,
    /// Folds its history.
    pub fold: Fold,
}

/// How a reference is found.
#[derive(Debug, Clone)]
pub enum ReferenceBy {
    /// By its id.
    Id(Uuid),
    /// By the claim it holds.
    Claim(Claim),
}

impl Reference {
    /// The aggregate with this id.
    pub fn id<A: Aggregate>(id: impl Into<Uuid>) -> Self {
        Self {
            stream: A::Event::STREAM,
            by: ReferenceBy::Id(id.into()),
            state_version: A::STATE_VERSION,
            fold: fold_any::<A>,
        }
    }

    /// The aggregate that holds this claim.
    pub fn claim<A: Aggregate>(claim: Claim) -> Self {
        Self {
            stream: A::Event::STREAM,
            by: ReferenceBy::Claim(claim),
            state_version: A::STATE_VERSION,
            fold: fold_any::<A>,
        }
    }

    /// The key under which [`Context`] keeps what was found.
    pub fn key(&self) -> String {
        match &self.by {
            ReferenceBy::Id(id) => id.to_string(),
            ReferenceBy::Claim(claim) => format!("{}={}", claim.scope, claim.value),
        }
    }
}

fn fold_any<A: Aggregate>(history: &History) -> Result<Arc<dyn Any + Send + Sync>, UnreadableEvent> {
    Ok(Arc::new(history.fold::<A>()?))
}
