//! What operators do with a run, and how its state is changed for them.

use crate::run::{Decided, Run, RunRejection as R, Step, known};
use kernel::{Machine, Name, Personal};
use serde_json::Value;
use std::collections::BTreeSet;
use workflow_events::{ApprovalOutcome, Renamed, RunEvent as E, RunStatus, StepPath, StepStatus};

impl Run {
    /// The step that an operator means: the one they name, or the only one that the run stands still at.
    fn meant(&self, step: Option<StepPath>) -> Result<StepPath, R> {
        match (step, self.incidents.len()) {
            (Some(step), _) if self.incidents.contains_key(&step) => Ok(step),
            (None, 1) => self.incidents.keys().next().cloned().ok_or(R::UnknownStep),
            _ => Err(R::UnknownStep),
        }
    }

    pub(super) fn retry(&self, step: Option<StepPath>, reason: Name) -> Decided {
        let steps = match step {
            Some(step) => vec![self.meant(Some(step))?],
            None => self.incidents.keys().cloned().collect(),
        };
        Ok(vec![E::Resumed { steps, reason }])
    }

    pub(super) fn skip(&self, step: Option<StepPath>, output: Value, reason: Name) -> Decided {
        let step = self.meant(step)?;
        let resumed = E::Resumed { steps: vec![step.clone()], reason: reason.clone() };
        Ok(vec![resumed, E::StepSkipped { step, output: known(output), reason }])
    }

    pub(super) fn amend(&self, step: Option<StepPath>, parameters: Value, reason: Name) -> Decided {
        let step = self.meant(step)?;
        let resumed = E::Resumed { steps: vec![step.clone()], reason: reason.clone() };
        Ok(vec![E::InputAmended { step, parameters: known(parameters), reason }, resumed])
    }

    pub(super) fn cancel(&self, keep: bool, reason: Name) -> Vec<E> {
        let mut events = self.ended_by(E::Cancelled { reason: reason.clone() });
        if self.compensates && !keep {
            events.push(E::CompensationStarted { reason });
        }
        events
    }

    /// The end of the run, and with it of everything that waits.
    pub(super) fn ended_by(&self, end: E) -> Vec<E> {
        let waiting = &self.progress.waiting;
        let closed = waiting.iter().flat_map(|step| self.closes(step, ApprovalOutcome::Withdrawn));
        let cancelled = waiting.iter().map(|step| E::StepCancelled { step: step.clone() });
        [end].into_iter().chain(closed).chain(cancelled).collect()
    }

    /// The end of the question that a step asks, if it asks one.
    pub(super) fn closes(&self, step: &StepPath, outcome: ApprovalOutcome) -> Option<E> {
        self.step_at(step)?.approval.as_ref()?;
        Some(E::ApprovalClosed { step: step.clone(), outcome })
    }

    pub(super) fn compensate(&self, reason: Name) -> Decided {
        Ok(match self.status() {
            _ if self.progress.compensating => vec![],
            RunStatus::Compensated => vec![],
            _ if !self.compensates => return Err(R::NothingToUndo),
            RunStatus::Succeeded | RunStatus::Cancelled => vec![E::CompensationStarted { reason }],
            _ => self.cancel(false, reason),
        })
    }

    /// The step and everything that ended after it, or has not ended.
    pub(super) fn rerun(&self, step: StepPath, reason: Name) -> Decided {
        if self.progress.compensating || !matches!(self.status(), RunStatus::Parked | RunStatus::Succeeded) {
            return Err(if self.has_ended() { R::Ended } else { R::NotParked });
        }
        // A round of a loop belongs to its loop, and what was taken back is not there any more.
        let known = self.step_at(&step).filter(|_| step.round().is_empty() && !step.is_undo()).ok_or(R::UnknownStep)?;
        let since = if known.ended == 0 { u32::MAX } else { known.ended };
        let after = |path: &StepPath, other: &Step| other.ended == 0 || other.ended >= since || path.is_within(&step);
        let steps = self.steps.iter().filter(|(path, other)| after(path, other)).map(|(path, _)| path.clone());
        let steps: Vec<StepPath> = steps.collect();
        // Nothing has come of any of them yet.
        let untouched =
            |path: &StepPath| self.step_status(path) == StepStatus::Pending && !self.incidents.contains_key(path);
        if steps.iter().all(untouched) {
            return Ok(vec![]);
        }
        let closed: Vec<E> = steps.iter().flat_map(|step| self.closes(step, ApprovalOutcome::Withdrawn)).collect();
        Ok(closed.into_iter().chain([E::Rerun { step, steps, reason }]).collect())
    }

    pub(super) fn follow(&mut self, version: u32, hash: &str, document: &Value, steps: &[StepPath], compensates: bool) {
        self.definition_version = version;
        hash.clone_into(&mut self.definition_hash);
        self.document = document.clone().into();
        self.order = steps.to_vec();
        self.compensates = compensates;
    }

    /// Would two steps be called the same?
    pub(super) fn two_become_one(&self, renamed: &[Renamed]) -> bool {
        let names: BTreeSet<StepPath> = self.steps.keys().map(|path| Renamed::of(renamed, path.clone())).collect();
        let twice = renamed.iter().enumerate().any(|(n, one)| renamed[..n].iter().any(|other| other.to == one.to));
        twice || names.len() < self.steps.len()
    }

    /// Steps that are called something else from now on, with everything inside of them.
    pub(super) fn rename(&mut self, renamed: &[Renamed]) {
        let name = |path| Renamed::of(renamed, path);
        self.steps = std::mem::take(&mut self.steps).into_iter().map(|(path, step)| (name(path), step)).collect();
        self.incidents = std::mem::take(&mut self.incidents).into_iter().map(|(path, why)| (name(path), why)).collect();
    }

    pub(super) fn at(&mut self, path: &StepPath, change: impl FnOnce(&mut Step)) {
        change(self.steps.entry(path.clone()).or_default());
    }

    pub(super) fn at_approval(&mut self, path: &StepPath, change: impl FnOnce(&mut crate::Approval)) {
        self.at(path, |step| {
            if let Some(approval) = &mut step.approval {
                change(approval);
                step.due_at = approval.due_at();
            }
        });
    }

    /// Steps that will not be reached.
    pub(super) fn leave_out(&mut self, steps: &[StepPath], event: &E) {
        for path in steps {
            self.ended += 1;
            let ended = self.ended;
            self.at(path, |step| {
                step.status = step.status.after(event);
                step.ended = ended;
            });
        }
    }

    /// A step is taken again; `new` if it shall have its effect once more.
    pub(super) fn again(&mut self, path: &StepPath, event: &E, new: u32) {
        self.at(path, |step| {
            let amended = if new == 0 { step.amended.take() } else { None };
            *step = Step { status: step.status.after(event), rerun: step.rerun + new, amended, ..Step::default() };
        });
    }

    /// The step that waited has taken up its signal.
    pub(super) fn take_up_signal(&mut self, result: &Personal<Value>) {
        let came = result.expose().filter(|result| result.get("signal").is_some());
        let Some(came) = came.and_then(|result| result.get("came")).and_then(Value::as_str) else { return };
        if let Some(index) = self.signals.iter().position(|signal| signal.name == came) {
            self.signals.remove(index);
        }
    }
}
