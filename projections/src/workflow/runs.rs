//! Runs of workflows.

use crate::model::{Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{DefinitionId, Name, Progress, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;
use workflow_events::{RunEvent as E, RunProgress, RunStatus, StepPath};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The definition.
    pub workflow_id: DefinitionId,
    /// What the definition is called.
    pub workflow_name: Name,
    /// Which version of it.
    pub definition_version: u32,
    /// The event that started it.
    pub trigger_event_id: Uuid,
    /// Its type.
    pub trigger_event_type: String,
    /// The record that the event happened to.
    pub trigger_aggregate_id: Uuid,
    /// The request that started the whole chain.
    pub correlation_id: Uuid,
    /// Where it stands.
    pub status: RunStatus,
    /// When it began.
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

impl ReadModel for RunRow {
    const TABLE: &'static str = "workflow.runs";
    const STREAMS: &'static [&'static str] = &["workflow.run"];
    const PATH: &'static str = "workflow/runs";
    const READ: &'static str = "workflow.run.read";
    const ABOUT: &'static str = "Runs of workflows.";
    const FILTER: &'static [&'static str] = &[
        "workflow_id",
        "workflow_name",
        "status",
        "trigger_event_id",
        "trigger_event_type",
        "trigger_aggregate_id",
        "correlation_id",
        "started_at",
        "created_at",
    ];
    const SORT: &'static [&'static str] = &["started_at", "created_at", "updated_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Run(change) = &event.payload else { return Ok(row) };
        if let E::Started { definition_id, definition, definition_version, steps, trigger, parent, .. } = change {
            return Ok(Some(Self {
                id: RunId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
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
            }));
        }
        let mut row = existing(row, event)?;
        row.progress(change);
        match change {
            E::Parked { code, message, .. } => {
                (row.error_code, row.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::Cancelled { reason } | E::CompensationStarted { reason } => {
                (row.error_code, row.error) = (None, Some(reason.to_string()));
            }
            E::Moved { definition_version, steps, .. } => {
                row.definition_version = *definition_version;
                row.step_count = count(steps);
            }
            E::Resumed { .. } | E::Rerun { .. } if row.parked_at.is_empty() => {
                (row.error_code, row.error) = (None, None);
            }
            _ => {}
        }
        if !row.status.has_ended() {
            row.completed_at = None;
        } else if row.completed_at.is_none() {
            row.completed_at = Some(event.recorded_at);
        }
        Ok(Some(row))
    }

    stamped!();
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
