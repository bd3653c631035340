//! Where a run and its steps stand: one machine for each, for the decision and for whoever reads.

use crate::{Renamed, RunEvent as E, StepPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Waiting,
        Self::Parked,
        Self::Compensating,
        Self::Succeeded,
        Self::Cancelled,
        Self::Compensated,
    ];

    /// As it is written: `parked`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Compensating => "compensating",
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
            Self::Compensated => "compensated",
        }
    }

    /// Will it do nothing more by itself, nor wait for anything?
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Compensated)
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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
    /// As it is written: `succeeded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::RetryScheduled => "retry_scheduled",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Is nothing more to come of it by itself?
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    /// Where the step stands after an event about it.
    #[must_use]
    pub fn after(self, event: &E) -> Self {
        match event {
            E::StepSucceeded { .. } | E::StepChosen { .. } => Self::Succeeded,
            E::StepRetryScheduled { .. } => Self::RetryScheduled,
            E::StepFailed { .. } => Self::Failed,
            E::StepSkipped { .. } => Self::Skipped,
            E::StepCancelled { .. } => Self::Cancelled,
            E::StepWaiting { .. } | E::ApprovalRequested { .. } => Self::Waiting,
            E::StepExpanded { .. } => Self::Running,
            E::Resumed { .. } | E::InputAmended { .. } | E::Rerun { .. } => Self::Pending,
            E::Started { .. }
            | E::ApprovalGranted { .. }
            | E::ApprovalRejected { .. }
            | E::ApprovalDelegated { .. }
            | E::ApprovalReminded { .. }
            | E::ApprovalEscalated { .. }
            | E::NotificationRequested { .. }
            | E::SignalReceived { .. }
            | E::Parked { .. }
            | E::Moved { .. }
            | E::Cancelled { .. }
            | E::CompensationStarted { .. }
            | E::Compensated {}
            | E::Succeeded {} => self,
        }
    }
}

/// Where a question stands that a step asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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

impl ApprovalStatus {
    /// Where the question stands after an event about its step; `enough` says whether so many are for it as must be.
    #[must_use]
    pub fn after(self, event: &E, enough: bool) -> Self {
        match (self, event) {
            (_, E::ApprovalRequested { .. }) => Self::Open,
            (Self::Open, E::ApprovalRejected { .. }) => Self::Rejected,
            (Self::Open, E::StepSucceeded { .. }) if enough => Self::Approved,
            (Self::Open, E::StepSucceeded { .. }) => Self::Expired,
            (Self::Open, E::StepCancelled { .. } | E::StepSkipped { .. } | E::StepFailed { .. } | E::Rerun { .. }) => {
                Self::Withdrawn
            }
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

impl RunProgress {
    /// Moves along one event.
    pub fn apply(&mut self, event: &E) {
        match event {
            E::StepWaiting { step, .. } | E::ApprovalRequested { step, .. } => {
                self.waiting.insert(step.clone());
            }
            E::StepSucceeded { step, .. }
            | E::StepFailed { step, .. }
            | E::StepSkipped { step, .. }
            | E::StepCancelled { step } => {
                self.waiting.remove(step);
            }
            E::Parked { step, .. } => {
                self.parked.insert(step.clone());
            }
            E::Resumed { steps, .. } => self.parked.retain(|step| !steps.contains(step)),
            E::Moved { renamed, .. } => {
                let name = |step| Renamed::of(renamed, step);
                self.waiting = std::mem::take(&mut self.waiting).into_iter().map(name).collect();
                self.parked = std::mem::take(&mut self.parked).into_iter().map(name).collect();
            }
            E::Rerun { steps, .. } => {
                self.waiting.retain(|step| !steps.contains(step));
                self.parked.retain(|step| !steps.contains(step));
                self.status = RunStatus::Running;
            }
            E::Cancelled { .. } => return self.end(RunStatus::Cancelled),
            E::Succeeded {} => return self.end(RunStatus::Succeeded),
            E::Compensated {} => return self.end(RunStatus::Compensated),
            E::CompensationStarted { .. } => {
                self.end(RunStatus::Compensating);
                self.compensating = true;
            }
            _ => {}
        }
        if !self.status.has_ended() {
            self.status = match (self.parked.is_empty(), self.compensating, self.waiting.is_empty()) {
                (false, ..) => RunStatus::Parked,
                (true, true, _) => RunStatus::Compensating,
                (true, false, false) => RunStatus::Waiting,
                (true, false, true) => RunStatus::Running,
            };
        }
    }

    fn end(&mut self, status: RunStatus) {
        *self = Self { status, ..Self::default() };
    }
}
