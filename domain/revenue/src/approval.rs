//! An approval under way: whose turn it is, and who may not because they had a hand in it before.
//!
//! It is no aggregate but a part of one: whatever has to be approved keeps one, asks it who may, and tells it what happened.

use chrono::TimeDelta;
use kernel::{Actor, Context, Slug, TeamId, Timestamp, UserId};
use revenue_events::{ApprovalRequest, ApprovalStep, Approver};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The role that decides where nobody is named.
const OWNER: &str = "owner";

/// Why somebody does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is another step's turn.
    NotThisStep,
    /// The policy names others.
    NotForYou,
    /// They had a hand in it before.
    SeparationOfDuties,
}

/// What is remembered of an approval under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    request: ApprovalRequest,
    /// Who approved, at each step that was begun.
    granted: Vec<BTreeSet<UserId>>,
    /// Who may decide at this step because an approver said so.
    delegates: BTreeSet<UserId>,
    /// Those whom the policy names for that may decide at this step.
    escalated: bool,
    /// When this step began.
    since: Timestamp,
}

/// What a grant comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// By whom.
    pub by: UserId,
    /// Have enough approved at this step?
    pub completes_step: bool,
    /// Was it the last step?
    pub completes_all: bool,
}

impl Approval {
    /// It was asked for.
    pub fn new(request: ApprovalRequest) -> Self {
        let since = request.requested_at;
        Self { request, granted: vec![BTreeSet::new()], delegates: BTreeSet::new(), escalated: false, since }
    }

    /// The number of the step whose turn it is.
    pub fn step(&self) -> u32 {
        u32::try_from(self.granted.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Is there nobody to ask?
    pub fn asks_nobody(&self) -> bool {
        self.request.steps.is_empty()
    }

    fn current(&self) -> Option<&ApprovalStep> {
        self.request.steps.get(self.granted.len().saturating_sub(1))
    }

    /// Did the user approve at this step, whatever became of it?
    pub fn was_granted(&self, step: u32, by: UserId) -> bool {
        usize::try_from(step).ok().and_then(|step| self.granted.get(step)).is_some_and(|those| those.contains(&by))
    }

    /// Who asks, if they decide at this step; `barred` had a hand in it before.
    ///
    /// # Errors
    /// If they do not.
    pub fn decider(&self, step: u32, barred: &BTreeSet<UserId>, ctx: &Context) -> Result<UserId, Refused> {
        let by = self.approver(step, ctx)?;
        if self.request.separation_of_duties && barred.contains(&by) {
            return Err(Refused::SeparationOfDuties);
        }
        Ok(by)
    }

    /// The same, whatever they had a hand in.
    fn approver(&self, step: u32, ctx: &Context) -> Result<UserId, Refused> {
        let current = self.current().filter(|_| step == self.step()).ok_or(Refused::NotThisStep)?;
        // Only people approve: a program or a workflow may ask, and tell.
        let Actor::User { id } = ctx.actor else { return Err(Refused::NotForYou) };
        let is_due =
            current.escalate_after_days.is_some_and(|days| self.since + TimeDelta::days(days.into()) <= ctx.now);
        let escalation = if self.escalated || is_due { escalation(current) } else { vec![] };
        let is_named = current.approvers.iter().chain(&escalation).any(|approver| is(approver, id, ctx));
        if is_named || self.delegates.contains(&id) { Ok(id) } else { Err(Refused::NotForYou) }
    }

    /// What it comes to if whoever asks approves at this step; nothing if they did already.
    ///
    /// # Errors
    /// If they may not.
    pub fn grant(&self, step: u32, barred: &BTreeSet<UserId>, ctx: &Context) -> Result<Option<Granted>, Refused> {
        let by = self.decider(step, barred, ctx)?;
        let those = self.granted.last().map_or(0, BTreeSet::len);
        if self.was_granted(step, by) {
            return Ok(None);
        }
        let quorum = self.current().map_or(1, |step| step.quorum.max(1));
        let completes_step = those + 1 >= usize::try_from(quorum).unwrap_or(usize::MAX);
        let completes_all = completes_step && self.granted.len() >= self.request.steps.len();
        Ok(Some(Granted { by, completes_step, completes_all }))
    }

    /// Who says that somebody else may decide at this step too; nobody if that one may already.
    ///
    /// # Errors
    /// If they do not decide themselves, or the other had a hand in it before.
    pub fn delegate(
        &self,
        step: u32,
        to: UserId,
        barred: &BTreeSet<UserId>,
        ctx: &Context,
    ) -> Result<Option<UserId>, Refused> {
        // Whoever may not decide because of what they did before may well name somebody who may.
        let by = self.approver(step, ctx)?;
        if self.request.separation_of_duties && barred.contains(&to) {
            return Err(Refused::SeparationOfDuties);
        }
        Ok((!self.delegates.contains(&to)).then_some(by))
    }

    /// Would it change anything if those whom the policy names for that might decide at this step?
    ///
    /// # Errors
    /// If it is another step's turn.
    pub fn escalate(&self, step: u32) -> Result<bool, Refused> {
        if step == self.step() { Ok(!self.escalated) } else { Err(Refused::NotThisStep) }
    }

    /// Somebody approved at this step.
    pub fn note_grant(&mut self, by: UserId, completes: bool, at: Timestamp) {
        if let Some(those) = self.granted.last_mut() {
            those.insert(by);
        }
        if completes && self.granted.len() < self.request.steps.len() {
            self.granted.push(BTreeSet::new());
            self.delegates.clear();
            (self.escalated, self.since) = (false, at);
        }
    }

    /// Somebody else may decide at this step too.
    pub fn note_delegate(&mut self, to: UserId) {
        self.delegates.insert(to);
    }

    /// Those whom the policy names for that may decide at this step.
    pub fn note_escalation(&mut self) {
        self.escalated = true;
    }
}

/// Who decides at a step in the place of its approvers: whom the policy names, or the owners of the firm.
fn escalation(step: &ApprovalStep) -> Vec<Approver> {
    if step.escalate_to.is_empty() { owners() } else { step.escalate_to.clone() }
}

/// The owners of the firm.
pub(crate) fn owners() -> Vec<Approver> {
    OWNER.parse::<Slug>().map(|role| Approver::Role { role }).into_iter().collect()
}

/// Is the user one of these?
fn is(approver: &Approver, user: UserId, ctx: &Context) -> bool {
    let in_team = |team: TeamId| ctx.permissions.is_in_team(team);
    match approver {
        Approver::User { user_id } => *user_id == user,
        Approver::Team { team_id } => in_team(*team_id),
        Approver::Role { role } => ctx.permissions.has_role(role),
    }
}
