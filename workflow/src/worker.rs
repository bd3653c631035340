//! Takes one run as far as it goes: step by step until it ends, waits, or stands still.

use crate::bounds::{Admitted, Bounds};
use crate::denials;
use crate::document::{Document, Policy};
use crate::expression::holds;
use crate::hand::Hand;
use crate::plan::Stands;
use crate::tasks::{Looked, Next, Noted, Start, Task, Tasks};
use crate::turn::{Failure, Turn};
use anyhow::{Context as _, Result, anyhow};
use chrono::{TimeDelta, Utc};
use crash_points::Point;
use event_store::{CommandBus, ExecuteError, Request};
use futures::future::{Either, join_all};
use kernel::{Actor, Name, TenantId};
use metrics::{counter, histogram};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_domain::run::RunCommand;
use workflow_domain::{Entry, Run, RunStatus, StepPath};

mod endings;
mod waiting;

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
    /// It has ended; the run, if there is one.
    Ended(Option<Box<Run>>),
    NotOurs,
    /// It may not start yet.
    Later(Next),
}

/// What one move of a run led to.
enum Moved {
    On,
    /// Somebody was faster: an operator, or the worker that took over while this one hung.
    Refused(ExecuteError),
    LetGo(Next),
}

/// A step that is to be taken now.
#[derive(Clone)]
struct Due {
    path: StepPath,
    has_effect: bool,
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
            Ok(TakenUp::Ended(run)) => self.after_end(&task, run).await,
            Ok(TakenUp::NotOurs) => return Ok(()),
            Ok(TakenUp::Later(next)) => Ok(next),
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
        let exclusive = start.correlation_key().is_some();
        if start.caused_by.is_some() || exclusive {
            // Such runs are counted: by whoever's they are, and when they start. Or they start only if no other goes on.
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
        if exclusive && self.queues(task, start).await? {
            return Ok(TakenUp::Later(behind_another()));
        }
        let hand = match self.begin(task, start).await {
            Ok(Some(hand)) => Ok(hand),
            Ok(None) => {
                self.tasks.forget(task).await.context("forgetting a run")?;
                return Ok(TakenUp::Ended(None));
            }
            Err(error) => Err(error),
        };
        let first = async {
            let noted = noted.await;
            match (noted, &hand) {
                (Err(_), _) => None,
                (Ok(Noted::New), Ok(hand))
                    if !exclusive
                        && hand.effect_is_next()
                        && !self.stopping.is_cancelled()
                        && self.may_go_on(task, hand).await =>
                {
                    let due = due(hand);
                    let entries = self.take(hand, &due).await;
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
            Some(Err(ExecuteError::Claimed { holder, .. })) => return self.beside(task, start, holder).await,
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

    /// Whether a run waits behind one that came earlier for the same thing.
    async fn queues(&self, task: &Task, start: &Start) -> Result<bool> {
        let queued = start.correlation.as_ref().is_some_and(|correlated| correlated.policy == Policy::Queue);
        Ok(queued && self.tasks.is_behind(task.tenant, start).await.context("looking for earlier runs")?)
    }

    /// Another run for the same thing goes on.
    async fn beside(&self, task: &Task, start: &Start, holder: Uuid) -> Result<TakenUp> {
        let policy = start.correlation.as_ref().map(|correlated| correlated.policy);
        if policy == Some(Policy::SkipIfRunning) {
            counter!("workflow_runs_skipped_total").increment(1);
            self.tasks.forget(task).await.context("forgetting a run")?;
            return Ok(TakenUp::Ended(None));
        }
        if policy == Some(Policy::CancelRunning) {
            let definition = start.definition.to_string();
            let actor = Actor::Workflow { run_id: task.run, definition };
            let reason = "another run for the same began".parse::<Name>().context("a constant reason")?;
            let command = RunCommand::Cancel { keep: false, reason };
            let request = Request::new(TenantId(task.tenant), actor);
            match self.bus.store().execute::<Run>(Some(holder), command, &request).await {
                Ok(_) | Err(ExecuteError::Rejected { .. }) => {
                    return Ok(TakenUp::Later(Next::At(Utc::now())));
                }
                Err(error) => return Err(error).context("cancelling another run"),
            }
        }
        Ok(TakenUp::Later(behind_another()))
    }

    /// The run as the log has it.
    async fn load(&self, task: &Task) -> Result<TakenUp> {
        let tenant = TenantId(task.tenant);
        let (run, version) = self.bus.store().load::<Run>(tenant, task.run).await.context("loading a run")?;
        if version == 0 {
            return Ok(TakenUp::Ended(None));
        }
        if run.has_ended() {
            return Ok(TakenUp::Ended(Some(Box::new(run))));
        }
        let document = self.parse(&run.definition_hash, &run.document)?;
        Ok(TakenUp::Run(Box::new(Hand::new(tenant, task.run, run, document, version))))
    }

    /// A version of a definition, parsed once.
    fn parse(&self, hash: &str, document: &Value) -> Result<Arc<Document>> {
        if let Some(parsed) = self.parsed.lock().get(hash) {
            return Ok(parsed.clone());
        }
        let parsed = Document::read(document);
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
                Moved::LetGo(Next::Done) => return self.after_end(task, Some(Box::new(hand.run))).await,
                Moved::LetGo(next) => return Ok(next),
                Moved::Refused(error) => {
                    refused += 1;
                    if refused > REFUSED_MAX {
                        return Err(error).context("recording a step, again and again");
                    }
                    match self.load(task).await? {
                        TakenUp::Run(fresh) => hand = *fresh,
                        TakenUp::Ended(run) => return self.after_end(task, run).await,
                        TakenUp::NotOurs | TakenUp::Later(_) => return Ok(Next::Done),
                    }
                }
            }
        }
    }

    /// One move: records what has happened and does what comes next, both at once where that is an effect.
    async fn advance(&self, task: &Task, hand: &mut Hand) -> Result<Moved> {
        let store = self.bus.store();
        if hand.run.has_ended() {
            if hand.is_recorded() {
                return Ok(Moved::LetGo(Next::Done));
            }
            let recorded = hand.record(store).await;
            crash_points::reach(Point::WorkflowRecorded);
            return record(hand, recorded);
        }
        let stops = self.stopping.is_cancelled();
        let due = due(hand);
        let (finished, parked) = (hand.is_finished(), hand.run.status() == RunStatus::Parked);
        let compensating = hand.run.progress.compensating && !parked;
        let rests = stops || parked || due.is_empty() && !finished && !compensating;
        if rests && !hand.is_recorded() {
            let recorded = hand.record(store).await;
            crash_points::reach(Point::WorkflowRecorded);
            return record(hand, recorded);
        }
        if stops {
            return Ok(Moved::LetGo(Next::At(Utc::now())));
        }
        let may_be_cancelled = !hand.document.cancel_on.is_empty() && !hand.run.progress.compensating;
        if may_be_cancelled {
            let Some(looked) = self.look(task).await? else {
                // What has been done is told, and nothing is concluded from it.
                return match hand.is_recorded() {
                    true => Ok(Moved::LetGo(behind())),
                    false => record(hand, hand.record(store).await),
                };
            };
            if let Some(reason) = looked.cancelled() {
                return self.end(hand, reason).await;
            }
        }
        if parked {
            return Ok(Moved::LetGo(Next::Parked));
        }
        if compensating {
            return self.compensate(hand).await;
        }
        if finished {
            hand.note(vec![Entry::Finished {}])?;
            return Ok(Moved::On);
        }
        if due.is_empty() {
            return self.waited(task, hand).await;
        }
        // What only the run itself knows of is done at once, and recorded with what follows.
        let inner: Vec<Due> = due.iter().filter(|due| !due.has_effect).cloned().collect();
        if !inner.is_empty() {
            let entries = self.take(hand, &inner).await;
            denials::note(&self.tasks.pool, hand, &entries).await;
            hand.note(entries)?;
            return Ok(Moved::On);
        }
        // The record is asked for first, and the appender overtakes nobody: unless it is refused, the log has what came
        // before no later than this effect.
        let (recorded, entries) = tokio::join!(hand.record(store), self.take(hand, &due));
        crash_points::reach(Point::WorkflowExecuted);
        match record(hand, recorded)? {
            Moved::On => {}
            other => return Ok(other),
        }
        denials::note(&self.tasks.pool, hand, &entries).await;
        hand.note(entries)?;
        Ok(Moved::On)
    }

    /// Takes steps, all at once, and answers what is to be recorded.
    async fn take(&self, hand: &Hand, due: &[Due]) -> Vec<Entry> {
        let taken = due.iter().map(async |due| {
            let Some(action) = hand.document.action(due.path.id()) else { return vec![] };
            let turn = self.turn(hand, &due.path);
            // A condition that held once has held, unless an operator has the step tried again.
            let pending = turn.step().is_none_or(|step| step.status == workflow_domain::StepStatus::Pending);
            if let Some(when) = action.common().when.as_deref().filter(|_| pending) {
                match holds(when, turn.scope()) {
                    Ok(true) => {}
                    Ok(false) => {
                        let blocks = action.kind().blocks();
                        let inner = blocks.iter().filter(|block| !block.repeated);
                        let left_out = inner.flat_map(|block| crate::plan::inside(&due.path, block.actions)).collect();
                        let reason = crate::turn::left_out();
                        return vec![Entry::LeftOut { step: due.path.clone(), left_out, reason }];
                    }
                    Err(error) => return turn.failed(error.into()),
                }
            }
            let started = Instant::now();
            let entries = action.kind().take(&turn).await;
            if let Some(command) = action.command() {
                histogram!("workflow_step_duration_seconds", "action" => command).record(started.elapsed());
            }
            entries
        });
        join_all(taken).await.into_iter().flatten().collect()
    }

    fn turn<'a>(&'a self, hand: &'a Hand, path: &StepPath) -> Turn<'a> {
        let common = hand.document.action(path.id()).map_or(&*crate::turn::PLAIN, |action| action.common());
        Turn::new(hand.standing(), path.clone(), common, &self.bus, &self.tasks)
    }

    /// Whether no event ends the run that has come so far; if in doubt, no.
    async fn may_go_on(&self, task: &Task, hand: &Hand) -> bool {
        hand.document.cancel_on.is_empty()
            || matches!(self.tasks.look(task).await, Ok(looked) if looked.open().is_none() && looked.cancelled().is_none())
    }

    /// The run as it begins, nothing of it recorded; none if it shall not start.
    async fn begin(&self, task: &Task, start: &Start) -> Result<Option<Hand>> {
        let (tenant, run_id) = (TenantId(task.tenant), task.run);
        let depth = match start.caused_by {
            Some(cause) => {
                let cause = self.bus.store().load::<Run>(tenant, cause).await.context("loading the run before")?.0;
                // Nobody waits any more for what a run has called that is over.
                if start.parent.is_some() && (cause.has_ended() || cause.progress.compensating) {
                    return Ok(None);
                }
                cause.depth + 1
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
        let first = hand.run.order.first().cloned();
        if let (Some(Failure { class, code, message }), Some(step)) = (incident.map(Failure::from), first) {
            let began_at = kernel::Timestamp::of_clock(Utc::now());
            hand.note(vec![Entry::Failed { step, began_at, class, code, message, go_on: false }])?;
        }
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
}

/// The steps that are to be taken now.
fn due(hand: &Hand) -> Vec<Due> {
    let now = kernel::Timestamp::of_clock(Utc::now());
    let is_due = |stands: Stands| match stands {
        Stands::Ready => true,
        Stands::Again(at) => at <= now,
        Stands::Waiting => false,
    };
    let open = hand.open().into_iter().filter(|open| is_due(open.stands));
    open.map(|open| Due { path: open.path, has_effect: open.action.kind().has_effect() }).collect()
}

/// When to look again how far the intake has read.
fn behind() -> Next {
    Next::At(Utc::now() + TimeDelta::milliseconds(50 + i64::from(rand::random::<u8>())))
}

/// When to look again whether another run for the same has ended, if nobody says so.
fn behind_another() -> Next {
    Next::At(Utc::now() + TimeDelta::milliseconds(2_000 + i64::from(rand::random::<u8>())))
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
