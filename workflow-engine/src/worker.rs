//! Takes one run as far as it goes: segment by segment until it ends, waits, or stands still.

use crate::actions::Action;
use crate::bounds::{Admitted, Bounds};
use crate::denials;
use crate::document::{Document, Policy};
use crate::expression::holds;
use crate::hand::{Halt, Hand};
use crate::hot::Hot;
use crate::plan::Stands;
use crate::tasks::{Looked, Next, Noted, Start, Task, Tasks};
use crate::turn::{Failure, Sending, Standing, Turn, classify};
use anyhow::{Context as _, Result, anyhow};
use chrono::{TimeDelta, Utc};
use crash_points::Point;
use event_store::{CommandBus, ExecuteError, Request};
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
use workflow::run::RunCommand;
use workflow::{Entry, Run, RunStatus, StepPath};

mod endings;
mod waiting;

/// Segments in a row that may come to nothing before the worker lets go of the run for a while.
const TRIES_MAX: u32 = 24;

/// The longest pause before a segment is decided again that met with others, in milliseconds.
const PAUSE_MS_MAX: u64 = 50;

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
    hot: Hot,
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
    /// The segment ends here.
    Append,
    LetGo(Next),
}

/// A step that is to be taken now.
struct Due {
    path: StepPath,
    is_outside: bool,
}

impl Worker {
    pub fn new(
        bus: CommandBus,
        tasks: Tasks,
        bounds: Bounds,
        stopping: CancellationToken,
        ended: watch::Sender<u64>,
    ) -> Self {
        Self { bus, tasks, bounds, hot: Hot::default(), stopping, ended: Arc::new(ended), parsed: Arc::default() }
    }

    /// Works on a task and lets go of it. While `noted` has not come, the task is not in the queue yet; if it does not
    /// come, the task is not ours.
    pub async fn work(&self, mut task: Task, mut noted: Option<oneshot::Receiver<Noted>>) -> Result<()> {
        crash_points::reach(Point::WorkflowTaken);
        let lateness = (Utc::now() - task.due_at).to_std().unwrap_or_default();
        histogram!("workflow_timer_lateness_seconds").record(lateness);
        let next = match self.take_up(&mut task, &mut noted).await {
            Ok(TakenUp::Run(hand)) => match self.drive(&mut task, *hand, noted).await {
                Ok(Some(next)) => Ok(next),
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            },
            Ok(TakenUp::Ended(run)) => self.after_end(&mut task, run).await,
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

    /// The run as it stands, or as it begins.
    ///
    /// Its first segment does not wait until the run is in the queue, because the log takes it once. Some runs wait: those that
    /// are counted, by whoever's they are and when they start; those that start only if no other goes on; and those that an event
    /// may cancel, which is known only once the queue has them.
    async fn take_up(&self, task: &mut Task, noted: &mut Option<oneshot::Receiver<Noted>>) -> Result<TakenUp> {
        let Some(start) = &task.start else { return self.load(task).await };
        let document = self.parse(&start.definition_hash, &start.document)?;
        let exclusive = start.correlation_key().is_some();
        if start.caused_by.is_some() || exclusive || !document.cancel_on.is_empty() {
            let known = match noted.take() {
                None => Noted::Known,
                Some(noted) => match noted.await {
                    Ok(known) => known,
                    Err(_) => return Ok(TakenUp::NotOurs),
                },
            };
            let (tenant, run) = (TenantId(task.tenant), task.run);
            if known == Noted::Known && self.bus.store().load::<Run>(tenant, run).await.context("loading a run")?.1 > 0
            {
                task.start = None;
                return self.load(task).await;
            }
        }
        if exclusive && self.queues(task, start).await? {
            return Ok(TakenUp::Later(behind_another()));
        }
        match self.begin(task, start, document).await? {
            Some(hand) => Ok(TakenUp::Run(Box::new(hand))),
            None => {
                self.tasks.forget(task).await.context("forgetting a run")?;
                Ok(TakenUp::Ended(None))
            }
        }
    }

    /// Whether a run waits behind one that came earlier for the same thing.
    async fn queues(&self, task: &Task, start: &Start) -> Result<bool> {
        let queued = start.correlation.as_ref().is_some_and(|correlated| correlated.policy == Policy::Queue);
        Ok(queued && self.tasks.is_behind(task.tenant, start).await.context("looking for earlier runs")?)
    }

    /// Another run for the same thing goes on.
    async fn beside(&self, task: &Task, holder: Uuid) -> Result<Next> {
        let start = task.start.as_ref().context("a run that has begun is beside no other")?;
        let policy = start.correlation.as_ref().map(|correlated| correlated.policy);
        if policy == Some(Policy::SkipIfRunning) {
            counter!("workflow_runs_skipped_total").increment(1);
            self.tasks.forget(task).await.context("forgetting a run")?;
            return Ok(Next::Done);
        }
        if policy == Some(Policy::CancelRunning) {
            let definition = start.definition.to_string();
            let actor = Actor::Workflow { run_id: task.run, definition };
            let reason = "another run for the same began".parse::<Name>().context("a constant reason")?;
            let command = RunCommand::Cancel { keep: false, reason };
            let request = Request::new(TenantId(task.tenant), actor);
            match self.bus.store().execute::<Run>(Some(holder), command, &request).await {
                Ok(_) | Err(ExecuteError::Rejected { .. }) => {
                    return Ok(Next::At(Utc::now()));
                }
                Err(error) => return Err(error).context("cancelling another run"),
            }
        }
        Ok(behind_another())
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
        Ok(TakenUp::Run(Box::new(Hand::new((self.bus.store(), &self.hot), tenant, task.run, run, document, version))))
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

    /// Segment after segment. After the first one, the run has to be in the queue; none if it never comes to be there.
    async fn drive(
        &self,
        task: &mut Task,
        mut hand: Hand,
        mut noted: Option<oneshot::Receiver<Noted>>,
    ) -> Result<Option<Next>> {
        loop {
            let next = match self.advance(task, &mut hand).await {
                Ok(Moved::On) if !hand.is_full() => continue,
                Ok(Moved::On | Moved::Append) => match self.append(task, &mut hand).await {
                    Ok(()) => None,
                    Err(halt) => self.again(task, &mut hand, halt).await?,
                },
                Ok(Moved::LetGo(Next::Done)) => Some(self.after_end(task, Some(Box::new((*hand.run).clone()))).await?),
                Ok(Moved::LetGo(next)) => Some(next),
                Err(halt) => self.again(task, &mut hand, halt).await?,
            };
            if let Some(noted) = noted.take()
                && noted.await.is_err()
            {
                return Ok(None);
            }
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Puts the segment into the log.
    async fn append(&self, task: &mut Task, hand: &mut Hand) -> Result<(), Halt> {
        denials::note(&self.tasks.pool, hand).await;
        hand.append().await?;
        task.start = None;
        Ok(())
    }

    /// After a segment that came to nothing: goes back to what the log has, or lets go of the run.
    async fn again(&self, task: &mut Task, hand: &mut Hand, halt: Halt) -> Result<Option<Next>> {
        let error = match halt {
            Halt::Stale(error) => error,
            Halt::Beside(holder) => return self.beside(task, holder).await.map(Some),
            Halt::Failed(error) => return Err(error),
        };
        let loaded = self.bus.store().load::<Run>(hand.tenant, hand.run_id).await;
        let (run, version) = loaded.context("loading a run")?;
        if version > 0 {
            task.start = None;
        }
        if run.has_ended() {
            return self.after_end(task, Some(Box::new(run))).await.map(Some);
        }
        let logged = match version {
            0 => None,
            _ => Some((self.parse(&run.definition_hash, &run.document)?, run, version)),
        };
        let tries = match hand.again(logged).await {
            Ok(tries) if tries <= TRIES_MAX => tries,
            Ok(_) | Err(Halt::Stale(_) | Halt::Beside(_)) => return Err(error).context("a segment, again and again"),
            Err(Halt::Failed(error)) => return Err(error),
        };
        if tries > 1 {
            // Whoever met here meets again unless they come at other times.
            let longest = PAUSE_MS_MAX.min(1 << tries.min(6));
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..=longest))).await;
        }
        Ok(None)
    }

    /// One move: decides what comes next, and adds it to the segment.
    async fn advance(&self, task: &Task, hand: &mut Hand) -> Result<Moved, Halt> {
        if hand.run.has_ended() {
            return Ok(if hand.is_recorded() { Moved::LetGo(Next::Done) } else { Moved::Append });
        }
        let stops = self.stopping.is_cancelled();
        if stops && hand.begins() {
            return Ok(Moved::LetGo(Next::At(Utc::now())));
        }
        let due = due(hand);
        let (finished, parked) = (hand.is_finished(), hand.run.status() == RunStatus::Parked);
        let compensating = hand.run.progress.compensating && !parked;
        let rests = stops || parked || due.is_empty() && !finished && !compensating;
        if rests && !hand.is_recorded() {
            return Ok(Moved::Append);
        }
        // What events mean for the run is asked once for each segment: one that comes later comes after it.
        let may_be_cancelled = !hand.document.cancel_on.is_empty() && !hand.run.progress.compensating;
        if may_be_cancelled && hand.begins() {
            let Some(looked) = self.look(task).await? else { return Ok(Moved::LetGo(behind())) };
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
            hand.note(vec![Entry::Finished {}]).await?;
            return Ok(Moved::On);
        }
        if due.is_empty() {
            return self.waited(task, hand).await;
        }
        let (outside, inside): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| due.is_outside);
        if !inside.is_empty() {
            return self.take(hand, &inside).await;
        }
        if !hand.is_recorded() {
            return Ok(Moved::Append);
        }
        self.take(hand, &outside).await
    }

    /// Takes steps that are due at the same time, and records what came of them.
    async fn take(&self, hand: &mut Hand, due: &[Due]) -> Result<Moved, Halt> {
        let at_most = if hand.is_small() { 1 } else { due.len() };
        let (mut entries, mut moved) = (vec![], Moved::On);
        for Due { path, .. } in &due[..at_most] {
            match self.take_one(hand, path).await? {
                Some(came) => entries.extend(came),
                None => {
                    moved = Moved::Append;
                    break;
                }
            }
        }
        hand.note(entries).await?;
        Ok(moved)
    }

    /// Takes a step, and answers what is to be recorded. None: the segment ends before it.
    async fn take_one(&self, hand: &mut Hand, path: &StepPath) -> Result<Option<Vec<Entry>>, Halt> {
        let (run, document) = (hand.run.clone(), hand.document.clone());
        let Some(action) = document.action(path.id()) else { return Ok(Some(vec![])) };
        let standing = Standing { tenant: hand.tenant, run_id: hand.run_id, run: &run, document: &document };
        let turn = self.turn(standing, path);
        // A condition that held once has held, unless an operator has the step tried again.
        let pending = turn.step().is_none_or(|step| step.status == workflow::StepStatus::Pending);
        if let Some(when) = action.common().when.as_deref().filter(|_| pending) {
            match holds(when, turn.scope()) {
                Ok(true) => {}
                Ok(false) => {
                    let blocks = action.kind().blocks();
                    let inner = blocks.iter().filter(|block| !block.repeated);
                    let left_out = inner.flat_map(|block| crate::plan::inside(path, block.actions)).collect();
                    let reason = crate::turn::left_out();
                    return Ok(Some(vec![Entry::LeftOut { step: path.clone(), left_out, reason }]));
                }
                Err(error) => return Ok(Some(turn.failed(error.into()))),
            }
        }
        let started = Instant::now();
        if let Some(several) = action.kind().sends_several(&turn).await {
            return self.take_several(hand, &turn, action, several).await;
        }
        let Some(sending) = action.kind().sends(&turn) else { return Ok(Some(action.kind().take(&turn).await)) };
        let sending = match sending {
            Ok(sending) => sending,
            Err(failure) => return Ok(Some(turn.attempt(Err(failure)))),
        };
        let answer = hand.send(&self.bus, path, &sending).await?;
        histogram!("workflow_step_duration_seconds", "action" => sending.info.entry.name).record(started.elapsed());
        Ok(answer.map(|answer| action.kind().answered(&turn, answer)))
    }

    /// Sends the commands of a step that sends several. None: the segment ends before one of them, and the step is taken again.
    async fn take_several(
        &self,
        hand: &mut Hand,
        turn: &Turn<'_>,
        action: &Action,
        several: Result<Vec<Sending>, Failure>,
    ) -> Result<Option<Vec<Entry>>, Halt> {
        let several = match several {
            Ok(several) => several,
            Err(failure) => return Ok(Some(turn.attempt(Err(failure)))),
        };
        for sending in &several {
            match hand.send(&self.bus, &turn.path, sending).await? {
                None => return Ok(None),
                Some(Ok(_) | Err(ExecuteError::AlreadyExists)) => {}
                Some(Err(error)) => return Ok(Some(turn.attempt(Err(classify(error))))),
            }
        }
        Ok(Some(action.kind().sent(turn, &several)))
    }

    fn turn<'a>(&'a self, standing: Standing<'a>, path: &StepPath) -> Turn<'a> {
        let common = standing.document.action(path.id()).map_or(&*crate::turn::PLAIN, |action| action.common());
        Turn::new(standing, path.clone(), common, &self.bus, &self.tasks)
    }

    /// The run as it begins, nothing of it in the log; none if it shall not start.
    async fn begin(&self, task: &Task, start: &Start, document: Arc<Document>) -> Result<Option<Hand>> {
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
        let first = run.order.first().cloned();
        let mut entries = vec![];
        if let (Some(Failure { class, code, message }), Some(step)) = (incident.map(Failure::from), first) {
            let began_at = kernel::Timestamp::of_clock(Utc::now());
            entries.push(Entry::Failed { step, began_at, class, code, message, go_on: false });
        }
        match Hand::start((self.bus.store(), &self.hot), tenant, run_id, run, document, entries).await {
            Ok(hand) => Ok(Some(hand)),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Stale(error)) => Err(error).context("a run that cannot begin"),
            Err(Halt::Beside(_)) => Err(anyhow!("a run is beside another before it is appended")),
        }
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
    open.map(|open| Due { path: open.path, is_outside: open.action.kind().is_outside() }).collect()
}

/// When to look again how far the intake has read.
fn behind() -> Next {
    Next::At(Utc::now() + TimeDelta::milliseconds(50 + i64::from(rand::random::<u8>())))
}

/// When to look again whether another run for the same has ended, if nobody says so.
fn behind_another() -> Next {
    Next::At(Utc::now() + TimeDelta::milliseconds(2_000 + i64::from(rand::random::<u8>())))
}
