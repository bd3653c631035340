//! What runs wait for: the events under which they are cancelled, and those that a step waits for.
//!
//! What counts is where an event stands in the log: after the trigger, or after what the waiting step follows, whenever
//! somebody came to read it. So a run's conditions are kept in the transaction that notes the run, which lets the intake hold
//! every later event against them; a step that begins to wait looks back at the events between its beginning and now.

use crate::actions::{Action, TIMED_OUT};
use crate::document::Document;
use crate::expression::{compile, evaluate_tree, holds};
use crate::references::{equal_to_aggregate, mentions};
use crate::scope::Scope;
use crate::tasks::Start;
use anyhow::{Context as _, Result, anyhow};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use event_store::{ExecuteError, Kind, Log, RawEvent, Store};
use kernel::{Aggregate as _, TenantId};
use metrics::counter;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgPool, Postgres, Transaction};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;
use workflow::{Run, StepPath};
use workflow_events::RunEvent;

/// Events of one look back.
const PAGE: i64 = 500;

/// A condition that an event may meet.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub tenant: Uuid,
    pub run: Uuid,
    /// The step that waits; nothing for a condition under which the run is cancelled.
    pub step: StepPath,
    /// Which of the things that it waits for.
    pub name: String,
    pub event_type: String,
    pub matching: Option<String>,
    /// The only aggregate whose events can meet the condition, if that is known.
    pub aggregate_id: Option<Uuid>,
    /// Only events after this position count.
    pub after: i64,
    /// Only events count that were committed by then.
    pub until: Option<DateTime<Utc>>,
    /// The condition refers to what steps gave.
    pub of_steps: bool,
}

impl Waiting {
    /// Which condition of which run.
    pub fn key(&self) -> (Uuid, Uuid, StepPath, String) {
        (self.tenant, self.run, self.step.clone(), self.name.clone())
    }

    /// Does it end the run, rather than a wait?
    pub fn cancels(&self) -> bool {
        self.step.is_empty()
    }

    /// Whether the other one is over, too, when this one is met: of what a step waits for, the first counts.
    pub fn is_over_with(&self, other: &Self) -> bool {
        let same_step = (other.tenant, other.run, &other.step) == (self.tenant, self.run, &self.step);
        other.key() == self.key() || !self.cancels() && same_step
    }

    /// Whether the event is one that the condition is about.
    pub fn concerns(&self, event: &RawEvent) -> bool {
        self.tenant == event.tenant_id.0
            && self.event_type == event.event_type
            && self.aggregate_id.is_none_or(|only| only == event.aggregate_id)
            && event.position > self.after
            && self.until.is_none_or(|until| event.recorded_at <= until)
    }

    /// Takes from the condition what can be known before any event is asked.
    pub fn informed(mut self, scope: &Scope) -> Self {
        let compiled = self.matching.as_deref().and_then(|matching| compile(matching).ok());
        if let Some(compiled) = compiled {
            self.of_steps = mentions(compiled.tree(), None);
            self.aggregate_id = only_aggregate(compiled.tree(), scope);
        }
        self
    }

    /// Whether the condition refers to what this step gave.
    pub fn is_about(&self, step: &str, place: usize) -> bool {
        let compiled = self.matching.as_deref().and_then(|matching| compile(matching).ok());
        compiled.is_some_and(|compiled| mentions(compiled.tree(), Some((step, place))))
    }

    /// Does the event meet the condition, with the run as it is? An error counts as "no" and is logged: the run goes on
    /// waiting, and its timeout or an operator ends that.
    pub fn is_met_by(&self, run: &Run, event: &Value) -> bool {
        let Some(matching) = self.matching.as_deref() else { return true };
        holds(matching, &Scope::of_awaited(self.run, run, &self.step, event)).unwrap_or_else(|error| {
            counter!("workflow_condition_errors_total").increment(1);
            tracing::warn!(run_id = %self.run, error = %error, "a run's condition on an event failed");
            false
        })
    }
}

/// The aggregate that a condition asks for, if one of the parts that must all hold is `event.aggregate_id == …`.
fn only_aggregate(tree: &cel::common::ast::IdedExpr, scope: &Scope) -> Option<Uuid> {
    evaluate_tree(equal_to_aggregate(tree)?, scope)?.as_str()?.parse().ok()
}

type Row = (Uuid, Uuid, String, String, String, Option<String>, Option<Uuid>, i64, Option<DateTime<Utc>>, bool);

fn waiting(row: Row) -> Waiting {
    let (tenant, run, step, name, event_type, matching, aggregate_id, after, until, of_steps) = row;
    // What is kept was a path before; the empty one is none.
    let step = step.parse().unwrap_or_default();
    Waiting { tenant, run, step, name, event_type, matching, aggregate_id, after, until, of_steps }
}

/// Everything that may wait for the events of this batch.
pub(crate) async fn of_events(pool: &PgPool, events: &[Arc<RawEvent>]) -> Result<Vec<Waiting>, sqlx::Error> {
    let asked: BTreeSet<(Uuid, &str, Uuid)> = events
        .iter()
        .filter(|e| e.domain != "workflow")
        .map(|e| (e.tenant_id.0, e.event_type.as_str(), e.aggregate_id))
        .collect();
    let sql = "with asked as (select * from unnest($1::uuid[], $2::text[], $3::uuid[])
                              as a(tenant_id, event_type, aggregate_id))
               select w.tenant_id, w.run_id, w.step, w.name, w.event_type, w.matching, w.aggregate_id,
                      w.after_position, w.until, w.of_steps
               from asked join engine.waits w using (tenant_id, event_type, aggregate_id)
               where w.matched is null
               union all
               select w.tenant_id, w.run_id, w.step, w.name, w.event_type, w.matching, w.aggregate_id,
                      w.after_position, w.until, w.of_steps
               from (select distinct tenant_id, event_type from asked) kinds
                        join engine.waits w using (tenant_id, event_type)
               where w.matched is null and w.aggregate_id is null";
    let rows: Vec<Row> = sqlx::query_as(sql)
        .bind(asked.iter().map(|(tenant, ..)| *tenant).collect::<Vec<_>>())
        .bind(asked.iter().map(|(_, event_type, _)| *event_type).collect::<Vec<_>>())
        .bind(asked.iter().map(|(.., aggregate)| *aggregate).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(waiting).collect())
}

/// The conditions under which runs are cancelled that refer to what steps gave.
pub(crate) async fn of_steps(tx: &mut Transaction<'_, Postgres>) -> Result<Vec<Waiting>, sqlx::Error> {
    let sql = "select w.tenant_id, w.run_id, w.step, w.name, w.event_type, w.matching, w.aggregate_id,
                      w.after_position, w.until, w.of_steps
               from engine.waits w where w.of_steps and w.matched is null and w.step = ''";
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(waiting).collect())
}

/// Keeps a condition, or what has become known of it.
pub(crate) async fn keep(tx: &mut Transaction<'_, Postgres>, wait: &Waiting, reason: Option<&str>) -> Result<()> {
    let sql =
        "insert into engine.waits as w (tenant_id, run_id, step, name, event_type, matching, reason, aggregate_id,
                                              after_position, until, of_steps)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               on conflict (tenant_id, run_id, step, name) do update
               set event_type = excluded.event_type, matching = excluded.matching, matched = null,
                   aggregate_id = excluded.aggregate_id, after_position = excluded.after_position,
                   until = excluded.until, of_steps = excluded.of_steps,
                   reason = coalesce(excluded.reason, w.reason)";
    let stored = sqlx::query(sql)
        .bind(wait.tenant)
        .bind(wait.run)
        .bind(wait.step.as_str())
        .bind(&wait.name)
        .bind(&wait.event_type)
        .bind(&wait.matching)
        .bind(reason)
        .bind(wait.aggregate_id)
        .bind(wait.after)
        .bind(wait.until)
        .bind(wait.of_steps);
    stored.execute(&mut **tx).await.context("keeping a wait")?;
    Ok(())
}

/// Keeps the event that met a condition. What else the step waits for is of no use any more.
pub(crate) async fn matched(tx: &mut Transaction<'_, Postgres>, wait: &Waiting, event: Value) -> Result<()> {
    let sql = "update engine.waits set matched = $5
               where tenant_id = $1 and run_id = $2 and step = $3 and name = $4";
    let matched =
        sqlx::query(sql).bind(wait.tenant).bind(wait.run).bind(wait.step.as_str()).bind(&wait.name).bind(event);
    matched.execute(&mut **tx).await.context("resolving a wait")?;
    if !wait.cancels() {
        let sql = "delete from engine.waits where tenant_id = $1 and run_id = $2 and step = $3 and name <> $4";
        let others = sqlx::query(sql).bind(wait.tenant).bind(wait.run).bind(wait.step.as_str()).bind(&wait.name);
        others.execute(&mut **tx).await.context("forgetting what else was waited for")?;
    }
    Ok(())
}

/// Where the wait of a run's step begins: where what it follows was over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beginning {
    /// Only events after this position count.
    pub after: i64,
    /// And only those that were committed no earlier.
    pub from: Option<DateTime<Utc>>,
}

impl Beginning {
    fn at(after: i64) -> Self {
        Self { after, from: None }
    }

    /// From the run's events, with their positions. A step follows the trigger, or the step before it: that is over with
    /// the event or the time that it waited for, and otherwise where the log says so, which is right behind its effect. When
    /// an operator acted, the step follows that.
    pub fn of(events: &[(i64, RunEvent)], at: &StepPath) -> Self {
        let (mut begins, mut waits) = (Self::at(0), HashMap::<StepPath, i64>::new());
        let mut in_turn = None;
        for (position, event) in events {
            if let RunEvent::Started { trigger, document, .. } = event {
                in_turn = rounds_in_turn(document, at);
                begins = Self::at(trigger.position);
            }
            if event.step().is_some_and(|step| !comes_before(step, at, in_turn)) {
                continue;
            }
            match event {
                RunEvent::StepWaiting { step, .. } => drop(waits.insert(step.clone(), *position)),
                RunEvent::StepSucceeded { step, result, .. } => {
                    let result = result.expose();
                    let number = |pointer: &str| result.and_then(|r| r.pointer(pointer)).and_then(Value::as_i64);
                    let time = result.and_then(|result| result.get("until")).and_then(Value::as_str);
                    let time = time.and_then(|time| time.parse().ok());
                    begins = match (waits.remove(step), number("/event/position"), time) {
                        (_, Some(event), _) => Self::at(event),
                        (Some(after), None, Some(until)) => Self { from: Some(until), ..Self::at(after) },
                        _ => Self::at(*position),
                    };
                }
                RunEvent::StepFailed { step, code, .. } => {
                    let until = deadline(events, step).filter(|_| code == TIMED_OUT);
                    begins = match (waits.remove(step), until) {
                        (Some(after), Some(until)) => Self { from: Some(until), ..Self::at(after) },
                        _ => Self::at(*position),
                    };
                }
                RunEvent::Resumed { .. } | RunEvent::Rerun { .. } => begins = Self::at(*position),
                _ => {}
            }
        }
        begins
    }
}

/// Until when a step waited last.
fn deadline(events: &[(i64, RunEvent)], of: &StepPath) -> Option<DateTime<Utc>> {
    let until = |(_, event): &(i64, RunEvent)| match event {
        RunEvent::StepWaiting { step, wait, .. } if step == of => Some(wait.deadline.as_ref()?.at.utc()),
        _ => None,
    };
    events.iter().rev().find_map(until)
}

/// Whether what happened to `step` may come before a step at `at`: nothing in another round of a loop does, unless the rounds
/// come one after the other.
fn comes_before(step: &StepPath, at: &StepPath, in_turn: Option<(&str, usize)>) -> bool {
    let earlier = |(of, round): (&str, usize)| {
        step.loop_and_number().is_some_and(|(other, number)| other == of && number < round)
    };
    step.round().is_empty() || at.is_within(step.round()) || in_turn.is_some_and(earlier)
}

/// The loop and the round that a step is in, if the rounds come one after the other.
fn rounds_in_turn<'a>(document: &Value, at: &'a StepPath) -> Option<(&'a str, usize)> {
    let (of, round) = at.loop_and_number()?;
    let document = Document::read(document).ok()?;
    let of_id = of.rsplit_once('.').map_or(of, |(_, id)| id);
    match document.action(of_id)? {
        Action::ForEach(each) if each.parallel <= 1 => Some((of, round)),
        _ => None,
    }
}

/// Finds out how runs stand and what is in the log already.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    store: Store,
    log: Log,
    pool: PgPool,
}

impl Past {
    pub fn new(store: Store, pool: PgPool) -> Self {
        let log = store.log(pool.clone());
        Self { store, log, pool }
    }

    /// A run's events up to a position.
    pub async fn events(&self, tenant: Uuid, run: Uuid, upto: i64) -> Result<Vec<(i64, RunEvent)>> {
        let events = self.log.read_stream(TenantId(tenant), run, 0, upto).await.context("reading a run")?;
        let read = |event: RawEvent| {
            let payload = event.payload.get();
            match AnyEvent::read(&event.aggregate_type, &event.event_type, event.event_version, payload) {
                Ok(AnyEvent::Run(happened)) => Ok((event.position, happened)),
                Ok(_) => Err(ExecuteError::Fault(anyhow!("a run's stream holds an event of something else"))),
                Err(error) => Err(ExecuteError::Fault(error.into())),
            }
        };
        Ok(events.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The run that waits, as the log had it at a position, or at any time if that makes no difference. None if it has
    /// ended. `noted` are starts that are not stored yet.
    pub async fn run(&self, wait: &Waiting, at: i64, noted: &[(Uuid, Uuid, Start)]) -> Result<Option<Run>> {
        let run = if wait.of_steps {
            let events = self.events(wait.tenant, wait.run, at).await?;
            let mut run = Run::default();
            events.iter().for_each(|(_, event)| run.apply(event));
            (!events.is_empty()).then_some(run)
        } else {
            self.today(wait).await?
        };
        let run = match run {
            Some(run) => Some(run),
            None => match noted.iter().find(|(tenant, run, _)| (*tenant, *run) == (wait.tenant, wait.run)) {
                Some((.., start)) => Some(start.run(0)),
                // Between two looks it may have been started.
                None => match self.noted(wait).await? {
                    Some(start) => Some(start.run(0)),
                    None => self.today(wait).await?,
                },
            },
        };
        Ok(run.filter(|run| !run.has_ended()))
    }

    async fn today(&self, wait: &Waiting) -> Result<Option<Run>> {
        let loaded = self.store.load::<Run>(TenantId(wait.tenant), wait.run).await;
        let (run, version) = loaded.context("loading a run")?;
        Ok((version > 0).then_some(run))
    }

    async fn noted(&self, wait: &Waiting) -> Result<Option<Start>, sqlx::Error> {
        let sql = "select start from engine.tasks where tenant_id = $1 and run_id = $2 and start is not null";
        let start: Option<Json<Start>> =
            sqlx::query_scalar(sql).bind(wait.tenant).bind(wait.run).fetch_optional(&self.pool).await?;
        Ok(start.map(|Json(start)| start))
    }

    /// The events of a kind that happened to an aggregate before a position.
    pub async fn of_aggregate(
        &self,
        tenant: Uuid,
        event_type: &str,
        aggregate_id: Uuid,
        before: i64,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let (tenant, aggregate_id) = (TenantId(tenant), Some(aggregate_id));
        let asked = Kind { tenant, event_type, aggregate_id, after: 0, before, from: None, until: None };
        Ok(self.log.read_kind(&asked, PAGE).await?.iter().map(|event| event.event_id).collect())
    }

    /// The first event before a position that meets the condition, with the run as it was there.
    pub async fn look_back(
        &self,
        wait: &Waiting,
        from: Option<DateTime<Utc>>,
        before: i64,
        run: &Run,
    ) -> Result<Option<Value>> {
        let (tenant, event_type) = (TenantId(wait.tenant), wait.event_type.as_str());
        let mut asked = Kind {
            tenant,
            event_type,
            aggregate_id: wait.aggregate_id,
            after: wait.after,
            before,
            from,
            until: wait.until,
        };
        loop {
            let page = self.log.read_kind(&asked, PAGE).await.context("looking back")?;
            for event in &page {
                let value = crate::scope::event_value(event);
                if wait.is_met_by(run, &value) {
                    return Ok(Some(value));
                }
            }
            match page.last() {
                Some(last) if page.len() as i64 == PAGE => asked.after = last.position,
                _ => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests;
