//! Steps of runs: those that are there from the beginning, and those inside of them when they are reached.

use crate::model::{Event, FoldError, PartOf, ReadModel, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Machine, Personal, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use workflow_events::{RunEvent as E, StepPath, StepStatus};

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStepRow {
    /// Derived from run and path, so that it is the same in every replay.
    pub id: Uuid,
    /// How many events its run had when it changed last.
    pub version: i64,
    /// When the run first told of it.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The run.
    pub run_id: RunId,
    /// Its path: `contact`, `reminders[2].send`.
    pub step: StepPath,
    /// Where it stands.
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
    pub place: u32,
}

/// The row of a run's step.
pub fn step_row_id(run: RunId, step: &str) -> Uuid {
    Uuid::new_v5(&run.0, step.as_bytes())
}

/// No definition has more steps.
const LATER: i64 = 1_000;

impl ReadModel for RunStepRow {
    const TABLE: &'static str = "workflow.run_steps";
    const STREAMS: &'static [&'static str] = &["workflow.run"];
    const PATH: &'static str = "workflow/run-steps";
    const READ: &'static str = "workflow.run_step.read";
    const ABOUT: &'static str = "Steps of runs, named by their path.";
    const PART_OF: Option<PartOf> = Some(PartOf { column: "run_id", table: "workflow.runs" });
    const FILTER: &'static [&'static str] = &["run_id", "status", "created_at"];
    const SORT: &'static [&'static str] = &["place", "created_at", "updated_at"];

    fn keys(event: &Event) -> Vec<Uuid> {
        let AnyEvent::Run(change) = &event.payload else { return vec![] };
        let run = RunId(event.aggregate_id);
        let mut keys: Vec<Uuid> = change.steps().into_iter().map(|step| step_row_id(run, step)).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Run(change) = &event.payload else { return Ok(row) };
        let run = RunId(event.aggregate_id);
        let found = change.steps().into_iter().enumerate().find(|(_, step)| step_row_id(run, step) == key);
        let Some((index, step)) = found else { return Ok(row) };
        let later = || u32::try_from(event.sequence + LATER).unwrap_or(u32::MAX);
        let place = match change {
            E::Started { .. } | E::Moved { .. } => u32::try_from(index).unwrap_or(u32::MAX),
            _ => later(),
        };
        let mut row = row.unwrap_or_else(|| Self::new(key, run, step.clone(), place, event));
        match change {
            E::Started { .. } => return Ok(Some(row)),
            E::Moved { .. } => {
                row.place = place;
                return Ok(Some(row));
            }
            _ => {}
        }
        row.status = row.status.after(change);
        row.tell(change, event);
        Ok(Some(row))
    }

    stamped!();
}

impl RunStepRow {
    fn new(id: Uuid, run_id: RunId, step: StepPath, place: u32, event: &Event) -> Self {
        Self {
            id,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            run_id,
            step,
            status: StepStatus::Pending,
            attempts: 0,
            result: None,
            error_code: None,
            error: None,
            started_at: None,
            completed_at: None,
            due_at: None,
            place,
        }
    }

    fn tell(&mut self, change: &E, event: &Event) {
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
