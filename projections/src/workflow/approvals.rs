//! Questions that runs ask, and how they were decided.

use crate::model::{Event, FoldError, PartOf, ReadModel, existing, stamped};
use crate::workflow::step_row_id;
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Machine, Pattern, Personal, Principal, RunId, Text, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use workflow_events::{ApprovalStatus, RunEvent as E, StepPath};

/// A question that a step of a run asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRow {
    /// That of the step.
    pub id: Uuid,
    /// How many events its run had when it changed last.
    pub version: i64,
    /// When it was asked.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// The run; commands go there.
    pub run_id: RunId,
    /// The step that asks.
    pub step: StepPath,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// What is asked.
    pub question: Option<Personal<Text>>,
    /// Whoever holds all that these patterns grant may decide.
    pub approvers: Vec<Pattern>,
    /// So many must approve.
    pub quorum: u32,
    /// Who is for it.
    pub granted_by: Vec<Principal>,
    /// Who is against it.
    pub rejected_by: Option<Principal>,
    /// Who may decide because somebody said so.
    pub delegates: Vec<UserId>,
    /// Others may decide too, because nobody had.
    pub escalated: bool,
    /// How often those who may decide were reminded.
    pub reminded: u32,
    /// Until when it can be decided.
    pub due_at: Option<Timestamp>,
    /// When it was decided, or needed no decision any more.
    pub closed_at: Option<DateTime<Utc>>,
}

impl ReadModel for ApprovalRow {
    const TABLE: &'static str = "workflow.approvals";
    const STREAMS: &'static [&'static str] = &["workflow.run"];
    const PATH: &'static str = "workflow/approvals";
    const READ: &'static str = "workflow.approval.read";
    const ABOUT: &'static str = "Questions that runs of workflows ask, and how they were decided.";
    const PART_OF: Option<PartOf> = Some(PartOf { column: "run_id", table: "workflow.runs" });
    const FILTER: &'static [&'static str] = &["run_id", "status", "created_at"];
    const SORT: &'static [&'static str] = &["created_at", "updated_at"];

    fn keys(event: &Event) -> Vec<Uuid> {
        let AnyEvent::Run(change) = &event.payload else { return vec![] };
        let run = RunId(event.aggregate_id);
        match change {
            E::ApprovalRequested { step, .. }
            | E::ApprovalGranted { step, .. }
            | E::ApprovalRejected { step, .. }
            | E::ApprovalDelegated { step, .. }
            | E::ApprovalReminded { step, .. }
            | E::ApprovalEscalated { step, .. }
            | E::ApprovalClosed { step, .. } => vec![step_row_id(run, step)],
            _ => vec![],
        }
    }

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Run(change) = &event.payload else { return Ok(row) };
        if let E::ApprovalRequested { step, question, terms, .. } = change {
            return Ok(Some(Self {
                id: key,
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                run_id: RunId(event.aggregate_id),
                step: step.clone(),
                status: ApprovalStatus::Open,
                question: Some(question.clone()),
                approvers: terms.approvers.clone(),
                quorum: terms.quorum,
                granted_by: vec![],
                rejected_by: None,
                delegates: vec![],
                escalated: false,
                reminded: 0,
                due_at: terms.expires_at,
                closed_at: None,
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::ApprovalGranted { by, .. } => row.granted_by.push(*by),
            E::ApprovalRejected { by, .. } => row.rejected_by = Some(*by),
            E::ApprovalDelegated { to, .. } => row.delegates.push(*to),
            E::ApprovalReminded { .. } => row.reminded += 1,
            E::ApprovalEscalated { to, .. } => {
                row.escalated = true;
                row.approvers.extend(to.iter().cloned());
            }
            E::ApprovalClosed { .. } => row.closed_at = Some(event.recorded_at),
            _ => {}
        }
        Ok(Some(row))
    }

    stamped!();
}
