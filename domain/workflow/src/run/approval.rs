//! Who decides at a step that waits for somebody's decision.

use crate::run::{Decided, Run, RunRejection as R};
use kernel::{Context, Name, Pattern, Personal, Principal, Text, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow_events::{ApprovalOutcome, ApprovalTerms, RunEvent as E, StepPath, StepStatus};

/// What is remembered of a question that waits for a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Who decides, and until when.
    pub terms: ApprovalTerms,
    /// Who is for it.
    pub granted: Vec<Principal>,
    /// Who may decide because somebody said so.
    pub delegates: Vec<UserId>,
    /// Others may decide too.
    pub escalated: bool,
}

impl Approval {
    pub(super) fn new(terms: ApprovalTerms) -> Self {
        Self { terms, granted: vec![], delegates: vec![], escalated: false }
    }

    /// When something is to be done without a decision.
    pub fn due_at(&self) -> Option<Timestamp> {
        let escalate_at = self.terms.escalate_at.filter(|_| !self.escalated);
        [self.terms.remind_at, escalate_at, self.terms.expires_at].into_iter().flatten().min()
    }

    /// May whoever asks decide?
    fn is_for(&self, by: Principal, ctx: &Context) -> bool {
        let covers =
            |patterns: &[Pattern]| !patterns.is_empty() && ctx.permissions.cover(patterns.iter().map(Pattern::as_str));
        let delegated = matches!(by, Principal::User { id } if self.delegates.contains(&id));
        delegated || covers(&self.terms.approvers) || self.escalated && covers(&self.terms.escalate_to)
    }
}

impl Run {
    /// The open question at a step, and who asks; refused unless they may decide.
    fn decides(&self, step: &StepPath, ctx: &Context) -> Result<(&Approval, Principal, Timestamp), R> {
        let open = self.step_at(step).filter(|step| step.status == StepStatus::Waiting);
        let (step, approval) = open.and_then(|step| Some((step, step.approval.as_ref()?))).ok_or(R::NotOpen)?;
        let by = ctx.actor.principal().filter(|by| approval.is_for(*by, ctx)).ok_or(R::NotForYou)?;
        if approval.terms.expires_at.is_some_and(|expires_at| expires_at <= ctx.now) {
            return Err(R::NotOpen);
        }
        Ok((approval, by, step.since.unwrap_or(ctx.now)))
    }

    pub(super) fn approve(&self, step: StepPath, comment: Option<Text>, ctx: &Context) -> Decided {
        let (approval, by, began_at) = self.decides(&step, ctx)?;
        if approval.granted.contains(&by) {
            return Ok(vec![]);
        }
        let everybody: Vec<Principal> = approval.granted.iter().copied().chain([by]).collect();
        let enough = everybody.len() >= usize::try_from(approval.terms.quorum.max(1)).unwrap_or(usize::MAX);
        let granted = E::ApprovalGranted { step: step.clone(), by, comment: comment.map(Personal::new) };
        let result = Personal::new(json!({ "decision": "approved", "by": everybody }));
        if !enough {
            return Ok(vec![granted]);
        }
        let closed = E::ApprovalClosed { step: step.clone(), outcome: ApprovalOutcome::Approved };
        Ok(vec![granted, closed, E::StepSucceeded { step, began_at, result }])
    }

    pub(super) fn reject(&self, step: StepPath, comment: Option<Text>, ctx: &Context) -> Decided {
        let (_, by, began_at) = self.decides(&step, ctx)?;
        let rejected = E::ApprovalRejected { step: step.clone(), by, comment: comment.map(Personal::new) };
        let result = Personal::new(json!({ "decision": "rejected", "by": [by] }));
        let closed = E::ApprovalClosed { step: step.clone(), outcome: ApprovalOutcome::Rejected };
        Ok(vec![rejected, closed, E::StepSucceeded { step, began_at, result }])
    }

    pub(super) fn delegate(&self, step: StepPath, to: UserId, reason: Name, ctx: &Context) -> Decided {
        let (approval, by, _) = self.decides(&step, ctx)?;
        if approval.delegates.contains(&to) {
            return Ok(vec![]);
        }
        Ok(vec![E::ApprovalDelegated { step, by, to, reason }])
    }
}

#[cfg(test)]
mod tests;
