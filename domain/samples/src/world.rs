//! A log in memory with everything that the store keeps beside it.

use crate::extreme;
use crate::generate::{Generator, rng};
use crate::subject::{Attempt, Companion, Decided, Prospect, References, Sought, Subject, Written, subjects};
use crate::{Script, context_of};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    Actor, Claim, CommandEntry, Context, FoundReference, History, Metadata, PortalUserId, Recorded, Reference,
    ReferenceBy, SecretHash, Stored, TenantId, UserId,
};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng as _, rngs::StdRng};
use serde_json::value::RawValue;
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use uuid::Uuid;

/// A stream: its tenant, its kind and its id.
pub type Key = (TenantId, &'static str, Uuid);

/// Streams of one kind of which something can be had that a tenant has before creating another becomes rare.
const STREAMS: usize = 2;
/// How often nothing may be had of a stream until it counts no more: most stories end.
const FUTILE: u32 = 3;
/// Commands that are thought of until one does something.
const GUESSES: usize = 16;
/// Streams, and guesses for each, while something in particular is sought: what one cannot do another perhaps can.
const TARGETS: usize = 4;
const SOUGHT: usize = 16;
/// What ends a thing's story is said less often, so that there is one.
const ENDINGS: &[&str] = &[
    "abort_upload",
    "archive",
    "block",
    "cancel",
    "close",
    "compensate",
    "complete",
    "correct",
    "deactivate",
    "decline",
    "delete",
    "disable",
    "disband",
    "expire",
    "discard",
    "mark_no_show",
    "pause",
    "refund",
    "reject",
    "dismiss",
    "remove",
    "expire_upload",
    "note_infected",
    "reject_upload",
    "retire",
    "reverse",
    "revoke",
    "supersede",
    "terminate",
    "void",
    "withdraw",
    "write_off",
];

/// What most of a thing's story needs and a guess seldom meets, because it has to name the one right thing.
const BEGINNINGS: &[&str] = &[
    "accept_invitation",
    "accept_upload",
    "approve",
    "code",
    "establish",
    "issue",
    "request_approval",
    "submit_for_approval",
    "submit_item",
];

/// Whose events come of commands to others alone, and to whom those are.
const BRINGS: &[(&str, &[&str])] = &[
    ("revenue.invoice", &["revenue.invoice_plan", "revenue.invoice_series"]),
    ("revenue.payment", &["revenue.invoice"]),
    ("revenue.credit_note", &["revenue.invoice", "revenue.invoice_series"]),
];

/// What can only begin, or go on, when others are there that its commands do not name by id.
const NEEDS: &[(&str, &[&str])] = &[
    ("revenue.payment", &["revenue.invoice"]),
    (
        "revenue.invoice",
        &["revenue.billing_settings", "revenue.billing_profile", "revenue.tax_rate", "revenue.invoice_series"],
    ),
];

/// One aggregate.
pub struct Stream {
    pub(crate) live: Box<dyn Any>,
    /// The state as JSON text; it goes on from its own text after every command.
    pub(crate) snapshot: String,
    pub(crate) history: Vec<Stored>,
    pub(crate) held: BTreeSet<Claim>,
}

impl Stream {
    pub(crate) fn version(&self) -> i64 {
        i64::try_from(self.history.len()).unwrap_or(i64::MAX)
    }

    /// Every id that the state mentions.
    fn ids(&self) -> Vec<Uuid> {
        self.snapshot.split('"').filter_map(|text| text.parse().ok()).collect()
    }
}

/// Two firms, their streams and the log.
pub struct World {
    streams: BTreeMap<Key, Stream>,
    claims: BTreeMap<(TenantId, Claim), Key>,
    log: Vec<Recorded<Box<RawValue>>>,
    /// What references found, with how many events that was folded of: most of what is thought of looks at the same.
    folded: RefCell<BTreeMap<Key, (usize, FoundReference)>>,
    /// How often nothing was thought of for a stream since anything happened to it.
    futile: BTreeMap<Key, u32>,
    now: DateTime<Utc>,
    audited: bool,
}

/// The commands that did something in a world, which are not sought in it any more.
#[derive(Debug, Default)]
pub struct Explored(BTreeSet<&'static str>);

impl Sought for Explored {
    fn is_event(&self, _: &str) -> bool {
        false
    }

    fn is_command(&self, entry: &CommandEntry) -> bool {
        !self.0.contains(entry.name)
    }

    fn is(&self, Prospect { entry, events, .. }: &Prospect) -> bool {
        !events.is_empty() && self.is_command(entry)
    }
}

/// What could be said next to a stream.
struct Thought {
    entry: &'static CommandEntry,
    actor: Actor,
    body: serde_json::Value,
    command_id: Uuid,
    does_something: bool,
    /// It is what was sought.
    is_found: bool,
}

/// A reference, as a context gets it.
type Found = (&'static str, String, Option<FoundReference>);

impl Default for World {
    fn default() -> Self {
        let now = kernel::spec::spec_time().utc();
        Self {
            streams: BTreeMap::new(),
            claims: BTreeMap::new(),
            log: vec![],
            folded: RefCell::default(),
            futile: BTreeMap::new(),
            now,
            audited: false,
        }
    }
}

impl World {
    /// A world in which every attempt is also put to the witnesses.
    pub fn audited() -> Self {
        Self { audited: true, ..Self::default() }
    }

    /// The log that a script leads to.
    pub fn log_of(script: &Script) -> Vec<Recorded<Box<RawValue>>> {
        let (mut world, mut explored) = (Self::default(), Explored::default());
        for step in &script.steps {
            if script.explores {
                world.explore(script.focus, *step, &mut explored);
            } else {
                world.step(script.focus, *step);
            }
        }
        world.log
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Everything that happened, in order.
    pub fn log(&self) -> &[Recorded<Box<RawValue>>] {
        &self.log
    }

    /// The stream's events.
    pub fn history(&self, key: &Key) -> &[Stored] {
        self.streams.get(key).map_or(&[], |stream| &stream.history)
    }

    /// The ids of a tenant's streams of a kind, `client` for `crm.client`.
    pub(crate) fn ids(&self, tenant: TenantId, kind: &str) -> Vec<Uuid> {
        let of_kind = |stream: &str| stream.rsplit('.').next() == Some(kind);
        self.streams.keys().filter(|(t, stream, _)| *t == tenant && of_kind(stream)).map(|(.., id)| *id).collect()
    }

    /// The values of a kind that somebody of the tenant claims.
    pub(crate) fn held(&self, tenant: TenantId, scope: &str) -> Vec<&str> {
        let of_kind = self.claims.keys().filter(|(of, claim)| *of == tenant && claim.scope == scope);
        of_kind.map(|(_, claim)| claim.value.as_str()).collect()
    }

    /// Makes a command of the number, and sends it.
    pub fn step(&mut self, focus: Option<&str>, number: u64) -> (Key, Attempt) {
        self.play(focus, number, None)
    }

    /// The same, but thinks longer, of what is sought, and of streams that can do it. So what is rarely possible, or rarely
    /// guessed, is done when it is possible; and if it is not, anything that may make it so.
    pub fn seek(&mut self, focus: Option<&str>, number: u64, sought: &dyn Sought) -> (Key, Attempt) {
        self.play(focus, number, Some(sought))
    }

    /// The same, and what is sought is what was not done yet.
    pub fn explore(&mut self, focus: Option<&str>, number: u64, explored: &mut Explored) -> (Key, Attempt) {
        let (key, attempt) = self.seek(focus, number, explored);
        let done = attempt.companions.iter().map(|(_, attempt)| attempt).chain([&attempt]);
        explored.0.extend(done.filter(|attempt| !attempt.events().is_empty()).map(|attempt| attempt.entry.name));
        (key, attempt)
    }

    fn play(&mut self, focus: Option<&str>, number: u64, sought: Option<&dyn Sought>) -> (Key, Attempt) {
        let mut rng = rng(number);
        self.now += pause(&mut rng);
        let mut thought: Option<(&dyn Subject, Key, Thought)> = None;
        for _ in 0..if sought.is_some() { TARGETS } else { 1 } {
            let subject = subject(&mut rng, focus, sought);
            let sought = sought.filter(|sought| can(subject, *sought));
            let key = self.target(&mut rng, subject);
            let of_target = self.think(&mut rng, subject, key, sought);
            let is_found = of_target.is_found;
            if !is_found && (sought.is_some() || !of_target.does_something) {
                *self.futile.entry(key).or_default() += 1;
            }
            if is_found || thought.as_ref().is_none_or(|(.., before)| !before.does_something) {
                thought = Some((subject, key, of_target));
            }
            if is_found {
                break;
            }
        }
        let (subject, key, thought) = thought.unwrap_or_else(|| panic!("nothing is thought of"));
        let mut stream = self.streams.remove(&key).unwrap_or_else(|| subject.empty());
        let actor = thought.actor.clone();
        let (mut attempt, companions) = self.send(subject, key, &mut stream, thought);
        if stream.version() > 0 {
            self.streams.insert(key, stream);
        }
        self.bring_along(key, &actor, companions, &mut attempt);
        self.record(key, &attempt, &actor);
        (key, attempt)
    }

    /// What a stream can have: what nobody holds, itself, or whoever is told to give it up.
    fn free<'w>(&'w self, key: Key, companions: &'w [Companion]) -> impl Fn(&Claim) -> bool + use<'w> {
        let gives = move |holder: &Key| companions.iter().any(|other| (key.0, other.stream, other.id) == *holder);
        move |claim| self.claims.get(&(key.0, claim.clone())).is_none_or(|holder| *holder == key || gives(holder))
    }

    /// Carries out what belongs to an attempt, unless that was refused.
    fn bring_along(&mut self, key: Key, actor: &Actor, companions: Vec<Companion>, attempt: &mut Attempt) {
        if !matches!(attempt.decided, Decided::Events(_)) {
            return;
        }
        let attempt_name = attempt.entry.name;
        for Companion { stream, id, entry, body } in companions {
            let (other, text) = ((key.0, stream, id), body.to_string());
            let subject = subjects().iter().find(|subject| subject.stream() == stream);
            let subject = subject.unwrap_or_else(|| panic!("{stream} is not mounted")).as_ref();
            let mut known = self.streams.remove(&other).unwrap_or_else(|| panic!("{stream} {id} is not there"));
            let references = |found: Option<&Context>| subject.references(&known, entry.action, &text, found);
            let make = self.contexts(other, actor, Uuid::from_u128(!id.as_u128()), &references);
            let make = move |retry| {
                let mut ctx = make(retry);
                ctx.brought_by = Some((attempt_name, key.2));
                ctx
            };
            let free = self.free(other, &[]);
            let brought = subject.attempt(&mut known, entry, body, &make, &free, self.audited);
            drop((make, free));
            let done = &brought.decided;
            assert!(
                matches!(done, Decided::Events(_)),
                "{} brings along {}, which is {done:?}",
                attempt.entry.name,
                entry.name
            );
            self.streams.insert(other, known);
            self.record(other, &brought, actor);
            attempt.companions.push((other, brought));
        }
    }

    /// Makes a command of the number, and sends it with every extreme in one of its places, one after the other. Answers the
    /// place, as a JSON Pointer, and what came of each. Places of `done`, each with its command, come last.
    pub fn strain(
        &mut self,
        focus: Option<&str>,
        number: u64,
        done: &BTreeSet<(&'static str, String)>,
    ) -> Option<(String, Vec<(Key, Attempt)>)> {
        self.strain_some(focus, number, done, false)
    }

    /// The same, unless every field of whatever can be said now is done.
    pub fn strain_new(
        &mut self,
        focus: Option<&str>,
        number: u64,
        done: &BTreeSet<(&'static str, String)>,
    ) -> Option<(String, Vec<(Key, Attempt)>)> {
        self.strain_some(focus, number, done, true)
    }

    fn strain_some(
        &mut self,
        focus: Option<&str>,
        number: u64,
        done: &BTreeSet<(&'static str, String)>,
        only_new: bool,
    ) -> Option<(String, Vec<(Key, Attempt)>)> {
        let mut rng = rng(number);
        self.now += pause(&mut rng);
        let is_new = |entry: &CommandEntry, place: &str| !done.contains(&(entry.name, place.to_owned()));
        let fields = |subject: &dyn Subject, entry: &CommandEntry| {
            let fields = subject.schema(entry)["properties"].as_object();
            fields.into_iter().flatten().map(|(name, _)| format!("/{name}")).collect::<Vec<_>>()
        };
        let (mut new, mut guess) = (vec![], None);
        for _ in 0..TARGETS * SOUGHT {
            let subject = subject(&mut rng, focus, None);
            let key = self.target(&mut rng, subject);
            let creates = !self.streams.contains_key(&key);
            let entries: Vec<_> = subject.commands().iter().filter(|entry| entry.creates == creates).collect();
            new = entries.clone();
            new.retain(|entry| fields(subject, entry).iter().any(|field| is_new(entry, field)));
            guess = Some((subject, key, creates, entries));
            if !new.is_empty() {
                break;
            }
        }
        let (subject, key, creates, entries) = guess.filter(|_| !only_new || !new.is_empty())?;
        let own = self.streams.get(&key).map(Stream::ids).unwrap_or_default();
        let entry = new.choose(&mut rng).or_else(|| entries.choose(&mut rng)).copied()?;
        let (actor, command) = (actor(&mut rng), rng.random::<u128>());
        let mut generator = Generator { rng, world: self, target: key, own, parts: parts(subject) };
        let body = generator.value(subject.schema(entry), "", 0);
        let mut rng = generator.rng;
        let places = extreme::places(&body);
        let new: Vec<_> = places.iter().filter(|place| is_new(entry, place)).collect();
        let place = new.choose(&mut rng).copied().or_else(|| places.choose(&mut rng)).cloned()?;
        let mut attempts = vec![];
        for (n, body) in (0u128..).zip(extreme::bodies(&body, &place)) {
            // What creates needs a stream that is not there yet; a firm has one of its own.
            let id = if creates && key.2 != key.0.0 { Uuid::from_u128(command ^ (n << 64)) } else { key.2 };
            let key = (key.0, key.1, id);
            let mut stream = self.streams.remove(&key).unwrap_or_else(|| subject.empty());
            let text = body.to_string();
            let references = |found: Option<&Context>| subject.references(&stream, entry.action, &text, found);
            let make = self.contexts(key, &actor, Uuid::from_u128(command.wrapping_add(n)), &references);
            let companions = subject.companions(&stream, entry.action, &text, &make(false));
            let free = self.free(key, &companions);
            let mut attempt = subject.attempt(&mut stream, entry, body, &make, &free, false);
            drop((make, free));
            if stream.version() > 0 {
                self.streams.insert(key, stream);
            }
            self.bring_along(key, &actor, companions, &mut attempt);
            self.record(key, &attempt, &actor);
            attempts.push((key, attempt));
        }
        Some((place, attempts))
    }

    /// Thinks of somebody and something to say.
    fn think(&self, rng: &mut StdRng, subject: &dyn Subject, key: Key, sought: Option<&dyn Sought>) -> Thought {
        let fresh;
        let stream = match self.streams.get(&key) {
            Some(stream) => stream,
            None => {
                fresh = subject.empty();
                &fresh
            }
        };
        let command_id = Uuid::from_u128(rng.random());
        let creates = stream.version() == 0;
        let mut entries: Vec<_> = subject.commands().iter().filter(|entry| entry.creates == creates).collect();
        let own = if creates { vec![] } else { [stream.ids(), vec![key.2]].concat() };
        // Most commands shall do something, and some shall be what they are.
        let guesses = match sought {
            Some(_) => SOUGHT,
            None if rng.random_ratio(1, 4) => 1,
            None => GUESSES,
        };
        let mut generator =
            Generator { rng: StdRng::from_rng(rng), world: self, target: key, own, parts: parts(subject) };
        let (mut best, mut is_good) = (None, false);
        for guess in 1..=guesses {
            if guess == 2 && sought.is_none() && entries.iter().any(|entry| !ENDINGS.contains(&entry.action)) {
                // An ending is hardly ever refused, so it would be what most guesses come to.
                entries.retain(|entry| !ENDINGS.contains(&entry.action));
            }
            let promising = sought.filter(|_| guess % 2 == 0).and_then(|sought| {
                let promising: Vec<_> = entries.iter().copied().filter(|entry| sought.is_command(entry)).collect();
                promising.choose(&mut generator.rng).copied()
            });
            let entry = promising.unwrap_or_else(|| choose(&entries, &mut generator.rng));
            let actor = actor(&mut generator.rng);
            let body = generator.value(subject.schema(entry), "", 0);
            let text = body.to_string();
            let make = |references: References<'_>| self.contexts(key, &actor, command_id, references)(false);
            let prospect = subject.prospect(key, stream, entry, &text, &make);
            let prospect = prospect.map(|(prospect, companions)| {
                let brought = companions.iter().map(|other| self.brought(key, entry, other, &actor)).collect();
                Prospect { brought, ..prospect }
            });
            // What the schema allows and is not read is to be seen too.
            let does_something = prospect.as_ref().is_none_or(|prospect| prospect.all_events().next().is_some());
            let is_sought = |sought: &dyn Sought| prospect.as_ref().is_none_or(|prospect| sought.is(prospect));
            let is_it = does_something && sought.is_none_or(is_sought);
            if is_it || !is_good {
                let is_found = is_it && sought.is_some();
                best = Some(Thought { entry, actor, body, command_id, does_something, is_found });
                is_good = does_something && (guess == 1 || !ENDINGS.contains(&entry.action));
            }
            if is_it {
                break;
            }
        }
        best.unwrap_or_else(|| panic!("nobody guesses at {}", subject.stream()))
    }

    /// Sends what was thought of.
    fn send(
        &self,
        subject: &dyn Subject,
        key: Key,
        stream: &mut Stream,
        thought: Thought,
    ) -> (Attempt, Vec<Companion>) {
        let Thought { entry, actor, body, command_id, .. } = thought;
        let text = body.to_string();
        let references = |found: Option<&Context>| subject.references(stream, entry.action, &text, found);
        let make = self.contexts(key, &actor, command_id, &references);
        let companions = subject.companions(stream, entry.action, &text, &make(false));
        let free = self.free(key, &companions);
        let attempt = subject.attempt(stream, entry, body, &make, &free, self.audited);
        drop((make, free));
        (attempt, companions)
    }

    /// The types of the events that a companion would have.
    fn brought(&self, key: Key, by: &CommandEntry, other: &Companion, actor: &Actor) -> (Key, Vec<&'static str>) {
        let Companion { stream, id, entry, body } = other;
        let (other, text) = ((key.0, *stream, *id), body.to_string());
        let subject = subjects().iter().find(|subject| subject.stream() == *stream);
        let Some((subject, known)) = subject.zip(self.streams.get(&other)) else { return (other, vec![]) };
        let make = |references: References<'_>| {
            let mut ctx = self.contexts(other, actor, Uuid::nil(), references)(false);
            ctx.brought_by = Some((by.name, key.2));
            ctx
        };
        let prospect = subject.prospect(other, known, entry, &text, &make);
        (other, prospect.map(|(prospect, _)| prospect.events).unwrap_or_default())
    }

    /// Makes contexts for a command, with everything that its decision wants to look at: always the same, or the ones of
    /// a retry.
    fn contexts<'w>(
        &'w self,
        key: Key,
        actor: &'w Actor,
        command_id: Uuid,
        references: References<'_>,
    ) -> impl Fn(bool) -> Context + use<'w> {
        let (tenant, _, id) = key;
        let context = move |seed: Uuid| {
            let mut ctx = Context::new(tenant, actor.clone(), self.now, id, seed);
            ctx.secret = Some(SecretHash::of(&seed.to_string()));
            ctx
        };
        let mut found = self.look_up(tenant, references(None));
        let mut first = context(command_id);
        found.iter().cloned().for_each(|(stream, key, found)| first.insert_reference(stream, key, found));
        found.extend(self.look_up(tenant, references(Some(&first))));
        move |retry| {
            // A retry is a command of its own: it has its own id, and draws its own ids from it.
            let mut ctx = context(if retry { Uuid::from_u128(!command_id.as_u128()) } else { command_id });
            found.iter().cloned().for_each(|(stream, key, found)| ctx.insert_reference(stream, key, found));
            ctx
        }
    }

    fn look_up(&self, tenant: TenantId, references: Vec<Reference>) -> Vec<Found> {
        let found = |reference: Reference| {
            let id = match &reference.by {
                ReferenceBy::Id(id) => Some(*id),
                ReferenceBy::Claim(claim) => self.claims.get(&(tenant, claim.clone())).map(|(.., id)| *id),
            };
            (reference.stream, reference.key(), id.and_then(|id| self.fold((tenant, reference.stream, id), &reference)))
        };
        references.into_iter().map(found).collect()
    }

    /// What the history of a stream comes to, if it is there.
    fn fold(&self, key: Key, reference: &Reference) -> Option<FoundReference> {
        let stream = self.streams.get(&key)?;
        let mut folded = self.folded.borrow_mut();
        if let Some((version, found)) = folded.get(&key)
            && *version == stream.history.len()
        {
            return Some(found.clone());
        }
        let history = History { events: stream.history.clone(), ..History::default() };
        let state = (reference.fold)(&history).unwrap_or_else(|e| panic!("{}: {e}", reference.stream));
        let found = (key.2, state);
        folded.insert(key, (stream.history.len(), found.clone()));
        Some(found)
    }

    /// Whom the command goes to.
    fn target(&self, rng: &mut StdRng, subject: &dyn Subject) -> Key {
        let tenant = TenantId(Uuid::from_u128(rng.random_range(1..=2)));
        match subject.stream() {
            // The firm itself is one stream, under its own id.
            "identity.tenant" => return (tenant, "identity.tenant", tenant.0),
            // The users are who acts.
            "identity.user" => return (tenant, "identity.user", Uuid::from_u128(rng.random_range(1..=3))),
            _ => {}
        }
        let there: Vec<Uuid> =
            self.streams.keys().filter(|k| k.0 == tenant && k.1 == subject.stream()).map(|k| k.2).collect();
        let stream = subject.stream();
        let is_alive = |id: &&Uuid| self.futile.get(&(tenant, stream, **id)).is_none_or(|times| *times < FUTILE);
        let alive: Vec<Uuid> = there.iter().filter(is_alive).copied().collect();
        let create = if alive.len() < STREAMS { 0.25 } else { 0.06 };
        let (pick, fresh) = (rng.random::<u128>(), rng.random_bool(create));
        let some = if !alive.is_empty() && rng.random_bool(0.75) { alive } else { there };
        match some.choose(rng) {
            Some(id) if !fresh => (tenant, subject.stream(), *id),
            _ => (tenant, subject.stream(), self.fresh_id(rng, tenant, pick)),
        }
    }

    /// Ids are unique within a tenant only, so now and then another tenant's is used again.
    fn fresh_id(&self, rng: &mut StdRng, tenant: TenantId, random: u128) -> Uuid {
        let mine: BTreeSet<Uuid> = self.streams.keys().filter(|k| k.0 == tenant).map(|k| k.2).collect();
        let theirs: Vec<Uuid> =
            self.streams.keys().filter(|k| k.0 != tenant && !mine.contains(&k.2)).map(|k| k.2).collect();
        let millis = u64::try_from(self.now.timestamp_millis()).unwrap_or(0);
        let mut tail = [0; 10];
        tail.copy_from_slice(&random.to_be_bytes()[..10]);
        let fresh = uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid();
        if rng.random_bool(0.1) { theirs.choose(rng).copied().unwrap_or(fresh) } else { fresh }
    }

    fn record(&mut self, key: Key, attempt: &Attempt, actor: &Actor) {
        let (tenant_id, aggregate_type, aggregate_id) = key;
        self.claims
            .retain(|(tenant, claim), holder| (*tenant, *holder) != (tenant_id, key) || attempt.held.contains(claim));
        self.claims.extend(attempt.held.iter().map(|claim| ((tenant_id, claim.clone()), key)));
        if !attempt.events().is_empty() {
            self.futile.remove(&key);
        }
        let version = self.history(&key).len() - attempt.events().len();
        for (index, Written { event_type, version: event_version, payload }) in (1..).zip(attempt.events()) {
            let position = i64::try_from(self.log.len()).unwrap_or(i64::MAX) + 1;
            let metadata = Metadata {
                actor: actor.clone(),
                correlation_id: Uuid::from_u128(position.unsigned_abs().into()),
                causation_id: None,
                command: attempt.entry.name.to_owned(),
                traceparent: None,
                concerns: attempt.concerns.iter().copied().collect(),
                unit: None,
            };
            self.log.push(Recorded {
                position,
                event_id: Uuid::from_u128(u128::MAX - u128::from(position.unsigned_abs())),
                tenant_id,
                domain: context_of(aggregate_type).to_owned(),
                aggregate_type: aggregate_type.to_owned(),
                aggregate_id,
                sequence: i64::try_from(version + index).unwrap_or(i64::MAX),
                event_type: (*event_type).to_owned(),
                event_version: *event_version,
                payload: RawValue::from_string(payload.clone()).unwrap_or_else(|e| panic!("{payload}: {e}")),
                metadata,
                recorded_at: self.now,
            });
        }
    }
}

/// Fields that name parts of such a stream.
fn parts(subject: &dyn Subject) -> Vec<&'static str> {
    subject.commands().iter().flat_map(|entry| entry.makes).map(|part| part.name).collect()
}

/// Can such a stream do what is sought, by itself or by what it brings along?
fn can(subject: &dyn Subject, sought: &dyn Sought) -> bool {
    let brought = BRINGS.iter().filter(|(stream, _)| *stream == subject.stream()).flat_map(|(_, others)| *others);
    let others = brought.filter_map(|other| subjects().iter().find(|subject| subject.stream() == *other));
    subject.commands().iter().any(|entry| sought.is_command(entry))
        || subject.event_types().iter().any(|event_type| sought.is_event(event_type))
        || others.flat_map(|other| other.event_types()).any(|event_type| sought.is_event(event_type))
}

/// What a kind of stream needs, directly or not: what its commands name, and what is said above.
fn needs(stream: &str) -> &'static BTreeSet<&'static str> {
    static ALL: LazyLock<BTreeMap<&'static str, BTreeSet<&'static str>>> = LazyLock::new(|| {
        let mut all: BTreeMap<_, BTreeSet<_>> =
            subjects().iter().map(|subject| (subject.stream(), named_by(subject.as_ref()))).collect();
        for (stream, others) in NEEDS {
            all.entry(*stream).or_default().extend(others.iter().copied());
        }
        // As often as there are links in the longest chain.
        for _ in 0..4 {
            let before = all.clone();
            let further = |needed: &mut BTreeSet<&'static str>| {
                let more: Vec<_> = needed.iter().filter_map(|other| before.get(other)).flatten().copied().collect();
                needed.extend(more);
            };
            all.values_mut().for_each(further);
        }
        all
    });
    static NOTHING: BTreeSet<&str> = BTreeSet::new();
    ALL.get(stream).unwrap_or(&NOTHING)
}

/// Kinds of streams of its context whose ids its commands name.
fn named_by(subject: &dyn Subject) -> BTreeSet<&'static str> {
    let context = context_of(subject.stream());
    let fields = |entry| subject.schema(entry)["properties"].as_object().into_iter().flat_map(|fields| fields.keys());
    let kinds = subject.commands().iter().flat_map(fields).filter_map(|field| field.strip_suffix("_id"));
    let streams = kinds.filter_map(|kind| {
        let stream = format!("{context}.{kind}");
        subjects().iter().map(|other| other.stream()).find(|other| *other == stream)
    });
    streams.filter(|other| *other != subject.stream()).collect()
}

fn subject(rng: &mut StdRng, focus: Option<&str>, sought: Option<&dyn Sought>) -> &'static dyn Subject {
    let wanted = |subject: &&dyn Subject| focus.is_none_or(|context| context_of(subject.stream()) == context);
    let all: Vec<&'static dyn Subject> = subjects().iter().map(AsRef::as_ref).filter(wanted).collect();
    let able = |sought| all.iter().filter(move |subject| can(**subject, sought)).map(|able| able.stream());
    let able: Vec<&str> = sought.map(able).into_iter().flatten().collect();
    let needed = |stream: &str| able.iter().any(|able| needs(able).contains(stream));
    // Most of what happens in a firm is about who is in it. Of what others need, that has the longest story of which the most can be
    // said: an invoice goes a long way to its credit note, and a tax rate is there at once.
    let weight = |subject: &&dyn Subject| match subject.stream() {
        stream if able.contains(&stream) => 30,
        stream if needed(stream) => subject.commands().len().max(2),
        "identity.tenant" | "identity.user" => 5,
        _ if focus.is_some() => 2,
        _ => 5,
    };
    let chosen = all.choose_weighted(rng, weight);
    chosen.copied().unwrap_or_else(|e| panic!("no aggregate belongs to {focus:?}: {e}"))
}

fn choose(entries: &[&'static CommandEntry], rng: &mut StdRng) -> &'static CommandEntry {
    let weight = |entry: &&CommandEntry| match entry.action {
        action if ENDINGS.contains(&action) => 1,
        action if BEGINNINGS.contains(&action) => 40,
        // Only of use when something stands still or is over, and then nearly all that is.
        "rerun_from" => 10,
        _ => 3,
    };
    entries.choose_weighted(rng, weight).unwrap_or_else(|e| panic!("no command to choose from: {e}"))
}

/// Mostly moments, sometimes days.
fn pause(rng: &mut StdRng) -> TimeDelta {
    let days = if rng.random_ratio(1, 20) { rng.random_range(0..40 * 86_400_000_000) } else { 0 };
    TimeDelta::microseconds(days + rng.random_range(1..600_000_000))
}

fn actor(rng: &mut StdRng) -> Actor {
    match rng.random_range(0..7) {
        6 => Actor::PortalUser { id: PortalUserId(Uuid::from_u128(rng.random_range(1..=3))) },
        0 => Actor::Workflow { run_id: Uuid::from_u128(rng.random()), definition: "Sample".to_owned() },
        1 | 2 => Actor::System { name: "samples".to_owned() },
        _ => Actor::User { id: UserId(Uuid::from_u128(rng.random_range(1..=3))) },
    }
}
