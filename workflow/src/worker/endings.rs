//! How runs end before their last step, and how what they did is taken back.
//!
//! Before anything is taken back it must be clear what there is. A step's command may be on its way to the log while its run
//! is cancelled, sent by a worker that has died or lost its lease. So its key is taken: either the command came first, then the
//! step is done and is taken back like any other; or the record did, and then the command can never have an effect.

use super::{Moved, TakenUp, Worker, record};
use crate::children;
use crate::hand::Hand;
use crate::plan::{self, Open, Stands};
use crate::scope::{Scope, event_value};
use crate::tasks::{Next, Task};
use crate::turn::Turn;
use anyhow::{Context as _, Result, anyhow};
use event_store::{ExecuteError, Request};
use kernel::{Actor, Name, TenantId};
use workflow_domain::run::RunCommand;
use workflow_domain::{Entry, Run, RunStatus, StepPath};

impl Worker {
    /// An event ends the run: what it did is taken back where its definition says how.
    pub(super) async fn end(&self, hand: &mut Hand, reason: Name) -> Result<Moved> {
        if !hand.document.compensates() {
            hand.note(vec![Entry::Cancelled { reason }])?;
            return Ok(Moved::On);
        }
        if !hand.is_recorded() {
            let recorded = hand.record(self.bus.store()).await;
            return record(hand, recorded);
        }
        self.end_called(hand, &reason).await?;
        let in_doubt = in_doubt(hand);
        if let [step, _, ..] = &in_doubt[..] {
            return self.settle(hand, step, vec![]).await;
        }
        let mut entries = vec![Entry::Cancelled { reason: reason.clone() }];
        if plan::undo(&hand.document, &hand.run).is_some() {
            entries.push(Entry::CompensationStarted { reason });
        }
        match in_doubt.first() {
            Some(step) => self.settle(hand, step, entries).await,
            None => {
                hand.note(entries)?;
                Ok(Moved::On)
            }
        }
    }

    /// One move of taking back: what is in doubt first, then step by step, the last one first.
    pub(super) async fn compensate(&self, hand: &mut Hand) -> Result<Moved> {
        if let Some(step) = in_doubt(hand).first() {
            if !hand.is_recorded() {
                let recorded = hand.record(self.bus.store()).await;
                return record(hand, recorded);
            }
            return self.settle(hand, step, vec![]).await;
        }
        let Some((path, undo)) = plan::undo(&hand.document, &hand.run) else {
            let reason = "the run that called it takes back what it did".parse::<Name>();
            self.end_called(hand, &reason.context("a constant reason")?).await?;
            hand.note(vec![Entry::Compensated {}])?;
            return Ok(Moved::On);
        };
        let step = hand.run.step_at(&path.undo());
        if let Some(due_at) = step.and_then(|step| step.due_at)
            && due_at.utc() > chrono::Utc::now()
        {
            if !hand.is_recorded() {
                let recorded = hand.record(self.bus.store()).await;
                return record(hand, recorded);
            }
            return Ok(Moved::LetGo(Next::At(due_at.utc())));
        }
        let turn = Turn::new(hand.standing(), path, &crate::turn::PLAIN, &self.bus, &self.tasks).undoing();
        let (recorded, entries) = tokio::join!(hand.record(self.bus.store()), undo.take(&turn));
        drop(turn);
        match record(hand, recorded)? {
            Moved::On => {}
            other => return Ok(other),
        }
        hand.note(entries)?;
        Ok(Moved::On)
    }

    /// Makes sure that a step's command has had its effect or never will. `entries` come with it if it never will.
    async fn settle(&self, hand: &mut Hand, step: &StepPath, entries: Vec<Entry>) -> Result<Moved> {
        let before = hand.run.clone();
        let never = [Entry::StepCancelled { step: step.clone() }];
        let fence = hand.standing().fence(step);
        hand.note(never.into_iter().chain(entries).collect())?;
        match hand.record_under(self.bus.store(), Some(fence)).await {
            Err(ExecuteError::KeyReused) => {
                // The command came first: sent again, it answers what it answered then.
                hand.forget(before);
                let action = hand.document.action(step.id()).ok_or_else(|| anyhow!("no action is called {step}"))?;
                let entries = action.kind().take(&self.turn(hand, step)).await;
                hand.note(entries)?;
                Ok(Moved::On)
            }
            recorded => record(hand, recorded),
        }
    }

    /// Runs that steps of this one wait for are ended too.
    async fn end_called(&self, hand: &Hand, reason: &Name) -> Result<()> {
        for (path, step) in &hand.run.steps {
            let called = step.wait.as_ref().and_then(|wait| wait.run);
            if let Some(run) = called {
                let ended = children::cancel(&self.turn(hand, path), run, reason.clone()).await;
                ended.map_err(|failure| anyhow!("ending a run that was called: {}", failure.message))?;
            }
        }
        Ok(())
    }

    /// What is left to do for a run that has ended: what it did is taken back if an event says so, whoever waits for its end
    /// goes on, and the next one for the same thing may start.
    pub(super) async fn after_end(&self, task: &Task, run: Option<Box<Run>>) -> Result<Next> {
        let Some(run) = run else { return Ok(Next::Done) };
        if let Some(position) = task.cancel_position
            && self.is_taken_back(task, &run, position).await?
        {
            return match self.load(task).await? {
                // Boxed, because this is how its end is brought about.
                TakenUp::Run(hand) => Box::pin(self.drive(task, *hand)).await,
                _ => Ok(Next::Done),
            };
        }
        if run.status() != RunStatus::Succeeded && run.steps.values().any(|step| step.wait.is_some()) {
            let document = self.parse(&run.definition_hash, &run.document)?;
            let hand = Hand::new(TenantId(task.tenant), task.run, (*run).clone(), document, 0);
            let reason = "the run that called it was ended".parse::<Name>().context("a constant reason")?;
            self.end_called(&hand, &reason).await?;
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
        let scope = Scope::of_awaited(task.run, run, &StepPath::default(), &event_value(&event));
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

/// The steps whose commands may be on their way to the log.
fn in_doubt(hand: &Hand) -> Vec<StepPath> {
    let open: Vec<Open<'_>> = plan::open(&hand.document, &hand.run);
    let sent = |open: &&Open<'_>| open.stands != Stands::Waiting && open.action.command().is_some();
    open.iter().filter(sent).map(|open| open.path.clone()).collect()
}
