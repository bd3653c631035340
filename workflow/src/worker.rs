//! Takes one run as far as it goes: step by step until it ends, waits, or stands still.

use crate::bounds::{Admitted, Bounds};
use crate::denials;
use crate::document::{Action, Document};
use crate::hand::Hand;
use crate::step::{Failure, Standing};
use crate::tasks::{Looked, Next, Noted, Start, Task, Tasks};
use crate::waits::TIMED_OUT;
use anyhow::{Context as _, Result, anyhow};
use chrono::{DateTime, TimeDelta, Utc};
use crash_points::Point;
use event_store::{CommandBus, ExecuteError};
use futures::future::Either;
use kernel::TenantId;
use metrics::{counter, histogram};
use parking_lot::Mutex;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use workflow_domain::{Entry, Run, RunStatus, StepStatus};

/// Records in a row that may be refused before the worker takes a pause.
const REFUSED_MAX: u32 = 3;

/// How often a worker looks whether the intake has read on, before it lets go of the run, and the pause between.
const LOOKS: u32 = 40;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Definitions that are kept parsed.
const PARSED_MAX: usize = 1_024;

/// What a worker works with.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub bus: CommandBus,
    pub tasks: Tasks,
    bounds: Bounds,
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
    pub fn new(
        bus: CommandBus,
        tasks: Tasks,
        bounds: Bounds,
        stopping: CancellationToken,
        ended: watch::Sender<u64>,
    ) -> Self {
        Self { bus, tasks, bounds, stopping, ended: Arc::new(ended), parsed: Arc::default() }
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
        let noted = async {
            match noted {
                Some(noted) => noted.await,
                None => Ok(Noted::Known),
            }
        };
        let mut noted = Either::Left(noted);
        if start.caused_by.is_some() {
            // Such runs are counted: by whoever's they are, and when they start.
            let known = match noted.await {
                Ok(known) => known,
                Err(_) => return Ok(TakenUp::NotOurs),
            };
            let (tenant, run) = (TenantId(task.tenant), task.run);
            if known == Noted::Known && self.bus.store().load::<Run>(tenant, run).await.context("loading a run")?.1 > 0
            {
                task.start = None;
                return self.load(task).await;
            }
            noted = Either::Right(std::future::ready(Ok(known)));
        }
        let hand = match self.begin(task, start).await {
            Ok(Some(hand)) => Ok(hand),
            Ok(None) => {
                self.tasks.forget(task).await.context("forgetting a run")?;
                return Ok(TakenUp::Ended);
            }
            Err(error) => Err(error),
        };
        let first = async {
            let noted = noted.await;
            match (noted, &hand) {
                (Err(_), _) => None,
                (Ok(Noted::New), Ok(hand))
                    if hand.next_command().is_some()
                        && !self.stopping.is_cancelled()
                        && self.may_go_on(task, hand).await =>
                {
                    let entries = hand.standing().execute(&self.bus).await;
                    denials::note(&self.tasks.pool, hand, &entries).await;
                    Some(entries)
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
        // Whether it ends well or is cancelled is asked before it is told.
        let ends_well = hand.has_ended() && hand.run.status != RunStatus::Cancelled;
        let may_be_cancelled = !hand.document.cancel_on.is_empty();
        let rests = stops || hand.has_ended() || parked || later || status == Some(StepStatus::Waiting);
        if rests && !hand.is_recorded() && !(may_be_cancelled && ends_well) {
            let recorded = hand.record(store).await;
            crash_points::reach(Point::WorkflowRecorded);
            return record(hand, recorded);
        }
        if hand.has_ended() && hand.is_recorded() {
            return Ok(Moved::LetGo(Next::Done));
        }
        if stops && !hand.has_ended() {
            return Ok(Moved::LetGo(Next::At(Utc::now())));
        }
        if may_be_cancelled {
            let Some(looked) = self.look(task).await? else {
                // What has been done is told; what has ended is not, and its last step is recognised when it is repeated.
                return match hand.is_recorded() || hand.has_ended() {
                    true => Ok(Moved::LetGo(behind())),
                    false => record(hand, hand.record(store).await),
                };
            };
            if let Some(reason) = looked.cancelled() {
                hand.note(vec![Entry::Cancelled { reason }])?;
                return Ok(Moved::On);
            }
            if hand.has_ended() {
                let recorded = hand.record(store).await;
                crash_points::reach(Point::WorkflowRecorded);
                return record(hand, recorded);
            }
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
                        Moved::On => {}
                        other => return Ok(other),
                    }
                    denials::note(&self.tasks.pool, hand, &entries).await;
                    entries
                }
                None => {
                    let entries = hand.standing().execute(&self.bus).await;
                    denials::note(&self.tasks.pool, hand, &entries).await;
                    entries
                }
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

    /// Whether no event ends the run that has come so far; if in doubt, no.
    async fn may_go_on(&self, task: &Task, hand: &Hand) -> bool {
        hand.document.cancel_on.is_empty()
            || matches!(self.tasks.look(task).await, Ok(looked) if looked.open().is_none() && looked.cancelled().is_none())
    }

    /// The run with the beginning of its first step, nothing of it recorded; none if it shall not start.
    async fn begin(&self, task: &Task, start: &Start) -> Result<Option<Hand>> {
        let (tenant, run_id) = (TenantId(task.tenant), task.run);
        let depth = match start.caused_by {
            Some(cause) => {
                self.bus.store().load::<Run>(tenant, cause).await.context("loading the run before")?.0.depth + 1
            }
            None => 0,
        };
        let document = self.parse(&start.definition_hash, &start.document)?;
        let run = start.run(depth);
        let mut incident = start.incident.clone();
        if incident.is_none() && start.caused_by.is_some() {
            let chain = start.trigger.correlation_id;
            let admitted = self.bounds.of_run(&self.tasks, task.tenant, chain, depth).await;
            match admitted.context("counting the runs that follow")? {
                Admitted::Yes => {}
                Admitted::Parked(too_many) => incident = Some(too_many),
                Admitted::No => return Ok(None),
            }
        }
        let mut hand = Hand::new(tenant, run_id, run, document, 0);
        hand.note(match incident.map(Failure::from) {
            Some(Failure { class, code, message }) => vec![Entry::Failed { class, code, message, go_on: false }],
            None => hand.standing().begin(),
        })?;
        Ok(Some(hand))
    }

    /// What events mean for the run: everything that was in the log when this was asked. None if the intake has not read that
    /// far yet; then nothing may be concluded.
    async fn look(&self, task: &Task) -> Result<Option<Looked>> {
        let looked = async || self.tasks.look(task).await.context("reading what runs wait for");
        let first = looked().await?;
        let Some(open) = first.open() else { return Ok(Some(first)) };
        for _ in 0..LOOKS {
            if self.stopping.is_cancelled() {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            let next = looked().await?;
            if next.has_read(open) {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// What became of a wait: something to record, or when to look again.
    async fn waited(&self, task: &Task, standing: &Standing<'_>) -> Result<std::result::Result<Vec<Entry>, Next>> {
        let Some(step) = standing.run.step() else { return Ok(Err(Next::Done)) };
        let now = Utc::now();
        let Some((event_type, _)) = &step.awaits else {
            return Ok(match step.due_at {
                Some(until) if until <= now => Ok(vec![Entry::Succeeded { result: json!({ "until": until }).into() }]),
                until => Err(Next::Waiting(until.map(DateTime::from))),
            });
        };
        let over = step.due_at.is_some_and(|due_at| due_at <= now);
        let Some(looked) = self.look(task).await? else { return Ok(Err(behind())) };
        let Some(known) = looked.of_step(standing.run.current) else {
            // The intake does not know of the wait; it wakes the run if the event came already, but not for its end.
            return Ok(Err(if over { behind() } else { Next::Waiting(step.due_at.map(DateTime::from)) }));
        };
        if let Some(event) = &known.matched {
            return Ok(Ok(vec![Entry::Succeeded { result: json!({ "event": event }).into() }]));
        }
        if !over {
            return Ok(Err(Next::Waiting(step.due_at.map(DateTime::from))));
        }
        let failure = Failure::terminal(TIMED_OUT, format!("no {event_type} came in time"));
        let action = standing.document.actions.get(standing.run.current);
        Ok(Ok(action.map(|action| standing.failed(action, failure)).into_iter().collect()))
    }
}

/// When to look again how far the intake has read.
fn behind() -> Next {
    Next::At(Utc::now() + TimeDelta::milliseconds(50 + i64::from(rand::random::<u8>())))
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
