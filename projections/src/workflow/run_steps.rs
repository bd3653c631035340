//! Steps of runs: those that are there from the beginning, and those inside of them when they are reached.

use crate::model::{Envelope, Event, Fold, FoldError};
use catalogue::workflow_events::{RunEvent as E, StepPath, StepStatus};
use chrono::{DateTime, Utc};
use kernel::{Machine, Personal, RunId, Timestamp, read_model};
use serde_json::Value;
use uuid::Uuid;

/// Steps of runs, named by their path.
#[read_model(
    "workflow.run_steps",
    read = "workflow.run_step.read",
    created_at(filter),
    updated_at(sort),
    part_of(run_id, "workflow.runs")
)]
pub struct RunStepRow {
    /// The run.
    #[column(filter)]
    pub run_id: RunId,
    /// Its path: `contact`, `reminders[2].send`.
    pub step: StepPath,
    /// Where it stands.
    #[column(filter)]
    pub status: StepStatus,
    /// How many attempts have been made.
    pub attempts: u32,
    /// What later steps may refer to.
    pub result: Option<Personal<Value>>,
    /// Stable code of what went wrong.
    pub error_code: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it is tried again, or ends waiting.
    pub due_at: Option<Timestamp>,
    /// Orders a run's steps: those of the beginning, then the others as they were reached.
    #[column(sort)]
    pub place: u32,
}

/// The row of a run's step.
pub fn step_row_id(run: RunId, step: &str) -> Uuid {
    Uuid::new_v5(&run.0, step.as_bytes())
}

/// No definition has more steps.
const LATER: i64 = 1_000;

impl Fold for RunStepRow {
    type Event = E;

    fn keys(change: &E, event: &Event) -> Vec<Uuid> {
        let run = RunId(event.aggregate_id);
        let mut keys: Vec<Uuid> = change.steps().into_iter().map(|step| step_row_id(run, step)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let run_id = RunId(event.aggregate_id);
        let (index, step) = Self::of(change, event)?;
        let place = match change {
            E::Started { .. } | E::Moved { .. } => u32::try_from(index),
            _ => u32::try_from(event.sequence + LATER),
        };
        let mut row = Self {
            run_id,
            step: step.clone(),
            status: StepStatus::Pending,
            attempts: 0,
            result: None,
            error_code: None,
            error: None,
            started_at: None,
            completed_at: None,
            due_at: None,
            place: place.unwrap_or(u32::MAX),
        };
        row.tell(change, event);
        Some(row)
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        if let (E::Moved { .. }, Some((index, _))) = (change, Self::of(change, event)) {
            self.place = u32::try_from(index).unwrap_or(u32::MAX);
        }
        self.tell(change, event);
        Ok(())
    }
}

impl RunStepRow {
    /// The row's step among those that the event names.
    fn of<'e>(change: &'e E, event: Envelope<'_>) -> Option<(usize, &'e StepPath)> {
        let run = RunId(event.aggregate_id);
        change.steps().into_iter().enumerate().find(|(_, step)| step_row_id(run, step) == event.row)
    }

    fn tell(&mut self, change: &E, event: Envelope<'_>) {
        if matches!(change, E::Started { .. } | E::Moved { .. }) {
            return;
        }
        self.status = self.status.after(change);
        self.completed_at = self.status.has_ended().then_some(event.recorded_at);
        match change {
            E::StepSucceeded { began_at, result, .. } => {
                self.began(*began_at);
                self.attempts += 1;
                self.result = Some(result.clone());
                self.due_at = None;
                (self.error_code, self.error) = (None, None);
            }
            E::StepRetryScheduled { began_at, code, message, due_at, .. } => {
                self.began(*began_at);
                self.attempts += 1;
                self.due_at = Some(*due_at);
                (self.error_code, self.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::StepFailed { began_at, code, message, .. } => {
                self.began(*began_at);
                self.attempts += 1;
                self.due_at = None;
                (self.error_code, self.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::StepSkipped { output, reason, .. } => {
                self.result = Some(output.clone());
                self.due_at = None;
                (self.error_code, self.error) = (None, Some(reason.to_string()));
            }
            E::StepWaiting { began_at, wait, .. } => {
                self.began(*began_at);
                self.due_at = wait.deadline.as_ref().map(|deadline| deadline.at);
            }
            E::ApprovalRequested { began_at, terms, .. } => {
                self.began(*began_at);
                self.due_at = terms.expires_at;
            }
            E::StepExpanded { began_at, .. } => self.began(*began_at),
            E::StepChosen { .. } => self.attempts += 1,
            E::StepCancelled { .. } | E::Resumed { .. } | E::Rerun { .. } => self.due_at = None,
            _ => {}
        }
    }

    fn began(&mut self, at: Timestamp) {
        self.started_at = self.started_at.or(Some(at.utc()));
    }
}
