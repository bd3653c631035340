//! Reads the log in order and notes what it means for runs: which start, which go on, what they wait for.
//!
//! What a batch of events leads to is written in one transaction with the checkpoint. Whoever moves the checkpoint first
//! wins, so any number of processes may read along; the others read again from where it stands then.

use crate::crew::Crew;
use crate::document::Document;
use crate::engine::Events;
use crate::expression::{compile, evaluate_tree, holds};
use crate::references::equal_to_aggregate;
use crate::scope::{Scope, causing_run, trigger_of, trigger_value};
use crate::tasks::{Noted, Start, Task, interval, wake};
use anyhow::{Context as _, Result};
use catalogue::AnyEvent;
use chrono::Utc;
use crash_points::Point;
use event_store::{ExecuteError, RawEvent};
use kernel::{Aggregate as _, DefinitionId, Name};
use metrics::{counter, gauge};
use serde::Deserialize as _;
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_domain::{Run, Shared};
use workflow_events::{DefinitionEvent, RunEvent};

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

/// A condition that an event may meet.
#[derive(Debug, Clone)]
struct Waiting {
    tenant: Uuid,
    run: Uuid,
    action_index: i32,
    event_type: String,
    matching: Option<String>,
    /// The only aggregate whose events can meet the condition, if that is known.
    aggregate_id: Option<Uuid>,
}

/// What is stored of the log so far.
#[derive(Debug, Default)]
struct Kept {
    position: i64,
    definitions: HashMap<(Uuid, Uuid), Known>,
    /// The definitions that an event of a tenant may trigger.
    by_trigger: HashMap<Uuid, HashMap<String, Vec<Uuid>>>,
    /// Whether any run may wait for an event.
    has_waits: bool,
}

impl Kept {
    fn put(&mut self, tenant: Uuid, known: Known) {
        let (id, event_type) = (known.id, known.trigger_event_type.clone());
        if let Some(before) = self.definitions.insert((tenant, id), known)
            && let Some(ids) = self.by_trigger.get_mut(&tenant).and_then(|t| t.get_mut(&before.trigger_event_type))
        {
            ids.retain(|other| *other != id);
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

/// What a batch of events leads to, in order.
#[derive(Default)]
struct Found {
    starts: Vec<(Uuid, Uuid, Start)>,
    writes: Vec<Write>,
    /// Runs that have ended.
    ended: Vec<(Uuid, Uuid)>,
    /// What runs wait for.
    waiting: Vec<Waiting>,
}

/// A change of the engine's tables that is too rare for a way of its own.
enum Write {
    Definition { tenant: Uuid, id: Uuid },
    Flags { tenant: Uuid, id: Uuid, event: DefinitionEvent },
    Keep { wait: Waiting, reason: Option<String> },
    Matched { wait: Waiting, event: Value },
    Wake { tenant: Uuid, run: Uuid },
}

pub(crate) struct Intake {
    pub pool: PgPool,
    pub events: Arc<dyn Events>,
    pub crew: Crew,
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
        let rows: Vec<Row> = sqlx::query_as(
            "select tenant_id, definition_id, name, version, hash, trigger_event_type, document,
                    not paused and not retired from engine.definitions",
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut kept = Kept { position, has_waits, ..Kept::default() };
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
            found.waiting = waits(&self.pool, events).await.context("reading what runs wait for")?;
        }
        // A failure makes the caller resume from what is stored; what a single event is at fault for passes it by.
        for event in events {
            let taken = match event.aggregate_type.as_str() {
                "workflow.definition" => guarded(event, || definition(event, kept, &mut found)),
                "workflow.run" => self.run_event(event, &mut found).await,
                _ => {
                    guarded(event, || trigger(event, kept, &mut found))?;
                    self.resolve(event, &mut found).await
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
        let Found { starts, writes, ended, .. } = found;
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
                let task = Task { tenant, run, due_at: Utc::now(), wakes: 0, start: Some(start) };
                self.crew.work(task, room, Some(noted));
            }
        }
        let left = held.iter().any(|held| !held);
        let wakes = writes.iter().any(|write| matches!(write, Write::Wake { .. }));
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

    async fn run_event(&self, event: &RawEvent, found: &mut Found) -> Result<()> {
        let (tenant, run) = (event.tenant_id.0, event.aggregate_id);
        // Most of what happens to runs concerns nobody but their workers, and need not be read.
        match event.event_type.as_str() {
            "run.started" if event.payload.get().contains("\"cancel_on\"") => {}
            "step.waiting" | "run.resumed" | "run.cancelled" | "run.succeeded" => {}
            _ => return Ok(()),
        }
        let Some(AnyEvent::Run(happened)) = read(event) else { return Ok(()) };
        match &happened {
            RunEvent::Started { document, .. } => {
                let mut state = Run::default();
                state.apply(&happened);
                let scope = Scope::of_run(run, &state);
                let cancel_on = Document::deserialize(document).map(|d| d.cancel_on);
                for (index, cancel) in (1..).zip(cancel_on.unwrap_or_default()) {
                    let reason = cancel.reason.map_or_else(|| format!("{} came", cancel.event_type), |r| r.to_string());
                    let aggregate_id = only_aggregate(&cancel.matching, &scope);
                    let (event_type, matching) = (cancel.event_type, Some(cancel.matching));
                    let wait = Waiting { tenant, run, action_index: -index, event_type, matching, aggregate_id };
                    found.keep(wait, Some(reason));
                }
            }
            RunEvent::StepWaiting { action_index, event_type: Some(event_type), matching, .. } => {
                let loaded = self.crew.worker().bus.store().load::<Run>(event.tenant_id, run).await;
                let (state, _) = loaded.context("loading a run")?;
                let scope = Scope::of_run(run, &state);
                let aggregate_id = matching.as_deref().and_then(|matching| only_aggregate(matching, &scope));
                let action_index = i32::try_from(*action_index).unwrap_or(i32::MAX);
                let (event_type, matching) = (event_type.clone(), matching.clone());
                found.keep(Waiting { tenant, run, action_index, event_type, matching, aggregate_id }, None);
            }
            RunEvent::Resumed { .. } => found.writes.push(Write::Wake { tenant, run }),
            RunEvent::Cancelled { .. } | RunEvent::Succeeded {} => {
                let status = if matches!(happened, RunEvent::Succeeded {}) { "succeeded" } else { "cancelled" };
                counter!("workflow_runs_total", "status" => status).increment(1);
                found.ended.push((tenant, run));
                found.waiting.retain(|wait| (wait.tenant, wait.run) != (tenant, run));
                if status == "cancelled" {
                    found.writes.push(Write::Wake { tenant, run });
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn resolve(&self, event: &RawEvent, found: &mut Found) -> Result<()> {
        let mut index = 0;
        while let Some(wait) = found.waiting.get(index) {
            let concerns = wait.tenant == event.tenant_id.0
                && wait.event_type == event.event_type
                && wait.aggregate_id.is_none_or(|only| only == event.aggregate_id);
            let value = if concerns { crate::worker::event_value(event) } else { Value::Null };
            let worker = self.crew.worker();
            let meets = match concerns {
                true => worker.meets(wait.tenant, wait.run, wait.matching.as_deref(), &value).await,
                false => Ok(false),
            };
            // The others that wait for the event are asked all the same.
            let meets = meets.or_else(|error| pass_by(event, error).map(|()| false))?;
            if !meets {
                index += 1;
                continue;
            }
            let wait = found.waiting.swap_remove(index);
            let (tenant, run) = (wait.tenant, wait.run);
            found.writes.push(Write::Matched { wait, event: value });
            found.writes.push(Write::Wake { tenant, run });
        }
        Ok(())
    }
}

impl Found {
    fn keep(&mut self, wait: Waiting, reason: Option<String>) {
        self.waiting.push(wait.clone());
        self.writes.push(Write::Keep { wait, reason });
    }
}

/// The runs that an event starts.
fn trigger(event: &RawEvent, kept: &Kept, found: &mut Found) {
    for known in kept.triggered_by(event) {
        let Some(document) = &known.parsed else { continue };
        let trigger = trigger_of(event);
        let mut condition_error = None;
        if let Some(condition) = &document.trigger.condition {
            match holds(condition, &Scope::of([("event", trigger_value(&trigger))])) {
                Ok(true) => {}
                Ok(false) => continue,
                // Neither yes nor no: an operator shall see it, so the run starts and stands still.
                Err(error) => condition_error = Some(error.message),
            }
        }
        let run_id = Uuid::new_v5(&known.id, event.event_id.as_bytes());
        let start = Start {
            definition_id: DefinitionId(known.id),
            definition: known.name.clone(),
            definition_version: known.version,
            definition_hash: known.hash.clone(),
            document: known.document.clone(),
            steps: document.step_ids(),
            trigger,
            caused_by: causing_run(event),
            condition_error,
        };
        found.starts.push((event.tenant_id.0, run_id, start));
    }
}

fn parse(name: &Name, document: &Value) -> Option<Arc<Document>> {
    let parsed = Document::deserialize(document).map(Arc::new);
    parsed
        .map_err(|error| {
            counter!("workflow_unreadable_definitions_total").increment(1);
            tracing::error!(definition = %name, error = %error, "a stored definition cannot be read");
        })
        .ok()
}

type WaitRow = (Uuid, Uuid, i32, String, Option<String>, Option<Uuid>);

/// Everything that may wait for the events of this batch.
async fn waits(pool: &PgPool, events: &[Arc<RawEvent>]) -> Result<Vec<Waiting>, sqlx::Error> {
    let asked: BTreeSet<(Uuid, &str, Uuid)> = events
        .iter()
        .filter(|e| e.domain != "workflow")
        .map(|e| (e.tenant_id.0, e.event_type.as_str(), e.aggregate_id))
        .collect();
    let sql = "with asked as (select * from unnest($1::uuid[], $2::text[], $3::uuid[])
                              as a(tenant_id, event_type, aggregate_id))
               select w.tenant_id, w.run_id, w.action_index, w.event_type, w.matching, w.aggregate_id
               from asked join engine.waits w using (tenant_id, event_type, aggregate_id)
               where w.matched is null
               union all
               select w.tenant_id, w.run_id, w.action_index, w.event_type, w.matching, w.aggregate_id
               from (select distinct tenant_id, event_type from asked) kinds
                        join engine.waits w using (tenant_id, event_type)
               where w.matched is null and w.aggregate_id is null";
    let rows: Vec<WaitRow> = sqlx::query_as(sql)
        .bind(asked.iter().map(|(tenant, ..)| *tenant).collect::<Vec<_>>())
        .bind(asked.iter().map(|(_, event_type, _)| *event_type).collect::<Vec<_>>())
        .bind(asked.iter().map(|(.., aggregate)| *aggregate).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    let waiting = |(tenant, run, action_index, event_type, matching, aggregate_id)| Waiting {
        tenant,
        run,
        action_index,
        event_type,
        matching,
        aggregate_id,
    };
    Ok(rows.into_iter().map(waiting).collect())
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
        Write::Keep { wait, reason } => {
            let sql = "insert into engine.waits
                           (tenant_id, run_id, action_index, event_type, matching, reason, aggregate_id)
                       values ($1, $2, $3, $4, $5, $6, $7)
                       on conflict (tenant_id, run_id, action_index) do update
                       set event_type = excluded.event_type, matching = excluded.matching, matched = null,
                           aggregate_id = excluded.aggregate_id";
            let stored = sqlx::query(sql)
                .bind(wait.tenant)
                .bind(wait.run)
                .bind(wait.action_index)
                .bind(&wait.event_type)
                .bind(&wait.matching)
                .bind(reason)
                .bind(wait.aggregate_id);
            stored.execute(&mut **tx).await.context("keeping a wait")?;
        }
        Write::Matched { wait, event } => {
            let sql = "update engine.waits set matched = $4 where tenant_id = $1 and run_id = $2 and action_index = $3";
            let matched = sqlx::query(sql).bind(wait.tenant).bind(wait.run).bind(wait.action_index).bind(event);
            matched.execute(&mut **tx).await.context("resolving a wait")?;
        }
        Write::Wake { tenant, run } => wake(tx, tenant, run).await.context("waking a run")?,
    }
    Ok(())
}

/// The aggregate that a condition asks for, if one of the parts that must all hold is `event.aggregate_id == …`.
fn only_aggregate(matching: &str, scope: &Scope) -> Option<Uuid> {
    let compiled = compile(matching).ok()?;
    let sides = equal_to_aggregate(compiled.tree())?;
    evaluate_tree(sides, scope)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_that_asks_for_one_aggregate_is_held_against_its_events_only() {
        let (trigger, client) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let scope = Scope::of([
            ("trigger", json!({ "aggregate_id": trigger })),
            ("steps", json!({ "client": { "result": { "id": client } } })),
        ]);
        for (matching, expected) in [
            ("event.aggregate_id == trigger.aggregate_id", Some(trigger)),
            ("trigger.aggregate_id == event.aggregate_id && event.payload.tag == 'x'", Some(trigger)),
            ("event.payload.tag == 'x' && (true && event.aggregate_id == steps.client.result.id)", Some(client)),
            // Whatever may hold for another aggregate too is asked of all.
            ("event.aggregate_id == trigger.aggregate_id || event.payload.tag == 'x'", None),
            ("event.aggregate_id != trigger.aggregate_id", None),
            ("!(event.aggregate_id == trigger.aggregate_id)", None),
            ("event.aggregate_id == event.payload.client_id", None),
            ("event.payload.aggregate_id == trigger.aggregate_id", None),
            ("event.aggregate_id == steps.other.result.id", None),
            ("true", None),
        ] {
            assert_eq!(only_aggregate(matching, &scope), expected, "{matching}");
        }
    }
}
