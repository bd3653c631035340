//! How runs end before their last step, and how what they did is taken back.
//!
//! What there is to take back is what the run's history says: a step's effect is in the log with its record or not at all, and
//! a segment of a worker that has lost its lease is refused once the run has been cancelled.

use super::{Moved, TakenUp, Worker};
use crate::actions::Common;
use crate::children;
use crate::hand::{Halt, Hand};
use crate::plan;
use crate::scope::{Scope, event_value};
use crate::tasks::{Next, Task};
use crate::turn::{Standing, Turn, classify, result};
use anyhow::{Context as _, Result, anyhow};
use event_store::Request;
use kernel::{Actor, Name, RunId, TenantId};
use workflow::run::RunCommand;
use workflow::{Entry, Run, RunStatus, Step, StepPath};

impl Worker {
    /// An event ends the run: what it did is taken back where its definition says how. Nothing of a segment is decided yet.
    pub(super) async fn end(&self, hand: &mut Hand, reason: Name) -> Result<Moved, Halt> {
        let mut entries = vec![Entry::Cancelled { reason: reason.clone() }];
        if hand.document.compensates() {
            self.end_called(hand.standing(), &reason).await?;
            if plan::undo(&hand.document, &hand.run).is_some() {
                entries.push(Entry::CompensationStarted { reason });
            }
        }
        hand.note(entries).await?;
        Ok(Moved::On)
    }

    /// One move of taking back: step by step, the last one first.
    pub(super) async fn compensate(&self, hand: &mut Hand) -> Result<Moved, Halt> {
        let (run, document) = (hand.run.clone(), hand.document.clone());
        let standing = Standing { tenant: hand.tenant, run_id: hand.run_id, run: &run, document: &document };
        let Some((path, undo)) = plan::undo(&document, &run) else {
            if run.steps.values().any(|step| called(step).is_some()) {
                if !hand.is_recorded() {
                    return Ok(Moved::Append);
                }
                let reason = "the run that called it takes back what it did".parse::<Name>();
                self.end_called(standing, &reason.context("a constant reason")?).await?;
            }
            hand.note(vec![Entry::Compensated {}]).await?;
            return Ok(Moved::On);
        };
        let step = run.step_at(&path.undo());
        if let Some(due_at) = step.and_then(|step| step.due_at)
            && due_at.utc() > chrono::Utc::now()
        {
            let next = Moved::LetGo(Next::At(due_at.utc()));
            return Ok(if hand.is_recorded() { next } else { Moved::Append });
        }
        let common = Common { on_error: undo.on_error, ..Common::default() };
        let turn = Turn::new(standing, path, &common, &self.bus, &self.tasks).undoing();
        let entries = match undo.sends(&turn) {
            Err(entries) => entries,
            Ok(sending) => match hand.send(&self.bus, &turn.path, &sending).await? {
                None => return Ok(Moved::Append),
                Some(answer) => turn.attempt(answer.map(|decided| result(&decided)).map_err(classify)),
            },
        };
        hand.note(entries).await?;
        Ok(Moved::On)
    }

    /// Runs that steps of this one wait for are ended too.
    async fn end_called(&self, standing: Standing<'_>, reason: &Name) -> Result<()> {
        for (path, step) in &standing.run.steps {
            if let Some(run) = called(step) {
                let ended = children::cancel(&self.turn(standing, path), run, reason.clone()).await;
                ended.map_err(|failure| anyhow!("ending a run that was called: {}", failure.message))?;
            }
        }
        Ok(())
    }

    /// What is left to do for a run that has ended: what it did is taken back if an event says so, whoever waits for its end
    /// goes on, and the next one for the same thing may start.
    pub(super) async fn after_end(&self, task: &mut Task, run: Option<Box<Run>>) -> Result<Next> {
        let Some(run) = run else { return Ok(Next::Done) };
        if let Some(position) = task.cancel_position
            && self.is_taken_back(task, &run, position).await?
        {
            return match self.load(task).await? {
                // Boxed, because this is how its end is brought about.
                TakenUp::Run(hand) => {
                    let next = Box::pin(self.drive(task, *hand, None)).await?;
                    Ok(next.unwrap_or(Next::Done))
                }
                _ => Ok(Next::Done),
            };
        }
        if run.status() != RunStatus::Succeeded && run.steps.values().any(|step| step.wait.is_some()) {
            let document = self.parse(&run.definition_hash, &run.document)?;
            let standing = Standing { tenant: TenantId(task.tenant), run_id: task.run, run: &run, document: &document };
            let reason = "the run that called it was ended".parse::<Name>().context("a constant reason")?;
            self.end_called(standing, &reason).await?;
        }
        if let Some(parent) = &run.parent {
            self.tasks.wake(task.tenant, parent.run_id.0).await.context("waking the run that called")?;
        }
        if let Some(key) = run.correlation_key.as_ref().and_then(|key| key.expose()) {
            let woken = self.tasks.wake_next(task.tenant, run.definition_id.0, key).await;
            woken.context("waking the next run for the same")?;
        }
        Ok(Next::Done)
    }

    /// Whether an event that came after the run's end, or with it, has what it did taken back; then that has begun.
    async fn is_taken_back(&self, task: &Task, run: &Run, position: i64) -> Result<bool> {
        if run.status() != RunStatus::Succeeded || !run.compensates {
            return Ok(false);
        }
        let document = self.parse(&run.definition_hash, &run.document)?;
        let store = self.bus.store();
        let log = store.log(self.tasks.pool.clone());
        let Some(event) = log.find(position).await.context("reading what cancels a run")? else { return Ok(false) };
        let value = event_value(&event);
        let scope = Scope::of_awaited(task.run, run, &StepPath::default(), &value);
        let met = document.cancel_on.iter().find(|cancel| {
            cancel.event_type == event.event_type && crate::expression::holds(&cancel.matching, &scope) == Ok(true)
        });
        let Some(cancel) = met else { return Ok(false) };
        let given = cancel.reason.clone().or_else(|| format!("{} came", cancel.event_type).parse().ok());
        let reason = given.ok_or_else(|| anyhow!("an event without a name"))?;
        let definition = run.definition.as_ref().map(ToString::to_string).unwrap_or_default();
        let actor = Actor::Workflow { run_id: task.run, definition };
        let mut request = Request::new(TenantId(task.tenant), actor);
        request.causation_id = Some(event.event_id);
        let asked = store.execute::<Run>(Some(task.run), RunCommand::Compensate { reason }, &request).await;
        asked.context("having taken back what a run did")?;
        Ok(true)
    }
}

/// The run that a step waits for.
fn called(step: &Step) -> Option<RunId> {
    step.wait.as_ref().and_then(|wait| wait.run)
}
