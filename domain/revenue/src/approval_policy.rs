//! A policy on who approves what the firm pays and sends: rules by amount, vendor and project, the first of which that fits applies.

use crate::approval::owners;
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Machine, Money, Name, ProjectId, Reference, Retirable, Timestamp,
    UserId, command, rejection,
};
use revenue_events::{
    AmountRange, ApprovalPolicyEvent as E, ApprovalPolicyId, ApprovalRequest, ApprovalRule, ApprovalStep,
    ApprovalSubject, Approver, VendorId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use ApprovalPolicyCommand as C;
use ApprovalPolicyRejection as R;

/// Which policy is in use for bills, and which for invoices.
const SUBJECT_CLAIM: &str = "revenue.approval_policy.subject";
/// Rules of one policy.
const RULES_MAX: usize = 50;
/// Steps of one rule.
const STEPS_MAX: usize = 10;
/// Whom one step names at most, and vendors or projects one rule.
const NAMED_MAX: usize = 100;
/// So many may have to approve at one step.
const QUORUM_MAX: u32 = 20;
/// Others may approve after a year at the latest.
const DAYS_MAX: u32 = 365;

/// What may be asked of a policy.
#[command("revenue.approval_policy", !member)]
pub enum ApprovalPolicyCommand {
    /// Says who approves bills, or invoices.
    #[creates]
    #[refused(
        TooManyRules,
        TooManySteps,
        TooManyNamed,
        NoApprovers,
        QuorumOutOfReach,
        EscalationOutOfRange,
        RangeOfTwoCurrencies,
        RangeEmpty,
        "subject.taken"
    )]
    Define {
        /// What it is called.
        name: Name,
        /// What it is about: bills unless given; one policy that is in use for each.
        #[serde(default)]
        subject: ApprovalSubject,
        /// Its rules; the first that fits applies. Where none does, the owners of the firm approve.
        #[serde(default)]
        rules: Vec<ApprovalRule>,
        /// May nobody approve who received, coded or asked? So it is unless said otherwise.
        #[serde(default)]
        separation_of_duties: Option<bool>,
    },
    /// Says otherwise. What is left out stays; what was asked before goes on as it was asked.
    #[refused(
        Retired,
        TooManyRules,
        TooManySteps,
        TooManyNamed,
        NoApprovers,
        QuorumOutOfReach,
        EscalationOutOfRange,
        RangeOfTwoCurrencies,
        RangeEmpty
    )]
    Change {
        /// What it is called.
        #[serde(default)]
        name: Option<Name>,
        /// Its rules; the first that fits applies.
        #[serde(default)]
        rules: Option<Vec<ApprovalRule>>,
        /// May nobody approve who received, coded or asked?
        #[serde(default)]
        separation_of_duties: Option<bool>,
    },
    /// Makes no use of the policy any more; another can take its place.
    Retire {},
    /// Makes use of the policy again.
    #[refused("subject.taken")]
    Reinstate {},
}

/// Why a policy's command may be refused.
#[rejection("revenue.approval_policy")]
pub enum ApprovalPolicyRejection {
    /// The policy is retired; reinstate it first.
    Retired,
    /// A policy has at most 50 rules.
    #[invalid("/rules")]
    TooManyRules,
    /// A rule has at most 10 steps.
    #[invalid("/rules")]
    TooManySteps,
    /// A step names at most 100 approvers, and a rule at most 100 vendors and 100 projects.
    #[invalid("/rules")]
    TooManyNamed,
    /// A step names at least one approver.
    #[invalid("/rules")]
    NoApprovers,
    /// At least 1 and at most 20 have to approve at a step, and no more than there are where it names people only.
    #[invalid("/rules")]
    QuorumOutOfReach,
    /// Others may approve after 1 to 365 days.
    #[invalid("/rules")]
    EscalationOutOfRange,
    /// The ends of a range of amounts are of its currency.
    #[invalid("/rules")]
    RangeOfTwoCurrencies,
    /// A range of amounts ends above where it begins.
    #[invalid("/rules")]
    RangeEmpty,
}

/// What has to be approved, as far as a rule looks at it.
#[derive(Debug, Clone)]
pub struct Approvable<'a> {
    /// How much it is about.
    pub amount: Money,
    /// Whose bill it is, if it is one.
    pub vendor: Option<VendorId>,
    /// The projects that it belongs to.
    pub projects: &'a BTreeSet<ProjectId>,
}

/// The first rule that fits, if one does.
pub fn applying<'r>(rules: &'r [ApprovalRule], what: &Approvable<'_>) -> Option<&'r ApprovalRule> {
    rules.iter().find(|rule| {
        rule.amount.as_ref().is_none_or(|range| range.has(what.amount))
            && (rule.vendors.is_empty() || what.vendor.is_some_and(|vendor| rule.vendors.contains(&vendor)))
            && (rule.projects.is_empty() || rule.projects.iter().any(|project| what.projects.contains(project)))
    })
}

/// What is remembered of a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApprovalPolicy {
    name: Option<Name>,
    subject: ApprovalSubject,
    rules: Vec<ApprovalRule>,
    separation_of_duties: bool,
    retired: Retirable,
}

impl ApprovalPolicy {
    /// The one that is in use, to be looked at by a decision.
    pub fn in_use(subject: ApprovalSubject) -> Reference {
        Reference::claim::<Self>(Claim::new(SUBJECT_CLAIM, subject.as_str()))
    }

    /// Whom to ask: the steps of the rule that applies. Where there is no policy, or none of its rules fits, the owners of the firm
    /// decide: that nobody thought of something is no reason to pay it. Needs [`ApprovalPolicy::in_use`] among the references.
    pub fn request(
        subject: ApprovalSubject,
        what: &Approvable<'_>,
        requested_by: Option<UserId>,
        ctx: &Context,
    ) -> ApprovalRequest {
        let held = ctx.holder::<Self>(SUBJECT_CLAIM, subject.as_str());
        let held = held.filter(|(_, policy)| !policy.retired.is_retired());
        let rule = held.and_then(|(_, policy)| applying(&policy.rules, what));
        let requested_at: Timestamp = ctx.now;
        ApprovalRequest {
            policy_id: held.map(|(id, _)| ApprovalPolicyId(id)),
            rule: rule.map(|rule| rule.name.clone()),
            steps: rule.map_or_else(owners_decide, |rule| rule.steps.clone()),
            separation_of_duties: held.is_none_or(|(_, policy)| policy.separation_of_duties),
            requested_by,
            requested_at,
        }
    }

    /// The same where the firm has such a policy in use; none where it has not, and whoever holds the right decides as before.
    pub fn request_of(
        subject: ApprovalSubject,
        what: &Approvable<'_>,
        requested_by: Option<UserId>,
        ctx: &Context,
    ) -> Option<ApprovalRequest> {
        Some(Self::request(subject, what, requested_by, ctx)).filter(|request| request.policy_id.is_some())
    }
}

fn owners_decide() -> Vec<ApprovalStep> {
    let name = "Owners".parse::<Name>();
    let step =
        |name| ApprovalStep { name, approvers: owners(), quorum: 1, escalate_after_days: None, escalate_to: vec![] };
    name.map(step).into_iter().collect()
}

impl Aggregate for ApprovalPolicy {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/approval-policies";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { name, subject, rules, separation_of_duties } => {
                check(&rules)?;
                let separation_of_duties = separation_of_duties.unwrap_or(true);
                vec![E::Defined { name, subject, rules, separation_of_duties }]
            }
            C::Retire {} => self.retired.retire(),
            C::Reinstate {} => self.retired.reinstate(),
            C::Change { .. } if self.retired.is_retired() => return Err(R::Retired),
            C::Change { name, rules, separation_of_duties } => {
                let rules = rules.unwrap_or_else(|| self.rules.clone());
                check(&rules)?;
                let separation_of_duties = separation_of_duties.unwrap_or(self.separation_of_duties);
                let Some(name) = name.or_else(|| self.name.clone()) else { return Ok(vec![]) };
                let is_so = self.name.as_ref() == Some(&name)
                    && rules == self.rules
                    && separation_of_duties == self.separation_of_duties;
                if is_so { vec![] } else { vec![E::Changed { name, rules, separation_of_duties }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { name, subject, rules, separation_of_duties } => {
                self.subject = *subject;
                self.says(name, rules, *separation_of_duties);
            }
            E::Changed { name, rules, separation_of_duties } => self.says(name, rules, *separation_of_duties),
            E::Retired {} | E::Reinstated {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let claim = |subject: ApprovalSubject| Claim::new(SUBJECT_CLAIM, subject.as_str());
        match event {
            E::Defined { subject, .. } => vec![ClaimChange::Take(claim(*subject))],
            E::Changed { .. } => vec![],
            E::Retired {} => vec![ClaimChange::Release(claim(self.subject))],
            E::Reinstated {} => vec![ClaimChange::Take(claim(self.subject))],
        }
    }
}

impl ApprovalPolicy {
    fn says(&mut self, name: &Name, rules: &[ApprovalRule], separation_of_duties: bool) {
        self.name = Some(name.clone());
        self.rules = rules.to_vec();
        self.separation_of_duties = separation_of_duties;
    }
}

/// Can these rules be kept to?
fn check(rules: &[ApprovalRule]) -> Result<(), R> {
    if rules.len() > RULES_MAX {
        return Err(R::TooManyRules);
    }
    for rule in rules {
        if rule.vendors.len() > NAMED_MAX || rule.projects.len() > NAMED_MAX {
            return Err(R::TooManyNamed);
        }
        if rule.steps.len() > STEPS_MAX {
            return Err(R::TooManySteps);
        }
        rule.amount.as_ref().map_or(Ok(()), check_range)?;
        rule.steps.iter().try_for_each(check_step)?;
    }
    Ok(())
}

fn check_range(range: &AmountRange) -> Result<(), R> {
    let ends = [range.from, range.below];
    if ends.into_iter().flatten().any(|end| end.currency() != range.currency) {
        return Err(R::RangeOfTwoCurrencies);
    }
    match ends {
        [Some(from), Some(below)] if below.minor() <= from.minor() => Err(R::RangeEmpty),
        _ => Ok(()),
    }
}

fn check_step(step: &ApprovalStep) -> Result<(), R> {
    if step.approvers.is_empty() {
        return Err(R::NoApprovers);
    }
    if step.approvers.len() > NAMED_MAX || step.escalate_to.len() > NAMED_MAX {
        return Err(R::TooManyNamed);
    }
    let people: BTreeSet<&Approver> = step.approvers.iter().collect();
    let only_people = people.iter().all(|approver| matches!(approver, Approver::User { .. }));
    let enough = !only_people || usize::try_from(step.quorum).is_ok_and(|quorum| quorum <= people.len());
    if !(1..=QUORUM_MAX).contains(&step.quorum) || !enough {
        return Err(R::QuorumOutOfReach);
    }
    if step.escalate_after_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(R::EscalationOutOfRange);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
