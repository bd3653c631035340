//! Runs of workflows.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::workflow_events::{RunEvent as E, RunProgress, RunStatus, StepPath};
use chrono::{DateTime, Utc};
use kernel::{DefinitionId, Name, Progress, RunId, read_model};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Runs of workflows.
#[read_model("workflow.runs", id = RunId, read = "workflow.run.read", created_at(filter), updated_at(sort))]
pub struct RunRow {
    /// The definition.
    #[column(filter)]
    pub workflow_id: DefinitionId,
    /// What the definition is called.
    #[column(filter)]
    pub workflow_name: Name,
    /// Which version of it.
    pub definition_version: u32,
    /// The event that started it.
    #[column(filter)]
    pub trigger_event_id: Uuid,
    /// Its type.
    #[column(filter)]
    pub trigger_event_type: String,
    /// The record that the event happened to.
    #[column(filter)]
    pub trigger_aggregate_id: Uuid,
    /// The request that started the whole chain.
    #[column(filter)]
    pub correlation_id: Uuid,
    /// Where it stands.
    #[column(filter)]
    pub status: RunStatus,
    /// When it began.
    #[column(filter, sort)]
    pub started_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub completed_at: Option<DateTime<Utc>>,
    /// Stable code of why it stands still.
    pub error_code: Option<String>,
    /// Why it stands still, or was cancelled.
    pub error: Option<String>,
    /// How many steps are there from the beginning.
    pub step_count: u32,
    /// The steps that wait.
    pub waiting_at: BTreeSet<StepPath>,
    /// The steps that it stands still at.
    pub parked_at: BTreeSet<StepPath>,
    /// What it has done is being taken back, even if that stands still.
    pub compensating: bool,
    /// The run that called it, if one did.
    pub parent_run_id: Option<RunId>,
}

impl Fold for RunRow {
    type Event = E;

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::Started { definition_id, definition, definition_version, steps, trigger, parent, .. } = change else {
            return None;
        };
        Some(Self {
            workflow_id: *definition_id,
            workflow_name: definition.clone(),
            definition_version: *definition_version,
            trigger_event_id: trigger.event_id,
            trigger_event_type: trigger.event_type.clone(),
            trigger_aggregate_id: trigger.aggregate_id,
            correlation_id: trigger.correlation_id,
            status: RunStatus::Running,
            started_at: event.recorded_at,
            completed_at: None,
            error_code: None,
            error: None,
            step_count: count(steps),
            waiting_at: BTreeSet::new(),
            parked_at: BTreeSet::new(),
            compensating: false,
            parent_run_id: parent.as_ref().map(|parent| parent.run_id),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.progress(change);
        match change {
            E::Parked { code, message, .. } => {
                (self.error_code, self.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::Cancelled { reason } | E::CompensationStarted { reason } => {
                (self.error_code, self.error) = (None, Some(reason.to_string()));
            }
            E::Moved { definition_version, steps, .. } => {
                self.definition_version = *definition_version;
                self.step_count = count(steps);
            }
            E::Resumed { .. } | E::Rerun { .. } if self.parked_at.is_empty() => {
                (self.error_code, self.error) = (None, None);
            }
            _ => {}
        }
        if !self.status.has_ended() {
            self.completed_at = None;
        } else if self.completed_at.is_none() {
            self.completed_at = Some(event.recorded_at);
        }
        Ok(())
    }
}

impl RunRow {
    /// Moves along one event, as the run itself does.
    fn progress(&mut self, event: &E) {
        let mut progress = RunProgress {
            status: self.status,
            waiting: std::mem::take(&mut self.waiting_at),
            parked: std::mem::take(&mut self.parked_at),
            compensating: self.compensating,
        };
        progress.apply(event);
        let RunProgress { status, waiting, parked, compensating } = progress;
        (self.status, self.waiting_at, self.parked_at, self.compensating) = (status, waiting, parked, compensating);
    }
}

fn count(steps: &[StepPath]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}
