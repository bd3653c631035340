//! Takes one run as far as it goes: step by step until it ends, waits, or stands still.

use crate::document::Document;
use crate::expression::holds;
use crate::scope::{Scope, trigger_value};
use crate::step::{Failure, Standing};
use crate::tasks::{Next, Task, Tasks};
use anyhow::{Context as _, Result, anyhow};
use chrono::{TimeDelta, Utc};
use crash_points::Point;
use event_store::{CommandBus, ExecuteError, Request};
use kernel::{Actor, Command as _, Name, TenantId};
use metrics::{counter, histogram};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_domain::run::RunCommand;
use workflow_domain::{Entry, Run, RunStatus, StepStatus};

/// Runs that lead to runs that lead to runs: beyond it, something goes in circles.
const DEPTH_MAX: u32 = 20;

/// Records in a row that may be refused before the worker takes a pause.
const REFUSED_MAX: u32 = 3;

/// What a worker works with.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub bus: CommandBus,
    pub tasks: Tasks,
    /// No further step is begun once this is cancelled.
    pub stopping: CancellationToken,
    /// Counts the runs that have ended here.
    pub ended: Arc<watch::Sender<u64>>,
}

impl Worker {
    /// Works on a task and lets go of it.
    pub async fn work(&self, mut task: Task) -> Result<()> {
        crash_points::reach(Point::WorkflowTaken);
        let lateness = (Utc::now() - task.due_at).to_std().unwrap_or_default();
        histogram!("workflow_timer_lateness_seconds").record(lateness);
        let next = match self.drive(&mut task).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(run_id = %task.run, error = format!("{error:#}"), "a run could not go on, trying again");
                Next::At(Utc::now() + TimeDelta::milliseconds(500 + i64::from(rand::random::<u16>() % 1_500)))
            }
        };
        if next == Next::Done {
            self.ended.send_modify(|ended| *ended += 1);
        }
        self.tasks.let_go(&task, &next).await.context("letting go of a run")
    }

    async fn drive(&self, task: &mut Task) -> Result<Next> {
        let (tenant, store) = (TenantId(task.tenant), self.bus.store());
        if let Some(start) = task.start.clone() {
            self.start(tenant, task.run, &start).await?;
            crash_points::reach(Point::WorkflowStarted);
            task.start = None;
        }
        let mut refused = 0;
        loop {
            if self.stopping.is_cancelled() {
                return Ok(Next::At(Utc::now()));
            }
            let (run, version) = store.load::<Run>(tenant, task.run).await.context("loading a run")?;
            if version == 0 || run.has_ended() {
                return Ok(Next::Done);
            }
            let document: Document = match serde_json::from_value(run.document.clone()) {
                Ok(document) => document,
                Err(error) => return Err(anyhow!("the run's definition cannot be read: {error}")),
            };
            let standing = Standing { tenant, run_id: task.run, run: &run, document: &document };
            if let Some(reason) = self.cancelled_by(task).await? {
                let cancel = RunCommand::Cancel { reason };
                done(store.execute::<Run>(Some(task.run), cancel, &standing.request()).await)?;
                continue;
            }
            if run.status == RunStatus::Parked {
                return Ok(Next::Parked);
            }
            let Some(step) = run.step() else { return Err(anyhow!("a run without a step that has not ended")) };
            let started = Instant::now();
            let mut entries = match step.status {
                StepStatus::Running if step.due_at.is_some_and(|due_at| due_at > Utc::now()) => {
                    return Ok(Next::At(step.due_at.unwrap_or_default()));
                }
                StepStatus::Running => {
                    let entries = standing.execute(&self.bus).await;
                    crash_points::reach(Point::WorkflowExecuted);
                    entries
                }
                StepStatus::Waiting => match self.waited(task, &standing).await? {
                    Ok(entries) => entries,
                    Err(next) => return Ok(next),
                },
                _ => standing.begin(),
            };
            if step.status == StepStatus::Running {
                let action = document.actions.get(run.current).and_then(crate::Action::command);
                histogram!("workflow_step_duration_seconds", "action" => action.unwrap_or_else(|| "other".to_owned()))
                    .record(started.elapsed());
            }
            if let Ok(after) = run.after(&entries, Utc::now())
                && after.current > run.current
                && after.step().is_some_and(|next| next.status == StepStatus::Pending)
            {
                // One commit ends a step and begins the next.
                entries.extend(Standing { run: &after, ..standing }.begin());
            }
            let parks = entries.iter().any(|entry| matches!(entry, Entry::Failed { go_on: false, .. }));
            let mut request = standing.request();
            request.expected_version = Some(version);
            let record = RunCommand::Record { entries };
            let recorded = store.execute::<Run>(Some(task.run), record, &request).await;
            crash_points::reach(Point::WorkflowRecorded);
            match recorded {
                Ok(_) if parks => counter!("workflow_runs_total", "status" => "parked").increment(1),
                Ok(_) => refused = 0,
                // Somebody was faster: an operator, or the worker that took over while this one hung.
                Err(
                    error @ (ExecuteError::VersionMismatch { .. }
                    | ExecuteError::Conflict
                    | ExecuteError::Rejected { .. }),
                ) => {
                    refused += 1;
                    if refused > REFUSED_MAX {
                        return Err(error).context("recording a step, again and again");
                    }
                }
                Err(error) => return Err(error).context("recording a step"),
            }
        }
    }

    /// Starts the run unless it has started.
    async fn start(&self, tenant: TenantId, run_id: Uuid, start: &Value) -> Result<()> {
        let mut body = start["command"].clone();
        let depth = match start["caused_by"].as_str().and_then(|id| id.parse().ok()) {
            Some(cause) => {
                self.bus.store().load::<Run>(tenant, cause).await.context("loading the run before")?.0.depth + 1
            }
            None => 0,
        };
        body["depth"] = json!(depth);
        let command = RunCommand::parse("start", &body.to_string()).map_err(|e| anyhow!("starting a run: {e}"))?;
        let RunCommand::Start { definition, trigger, .. } = &command else { return Err(anyhow!("not a start")) };
        let actor = Actor::Workflow { run_id, definition: definition.to_string() };
        let mut request = Request::new(tenant, actor);
        request.causation_id = Some(trigger.event_id);
        request.correlation_id = trigger.correlation_id;
        request.traceparent = trigger.traceparent.clone();
        match self.bus.store().execute::<Run>(Some(run_id), command, &request).await {
            Ok(_) => counter!("workflow_runs_total", "status" => "started").increment(1),
            Err(ExecuteError::AlreadyExists) => return Ok(()),
            Err(error) => return Err(error).context("starting a run"),
        }
        let failure = match start["condition_error"].as_str() {
            Some(message) => Some(("condition_failed", message.to_owned())),
            None if depth > DEPTH_MAX => {
                Some(("chain_too_long", format!("more than {DEPTH_MAX} runs have led to each other")))
            }
            None => None,
        };
        if let Some((code, message)) = failure {
            let Failure { class, code, message } = Failure::terminal(code, message);
            let record = RunCommand::Record { entries: vec![Entry::Failed { class, code, message, go_on: false }] };
            done(self.bus.store().execute::<Run>(Some(run_id), record, &request).await)?;
        }
        Ok(())
    }

    /// Why the run shall be cancelled, if an event says so.
    async fn cancelled_by(&self, task: &Task) -> Result<Option<Name>> {
        let matched = self.tasks.matched(task).await.context("reading what runs wait for")?;
        let Some((_, reason, _)) = matched.into_iter().find(|(index, ..)| *index < 0) else { return Ok(None) };
        Ok(reason.as_deref().unwrap_or("an event ended it").parse().ok())
    }

    /// What became of a wait: something to record, or when to look again.
    async fn waited(&self, task: &Task, standing: &Standing<'_>) -> Result<std::result::Result<Vec<Entry>, Next>> {
        let Some(step) = standing.run.step() else { return Ok(Err(Next::Done)) };
        let index = i32::try_from(standing.run.current).unwrap_or(i32::MAX);
        let matched = self.tasks.matched(task).await.context("reading what runs wait for")?;
        if let Some((.., event)) = matched.into_iter().find(|(waiting, ..)| *waiting == index) {
            return Ok(Ok(vec![Entry::Succeeded { result: json!({ "event": event }).into() }]));
        }
        let now = Utc::now();
        match (step.due_at, &step.awaits) {
            (Some(due_at), _) if due_at > now => Ok(Err(Next::Waiting(Some(due_at)))),
            (Some(until), None) => Ok(Ok(vec![Entry::Succeeded { result: json!({ "until": until }).into() }])),
            (Some(_), Some((event_type, _))) => {
                let failure = Failure::terminal("wait_timed_out", format!("no {event_type} came in time"));
                let action = standing.document.actions.get(standing.run.current);
                Ok(Ok(action.map(|action| standing.failed(action, failure)).into_iter().collect()))
            }
            (None, _) => Ok(Err(Next::Waiting(None))),
        }
    }

    /// Does an event meet the condition that a run waits with? An error counts as "no" and is logged: the run goes on
    /// waiting, and its timeout or an operator ends that.
    pub async fn meets(&self, tenant: Uuid, run_id: Uuid, matching: Option<&str>, event: &Value) -> Result<bool> {
        let Some(matching) = matching else { return Ok(true) };
        let (run, version) = self.bus.store().load::<Run>(TenantId(tenant), run_id).await.context("loading a run")?;
        if version == 0 || run.has_ended() {
            return Ok(false);
        }
        Ok(holds(matching, &Scope::of_awaited(run_id, &run, event)).unwrap_or_else(|error| {
            counter!("workflow_condition_errors_total").increment(1);
            tracing::warn!(run_id = %run_id, error = %error, "a run's condition on an event failed");
            false
        }))
    }
}

/// A refusal means that somebody was faster, which the next look at the run tells.
fn done<T>(outcome: Result<T, ExecuteError>) -> Result<()> {
    match outcome {
        Ok(_) | Err(ExecuteError::Rejected { .. } | ExecuteError::VersionMismatch { .. } | ExecuteError::Conflict) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// For the intake: an event as expressions see it.
pub(crate) fn event_value(event: &event_store::RawEvent) -> Value {
    trigger_value(&crate::scope::trigger_of(event))
}
