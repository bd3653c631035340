//! Bills as lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{
    ApprovalPolicyId, ApprovalStep, Approver, BillContent, BillEvent as E, BillId, BillSource, BillStatus,
    ReferenceRule, VendorId,
};
use kernel::{ConnectionId, Currency, Date, FileId, Machine, Money, Name, ProjectId, Text, UserId, read_model};

/// What vendors ask for.
#[read_model(
    "revenue.bills",
    id = BillId,
    read = "revenue.bill.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(project_ids(project_ids))
)]
pub struct BillRow {
    /// The vendor, as far as that is known.
    #[column(filter)]
    pub vendor_id: Option<VendorId>,
    /// The vendor's number of it.
    #[column(filter)]
    pub reference: Name,
    /// For how long that number is this bill's alone, by the firm's rule when it came in.
    pub reference_rule: ReferenceRule,
    /// The year that counts where the rule is by year.
    pub reference_year: u16,
    /// The first bill with the same reference and total, if it is not this one.
    pub alike_bill_id: Option<BillId>,
    /// The bill that it may be the same as, until it is coded.
    #[column(filter)]
    pub suspected_of_id: Option<BillId>,
    /// Where it stands.
    #[column(filter)]
    pub status: BillStatus,
    /// How it came in.
    #[column(filter)]
    pub source: BillSource,
    /// The day of the bill.
    #[column(filter)]
    pub issued_on: Option<Date>,
    /// Until when it is to be paid.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// Its currency.
    #[column(filter)]
    pub currency: Currency,
    /// Everything together, with tax, in minor units.
    #[column(sort)]
    pub total_minor: i64,
    /// What is owed of it, in minor units; nothing before it is approved.
    pub outstanding_minor: i64,
    /// The paper itself.
    #[column(filter)]
    pub file_id: Option<FileId>,
    /// What somebody noted.
    pub note: Option<Text>,
    /// The projects that its lines are for.
    #[column(filter)]
    pub project_ids: Vec<ProjectId>,
    /// Who brought it in, if a member of staff did.
    pub received_by: Option<UserId>,
    /// Whose policy on who approves was followed.
    pub policy_id: Option<ApprovalPolicyId>,
    /// Which of its rules.
    pub rule: Option<Name>,
    /// What was asked of whom, step by step.
    pub steps: Vec<ApprovalStep>,
    /// The number of the step whose turn it is, from 0; none while nobody is asked.
    pub step: Option<u32>,
    /// The people who approve at this step, teams and roles aside, and who approved at it already.
    #[column(filter)]
    pub approver_ids: Vec<UserId>,
    /// Those whom the policy names for when its approvers do not approve may do so at this step.
    pub escalated: bool,
    /// Why it was not approved, or is void.
    pub reason: Option<Text>,
    /// Through which connection the ledger has it.
    pub connection_id: Option<ConnectionId>,
    /// What the ledger calls it.
    #[column(filter)]
    pub external_id: Option<Name>,
    /// Why the ledger does not take it.
    pub ledger_error: Option<Text>,
    /// When the last payment was made, once it is paid.
    pub paid_on: Option<Date>,
}

impl Fold for BillRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Received { content, source, received_by } = change else { return None };
        let mut row = Self {
            vendor_id: None,
            reference: content.reference.clone(),
            reference_rule: content.reference_rule,
            reference_year: content.reference_year,
            alike_bill_id: None,
            suspected_of_id: None,
            status: BillStatus::default().after(change),
            source: *source,
            issued_on: None,
            due_on: None,
            currency: content.total.currency(),
            total_minor: 0,
            outstanding_minor: 0,
            file_id: None,
            note: None,
            project_ids: vec![],
            received_by: *received_by,
            policy_id: None,
            rule: None,
            steps: vec![],
            step: None,
            approver_ids: vec![],
            escalated: false,
            reason: None,
            connection_id: None,
            external_id: None,
            ledger_error: None,
            paid_on: None,
        };
        row.says(content);
        Some(row)
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Received { .. } => {}
            E::DuplicateSuspected { of_bill_id } => self.suspected_of_id = Some(*of_bill_id),
            E::Corrected { content, .. } => self.says(content),
            E::Coded { vendor_id, lines, .. } => {
                (self.vendor_id, self.suspected_of_id) = (Some(*vendor_id), None);
                self.project_ids = projects(lines.iter().filter_map(|line| line.project_id));
                self.asked(&[], None);
                self.reason = None;
            }
            E::ApprovalRequested { request, .. } => {
                (self.policy_id, self.rule) = (request.policy_id, request.rule.clone());
                self.asked(&request.steps, (!request.steps.is_empty()).then_some(0));
            }
            E::ApprovalGranted { step, completes, .. } => {
                if *completes {
                    let (next, steps) = (step.saturating_add(1), self.steps.clone());
                    let is_there = usize::try_from(next).is_ok_and(|next| next < steps.len());
                    self.asked(&steps, is_there.then_some(next));
                }
            }
            E::ApprovalDelegated { to, .. } => {
                self.approver_ids.retain(|id| id != to);
                self.approver_ids.push(*to);
            }
            E::ApprovalEscalated { .. } => {
                self.escalated = true;
                let escalation = self.current().map(|step| people(&step.escalate_to)).unwrap_or_default();
                self.approver_ids.retain(|id| !escalation.contains(id));
                self.approver_ids.extend(escalation);
            }
            E::Approved { owed } => {
                self.nobody_asked();
                self.outstanding_minor = owed.total.minor();
            }
            E::Rejected { reason, .. } => {
                self.nobody_asked();
                self.reason = Some(reason.clone());
            }
            E::PushedToLedger { connection_id, external_id } => {
                (self.connection_id, self.external_id) = (*connection_id, Some(external_id.clone()));
                self.ledger_error = None;
            }
            E::LedgerRejected { reason, .. } => self.ledger_error = Some(reason.clone()),
            E::PaymentRecorded { outstanding, .. } => self.owes(*outstanding),
            E::Paid { paid_on, .. } => self.paid_on = Some(*paid_on),
            E::PaymentReversed { outstanding, .. } => {
                self.owes(*outstanding);
                self.paid_on = None;
            }
            E::Voided { reason, .. } => {
                self.nobody_asked();
                (self.reason, self.outstanding_minor) = (Some(reason.clone()), 0);
            }
        }
        Ok(())
    }
}

impl BillRow {
    fn says(&mut self, content: &BillContent) {
        self.vendor_id = content.vendor_id;
        self.reference = content.reference.clone();
        (self.reference_rule, self.reference_year) = (content.reference_rule, content.reference_year);
        (self.alike_bill_id, self.suspected_of_id) = (content.alike_bill_id, None);
        (self.issued_on, self.due_on) = (content.issued_on, content.due_on);
        (self.currency, self.total_minor) = (content.total.currency(), content.total.minor());
        (self.file_id, self.note) = (content.file_id, content.note.clone());
        self.project_ids = projects(content.lines.iter().filter_map(|line| line.project_id));
        self.asked(&[], None);
        self.reason = None;
    }

    fn owes(&mut self, outstanding: Money) {
        self.outstanding_minor = outstanding.minor();
    }

    fn current(&self) -> Option<&ApprovalStep> {
        self.steps.get(usize::try_from(self.step?).ok()?)
    }

    fn asked(&mut self, steps: &[ApprovalStep], step: Option<u32>) {
        (self.steps, self.step, self.escalated) = (steps.to_vec(), step, false);
        self.approver_ids = self.current().map(|step| people(&step.approvers)).unwrap_or_default();
    }

    fn nobody_asked(&mut self) {
        (self.step, self.approver_ids) = (None, vec![]);
    }
}

/// The people among those who approve.
pub(super) fn people(approvers: &[Approver]) -> Vec<UserId> {
    let mut people = vec![];
    for approver in approvers {
        if let Approver::User { user_id } = approver
            && !people.contains(user_id)
        {
            people.push(*user_id);
        }
    }
    people
}

/// Each of them once.
fn projects(all: impl Iterator<Item = ProjectId>) -> Vec<ProjectId> {
    let mut projects: Vec<ProjectId> = all.collect();
    projects.sort_unstable();
    projects.dedup();
    projects
}
