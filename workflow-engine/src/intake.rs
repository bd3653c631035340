//! Reads the log in order and notes what it means for runs: which start, which go on, what they wait for.
//!
//! What a batch of events leads to is written in one transaction with the checkpoint. Whoever moves the checkpoint first
//! wins, so any number of processes may read along; the others read again from where it stands then.

use crate::bounds::{Admitted, Bounds, Incident};
use crate::crew::Crew;
use crate::document::{CancelOn, Document};
use crate::expression::{ExpressionError, compile, evaluate, holds, kind};
use crate::references::is_of_trigger;
use crate::schedules;
use crate::scope::{Scope, causing_run, event_value, trigger_of, trigger_value};
use crate::tasks::{Correlated, Noted, Start, Task, interval, wake, wake_cancelled};
use crate::waits::{self, Beginning, Past, Waiting};
use anyhow::{Context as _, Result};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use crash_points::Point;
use event_store::{ExecuteError, RawEvent};
use kernel::{Aggregate as _, DefinitionId, Name};
use messaging::Events;
use metrics::{counter, gauge};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow::{Run, Shared, StepPath};
use workflow_events::{DefinitionEvent, RunEvent, Trigger};

/// Events of one transaction.
const BATCH: usize = 500;
/// How long an intake stands by after another one was faster.
const STANDBY: Duration = Duration::from_millis(50);

/// A published definition.
#[derive(Debug, Clone)]
struct Known {
    id: Uuid,
    name: Name,
    version: u32,
    hash: String,
    trigger_event_type: String,
    document: Shared<Value>,
    /// None if this program cannot read it.
    parsed: Option<Arc<Document>>,
    active: bool,
}

/// What is stored of the log so far.
#[derive(Debug, Default)]
struct Kept {
    position: i64,
    definitions: HashMap<(Uuid, Uuid), Known>,
    /// The definitions that an event of a tenant may trigger.
    by_trigger: HashMap<Uuid, HashMap<String, Vec<Uuid>>>,
    /// The definitions whose runs an event of a tenant may have taken back after their end.
    by_cancel: HashMap<Uuid, HashMap<String, Vec<Uuid>>>,
    /// Whether any run may wait for an event.
    has_waits: bool,
    /// The conditions under which a run is cancelled that refer to what its steps gave.
    of_steps: HashMap<(Uuid, Uuid), Vec<Waiting>>,
}

impl Kept {
    fn put(&mut self, tenant: Uuid, known: Known) {
        let (id, event_type) = (known.id, known.trigger_event_type.clone());
        if let Some(before) = self.definitions.insert((tenant, id), known)
            && let Some(ids) = self.by_trigger.get_mut(&tenant).and_then(|t| t.get_mut(&before.trigger_event_type))
        {
            ids.retain(|other| *other != id);
            for ids in self.by_cancel.get_mut(&tenant).into_iter().flat_map(HashMap::values_mut) {
                ids.retain(|other| *other != id);
            }
        }
        for event_type in cancels_later(&self.definitions[&(tenant, id)]) {
            self.by_cancel.entry(tenant).or_default().entry(event_type).or_default().push(id);
        }
        self.by_trigger.entry(tenant).or_default().entry(event_type).or_default().push(id);
    }

    fn triggered_by(&self, event: &RawEvent) -> impl Iterator<Item = &Known> {
        let tenant = event.tenant_id.0;
        let ids = self.by_trigger.get(&tenant).and_then(|by_type| by_type.get(&event.event_type));
        let known = ids.into_iter().flatten().filter_map(move |id| self.definitions.get(&(tenant, *id)));
        known.filter(|known| known.active)
    }
}

/// The kinds of event that have a run's effects taken back after its end: about what the trigger is about, so that the run is
/// found without being remembered.
fn cancels_later(known: &Known) -> Vec<String> {
    let Some(document) = known.parsed.as_deref().filter(|document| document.compensates()) else { return vec![] };
    let same = |cancel: &&CancelOn| compile(&cancel.matching).is_ok_and(|compiled| is_of_trigger(compiled.tree()));
    let mut kinds: Vec<String> = document.cancel_on.iter().filter(same).map(|on| on.event_type.clone()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// What a batch of events leads to, in order.
#[derive(Default)]
struct Found {
    starts: Vec<(Uuid, Uuid, Start)>,
    writes: Vec<Write>,
    /// Runs that have ended.
    ended: Vec<(Uuid, Uuid)>,
    /// What runs wait for.
    waiting: Vec<Waiting>,
    /// What has come true, and is still to be taken from what is kept.
    met: Vec<(Uuid, Uuid, StepPath, String)>,
}

/// A change of the engine's tables that is too rare for a way of its own.
enum Write {
    Definition {
        tenant: Uuid,
        id: Uuid,
    },
    Flags {
        tenant: Uuid,
        id: Uuid,
        event: DefinitionEvent,
    },
    Keep {
        wait: Waiting,
        reason: Option<String>,
    },
    Matched {
        wait: Waiting,
        event: Value,
    },
    Wake {
        tenant: Uuid,
        run: Uuid,
    },
    /// An event about what the run's trigger is about, which its definition says to cancel on.
    Cancel {
        tenant: Uuid,
        run: Uuid,
        position: i64,
    },
}

impl Write {
    /// The run that it makes due.
    fn wakes(&self) -> Option<(Uuid, Uuid)> {
        match self {
            Write::Wake { tenant, run } | Write::Cancel { tenant, run, .. } => Some((*tenant, *run)),
            Write::Definition { .. } | Write::Flags { .. } | Write::Keep { .. } | Write::Matched { .. } => None,
        }
    }
}

pub(crate) struct Intake {
    pub pool: PgPool,
    pub events: Arc<dyn Events>,
    pub crew: Crew,
    pub past: Past,
    pub bounds: Bounds,
    pub stopping: CancellationToken,
}

impl Intake {
    /// Until it is stopped; what it stores then is stored to the end, so that it leaves no lease behind.
    pub async fn run(self) {
        let mut pause = Duration::from_millis(100);
        while !self.stopping.is_cancelled() {
            if let Err(error) = self.follow(&mut pause).await {
                tracing::warn!(error = format!("{error:#}"), "the intake could not go on, trying again");
            }
            self.rest(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Reads from the stored checkpoint on, until it is stopped or something fails.
    async fn follow(&self, pause: &mut Duration) -> Result<()> {
        let mut kept = self.resume().await?;
        loop {
            let events = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return Ok(()),
                events = self.events.read(kept.position, BATCH) => events.context("reading events")?,
            };
            let Some(last) = events.last().map(|event| event.position) else { continue };
            match self.take_in(last, &events, &mut kept).await? {
                true => {
                    kept.position = last;
                    gauge!("workflow_intake_position").set(last as f64);
                }
                false => {
                    // Another process was faster, and will be again: both reading everything is of no use.
                    self.rest(STANDBY).await;
                    kept = self.resume().await?;
                }
            }
            *pause = Duration::from_millis(100);
        }
    }

    /// The checkpoint, and the definitions as they were there.
    async fn resume(&self) -> Result<Kept> {
        let mut tx = event_store::begin(&self.pool).await.context("opening a transaction")?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let position = sqlx::query_scalar("select position from engine.checkpoint where name = 'intake'");
        let position: i64 = position.fetch_one(&mut *tx).await?;
        let has_waits = sqlx::query_scalar("select exists (select from engine.waits)").fetch_one(&mut *tx).await?;
        type Row = (Uuid, Uuid, String, i32, String, String, Value, bool);
        let of_steps = waits::of_steps(&mut tx).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "select tenant_id, definition_id, name, version, hash, trigger_event_type, document,
                    not paused and not retired from engine.definitions",
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut kept = Kept { position, has_waits, ..Kept::default() };
        for wait in of_steps {
            kept.of_steps.entry((wait.tenant, wait.run)).or_default().push(wait);
        }
        for (tenant, id, name, version, hash, trigger_event_type, document, active) in rows {
            let Ok(name) = name.parse::<Name>() else {
                tracing::error!(definition = %id, "a stored definition has no name that can be read");
                continue;
            };
            let version = u32::try_from(version)?;
            let parsed = parse(&name, &document);
            let document = document.into();
            kept.put(tenant, Known { id, name, version, hash, trigger_event_type, document, parsed, active });
        }
        Ok(kept)
    }

    /// Stores what the events lead to, if the checkpoint still stands where we think.
    async fn take_in(&self, to: i64, events: &[Arc<RawEvent>], kept: &mut Kept) -> Result<bool> {
        let mut found = Found::default();
        if kept.has_waits {
            // Waits change with the checkpoint only: if it moves from where we think, they were these.
            found.waiting = waits::of_events(&self.pool, events).await.context("reading what runs wait for")?;
        }
        // A failure makes the caller resume from what is stored; what a single event is at fault for passes it by.
        for event in events {
            let taken = match event.aggregate_type.as_str() {
                "workflow.definition" => guarded(event, || definition(event, kept, &mut found)),
                "workflow.run" => self.run_event(event, kept, &mut found).await,
                _ => {
                    guarded(event, || trigger(event, kept, &self.bounds, &mut found))?;
                    match self.cancel_later(event, kept, &mut found).await {
                        Ok(()) => self.resolve(event, kept, &mut found).await,
                        Err(error) => Err(error),
                    }
                }
            };
            if let Err(error) = taken {
                pass_by(event, error)?;
            }
        }
        kept.has_waits |= found.writes.iter().any(|write| matches!(write, Write::Keep { .. }));
        self.store(to, found, kept).await
    }

    /// Stores what was found and moves the checkpoint. Runs that there is room for are set to work meanwhile.
    async fn store(&self, to: i64, found: Found, kept: &Kept) -> Result<bool> {
        let Found { starts, mut writes, ended, .. } = found;
        // Runs are woken last, and in the order in which they are let go of: neither waits for the other while it is waited for.
        writes.sort_by_key(Write::wakes);
        let tasks = &self.crew.worker().tasks;
        let (mut tenants, mut runs, mut held, mut texts) = (vec![], vec![], vec![], vec![]);
        let mut at_work = HashMap::new();
        for (tenant, run, start) in starts {
            tenants.push(tenant);
            runs.push(run);
            texts.push(serde_json::to_string(&start)?);
            let room = if at_work.contains_key(&run) { None } else { self.crew.room_for_new() };
            held.push(room.is_some());
            if let Some(room) = room {
                let (say, noted) = oneshot::channel();
                at_work.insert(run, say);
                let task =
                    Task { tenant, run, due_at: Utc::now(), wakes: 0, start: Some(start), cancel_position: None };
                self.crew.work(task, room, Some(noted));
            }
        }
        let left = held.iter().any(|held| !held);
        let wakes = writes.iter().any(|write| write.wakes().is_some());
        let note = || {
            let sql = "select run_id, is_new from engine.note($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            let note = sqlx::query_as(sql);
            note.bind(kept.position)
                .bind(to)
                .bind(tasks.me)
                .bind(interval(tasks.lease))
                .bind(&tenants)
                .bind(&runs)
                .bind(&held)
                .bind(&texts)
                .bind(ended.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>())
                .bind(ended.iter().map(|(_, run)| *run).collect::<Vec<_>>())
        };
        let moved = |noted: &[(Option<Uuid>, bool)]| !matches!(noted, [(None, _)]);
        let noted: Vec<(Option<Uuid>, bool)> = if writes.is_empty() {
            note().fetch_all(&self.pool).await.context("noting runs")?
        } else {
            let mut tx = event_store::begin(&self.pool).await.context("opening a transaction")?;
            let noted = note().fetch_all(&mut *tx).await.context("noting runs")?;
            if moved(&noted) {
                for write in writes {
                    // What a run waited for before it ended within the same batch is of no use any more.
                    let late = matches!(&write, Write::Keep { wait, .. } if ended.contains(&(wait.tenant, wait.run)));
                    if !late {
                        store(&mut tx, write, kept).await?;
                    }
                }
                crash_points::reach(Point::IntakeNoted);
                tx.commit().await.context("committing the intake")?;
            }
            noted
        };
        crash_points::reach(Point::IntakeCommitted);
        // Whoever is not told lets the run alone.
        for (run, is_new) in &noted {
            if let Some(say) = run.and_then(|run| at_work.remove(&run)) {
                let noted = if *is_new { Noted::New } else { Noted::Known };
                say.send(noted).unwrap_or_default();
            }
        }
        if left || wakes {
            tasks.woken.notify_one();
        }
        Ok(moved(&noted))
    }

    async fn run_event(&self, event: &RawEvent, kept: &mut Kept, found: &mut Found) -> Result<()> {
        let (tenant, run) = (event.tenant_id.0, event.aggregate_id);
        // Most of what happens to runs concerns nobody but their workers, and need not be read.
        match event.event_type.as_str() {
            "step.waiting" | "approval.granted" | "approval.rejected" | "approval.delegated" => {}
            "run.resumed" | "run.rerun" | "run.moved" | "run.signal_received" => {}
            "run.cancelled" | "run.compensation_started" | "run.compensated" | "run.succeeded" => {}
            "step.succeeded" | "step.failed" | "step.skipped" if kept.of_steps.contains_key(&(tenant, run)) => {}
            _ => return Ok(()),
        }
        let Some(AnyEvent::Run(happened)) = read(event) else { return Ok(()) };
        match &happened {
            RunEvent::StepWaiting { step, wait, .. } if !wait.events.is_empty() => {
                let until = wait.deadline.as_ref().map(|deadline| DateTime::from(deadline.at));
                let waits = wait.events.iter().map(|awaited| Waiting {
                    tenant,
                    run,
                    step: step.clone(),
                    name: awaited.name.clone(),
                    event_type: awaited.event_type.clone(),
                    matching: awaited.matching.clone(),
                    aggregate_id: None,
                    after: 0,
                    until,
                    of_steps: false,
                });
                self.begin_waiting(event.position, step, waits.collect(), found).await?;
            }
            RunEvent::ApprovalGranted { .. }
            | RunEvent::ApprovalRejected { .. }
            | RunEvent::ApprovalDelegated { .. }
            | RunEvent::SignalReceived { .. }
            | RunEvent::Moved { .. }
            | RunEvent::Rerun { .. }
            | RunEvent::CompensationStarted { .. }
            | RunEvent::Resumed { .. } => found.writes.push(Write::Wake { tenant, run }),
            RunEvent::Cancelled { .. } | RunEvent::Compensated {} | RunEvent::Succeeded {} => {
                let status = match happened {
                    RunEvent::Succeeded {} => "succeeded",
                    RunEvent::Compensated {} => "compensated",
                    _ => "cancelled",
                };
                counter!("workflow_runs_total", "status" => status).increment(1);
                found.ended.push((tenant, run));
                found.waiting.retain(|wait| (wait.tenant, wait.run) != (tenant, run));
                kept.of_steps.remove(&(tenant, run));
                if status == "cancelled" {
                    found.writes.push(Write::Wake { tenant, run });
                }
            }
            RunEvent::StepSucceeded { step, .. }
            | RunEvent::StepFailed { step, .. }
            | RunEvent::StepSkipped { step, .. } => self.hold_again(event, step, kept, found).await?,
            _ => {}
        }
        Ok(())
    }

    /// A step waits: for what came since its wait began, or for what is still to come. Of several things that came, the first
    /// counts.
    async fn begin_waiting(&self, at: i64, step: &StepPath, waits: Vec<Waiting>, found: &mut Found) -> Result<()> {
        let Some((tenant, id)) = waits.first().map(|wait| (wait.tenant, wait.run)) else { return Ok(()) };
        let events = self.past.events(tenant, id, at).await?;
        let begins = Beginning::of(&events, step);
        let mut run = Run::default();
        events.iter().for_each(|(_, event)| run.apply(event));
        let scope = Scope::of_run(id, &run, step);
        let mut came: Option<(i64, Waiting, Value)> = None;
        for wait in waits {
            let wait = Waiting { after: begins.after, ..wait.informed(&scope) };
            let event = self.past.look_back(&wait, begins.from, at, &run).await?;
            found.keep(wait.clone(), None);
            if let Some(event) = event {
                let position = event["position"].as_i64().unwrap_or(i64::MAX);
                if came.as_ref().is_none_or(|(first, ..)| position < *first) {
                    came = Some((position, wait, event));
                }
            }
        }
        if let Some((_, wait, event)) = came {
            found.met(wait, event);
        }
        Ok(())
    }

    /// A step has ended that a run's conditions refer to: they are held against everything since the trigger once more.
    async fn hold_again(&self, event: &RawEvent, step: &StepPath, kept: &mut Kept, found: &mut Found) -> Result<()> {
        let run = (event.tenant_id.0, event.aggregate_id);
        let Some(waits) = kept.of_steps.get_mut(&run) else { return Ok(()) };
        let Some(first) = waits.first() else { return Ok(()) };
        let Some(state) = self.past.run(first, event.position, &found.starts).await? else { return Ok(()) };
        let place = state.order.iter().position(|path| path == step).unwrap_or(usize::MAX);
        for wait in waits.iter_mut().filter(|wait| wait.is_about(step.id(), place)) {
            *wait = wait.clone().informed(&Scope::of_run(wait.run, &state, &wait.step));
            let met = self.past.look_back(wait, None, event.position, &state).await?;
            found.waiting.retain(|other| other.key() != wait.key());
            found.keep(wait.clone(), None);
            if let Some(event) = met {
                found.met(wait.clone(), event);
            }
        }
        found.forget_met(kept);
        Ok(())
    }

    /// The runs that the same aggregate started, if an event about it has what they did taken back: also when they have ended.
    async fn cancel_later(&self, event: &RawEvent, kept: &Kept, found: &mut Found) -> Result<()> {
        let tenant = event.tenant_id.0;
        let ids = kept.by_cancel.get(&tenant).and_then(|by_type| by_type.get(&event.event_type));
        for id in ids.into_iter().flatten() {
            let Some(known) = kept.definitions.get(&(tenant, *id)) else { continue };
            let (kind, aggregate) = (&known.trigger_event_type, event.aggregate_id);
            let triggers = self.past.of_aggregate(tenant, kind, aggregate, event.position).await;
            for trigger in triggers.context("looking for what started runs")? {
                let run = Uuid::new_v5(id, trigger.as_bytes());
                found.writes.push(Write::Cancel { tenant, run, position: event.position });
            }
        }
        Ok(())
    }

    async fn resolve(&self, event: &RawEvent, kept: &mut Kept, found: &mut Found) -> Result<()> {
        let (mut index, mut value) = (0, None);
        while let Some(wait) = found.waiting.get(index) {
            let met = match wait.concerns(event) {
                true => {
                    let value = value.get_or_insert_with(|| event_value(event));
                    let run = self.past.run(wait, event.position, &found.starts).await;
                    run.map(|run| run.is_some_and(|run| wait.is_met_by(&run, value)))
                }
                false => Ok(false),
            };
            // The others that wait for the event are asked all the same.
            let met = met.or_else(|error| pass_by(event, error).map(|()| false))?;
            match (met, &value) {
                (true, Some(value)) => {
                    let (wait, value) = (wait.clone(), value.clone());
                    // With it go the others that its step waited for, also those before it.
                    index -= found.waiting[..index].iter().filter(|other| wait.is_over_with(other)).count();
                    found.met(wait, value);
                }
                _ => index += 1,
            }
        }
        found.forget_met(kept);
        Ok(())
    }
}

impl Found {
    fn keep(&mut self, wait: Waiting, reason: Option<String>) {
        self.waiting.push(wait.clone());
        self.writes.push(Write::Keep { wait, reason });
    }

    /// An event has met the condition, so that it waits no more.
    fn met(&mut self, wait: Waiting, event: Value) {
        let (tenant, run) = (wait.tenant, wait.run);
        self.waiting.retain(|other| !wait.is_over_with(other));
        self.met.push(wait.key());
        self.writes.push(Write::Matched { wait, event });
        self.writes.push(Write::Wake { tenant, run });
    }

    fn forget_met(&mut self, kept: &mut Kept) {
        for (tenant, run, step, name) in self.met.drain(..) {
            if let Some(waits) = kept.of_steps.get_mut(&(tenant, run)) {
                waits.retain(|wait| (&wait.step, &wait.name) != (&step, &name));
                if waits.is_empty() {
                    kept.of_steps.remove(&(tenant, run));
                }
            }
        }
    }
}

/// The runs that an event starts, and under what they are cancelled: every event after this one is held against that, however
/// soon it comes.
fn trigger(event: &RawEvent, kept: &mut Kept, bounds: &Bounds, found: &mut Found) {
    let (mut of_steps, mut started) = (vec![], 0);
    for known in kept.triggered_by(event) {
        let Some(document) = &known.parsed else { continue };
        let trigger = trigger_of(event);
        let mut incident = None;
        if let Some(condition) = &document.trigger.condition {
            match holds(condition, &Scope::of([("event", trigger_value(&trigger))])) {
                Ok(true) => {}
                Ok(false) => continue,
                // Neither yes nor no: an operator shall see it, so the run starts and stands still.
                Err(error) => incident = Some(Incident::new("condition_failed", error.message)),
            }
        }
        started += 1;
        match bounds.of_event(event.tenant_id.0, trigger.correlation_id, started) {
            Admitted::Yes => {}
            Admitted::Parked(too_many) => incident = Some(too_many),
            Admitted::No => continue,
        }
        let (tenant, run) = (event.tenant_id.0, Uuid::new_v5(&known.id, event.event_id.as_bytes()));
        let correlation = match correlated(document, &trigger) {
            Ok(correlation) => correlation,
            Err(error) => {
                incident = Some(Incident::new("correlation_failed", error.message));
                None
            }
        };
        let start = Start {
            definition_id: DefinitionId(known.id),
            definition: known.name.clone(),
            definition_version: known.version,
            definition_hash: known.hash.clone(),
            document: known.document.clone(),
            steps: document.steps(),
            compensates: document.compensates(),
            trigger,
            caused_by: causing_run(event),
            correlation,
            parent: None,
            incident,
        };
        let begun = (!document.cancel_on.is_empty()).then(|| start.run(0));
        let scope = begun.as_ref().map(|begun| Scope::of_run(run, begun, &StepPath::default()));
        for (scope, (index, cancel)) in
            scope.iter().flat_map(|scope| (1..).zip(&document.cancel_on).map(move |c| (scope, c)))
        {
            let given = cancel.reason.as_ref().map(ToString::to_string);
            let reason = given.unwrap_or_else(|| format!("{} came", cancel.event_type));
            let wait = Waiting {
                tenant,
                run,
                step: StepPath::default(),
                name: format!("cancel_{index}"),
                event_type: cancel.event_type.clone(),
                matching: Some(cancel.matching.clone()),
                aggregate_id: None,
                after: event.position,
                until: None,
                of_steps: false,
            };
            let wait = wait.informed(scope);
            if wait.of_steps {
                of_steps.push(wait.clone());
            }
            found.keep(wait, Some(reason));
        }
        found.starts.push((tenant, run, start));
    }
    for wait in of_steps {
        kept.of_steps.entry((wait.tenant, wait.run)).or_default().push(wait);
    }
}

/// What a run that this starts is for.
pub(crate) fn correlated(document: &Document, trigger: &Trigger) -> Result<Option<Correlated>, ExpressionError> {
    let Some(correlation) = &document.correlation else { return Ok(None) };
    match evaluate(&correlation.key, &Scope::of([("event", trigger_value(trigger))]))? {
        Value::String(key) => Ok(Some(Correlated { key, policy: correlation.policy })),
        other => {
            let message = format!("the correlation key is {}, not a text", kind(&other));
            Err(ExpressionError::new("correlation_failed", message))
        }
    }
}

fn parse(name: &Name, document: &Value) -> Option<Arc<Document>> {
    let parsed = Document::read(document).map(Arc::new);
    parsed
        .map_err(|error| {
            counter!("workflow_unreadable_definitions_total").increment(1);
            tracing::error!(definition = %name, error = %error, "a stored definition cannot be read");
        })
        .ok()
}

/// A panic over one event is no reason to stop for everybody else.
fn guarded(event: &RawEvent, work: impl FnOnce()) -> Result<()> {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        counter!("workflow_unreadable_events_total").increment(1);
        tracing::error!(
            position = event.position,
            event = event.event_type,
            "an event cannot be taken in, passing it by"
        );
    }
    Ok(())
}

/// A run that cannot be loaded concerns its firm alone: the event is passed by, and says so. Any other failure is the
/// log's or the database's, and is tried again.
fn pass_by(event: &RawEvent, error: anyhow::Error) -> Result<()> {
    if !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(ExecuteError::Fault(_)))) {
        return Err(error);
    }
    counter!("workflow_unreadable_events_total").increment(1);
    tracing::error!(
        position = event.position,
        tenant = %event.tenant_id,
        error = format!("{error:#}"),
        "a run cannot be loaded, passing the event by"
    );
    Ok(())
}

fn read(event: &RawEvent) -> Option<AnyEvent> {
    let payload = event.payload.get();
    let read = AnyEvent::read(&event.aggregate_type, &event.event_type, event.event_version, payload);
    read.map_err(|error| {
        counter!("workflow_unreadable_events_total").increment(1);
        tracing::error!(position = event.position, error = %error, "an event of workflows cannot be read");
    })
    .ok()
}

fn definition(event: &RawEvent, kept: &mut Kept, found: &mut Found) {
    let Some(AnyEvent::Definition(happened)) = read(event) else { return };
    let (tenant, id) = (event.tenant_id.0, event.aggregate_id);
    match happened {
        DefinitionEvent::Published { version, hash, name, trigger_event_type, document, .. } => {
            // A new version of a paused definition stays paused.
            let active = kept.definitions.get(&(tenant, id)).is_none_or(|known| known.active);
            let parsed = parse(&name, &document);
            let document = document.into();
            kept.put(tenant, Known { id, name, version, hash, trigger_event_type, document, parsed, active });
            found.writes.push(Write::Definition { tenant, id });
        }
        event => {
            if let Some(known) = kept.definitions.get_mut(&(tenant, id)) {
                known.active = matches!(event, DefinitionEvent::Resumed {});
            }
            found.writes.push(Write::Flags { tenant, id, event });
        }
    }
}

async fn store(tx: &mut Transaction<'_, Postgres>, write: Write, kept: &Kept) -> Result<()> {
    match write {
        Write::Definition { tenant, id } => {
            let Some(known) = kept.definitions.get(&(tenant, id)) else { return Ok(()) };
            let sql = "insert into engine.definitions as d
                           (tenant_id, definition_id, name, version, hash, trigger_event_type, document)
                       values ($1, $2, $3, $4, $5, $6, $7)
                       on conflict (tenant_id, definition_id) do update
                       set version = excluded.version, hash = excluded.hash, document = excluded.document,
                           trigger_event_type = excluded.trigger_event_type";
            let stored = sqlx::query(sql)
                .bind(tenant)
                .bind(id)
                .bind(known.name.as_str())
                .bind(i32::try_from(known.version).unwrap_or(i32::MAX))
                .bind(&known.hash)
                .bind(&known.trigger_event_type)
                .bind(&*known.document);
            stored.execute(&mut **tx).await.context("keeping a definition")?;
            let schedule = known.parsed.as_deref().and_then(|document| document.trigger.schedule.as_ref());
            schedules::keep(tx, tenant, id, schedule).await.context("keeping a schedule")?;
        }
        Write::Flags { tenant, id, event } => {
            let sql = match event {
                DefinitionEvent::Published { .. } => return Ok(()),
                DefinitionEvent::Paused { .. } => {
                    "update engine.definitions set paused = true where tenant_id = $1 and definition_id = $2"
                }
                DefinitionEvent::Resumed {} => {
                    "update engine.definitions set paused = false where tenant_id = $1 and definition_id = $2"
                }
                DefinitionEvent::Retired { .. } => {
                    "update engine.definitions set retired = true where tenant_id = $1 and definition_id = $2"
                }
            };
            let flagged = sqlx::query(sql).bind(tenant).bind(id).execute(&mut **tx).await;
            flagged.context("pausing or resuming a definition")?;
        }
        Write::Keep { wait, reason } => waits::keep(tx, &wait, reason.as_deref()).await?,
        Write::Matched { wait, event } => waits::matched(tx, &wait, event).await?,
        Write::Wake { tenant, run } => wake(tx, tenant, run).await.context("waking a run")?,
        Write::Cancel { tenant, run, position } => {
            wake_cancelled(tx, tenant, run, position).await.context("waking a run that is cancelled")?;
        }
    }
    Ok(())
}
