//! Steps of runs: one row per action of the definition, from the run's beginning on.

use crate::model::{Event, FoldError, PartOf, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Personal, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use workflow_events::RunEvent as E;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Being done.
    Running,
    /// Will be tried again.
    RetryScheduled,
    /// Waits for a time or an event.
    Waiting,
    /// Done.
    Completed,
    /// Left out.
    Skipped,
    /// Not done, and not tried again by itself.
    Failed,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStepRow {
    /// Derived from run and action, so that it is the same in every replay.
    pub id: Uuid,
    /// How many events its run had when it changed last.
    pub version: i64,
    /// When the run began.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The run.
    pub run_id: RunId,
    /// Which action, from 0.
    pub action_index: u32,
    /// The step's name in the definition.
    pub step: String,
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
}

/// The row of a run's action.
pub fn step_row_id(run: RunId, action_index: u32) -> Uuid {
    Uuid::new_v5(&run.0, &action_index.to_be_bytes())
}

impl ReadModel for RunStepRow {
    const TABLE: &'static str = "workflow.run_steps";
    const STREAMS: &'static [&'static str] = &["workflow.run"];
    const PATH: &'static str = "workflow/run-steps";
    const READ: &'static str = "workflow.run_step.read";
    const ABOUT: &'static str = "Steps of runs, one per action.";
    const PART_OF: Option<PartOf> = Some(PartOf { column: "run_id", table: "workflow.runs" });
    const FILTER: &'static [&'static str] = &["run_id", "status", "created_at"];
    const SORT: &'static [&'static str] = &["action_index", "created_at", "updated_at"];

    fn keys(event: &Event) -> Vec<Uuid> {
        let run = RunId(event.aggregate_id);
        let AnyEvent::Run(change) = &event.payload else { return vec![] };
        match change {
            E::Started { steps, .. } => (0..).zip(steps).map(|(index, _)| step_row_id(run, index)).collect(),
            E::StepStarted { action_index, .. }
            | E::StepSucceeded { action_index, .. }
            | E::StepRetryScheduled { action_index, .. }
            | E::StepFailed { action_index, .. }
            | E::StepSkipped { action_index, .. }
            | E::StepWaiting { action_index, .. }
            | E::Parked { action_index, .. } => vec![step_row_id(run, *action_index)],
            E::NotificationRequested { .. } | E::Resumed { .. } | E::Cancelled { .. } | E::Succeeded {} => vec![],
        }
    }

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Run(change) = &event.payload else { return Ok(row) };
        if let E::Started { steps, .. } = change {
            let run_id = RunId(event.aggregate_id);
            let step = (0..).zip(steps).find(|(index, _)| step_row_id(run_id, *index) == key);
            return Ok(step.map(|(action_index, step)| Self {
                id: key,
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                run_id,
                action_index,
                step: step.clone(),
                status: StepStatus::Pending,
                attempts: 0,
                result: None,
                error_code: None,
                error: None,
                started_at: None,
                completed_at: None,
                due_at: None,
            }));
        }
        let mut row = existing(row, event)?;
        row.due_at = None;
        match change {
            E::StepStarted { at, .. } => {
                row.status = StepStatus::Running;
                row.attempts += 1;
                row.started_at = row.started_at.or(Some(at.utc()));
                row.completed_at = None;
            }
            E::StepSucceeded { result, .. } => {
                row.finish(StepStatus::Completed, event);
                row.result = Some(result.clone());
                (row.error_code, row.error) = (None, None);
            }
            E::StepRetryScheduled { attempt, code, message, due_at, .. } => {
                row.status = StepStatus::RetryScheduled;
                row.attempts = *attempt;
                row.due_at = Some(*due_at);
                (row.error_code, row.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::StepFailed { code, message, .. } | E::Parked { code, message, .. } => {
                row.finish(StepStatus::Failed, event);
                (row.error_code, row.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::StepSkipped { output, reason, .. } => {
                row.finish(StepStatus::Skipped, event);
                row.result = Some(output.clone());
                (row.error_code, row.error) = (None, Some(reason.to_string()));
            }
            E::StepWaiting { until, .. } => {
                row.status = StepStatus::Waiting;
                row.due_at = *until;
            }
            E::Started { .. }
            | E::NotificationRequested { .. }
            | E::Resumed { .. }
            | E::Cancelled { .. }
            | E::Succeeded {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}

impl RunStepRow {
    fn finish(&mut self, status: StepStatus, event: &Event) {
        self.status = status;
        self.completed_at = Some(event.recorded_at);
    }
}
