//! Runs of workflows.

use crate::model::{Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{DefinitionId, Name, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use workflow_events::RunEvent as E;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Goes on by itself.
    Running,
    /// Waits for a time or an event.
    Waiting,
    /// Stands still until an operator acts.
    Parked,
    /// Every step is done.
    Completed,
    /// Ended on purpose before its last step.
    Cancelled,
}

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
    /// The action that it is at, from 0.
    pub action_index: u32,
    /// How many actions there are.
    pub action_count: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub completed_at: Option<DateTime<Utc>>,
    /// Stable code of why it stands still.
    pub error_code: Option<String>,
    /// Why it stands still, or was cancelled.
    pub error: Option<String>,
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
        if let E::Started { definition_id, definition, definition_version, steps, trigger, .. } = change {
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
                action_index: 0,
                action_count: u32::try_from(steps.len()).unwrap_or(u32::MAX),
                started_at: event.recorded_at,
                completed_at: None,
                error_code: None,
                error: None,
            }));
        }
        let mut row = existing(row, event)?;
        match change {
            E::Started { .. } | E::NotificationRequested { .. } | E::StepFailed { .. } => {}
            E::StepStarted { action_index, .. } => {
                row.action_index = *action_index;
                row.go_on();
            }
            E::StepSucceeded { .. } | E::StepSkipped { .. } | E::Resumed { .. } => row.go_on(),
            E::StepRetryScheduled { .. } | E::StepWaiting { .. } => row.status = RunStatus::Waiting,
            E::Parked { action_index, code, message, .. } => {
                row.action_index = *action_index;
                row.status = RunStatus::Parked;
                (row.error_code, row.error) = (Some(code.clone()), message.expose().cloned());
            }
            E::Cancelled { reason } => {
                row.status = RunStatus::Cancelled;
                row.completed_at = Some(event.recorded_at);
                row.error = Some(reason.to_string());
            }
            E::Succeeded {} => {
                row.go_on();
                row.status = RunStatus::Completed;
                row.completed_at = Some(event.recorded_at);
            }
        }
        Ok(Some(row))
    }

    stamped!();
}

impl RunRow {
    fn go_on(&mut self) {
        self.status = RunStatus::Running;
        (self.error_code, self.error) = (None, None);
    }
}
