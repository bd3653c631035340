//! Commands on several streams of one firm that enter the log together or not at all: docs/adr/0033.

use crate::answer::{self, Answer};
use crate::cache::Cached;
use crate::execute::{self, CONFLICTS_MAX, Decided, Draft, Known, claimed, count, pending, reach, target};
use crate::kind::StreamKind;
use crate::load::StreamKey;
use crate::outcome::{UNIT_BYTES_MAX, UNIT_COMMANDS_MAX, UNIT_EVENTS_MAX};
use crate::overlay::{Overlay, Touched};
use crate::pending::{NewEvent, Outcome, StreamChange};
use crate::unit_command::{Decider, UnitCommand, UnitError};
use crate::{ExecuteError, Executed, IdempotencyKey, Request, Store};
use anyhow::anyhow;
use futures::future::BoxFuture;
use kernel::{Aggregate, Parts, TenantId};
use metrics::{counter, histogram};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// How far a command may bring along one that brings along another.
const COMPANIONS_DEPTH_MAX: usize = 4;

/// Commands that are being decided, each on what those before it left, and of which nothing is in the log yet. Whoever does not
/// know them all beforehand adds one after the other; a command that is refused leaves no trace.
pub struct Unit {
    store: Store,
    tenant: TenantId,
    id: Uuid,
    /// Whether nothing is taken from the cache.
    fresh: bool,
    /// Whether what is decided now may exceed the bounds.
    unbounded: bool,
    work: Work,
}

#[derive(Clone, Default)]
struct Work {
    overlay: Overlay,
    events: Vec<NewEvent>,
    bytes: usize,
    /// How many commands have events.
    changing: usize,
    /// Every command, with the place of the one that was asked for and whether it came along with that.
    commands: Vec<(&'static str, usize, bool)>,
    /// One for each command that was asked for.
    answers: Vec<Answer>,
    /// The scopes of claims whose holders were looked at.
    looked_at: Vec<&'static str>,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (commands, events) = (self.work.answers.len(), self.work.events.len());
        f.debug_struct("Unit").field("id", &self.id).field("commands", &commands).field("events", &events).finish()
    }
}

/// What a command of a unit came to, before the unit is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedCommand {
    /// The aggregate.
    pub id: Uuid,
    /// Its version, once the unit is in the log.
    pub version: i64,
    /// A new aggregate will have been started.
    pub created: bool,
    /// The ids of the parts that it makes.
    pub parts: Parts,
}

impl Unit {
    /// An empty one; `id` is what its events say that they belong to. After a conflict it is begun anew, with `fresh`, so that
    /// nothing is decided on what this process remembers.
    pub fn begin(store: &Store, tenant: TenantId, id: Uuid, fresh: bool) -> Self {
        Self { store: store.clone(), tenant, id, fresh, unbounded: false, work: Work::default() }
    }

    /// How many events it has.
    pub fn events(&self) -> usize {
        self.work.events.len()
    }

    /// The aggregate as the commands so far have left it; none if no command was decided on it.
    pub fn state<A: Aggregate>(&self, id: Uuid) -> Option<Arc<A>> {
        self.work.overlay.state(&StreamKind::of::<A>().stream(self.tenant, id))?.downcast().ok()
    }

    /// Decides one more command, on behalf of `request`, whose firm is the unit's and whose key says nothing here.
    ///
    /// # Errors
    /// As [`Store::execute`]; the unit is as it was, and may go on without the command. After [`ExecuteError::Conflict`] it is
    /// decided on what is no longer so, and is to be begun anew.
    pub async fn decide(&mut self, command: &UnitCommand, request: &Request) -> Result<DecidedCommand, ExecuteError> {
        if request.tenant != self.tenant {
            return Err(ExecuteError::Fault(anyhow!("a unit is of one firm")));
        }
        let before = self.events();
        self.unbounded = command.unbounded;
        let mut answer = self.decide_at(command.decider.as_ref(), request, 0).await?;
        if self.events() > before {
            // Whoever has seen this has seen what came along too, also where only that has events.
            answer.at = Ok(self.events() - 1);
        }
        let Answer { id, version, created, parts, .. } = answer.clone();
        self.work.answers.push(answer);
        Ok(DecidedCommand { id, version, created, parts })
    }

    /// Appends all of it, and answers for each command that was asked for; a repeat with the same key gets the same answers.
    ///
    /// # Errors
    /// Then nothing of it is in the log: [`ExecuteError::Conflict`] if it is to be begun anew; what another holds, with the
    /// command that wanted it; and whatever else an append may meet.
    pub async fn append(mut self, key: Option<IdempotencyKey>) -> Result<Vec<Executed>, UnitError> {
        if self.work.events.is_empty() && key.is_none() {
            // As for one command: "already so" is only said on what the log says now.
            self.look_again().await?;
        }
        let Self { store, tenant, id, work, .. } = self;
        let Work { overlay, mut events, changing, commands, answers, looked_at, .. } = work;
        if events.is_empty() && key.is_none() {
            return Ok(answers.into_iter().map(|answer| answer.executed(0)).collect());
        }
        if changing > 1 {
            mark(&mut events, id)?;
        }
        let stored = if key.is_some() { Some(answer::store(&answers, events.len())?) } else { None };
        let Overlay { streams, claims, .. } = overlay;
        let rows = claims.into_rows();
        let wanted: Vec<(&'static str, usize)> = rows.iter().map(|row| (row.claim.scope, row.command)).collect();
        let (pending, answered) =
            pending(tenant, streams.iter().map(Touched::change).collect(), events, rows, key, stored);
        let forget = || streams.iter().for_each(|touched| store.cache().forget(&touched.stream));
        match store.append(pending, answered).await? {
            Outcome::Appended { after } => {
                for touched in streams {
                    touched.keep(&store, after);
                }
                // Whoever asked counts the commands that were asked for.
                commands.iter().filter(|(.., came_along)| *came_along).for_each(|(name, ..)| count(name, "done"));
                Ok(answers.into_iter().map(|answer| answer.executed(after)).collect())
            }
            replayed @ Outcome::Replayed { .. } => Ok(answer::replayed(replayed)?),
            Outcome::KeyReused => Err(ExecuteError::KeyReused.into()),
            Outcome::Conflict => {
                forget();
                Err(ExecuteError::Conflict.into())
            }
            Outcome::Claimed { row, holder } => {
                let (scope, command) = wanted.get(row).copied().unwrap_or_default();
                // Whoever looked at the holder before deciding looks again, and nobody is refused because of what was remembered.
                if looked_at.contains(&scope) || streams.iter().any(|touched| touched.from_cache) {
                    forget();
                    return Err(ExecuteError::Conflict.into());
                }
                let asked = commands.get(command).map_or(command, |(_, asked, _)| *asked);
                Err(UnitError::of(asked, claimed(scope, holder)))
            }
        }
    }

    /// Boxed, because what a command brings along comes through here again.
    fn decide_at<'u>(
        &'u mut self,
        decider: &'u dyn Decider,
        request: &'u Request,
        depth: usize,
    ) -> BoxFuture<'u, Result<Answer, ExecuteError>> {
        Box::pin(self.decide_one(decider, request, depth))
    }

    async fn decide_one(
        &mut self,
        decider: &dyn Decider,
        request: &Request,
        depth: usize,
    ) -> Result<Answer, ExecuteError> {
        let kind = decider.kind();
        let reach = reach(decider.entry().name, request)?;
        let (stream, is_new) = target(decider, request)?;
        let mut known = self.known(kind, stream, is_new).await?;
        loop {
            let decided = self.store.clone();
            let decided = decided.decide(&known, stream, decider, request, &reach, Some(&mut self.work.overlay));
            let answer = match decided.await {
                Ok(decided) => self.take_in(decider, &known, stream, decided, request, depth).await,
                Err(error) => Err(error),
            };
            let error = match answer {
                Ok(answer) => return Ok(answer),
                // A record that is brought along is known to exist, so this is about rights.
                Err(ExecuteError::NotFound) if depth > 0 && known.version > 0 => ExecuteError::Denied,
                Err(error) => error,
            };
            // As for one command: a refusal is only given on what the log says now.
            if !error.is_refusal() {
                return Err(error);
            }
            match self.refresh(kind, stream, &known).await? {
                Some(newer) => known = newer,
                None => return Err(error),
            }
        }
    }

    /// The state to decide on: what the unit left, what this process remembers, or what the log says.
    async fn known(&self, kind: &StreamKind, stream: StreamKey, is_new: bool) -> Result<Known, ExecuteError> {
        if let Some(touched) = self.work.overlay.place(&stream).and_then(|place| self.work.overlay.streams.get(place)) {
            let Touched { version, position, snapshot_version, from_cache, .. } = *touched;
            let (state, subject) = (touched.state.clone(), touched.subject.clone());
            return Ok(Known { state, version, position, snapshot_version, subject, from_cache });
        }
        let known = match is_new {
            // Nobody else knows an id that is made with its command; if the unit met with a conflict, it may be that.
            true if !self.fresh => Known::nothing(kind),
            _ if self.fresh => self.store.load_fresh(kind, stream).await?,
            _ => self.store.load_cached(kind, stream).await?,
        };
        if self.work.overlay.contradicts(&stream, known.version) {
            self.store.cache().forget(&stream);
            return Err(ExecuteError::Conflict);
        }
        Ok(known)
    }

    /// Makes sure that the streams that the unit has touched are where it took them up.
    async fn look_again(&mut self) -> Result<(), ExecuteError> {
        for touched in self.work.overlay.streams.iter_mut().filter(|touched| touched.from_cache) {
            let logged = self.store.history(touched.stream, touched.state_version).await?;
            if logged.history.version != touched.expected {
                self.store.cache().forget(&touched.stream);
                return Err(ExecuteError::Conflict);
            }
            touched.from_cache = false;
        }
        Ok(())
    }

    /// Makes sure that what was decided on is what the log says. Answers a newer state of a stream that the unit has not touched;
    /// none if nothing was remembered.
    async fn refresh(
        &mut self,
        kind: &StreamKind,
        stream: StreamKey,
        known: &Known,
    ) -> Result<Option<Known>, ExecuteError> {
        self.look_again().await?;
        if !known.from_cache || self.work.overlay.place(&stream).is_some() {
            return Ok(None);
        }
        let newer = self.store.load_fresh(kind, stream).await?;
        if self.work.overlay.contradicts(&stream, newer.version) {
            return Err(ExecuteError::Conflict);
        }
        Ok(Some(newer))
    }

    /// Takes in what was decided, behind what has to come with it; if that cannot be, the unit is as it was.
    async fn take_in(
        &mut self,
        decider: &dyn Decider,
        known: &Known,
        stream: StreamKey,
        decided: Decided,
        request: &Request,
        depth: usize,
    ) -> Result<Answer, ExecuteError> {
        if decided.companions.is_empty() {
            return self.write(decider, known, stream, decided, request, depth).await;
        }
        let name = decider.entry().name;
        let before = self.work.clone();
        let taken = async {
            if depth == COMPANIONS_DEPTH_MAX {
                return Err(ExecuteError::Fault(anyhow!("{name}: commands bring each other along")));
            }
            for (index, companion) in decided.companions.iter().enumerate() {
                let brought_by = Some((name, stream.aggregate_id));
                let request = Request { brought_by, ..request.derived("companion", index) };
                self.decide_at(companion.decider.as_ref(), &request, depth + 1).await?;
            }
            let version = self.work.overlay.place(&stream).map(|place| self.work.overlay.streams[place].version);
            if version.is_some_and(|version| version != known.version) {
                return Err(ExecuteError::Fault(anyhow!("{name} brings along a command to its own record")));
            }
            self.write(decider, known, stream, decided, request, depth).await
        };
        let taken = taken.await;
        if taken.is_err() {
            self.work = before;
        }
        taken
    }

    async fn write(
        &mut self,
        decider: &dyn Decider,
        known: &Known,
        stream: StreamKey,
        decided: Decided,
        request: &Request,
        depth: usize,
    ) -> Result<Answer, ExecuteError> {
        let (kind, name) = (decider.kind(), decider.entry().name);
        let Decided { changes, parts, looked_at, .. } = decided;
        let Draft { state, subject, events, wishes, snapshot, key_of_stream } =
            self.store.draft(kind, known, stream, name, changes, request).await?;
        let work = &mut self.work;
        let bytes = events.iter().map(|event| event.payload.len()).sum::<usize>();
        // One command alone may be as large as it likes.
        let is_full = work.events.len() + events.len() > UNIT_EVENTS_MAX || work.bytes + bytes > UNIT_BYTES_MAX;
        let is_full =
            work.commands.len() >= UNIT_COMMANDS_MAX || is_full && !work.events.is_empty() && !events.is_empty();
        if is_full && !self.unbounded {
            return Err(ExecuteError::UnitTooLarge);
        }
        let place = work.overlay.place(&stream).unwrap_or(work.overlay.streams.len());
        let taken = work.overlay.claims.add(place, work.commands.len(), wishes);
        taken.map_err(|(scope, holder)| claimed(scope, work.overlay.id(holder).unwrap_or_default()))?;
        if place == work.overlay.streams.len() {
            work.overlay.streams.push(Touched {
                stream,
                state: known.state.clone(),
                expected: known.version,
                version: known.version,
                position: known.position,
                last_event: None,
                snapshot_version: known.snapshot_version,
                snapshot: None,
                subject: known.subject.clone(),
                key_of_stream: None,
                from_cache: known.from_cache,
                state_version: kind.state_version,
                advance: kind.advance,
            });
        }
        let version = known.version + events.len() as i64;
        work.commands.push((name, work.answers.len(), depth > 0));
        work.looked_at.extend(looked_at);
        work.bytes += bytes;
        work.changing += usize::from(!events.is_empty());
        let is_changed = !events.is_empty();
        work.events.extend(events.into_iter().map(|event| NewEvent { stream: place, ..event }));
        let touched = &mut work.overlay.streams[place];
        if is_changed {
            touched.last_event = Some(work.events.len() - 1);
            touched.state = state;
            touched.version = version;
        }
        touched.subject = subject;
        touched.snapshot = snapshot.or(touched.snapshot.take());
        touched.key_of_stream = key_of_stream.or(touched.key_of_stream.take());
        let at = touched.last_event.ok_or(touched.position);
        Ok(Answer { id: stream.aggregate_id, version, created: known.version == 0, parts, at })
    }
}

impl Touched {
    fn change(&self) -> StreamChange {
        let StreamKey { aggregate_type, aggregate_id, .. } = self.stream;
        let Self { expected, version, position, .. } = *self;
        let (snapshot, key_of_stream) = (self.snapshot.clone(), self.key_of_stream.clone());
        StreamChange { aggregate_type, aggregate_id, expected, version, position, snapshot, key_of_stream }
    }

    /// Remembers the state, now that it is in the log.
    fn keep(self, store: &Store, after: i64) {
        let Self { stream, state, version, subject, advance, .. } = self;
        if let Some(vault) = store.vault().filter(|_| self.key_of_stream.is_some()) {
            vault.keep(stream.tenant, stream.aggregate_id, subject.clone());
        }
        let position = self.last_event.map_or(self.position, |event| after + 1 + event as i64);
        let snapshot_version = self.snapshot.map_or(self.snapshot_version, |snapshot| snapshot.version);
        store.cache().insert(stream, Cached { state, version, position, snapshot_version, subject, advance });
    }
}

/// Writes into every event which unit it is part of.
fn mark(events: &mut [NewEvent], id: Uuid) -> Result<(), ExecuteError> {
    let size = u32::try_from(events.len()).unwrap_or(u32::MAX);
    for (event, index) in events.iter_mut().zip(1..) {
        let unit =
            serde_json::to_string(&kernel::Unit { id, index, size }).map_err(|e| ExecuteError::Fault(e.into()))?;
        // An object with some fields already; its last brace makes room for one more.
        event.metadata.pop();
        event.metadata.push_str(&format!(r#","unit":{unit}}}"#));
    }
    Ok(())
}

impl Store {
    /// Decides these commands one after the other, each on the state and the claims that those before it left, and appends all of
    /// it as one; a conflict on any stream has all of it decided again, at most three times. Answers for each command.
    ///
    /// `request` is everybody's but for what one command alone has: its own id (the first has the request's), and the versions that
    /// it expects. The key is the unit's: a repeat is answered the same for each command.
    ///
    /// # Errors
    /// Nothing is done then. The error says which command was refused.
    pub async fn execute_unit(&self, commands: &[UnitCommand], request: &Request) -> Result<Vec<Executed>, UnitError> {
        let started = Instant::now();
        let result = self.decide_and_append_unit(commands, request).await;
        let counted = |(index, command): (usize, &UnitCommand)| {
            let name = command.entry().name;
            match &result {
                Ok(_) => count(name, "done"),
                // The others did nothing because of one; they are not counted.
                Err(UnitError { command: Some(refused), .. }) if *refused != index => return,
                Err(UnitError { error, .. }) => count(name, error.label()),
            }
            histogram!("command_duration_seconds", "command" => name).record(started.elapsed());
        };
        commands.iter().enumerate().for_each(counted);
        result
    }

    /// The same for one command that brings others along. `execute` counts it.
    pub(crate) async fn execute_with_companions(
        &self,
        command: UnitCommand,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let command = command.expecting(request.expected_versions.clone());
        let executed = self.decide_and_append_unit(&[command], request).await.map_err(|refused| refused.error)?;
        execute::first(executed)
    }

    async fn decide_and_append_unit(
        &self,
        commands: &[UnitCommand],
        request: &Request,
    ) -> Result<Vec<Executed>, UnitError> {
        if self.is_closed() {
            return Err(ExecuteError::Overloaded.into());
        }
        if commands.len() > UNIT_COMMANDS_MAX {
            return Err(ExecuteError::UnitTooLarge.into());
        }
        let mut conflicts = 0;
        loop {
            let refused = match self.try_unit(commands, request, conflicts > 0).await {
                Ok(executed) => return Ok(executed),
                Err(refused) => refused,
            };
            if matches!(refused.error, ExecuteError::Conflict) {
                counter!("append_conflicts_total").increment(1);
                conflicts += 1;
                if conflicts > CONFLICTS_MAX {
                    return Err(refused);
                }
                continue;
            }
            // As for one command: a repeat is never refused what was done.
            return match &request.idempotency {
                Some(key) if refused.error.is_refusal() => self.answer_of(request.tenant, key).await?.ok_or(refused),
                _ => Err(refused),
            };
        }
    }

    async fn try_unit(
        &self,
        commands: &[UnitCommand],
        request: &Request,
        fresh: bool,
    ) -> Result<Vec<Executed>, UnitError> {
        let mut unit = Unit::begin(self, request.tenant, request.command_id, fresh);
        for (index, command) in commands.iter().enumerate() {
            let expected_versions = command.expected_versions.clone();
            let request = Request { expected_versions, ..request.of_unit(index, command.entry()) };
            unit.decide(command, &request).await.map_err(|error| UnitError::of(index, error))?;
        }
        unit.append(request.idempotency.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_says_which_unit_it_is_part_of() {
        let event = || NewEvent {
            stream: 0,
            sequence: 1,
            event_id: Uuid::nil(),
            event_type: "client.created",
            event_version: 2,
            payload: String::new(),
            metadata: serde_json::to_string(&kernel::Metadata {
                actor: kernel::Actor::System { name: "}".into() },
                correlation_id: Uuid::nil(),
                causation_id: None,
                command: "crm.client.create".into(),
                traceparent: None,
                concerns: vec![],
                unit: None,
            })
            .unwrap(),
        };
        let mut events = [event(), event()];
        mark(&mut events, Uuid::from_u128(7)).unwrap();
        let read = events.map(|event| serde_json::from_str::<kernel::Metadata>(&event.metadata).unwrap().unit);
        let unit = |index| Some(kernel::Unit { id: Uuid::from_u128(7), index, size: 2 });
        assert_eq!(read, [unit(1), unit(2)]);
    }
}
