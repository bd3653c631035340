//! Questions that runs ask, and how they were decided.

use crate::model::{Envelope, Event, Fold, FoldError};
use crate::workflow::step_row_id;
use catalogue::workflow_events::{ApprovalStatus, RunEvent as E, StepPath};
use chrono::{DateTime, Utc};
use kernel::{Machine, Pattern, Personal, Principal, RunId, Text, Timestamp, UserId, read_model};
use uuid::Uuid;

/// Questions that runs of workflows ask, and how they were decided.
#[read_model(
    "workflow.approvals",
    read = "workflow.approval.read",
    created_at(filter),
    updated_at(sort),
    part_of(run_id, "workflow.runs")
)]
pub struct ApprovalRow {
    /// The run; commands go there.
    #[column(filter)]
    pub run_id: RunId,
    /// The step that asks.
    pub step: StepPath,
    /// Where it stands.
    #[column(filter)]
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

impl Fold for ApprovalRow {
    type Event = E;

    fn keys(change: &E, event: &Event) -> Vec<Uuid> {
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

    fn begin(change: &E, event: Envelope<'_>) -> Option<Self> {
        let E::ApprovalRequested { step, question, terms, .. } = change else { return None };
        Some(Self {
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
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::ApprovalGranted { by, .. } => self.granted_by.push(*by),
            E::ApprovalRejected { by, .. } => self.rejected_by = Some(*by),
            E::ApprovalDelegated { to, .. } => self.delegates.push(*to),
            E::ApprovalReminded { .. } => self.reminded += 1,
            E::ApprovalEscalated { to, .. } => {
                self.escalated = true;
                self.approvers.extend(to.iter().cloned());
            }
            E::ApprovalClosed { .. } => self.closed_at = Some(event.recorded_at),
            _ => {}
        }
        Ok(())
    }

    fn anew(change: &E) -> bool {
        // A step that is run again asks again.
        matches!(change, E::ApprovalRequested { .. })
    }
}
