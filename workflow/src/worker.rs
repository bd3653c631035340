//! Takes one run as far as it goes: step by step until it ends, waits, or stands still.

use crate::document::{Action, Document};
use crate::expression::holds;
use crate::hand::Hand;
use crate::scope::{Scope, trigger_value};
use crate::step::{Failure, Standing};
use crate::tasks::{Next, Noted, Start, Task, Tasks};
use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use crash_points::Point;
use event_store::{CommandBus, ExecuteError};
use kernel::{Aggregate as _, Name, TenantId};
use metrics::{counter, histogram};
use parking_lot::Mutex;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_domain::run::RunCommand;
use workflow_domain::{Entry, Run, RunStatus, StepStatus};
use workflow_events::RunEvent;

/// Runs that lead to runs that lead to runs: beyond it, something goes in circles.
const DEPTH_MAX: u32 = 20;

/// Records in a row that may be refused before the worker takes a pause.
const REFUSED_MAX: u32 = 3;

/// Definitions that are kept parsed.
const PARSED_MAX: usize = 1_024;

/// What a worker works with.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub bus: CommandBus,
    pub tasks: Tasks,
    /// No further step is begun once this is cancelled.
    pub stopping: CancellationToken,
    /// Counts the runs that have ended here.
    ended: Arc<watch::Sender<u64>>,
    /// Parsed versions of definitions by their hash.
    parsed: Arc<Mutex<HashMap<String, Arc<Document>>>>,
}

/// What a worker finds when it takes up a task.
enum TakenUp {
    Run(Box<Hand>),
    Ended,
    NotOurs,
}

/// What one move of a run led to.
enum Moved {
    On,
    /// Somebody was faster: an operator, or the worker that took over while this one hung.
    Refused(ExecuteError),
    LetGo(Next),
}

impl Worker {
    pub fn new(bus: CommandBus, tasks: Tasks, stopping: CancellationToken, ended: watch::Sender<u64>) -> Self {
        Self { bus, tasks, stopping, ended: Arc::new(ended), parsed: Arc::default() }
    }

    /// Works on a task and lets go of it. While `noted` has not come, the task is not in the queue yet; if it does not
    /// come, the task is not ours.
    pub async fn work(&self, mut task: Task, noted: Option<oneshot::Receiver<Noted>>) -> Result<()> {
        crash_points::reach(Point::WorkflowTaken);
        let lateness = (Utc::now() - task.due_at).to_std().unwrap_or_default();
        histogram!("workflow_timer_lateness_seconds").record(lateness);
        let next = match self.take_up(&mut task, noted).await {
            Ok(TakenUp::Run(hand)) => self.drive(&task, *hand).await,
            Ok(TakenUp::Ended) => Ok(Next::Done),
            Ok(TakenUp::NotOurs) => return Ok(()),
            Err(error) => Err(error),
        };
        let next = next.unwrap_or_else(|error| {
            tracing::warn!(run_id = %task.run, error = format!("{error:#}"), "a run could not go on, trying again");
            Next::At(Utc::now() + TimeDelta::milliseconds(500 + i64::from(rand::random::<u16>() % 1_500)))
        });
        if next == Next::Done {
            self.ended.send_modify(|ended| *ended += 1);
        }
        self.tasks.let_go(&task, &next).await.context("letting go of a run")
    }

    /// The run as it stands, started if it was not.
    ///
    /// The start does not wait until the run is in the queue, because starting twice is starting once. The first command
    /// does, but not for the start if nobody can have started the run before: a run whose trigger comes again may have
    /// ended long ago, and its keys may be forgotten.
    async fn take_up(&self, task: &mut Task, noted: Option<oneshot::Receiver<Noted>>) -> Result<TakenUp> {
        let Some(start) = &task.start else { return self.load(task).await };
        let hand = self.begin(task, start).await;
        let first = async {
            let noted = match noted {
                Some(noted) => noted.await,
                None => Ok(Noted::Known),
            };
            match (noted, &hand) {
                (Err(_), _) => None,
                (Ok(Noted::New), Ok(hand)) if hand.next_command().is_some() && !self.stopping.is_cancelled() => {
                    Some(hand.standing().execute(&self.bus).await)
                }
                _ => Some(vec![]),
            }
        };
        let starting = async {
            match &hand {
                Ok(hand) => Some(hand.record(self.bus.store()).await),
                Err(_) => None,
            }
        };
        let (started, first) = tokio::join!(starting, first);
        let Some(entries) = first else { return Ok(TakenUp::NotOurs) };
        let mut hand = hand?;
        match started {
            Some(Ok(version)) => hand.recorded(version),
            Some(Err(ExecuteError::AlreadyExists)) | None => {
                task.start = None;
                return self.load(task).await;
            }
            Some(Err(error)) => return Err(error).context("starting a run"),
        }
        crash_points::reach(Point::WorkflowStarted);
        task.start = None;
        counter!("workflow_runs_total", "status" => "started").increment(1);
        if !entries.is_empty() {
            hand.note(entries)?;
        }
        Ok(TakenUp::Run(Box::new(hand)))
    }

    /// The run as the log has it.
    async fn load(&self, task: &Task) -> Result<TakenUp> {
        let tenant = TenantId(task.tenant);
        let (run, version) = self.bus.store().load::<Run>(tenant, task.run).await.context("loading a run")?;
        if version == 0 || run.has_ended() {
            return Ok(TakenUp::Ended);
        }
        let document = self.parse(&run.definition_hash, &run.document)?;
        Ok(TakenUp::Run(Box::new(Hand::new(tenant, task.run, run, document, version))))
    }

    /// A version of a definition, parsed once.
    fn parse(&self, hash: &str, document: &Value) -> Result<Arc<Document>> {
        if let Some(parsed) = self.parsed.lock().get(hash) {
            return Ok(parsed.clone());
        }
        let parsed = Document::deserialize(document);
        let parsed = Arc::new(parsed.map_err(|error| anyhow!("the run's definition cannot be read: {error}"))?);
        let mut kept = self.parsed.lock();
        if kept.len() >= PARSED_MAX {
            kept.clear();
        }
        kept.insert(hash.to_owned(), parsed.clone());
        Ok(parsed)
    }

    async fn drive(&self, task: &Task, mut hand: Hand) -> Result<Next> {
        let mut refused = 0;
        loop {
            let before = hand.version;
            match self.advance(task, &mut hand).await? {
                Moved::On if hand.version > before => refused = 0,
                Moved::On => {}
                Moved::LetGo(next) => return Ok(next),
                Moved::Refused(error) => {
                    refused += 1;
                    if refused > REFUSED_MAX {
                        return Err(error).context("recording a step, again and again");
                    }
                    match self.load(task).await? {
                        TakenUp::Run(fresh) => hand = *fresh,
                        _ => return Ok(Next::Done),
                    }
                }
            }
        }
    }

    /// One move: records what has happened and does what comes next, both at once where that is a command.
    async fn advance(&self, task: &Task, hand: &mut Hand) -> Result<Moved> {
        let store = self.bus.store();
        let stops = self.stopping.is_cancelled();
        let status = hand.run.step().map(|step| step.status);
        let due_at = hand.run.step().and_then(|step| step.due_at);
        let later = status == Some(StepStatus::Running) && due_at.is_some_and(|due_at| due_at > Utc::now());
        let parked = hand.run.status == RunStatus::Parked;
        let rests = stops || hand.has_ended() || parked || later || status == Some(StepStatus::Waiting);
        if rests && !hand.is_recorded() {
            let recorded = hand.record(store).await;
            crash_points::reach(Point::WorkflowRecorded);
            return record(hand, recorded);
        }
        if hand.has_ended() {
            return Ok(Moved::LetGo(Next::Done));
        }
        if stops {
            return Ok(Moved::LetGo(Next::At(Utc::now())));
        }
        let may_be_cancelled = !hand.document.cancel_on.is_empty();
        if may_be_cancelled && let Some(reason) = self.cancelled_by(task).await? {
            if !hand.is_recorded() {
                // What has been done is told before the end.
                return record(hand, hand.record(store).await);
            }
            let (cancel, request) = (RunCommand::Cancel { reason }, hand.standing().request());
            done(store.execute::<Run>(Some(task.run), cancel, &request).await)?;
            return Ok(match self.load(task).await? {
                TakenUp::Run(fresh) => {
                    *hand = *fresh;
                    Moved::On
                }
                _ => Moved::LetGo(Next::Done),
            });
        }
        if parked {
            return Ok(Moved::LetGo(Next::Parked));
        }
        if later {
            return Ok(Moved::LetGo(Next::At(due_at.map(DateTime::from).unwrap_or_default())));
        }
        let entries = match status {
            None => return Err(anyhow!("a run without a step that has not ended")),
            Some(StepStatus::Running) => match hand.action().and_then(Action::command) {
                Some(command) => {
                    let started = Instant::now();
                    // The record is asked for first, and the appender overtakes nobody: unless it is refused, the log has
                    // the step's beginning no later than its effect.
                    let standing = hand.standing();
                    let (recorded, entries) = tokio::join!(hand.record(store), standing.execute(&self.bus));
                    crash_points::reach(Point::WorkflowExecuted);
                    histogram!("workflow_step_duration_seconds", "action" => command).record(started.elapsed());
                    match record(hand, recorded)? {
                        Moved::On => entries,
                        other => return Ok(other),
                    }
                }
                None => hand.standing().execute(&self.bus).await,
            },
            Some(StepStatus::Waiting) => match self.waited(task, &hand.standing()).await? {
                Ok(entries) => entries,
                Err(next) => return Ok(Moved::LetGo(next)),
            },
            Some(_) => hand.standing().begin(),
        };
        hand.note(entries)?;
        Ok(Moved::On)
    }

    /// The run with the beginning of its first step, nothing of it recorded.
    async fn begin(&self, task: &Task, start: &Start) -> Result<Hand> {
        let (tenant, run_id) = (TenantId(task.tenant), task.run);
        let depth = match start.caused_by {
            Some(cause) => {
                self.bus.store().load::<Run>(tenant, cause).await.context("loading the run before")?.0.depth + 1
            }
            None => 0,
        };
        let document = self.parse(&start.definition_hash, &start.document)?;
        let begun = RunEvent::Started {
            definition_id: start.definition_id,
            definition: start.definition.clone(),
            definition_version: start.definition_version,
            definition_hash: start.definition_hash.clone(),
            document: Value::Null,
            steps: start.steps.clone(),
            trigger: start.trigger.clone(),
            depth,
        };
        let mut run = Run::default();
        run.apply(&begun);
        run.document = start.document.clone();
        let failure = match &start.condition_error {
            Some(message) => Some(Failure::terminal("condition_failed", message.clone())),
            None if depth > DEPTH_MAX => {
                let message = format!("more than {DEPTH_MAX} runs have led to each other");
                Some(Failure::terminal("chain_too_long", message))
            }
            None => None,
        };
        let mut hand = Hand::new(tenant, run_id, run, document, 0);
        hand.note(match failure {
            Some(Failure { class, code, message }) => vec![Entry::Failed { class, code, message, go_on: false }],
            None => hand.standing().begin(),
        })?;
        Ok(hand)
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
            (Some(due_at), _) if due_at > now => Ok(Err(Next::Waiting(Some(due_at.utc())))),
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

/// What became of a record.
fn record(hand: &mut Hand, recorded: Result<i64, ExecuteError>) -> Result<Moved> {
    match recorded {
        Ok(version) => {
            hand.recorded(version);
            Ok(Moved::On)
        }
        Err(
            error @ (ExecuteError::VersionMismatch { .. } | ExecuteError::Conflict | ExecuteError::Rejected { .. }),
        ) => Ok(Moved::Refused(error)),
        Err(error) => Err(error).context("recording a step"),
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
