//! Where a definition, a run, its steps and its questions stand. Steps and questions are moved by the events of their run; one that
//! names a step is shown to the status of that step.

use crate::{ApprovalOutcome, DefinitionEvent, Renamed, RunEvent as E, StepPath};
use kernel::{Machine, Progress, status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a definition stands. Runs that go on are not touched by it.
#[status]
pub enum DefinitionStatus {
    /// New runs start.
    #[default]
    Active,
    /// No new run starts until it is resumed.
    Paused,
    /// No new run ever starts.
    Retired,
}

impl Machine<DefinitionEvent> for DefinitionStatus {
    const BEGINS: &'static [&'static str] = &["definition.published"];

    fn after(self, event: &DefinitionEvent) -> Self {
        match (self, event) {
            (Self::Active, DefinitionEvent::Paused { .. }) => Self::Paused,
            (Self::Paused, DefinitionEvent::Resumed {}) => Self::Active,
            (Self::Active | Self::Paused, DefinitionEvent::Retired { .. }) => Self::Retired,
            _ => self,
        }
    }
}

/// Where a run stands.
#[status]
pub enum RunStatus {
    /// Goes on by itself.
    #[default]
    Running,
    /// Waits for a time, an event, an approval or another run.
    Waiting,
    /// Stands still until an operator acts.
    Parked,
    /// Takes back what it has done.
    Compensating,
    /// Every step is done.
    Succeeded,
    /// Ended on purpose before its last step.
    Cancelled,
    /// What it had done is taken back.
    Compensated,
}

impl RunStatus {
    /// Will it do nothing more by itself, nor wait for anything?
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Compensated)
    }
}

/// Where a step stands.
#[status]
pub enum StepStatus {
    /// Nothing has come of it yet.
    #[default]
    Pending,
    /// The steps inside of it are at work.
    Running,
    /// Will be tried again.
    RetryScheduled,
    /// Waits for a time, an event, an approval or another run.
    Waiting,
    /// Done.
    Succeeded,
    /// Not done, and not tried again by itself.
    Failed,
    /// Left out.
    Skipped,
    /// Never to be done, because the run was ended before.
    Cancelled,
}

impl StepStatus {
    /// Is nothing more to come of it by itself?
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }
}

impl Machine<E> for StepStatus {
    // A step inside of another begins when it is reached, and no event says so.
    const BEGINS: &'static [&'static str] = &["run.started", "run.moved"];

    fn after(self, event: &E) -> Self {
        use StepStatus::{Cancelled, Failed, Pending, RetryScheduled, Running, Skipped, Succeeded, Waiting};
        match (self, event) {
            (Pending | RetryScheduled | Running | Waiting, E::StepSucceeded { .. }) => Succeeded,
            (Pending | RetryScheduled | Running | Waiting, E::StepFailed { .. }) => Failed,
            (Pending, E::StepChosen { .. }) => Succeeded,
            (Pending, E::StepExpanded { .. }) => Running,
            (Pending, E::StepSkipped { .. } | E::StepsLeftOut { .. }) => Skipped,
            (Pending, E::StepRetryScheduled { .. }) => RetryScheduled,
            (Pending | RetryScheduled, E::StepWaiting { .. } | E::ApprovalRequested { .. }) => Waiting,
            (Waiting, E::StepCancelled { .. }) => Cancelled,
            (Failed, E::Resumed { .. }) => Pending,
            // What a run's end has cancelled stays so: such a run is over.
            (Cancelled, E::Rerun { .. }) => Cancelled,
            (_, E::Rerun { .. }) => Pending,
            _ => self,
        }
    }
}

/// Where a question stands that a step asks.
#[status]
pub enum ApprovalStatus {
    /// Somebody shall decide.
    #[default]
    Open,
    /// Enough are for it.
    Approved,
    /// Somebody is against it.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Nobody needs to decide any more.
    Withdrawn,
}

impl Machine<E> for ApprovalStatus {
    const BEGINS: &'static [&'static str] = &["approval.requested"];

    fn after(self, event: &E) -> Self {
        match (self, event) {
            // A step that is taken again asks again.
            (_, E::ApprovalRequested { .. }) => Self::Open,
            (Self::Open, E::ApprovalClosed { outcome, .. }) => match outcome {
                ApprovalOutcome::Approved => Self::Approved,
                ApprovalOutcome::Rejected => Self::Rejected,
                ApprovalOutcome::Expired => Self::Expired,
                ApprovalOutcome::Withdrawn => Self::Withdrawn,
            },
            _ => self,
        }
    }
}

/// Where a run stands, with the steps that make it stand there: several may wait at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    /// Where the run stands.
    pub status: RunStatus,
    /// The steps that wait.
    pub waiting: BTreeSet<StepPath>,
    /// The steps that an operator must look after.
    pub parked: BTreeSet<StepPath>,
    /// What was done is being taken back, even if that stands still.
    pub compensating: bool,
}

impl Progress<E> for RunProgress {
    type Status = RunStatus;

    const BEGINS: &'static [&'static str] = &["run.started"];

    fn apply(&mut self, event: &E) {
        use RunStatus::{Cancelled, Compensated, Compensating, Parked, Running, Succeeded, Waiting};
        match (self.status, event) {
            (Succeeded | Cancelled, E::CompensationStarted { .. }) => self.compensating = true,
            (Succeeded, E::Rerun { .. }) => {}
            // What is told of steps after the end moves them, and not the run.
            (Succeeded | Cancelled | Compensated, _) => return,
            (Running | Waiting | Parked, E::Cancelled { .. }) if !self.compensating => return self.end(Cancelled),
            (Running, E::Succeeded {}) => return self.end(Succeeded),
            (Compensating, E::Compensated {}) => return self.end(Compensated),
            (_, E::StepWaiting { step, .. } | E::ApprovalRequested { step, .. }) => {
                self.waiting.insert(step.clone());
            }
            // A step that waits is cancelled with its run only, and is not skipped.
            (_, E::StepSucceeded { step, .. } | E::StepFailed { step, .. }) => {
                self.waiting.remove(step);
            }
            (_, E::Parked { step, .. }) => {
                self.parked.insert(step.clone());
            }
            (Parked, E::Resumed { steps, .. }) => self.parked.retain(|step| !steps.contains(step)),
            (Parked, E::Rerun { steps, .. }) if !self.compensating => {
                self.parked.retain(|step| !steps.contains(step));
                // Whatever has not ended is taken again.
                self.waiting.clear();
            }
            (Parked, E::Moved { renamed, .. }) => {
                let name = |step| Renamed::of(renamed, step);
                self.waiting = std::mem::take(&mut self.waiting).into_iter().map(name).collect();
                self.parked = std::mem::take(&mut self.parked).into_iter().map(name).collect();
            }
            _ => {}
        }
        self.status = match (self.parked.is_empty(), self.compensating, self.waiting.is_empty()) {
            (false, ..) => Parked,
            (true, true, _) => Compensating,
            (true, false, false) => Waiting,
            (true, false, true) => Running,
        };
    }

    fn status(&self) -> RunStatus {
        self.status
    }
}

impl RunProgress {
    fn end(&mut self, status: RunStatus) {
        *self = Self { status, ..Self::default() };
    }
}
