//! One kind of aggregate without its type: commands as JSON in, what was decided as JSON out.

use crate::world::{Key, Stream};
use kernel::{
    Aggregate, Claim, ClaimChange, Command as _, CommandEntry, Companions, Context, Event as _, FieldErrors, History,
    Mounts, Parts, Reference, Rejection as _, Resource, Stored,
};
use serde_json::Value;
use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::marker::PhantomData;
use std::sync::LazyLock;
use uuid::Uuid;

/// An event as the log gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// `client.created`.
    pub event_type: &'static str,
    /// Version of the payload.
    pub version: u32,
    /// The payload as JSON text.
    pub payload: String,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// These events; none means "already so".
    Events(Vec<Written>),
    /// Refused with this code.
    Refused(&'static str),
    /// The body is no such command.
    Unreadable(FieldErrors),
    /// Another aggregate holds what this one wants.
    Claimed(Claim),
}

/// One command and everything that can be said about it afterwards.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Which command.
    pub entry: &'static CommandEntry,
    /// Its body.
    pub body: Value,
    /// What was decided, and stored if nobody held its claims.
    pub decided: Decided,
    /// The clients and projects that its events are about.
    pub concerns: BTreeSet<Resource>,
    /// The parts whose ids the answer tells.
    pub parts: Parts,
    /// Decided by others that should know the same; each with its name. Empty unless the world is audited.
    pub witnesses: Vec<(&'static str, Decided)>,
    /// The same command once more, on the state that it led to; none if it was refused or creates.
    pub retried: Option<Decided>,
    /// The state after it: as it is, from the whole history, from a snapshot. Empty unless audited.
    pub states: Vec<(&'static str, String)>,
    /// What the stream holds after it, by what every command took and released.
    pub held: BTreeSet<Claim>,
    /// The same by a fold of the whole history.
    pub held_by_history: BTreeSet<Claim>,
    /// Claims that were released although they were not held.
    pub released_in_vain: Vec<Claim>,
    /// Events that read differently than they were written.
    pub misread: Vec<String>,
    /// What came of the commands that it was carried out together with; their events are before its own.
    pub companions: Vec<(Key, Attempt)>,
}

/// What a command would come to, if nobody holds its claims.
#[derive(Debug, Clone)]
pub struct Prospect {
    /// To which stream.
    pub key: Key,
    /// Which command.
    pub entry: &'static CommandEntry,
    /// The types of its own events; none if it is refused or "already so".
    pub events: Vec<&'static str>,
    /// Others would be carried out together with it.
    pub has_companions: bool,
    /// To which streams, and the types of their events.
    pub brought: Vec<(Key, Vec<&'static str>)>,
}

impl Prospect {
    /// The types of all events, its own and the others'.
    pub fn all_events(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.events.iter().chain(self.brought.iter().flat_map(|(_, events)| events)).copied()
    }
}

/// What is sought in a [`crate::World`].
pub trait Sought {
    /// Is it this event?
    fn is_event(&self, event_type: &str) -> bool;
    /// Can it be this command?
    fn is_command(&self, entry: &CommandEntry) -> bool;
    /// Is it this?
    fn is(&self, prospect: &Prospect) -> bool;
}

/// A command that another brings along: to which stream, which, and with which body.
#[derive(Debug, Clone)]
pub struct Companion {
    pub(crate) stream: &'static str,
    pub(crate) id: Uuid,
    pub(crate) entry: &'static CommandEntry,
    pub(crate) body: Value,
}

/// What a decision wants to look at, given what was found so far.
pub(crate) type References<'r> = &'r dyn Fn(Option<&Context>) -> Vec<Reference>;

struct Listed(Vec<Companion>);

impl Companions for Listed {
    fn add<B: Aggregate>(&mut self, id: impl Into<Uuid>, command: B::Command) {
        let (entry, body) = (command.entry(), serde_json::to_value(&command));
        let body = body.unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        self.0.push(Companion { stream: B::Event::STREAM, id: id.into(), entry, body });
    }
}

/// One kind of aggregate.
pub trait Subject: Send + Sync {
    /// Its kind of stream: `crm.client`.
    fn stream(&self) -> &'static str;
    /// Its commands.
    fn commands(&self) -> &'static [CommandEntry];
    /// The JSON Schema of a command's body.
    fn schema(&self, entry: &CommandEntry) -> &Value;
    /// A stream without events.
    fn empty(&self) -> Stream;
    /// What the decision wants to look at, given what was found so far.
    fn references(&self, stream: &Stream, action: &str, body: &str, ctx: Option<&Context>) -> Vec<Reference>;
    /// The types of its events.
    fn event_types(&self) -> Vec<&'static str>;
    /// What a command would come to, and what it would be carried out together with; none if the body is no such command. `make`
    /// gives a context in which is what the decision wants to look at.
    fn prospect(
        &self,
        key: Key,
        stream: &Stream,
        entry: &'static CommandEntry,
        body: &str,
        make: &dyn Fn(References<'_>) -> Context,
    ) -> Option<(Prospect, Vec<Companion>)>;
    /// What it has to be carried out together with, if it is not refused.
    fn companions(&self, stream: &Stream, action: &str, body: &str, ctx: &Context) -> Vec<Companion>;
    /// Decides, applies, and asks the witnesses if `audited`; `make` gives a new context of the same content, or of a
    /// new command. `free` says whether a claim can be had.
    fn attempt(
        &self,
        stream: &mut Stream,
        entry: &'static CommandEntry,
        body: Value,
        make: &dyn Fn(bool) -> Context,
        free: &dyn Fn(&Claim) -> bool,
        audited: bool,
    ) -> Attempt;
}

/// Every aggregate that the registry mounts.
pub fn subjects() -> &'static [Box<dyn Subject>] {
    static SUBJECTS: LazyLock<Vec<Box<dyn Subject>>> = LazyLock::new(|| {
        let mut all = All(vec![]);
        registry::mount_all(&mut all);
        all.0
    });
    &SUBJECTS
}

struct All(Vec<Box<dyn Subject>>);

impl Mounts for All {
    fn mount<A: Aggregate>(&mut self) {
        let entries = A::Command::CATALOGUE.iter();
        let schemas = entries.map(|entry| (entry.name, Value::from((entry.schema)()))).collect();
        self.0.push(Box::new(Of::<A> { schemas, aggregate: PhantomData }));
    }
}

struct Of<A> {
    schemas: HashMap<&'static str, Value>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Of<A> {
    fn state(stream: &Stream) -> &A {
        stream.live.downcast_ref().unwrap_or_else(|| panic!("a stream holds another kind's state"))
    }

    fn decide(state: &A, command: A::Command, ctx: &Context) -> (Decided, Vec<A::Event>) {
        match state.decide(command, ctx) {
            Ok(events) => (Decided::Events(events.iter().map(write::<A>).collect()), events),
            Err(rejection) => (Decided::Refused(rejection.entry().code), vec![]),
        }
    }

    fn replayed(stream: &Stream) -> A {
        let history = History { events: stream.history.clone(), ..History::default() };
        history.fold().unwrap_or_else(|e| panic!("{}: {e}", self::name::<A>()))
    }

    fn restored(stream: &Stream) -> A {
        let history = History { snapshot: Some((stream.version(), stream.snapshot.clone())), ..History::default() };
        history.fold().unwrap_or_else(|e| panic!("{}: {e}", self::name::<A>()))
    }

    /// Takes the events over, and answers the releases in vain.
    fn remember(stream: &mut Stream, events: &[A::Event], held: BTreeSet<Claim>) {
        let state = stream.live.downcast_mut::<A>().unwrap_or_else(|| panic!("a stream holds another kind's state"));
        events.iter().for_each(|event| state.apply(event));
        // Not the live state but the last snapshot goes on here, so that what a snapshot loses stays lost.
        let mut restored: A = serde_json::from_str(&stream.snapshot).unwrap_or_else(|e| panic!("a snapshot: {e}"));
        events.iter().for_each(|event| restored.apply(event));
        stream.snapshot = json(&restored);
        stream.history.extend(events.iter().map(write::<A>).map(|w| Stored {
            event_type: w.event_type.to_owned(),
            event_version: w.version,
            payload: w.payload,
        }));
        stream.held = held;
    }
}

impl<A: Aggregate> Subject for Of<A> {
    fn stream(&self) -> &'static str {
        name::<A>()
    }

    fn commands(&self) -> &'static [CommandEntry] {
        A::Command::CATALOGUE
    }

    fn schema(&self, entry: &CommandEntry) -> &Value {
        &self.schemas[entry.name]
    }

    fn empty(&self) -> Stream {
        let live: Box<dyn Any> = Box::new(A::default());
        Stream { live, snapshot: json(&A::default()), history: vec![], held: BTreeSet::new() }
    }

    fn references(&self, stream: &Stream, action: &str, body: &str, ctx: Option<&Context>) -> Vec<Reference> {
        match (A::Command::parse(action, body), ctx) {
            (Ok(command), None) => Self::state(stream).references(&command),
            (Ok(command), Some(ctx)) => Self::state(stream).further_references(&command, ctx),
            (Err(_), _) => vec![],
        }
    }

    fn event_types(&self) -> Vec<&'static str> {
        A::Event::CATALOGUE.iter().map(|entry| entry.event_type).collect()
    }

    fn prospect(
        &self,
        key: Key,
        stream: &Stream,
        entry: &'static CommandEntry,
        body: &str,
        make: &dyn Fn(References<'_>) -> Context,
    ) -> Option<(Prospect, Vec<Companion>)> {
        let (command, state) = (A::Command::parse(entry.action, body).ok()?, Self::state(stream));
        let ctx = make(&|found| match found {
            None => state.references(&command),
            Some(ctx) => state.further_references(&command, ctx),
        });
        let mut companions = Listed(vec![]);
        state.companions(&command, &ctx, &mut companions);
        let has_companions = !companions.0.is_empty();
        let decided = state.decide(command, &ctx);
        let companions = if decided.is_ok() { companions.0 } else { vec![] };
        let events = decided.unwrap_or_default().iter().map(|event| event.entry().event_type).collect();
        Some((Prospect { key, entry, events, has_companions, brought: vec![] }, companions))
    }

    fn companions(&self, stream: &Stream, action: &str, body: &str, ctx: &Context) -> Vec<Companion> {
        let Ok(command) = A::Command::parse(action, body) else { return vec![] };
        let mut companions = Listed(vec![]);
        Self::state(stream).companions(&command, ctx, &mut companions);
        if Self::state(stream).decide(command, ctx).is_ok() { companions.0 } else { vec![] }
    }

    fn attempt(
        &self,
        stream: &mut Stream,
        entry: &'static CommandEntry,
        body: Value,
        make: &dyn Fn(bool) -> Context,
        free: &dyn Fn(&Claim) -> bool,
        audited: bool,
    ) -> Attempt {
        let mut attempt = Attempt::new(entry, body, &stream.held);
        let command = match A::Command::parse(entry.action, &attempt.body.to_string()) {
            Ok(command) => command,
            Err(error) => {
                attempt.decided = Decided::Unreadable(error);
                return attempt;
            }
        };
        let before = Self::state(stream).clone();
        let ctx = make(false);
        let (decided, events) = Self::decide(&before, command.clone(), &ctx);
        attempt.parts = ctx.parts();
        if audited {
            let again = make(false);
            let mut ask = |name, state: &A, ctx: &Context| {
                attempt.witnesses.push((name, Self::decide(state, command.clone(), ctx).0));
            };
            ask("the same state, asked again", &before, &again);
            again.restart();
            ask("the same state, after a conflict", &before, &again);
            ask("the state of the whole history", &Self::replayed(stream), &make(false));
            ask("the state of a snapshot", &Self::restored(stream), &make(false));
            attempt.misread = events.iter().filter_map(misread::<A>).collect();
        }
        attempt.decided = decided;
        let (changes, held) = hold(&before, &events, stream.held.clone(), &mut attempt.released_in_vain);
        if let Some(claim) = changes.into_iter().find(|claim| !free(claim)) {
            attempt.decided = Decided::Claimed(claim);
            return attempt;
        }
        let mut state = before.clone();
        for event in &events {
            state.apply(event);
            attempt.concerns.extend(state.concerns(ctx.id, event));
        }
        Self::remember(stream, &events, held);
        attempt.held = stream.held.clone();
        if audited {
            let replayed = Self::replayed(stream);
            attempt.states = vec![
                ("live", json(Self::state(stream))),
                ("replayed", json(&replayed)),
                ("restored", json(&Self::restored(stream))),
            ];
            let past: Vec<A::Event> = stream.history.iter().map(read::<A>).collect();
            attempt.held_by_history = hold(&A::default(), &past, BTreeSet::new(), &mut vec![]).1;
            if matches!(attempt.decided, Decided::Events(_)) && !entry.creates {
                attempt.retried = Some(Self::decide(Self::state(stream), command, &make(true)).0);
            }
        }
        attempt
    }
}

impl Attempt {
    fn new(entry: &'static CommandEntry, body: Value, held: &BTreeSet<Claim>) -> Self {
        Self {
            entry,
            body,
            decided: Decided::Events(vec![]),
            concerns: BTreeSet::new(),
            parts: Parts::default(),
            witnesses: vec![],
            retried: None,
            states: vec![],
            held: held.clone(),
            held_by_history: held.clone(),
            released_in_vain: vec![],
            misread: vec![],
            companions: vec![],
        }
    }

    /// Did it change anything?
    pub fn events(&self) -> &[Written] {
        match &self.decided {
            Decided::Events(events) => events,
            _ => &[],
        }
    }
}

/// What the events take, and what is held after them. As in the store, the last word on a claim counts.
fn hold<A: Aggregate>(
    before: &A,
    events: &[A::Event],
    mut held: BTreeSet<Claim>,
    in_vain: &mut Vec<Claim>,
) -> (Vec<Claim>, BTreeSet<Claim>) {
    let (mut state, mut taken) = (before.clone(), vec![]);
    for event in events {
        for change in state.claims(event) {
            match change {
                ClaimChange::Take(claim) => {
                    taken.push(claim.clone());
                    held.insert(claim);
                }
                ClaimChange::Release(claim) => {
                    if !held.remove(&claim) {
                        in_vain.push(claim);
                    }
                }
            }
        }
        state.apply(event);
    }
    taken.retain(|claim| held.contains(claim));
    (taken, held)
}

fn name<A: Aggregate>() -> &'static str {
    <A::Event as kernel::Event>::STREAM
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|e| panic!("a state or an event is no JSON: {e}"))
}

fn write<A: Aggregate>(event: &A::Event) -> Written {
    let entry = event.entry();
    Written { event_type: entry.event_type, version: entry.version, payload: json(event) }
}

fn read<A: Aggregate>(stored: &Stored) -> A::Event {
    let read = kernel::read_event(&stored.event_type, stored.event_version, &stored.payload);
    read.unwrap_or_else(|e| panic!("{}: {e}", stored.payload))
}

/// How an event that was written reads differently, if it does.
fn misread<A: Aggregate>(event: &A::Event) -> Option<String> {
    let Written { event_type, version, payload } = write::<A>(event);
    match kernel::read_event::<A::Event>(event_type, version, &payload) {
        Ok(again) if again == *event => None,
        Ok(again) => Some(format!("{event_type}: {payload} reads as {}", json(&again))),
        Err(error) => Some(format!("{event_type}: {payload}: {error}")),
    }
}
