//! Reads the log in order and notes what it means for runs: which start, which go on, what they wait for.
//!
//! What a batch of events leads to is written in one transaction with the checkpoint. Whoever moves the checkpoint first
//! wins, so any number of processes may read along; the others read again from where it stands then.

use crate::document::Document;
use crate::engine::Events;
use crate::expression::{compile, evaluate_tree, holds};
use crate::references::equal_to_aggregate;
use crate::scope::{Scope, causing_run, trigger_of, trigger_value};
use crate::tasks::{start, wake};
use crate::worker::Worker;
use anyhow::{Context as _, Result};
use catalogue::AnyEvent;
use crash_points::Point;
use event_store::RawEvent;
use kernel::Aggregate as _;
use metrics::{counter, gauge};
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_domain::Run;
use workflow_events::{DefinitionEvent, RunEvent};

/// Events of one transaction.
const BATCH: usize = 500;

/// A published definition.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    version: i32,
    hash: String,
    trigger_event_type: String,
    document: Arc<Value>,
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

type Definitions = HashMap<(Uuid, Uuid), Known>;

pub(crate) struct Intake {
    pub pool: PgPool,
    pub events: Arc<dyn Events>,
    pub worker: Worker,
    pub woken: Arc<Notify>,
    pub stopping: CancellationToken,
}

impl Intake {
    /// Until it is stopped.
    pub async fn run(self) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = self.read_on() => {}
        }
    }

    async fn read_on(&self) {
        let mut pause = Duration::from_millis(100);
        loop {
            let ended = self.follow(&mut pause).await;
            if let Err(error) = ended {
                tracing::warn!(error = format!("{error:#}"), "the intake could not go on, trying again");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Reads from the stored checkpoint on, until something fails.
    async fn follow(&self, pause: &mut Duration) -> Result<()> {
        let (mut position, mut definitions) = self.resume().await?;
        loop {
            let events = self.events.read(position, BATCH).await.context("reading events")?;
            let Some(last) = events.last().map(|event| event.position) else { continue };
            match self.take_in(position, last, &events, &mut definitions).await? {
                true => {
                    position = last;
                    gauge!("workflow_intake_position").set(position as f64);
                    self.woken.notify_one();
                }
                // Another process was faster.
                false => (position, definitions) = self.resume().await?,
            }
            *pause = Duration::from_millis(100);
        }
    }

    /// The checkpoint, and the definitions as they were there.
    async fn resume(&self) -> Result<(i64, Definitions)> {
        let mut tx = self.pool.begin().await.context("opening a transaction")?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let position = sqlx::query_scalar("select position from engine.checkpoint where name = 'intake'");
        let position: i64 = position.fetch_one(&mut *tx).await?;
        type Row = (Uuid, Uuid, String, i32, String, String, Value, bool);
        let rows: Vec<Row> = sqlx::query_as(
            "select tenant_id, definition_id, name, version, hash, trigger_event_type, document,
                    not paused and not retired from engine.definitions",
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let known = |(tenant, id, name, version, hash, trigger_event_type, document, active): Row| {
            ((tenant, id), Known { name, version, hash, trigger_event_type, document: Arc::new(document), active })
        };
        Ok((position, rows.into_iter().map(known).collect()))
    }

    /// Stores what the events lead to, if the checkpoint still stands at `from`.
    async fn take_in(
        &self,
        from: i64,
        to: i64,
        events: &[Arc<RawEvent>],
        definitions: &mut Definitions,
    ) -> Result<bool> {
        let mut tx = self.pool.begin().await.context("opening a transaction")?;
        let sql = "update engine.checkpoint set position = $2 where name = 'intake' and position = $1";
        let moved = sqlx::query(sql).bind(from).bind(to).execute(&mut *tx).await.context("moving the checkpoint")?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        let mut waiting = waits(&mut tx, events).await.context("reading what runs wait for")?;
        // A failure leaves the caller's definitions as they were, and it resumes from the stored ones anyway.
        for event in events {
            match event.aggregate_type.as_str() {
                "workflow.definition" => definition(&mut tx, event, definitions).await?,
                "workflow.run" => self.run_event(&mut tx, event, &mut waiting).await?,
                _ => {
                    self.trigger(&mut tx, event, definitions).await?;
                    self.resolve(&mut tx, event, &mut waiting).await?;
                }
            }
        }
        crash_points::reach(Point::IntakeNoted);
        tx.commit().await.context("committing the intake")?;
        crash_points::reach(Point::IntakeCommitted);
        Ok(true)
    }

    async fn trigger(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        event: &RawEvent,
        definitions: &Definitions,
    ) -> Result<()> {
        let triggered = definitions.iter().filter(|((tenant, _), known)| {
            *tenant == event.tenant_id.0 && known.active && known.trigger_event_type == event.event_type
        });
        for ((tenant, id), known) in triggered {
            let trigger = trigger_of(event);
            let document: Document = match serde_json::from_value((*known.document).clone()) {
                Ok(document) => document,
                Err(error) => {
                    counter!("workflow_unreadable_definitions_total").increment(1);
                    tracing::error!(definition = known.name, error = %error, "a stored definition cannot be read");
                    continue;
                }
            };
            let mut condition_error = None;
            if let Some(condition) = &document.trigger.condition {
                match holds(condition, &Scope::of([("event", trigger_value(&trigger))])) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    // Neither yes nor no: an operator shall see it, so the run starts and stands still.
                    Err(error) => condition_error = Some(error.message),
                }
            }
            let run_id = Uuid::new_v5(id, event.event_id.as_bytes());
            let begin = json!({
                "command": {
                    "definition_id": id,
                    "definition": known.name,
                    "definition_version": known.version,
                    "definition_hash": known.hash,
                    "document": known.document,
                    "steps": document.step_ids(),
                    "trigger": trigger,
                },
                "caused_by": causing_run(event),
                "condition_error": condition_error,
            });
            start(tx, *tenant, run_id, &begin).await.context("noting a run")?;
        }
        Ok(())
    }

    async fn run_event(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        event: &RawEvent,
        waiting: &mut Vec<Waiting>,
    ) -> Result<()> {
        let Some(AnyEvent::Run(happened)) = read(event) else { return Ok(()) };
        let (tenant, run) = (event.tenant_id.0, event.aggregate_id);
        match &happened {
            RunEvent::Started { document, .. } => {
                let mut state = Run::default();
                state.apply(&happened);
                let scope = Scope::of_run(run, &state);
                let cancel_on = serde_json::from_value::<Document>(document.clone()).map(|d| d.cancel_on);
                for (index, cancel) in (1..).zip(cancel_on.unwrap_or_default()) {
                    let reason = cancel.reason.map_or_else(|| format!("{} came", cancel.event_type), |r| r.to_string());
                    let aggregate_id = only_aggregate(&cancel.matching, &scope);
                    let (event_type, matching) = (cancel.event_type, Some(cancel.matching));
                    let wait = Waiting { tenant, run, action_index: -index, event_type, matching, aggregate_id };
                    keep(tx, wait, Some(&reason), waiting).await?;
                }
            }
            RunEvent::StepWaiting { action_index, event_type: Some(event_type), matching, .. } => {
                let loaded = self.worker.bus.store().load::<Run>(event.tenant_id, run).await;
                let (state, _) = loaded.context("loading a run")?;
                let scope = Scope::of_run(run, &state);
                let aggregate_id = matching.as_deref().and_then(|matching| only_aggregate(matching, &scope));
                let action_index = i32::try_from(*action_index).unwrap_or(i32::MAX);
                let (event_type, matching) = (event_type.clone(), matching.clone());
                let wait = Waiting { tenant, run, action_index, event_type, matching, aggregate_id };
                keep(tx, wait, None, waiting).await?;
            }
            RunEvent::Resumed { .. } => wake(tx, tenant, run).await.context("waking a run")?,
            RunEvent::Cancelled { .. } | RunEvent::Succeeded {} => {
                let status = if matches!(happened, RunEvent::Succeeded {}) { "succeeded" } else { "cancelled" };
                counter!("workflow_runs_total", "status" => status).increment(1);
                let sql = "delete from engine.waits where tenant_id = $1 and run_id = $2";
                sqlx::query(sql).bind(tenant).bind(run).execute(&mut **tx).await.context("forgetting waits")?;
                waiting.retain(|wait| (wait.tenant, wait.run) != (tenant, run));
                if status == "cancelled" {
                    wake(tx, tenant, run).await.context("waking a run")?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn resolve(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        event: &RawEvent,
        waiting: &mut Vec<Waiting>,
    ) -> Result<()> {
        let mut index = 0;
        while let Some(wait) = waiting.get(index) {
            let concerns = wait.tenant == event.tenant_id.0
                && wait.event_type == event.event_type
                && wait.aggregate_id.is_none_or(|only| only == event.aggregate_id);
            let value = if concerns { crate::worker::event_value(event) } else { Value::Null };
            if !concerns || !self.worker.meets(wait.tenant, wait.run, wait.matching.as_deref(), &value).await? {
                index += 1;
                continue;
            }
            let sql = "update engine.waits set matched = $4 where tenant_id = $1 and run_id = $2 and action_index = $3";
            let matched = sqlx::query(sql).bind(wait.tenant).bind(wait.run).bind(wait.action_index).bind(value);
            matched.execute(&mut **tx).await.context("resolving a wait")?;
            wake(tx, wait.tenant, wait.run).await.context("waking a run")?;
            waiting.swap_remove(index);
        }
        Ok(())
    }
}

type WaitRow = (Uuid, Uuid, i32, String, Option<String>, Option<Uuid>);

/// Everything that may wait for the events of this batch.
async fn waits(tx: &mut Transaction<'_, Postgres>, events: &[Arc<RawEvent>]) -> Result<Vec<Waiting>, sqlx::Error> {
    let asked: BTreeSet<(Uuid, &str, Uuid)> =
        events.iter().map(|e| (e.tenant_id.0, e.event_type.as_str(), e.aggregate_id)).collect();
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
        .fetch_all(&mut **tx)
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

fn read(event: &RawEvent) -> Option<AnyEvent> {
    let payload = event.payload.get();
    let read = AnyEvent::read(&event.aggregate_type, &event.event_type, event.event_version, payload);
    read.map_err(|error| {
        counter!("workflow_unreadable_events_total").increment(1);
        tracing::error!(position = event.position, error = %error, "an event of workflows cannot be read");
    })
    .ok()
}

async fn definition(tx: &mut Transaction<'_, Postgres>, event: &RawEvent, definitions: &mut Definitions) -> Result<()> {
    let Some(AnyEvent::Definition(happened)) = read(event) else { return Ok(()) };
    let (tenant, id) = (event.tenant_id.0, event.aggregate_id);
    let flag = |sql| sqlx::query(sql).bind(tenant).bind(id);
    match happened {
        DefinitionEvent::Published { version, hash, name, trigger_event_type, document, .. } => {
            let version = i32::try_from(version).unwrap_or(i32::MAX);
            let sql = "insert into engine.definitions as d
                           (tenant_id, definition_id, name, version, hash, trigger_event_type, document)
                       values ($1, $2, $3, $4, $5, $6, $7)
                       on conflict (tenant_id, definition_id) do update
                       set version = excluded.version, hash = excluded.hash, document = excluded.document,
                           trigger_event_type = excluded.trigger_event_type";
            sqlx::query(sql)
                .bind(tenant)
                .bind(id)
                .bind(name.as_str())
                .bind(version)
                .bind(&hash)
                .bind(&trigger_event_type)
                .bind(&document)
                .execute(&mut **tx)
                .await
                .context("keeping a definition")?;
            // A new version of a paused definition stays paused.
            let active = definitions.get(&(tenant, id)).is_none_or(|known| known.active);
            let document = Arc::new(document);
            let known = Known { name: name.to_string(), version, hash, trigger_event_type, document, active };
            definitions.insert((tenant, id), known);
            return Ok(());
        }
        DefinitionEvent::Paused { .. } => {
            flag("update engine.definitions set paused = true where tenant_id = $1 and definition_id = $2")
        }
        DefinitionEvent::Resumed {} => {
            flag("update engine.definitions set paused = false where tenant_id = $1 and definition_id = $2")
        }
        DefinitionEvent::Retired { .. } => {
            flag("update engine.definitions set retired = true where tenant_id = $1 and definition_id = $2")
        }
    }
    .execute(&mut **tx)
    .await
    .context("pausing or resuming a definition")?;
    if let Some(known) = definitions.get_mut(&(tenant, id)) {
        known.active = matches!(happened, DefinitionEvent::Resumed {});
    }
    Ok(())
}

async fn keep(
    tx: &mut Transaction<'_, Postgres>,
    wait: Waiting,
    reason: Option<&str>,
    waiting: &mut Vec<Waiting>,
) -> Result<()> {
    let sql = "insert into engine.waits (tenant_id, run_id, action_index, event_type, matching, reason, aggregate_id)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (tenant_id, run_id, action_index) do update
               set event_type = excluded.event_type, matching = excluded.matching, matched = null,
                   aggregate_id = excluded.aggregate_id";
    sqlx::query(sql)
        .bind(wait.tenant)
        .bind(wait.run)
        .bind(wait.action_index)
        .bind(&wait.event_type)
        .bind(&wait.matching)
        .bind(reason)
        .bind(wait.aggregate_id)
        .execute(&mut **tx)
        .await
        .context("keeping a wait")?;
    waiting.push(wait);
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
