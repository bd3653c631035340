//! Invoices as lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::revenue::bills::people;
use catalogue::revenue_events::{
    ApprovalPolicyId, ApprovalStep, Buyer, CreditNoteId, InvoiceEvent as E, InvoiceStatus, Language, Seller, Settlement,
};
use kernel::{
    ClientId, Currency, Date, EngagementId, FileId, InvoiceId, Machine, Money, Name, Principal, ProjectId, Rounding,
    TaxAmounts, Text, UserId, read_model,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What pays for an invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SettlementRow {
    /// What.
    pub settlement: Settlement,
    /// How much of it this pays.
    pub amount: Money,
}

/// Invoices to clients. Whoever may see a client sees its invoices from the day on which they are issued; drafts are the firm's.
#[read_model(
    "revenue.invoices",
    id = InvoiceId,
    read = "revenue.invoice.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(shown_to_client_id), shown_engagement(engagement_id))
)]
pub struct InvoiceRow {
    /// To whom.
    #[column(filter)]
    pub client_id: ClientId,
    /// The client again, once it is issued.
    pub shown_to_client_id: Option<ClientId>,
    /// For which project.
    #[column(filter)]
    pub project_id: Option<ProjectId>,
    /// For which engagement.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// Where it stands.
    #[column(filter)]
    pub status: InvoiceStatus,
    /// Its number, once it is issued.
    #[column(filter)]
    pub number: Option<Name>,
    /// In which currency.
    #[column(filter)]
    pub currency: Currency,
    /// Its day.
    #[column(filter)]
    pub issued_on: Option<Date>,
    /// By when it is to be paid.
    #[column(filter)]
    pub due_on: Option<Date>,
    /// What it comes to without tax, in minor units, once it is issued.
    pub net_minor: Option<i64>,
    /// All its taxes, in minor units, once it is issued.
    pub tax_minor: Option<i64>,
    /// What it comes to, in minor units, once it was handed in.
    pub total_minor: Option<i64>,
    /// What is paid of it, in minor units.
    pub paid_minor: i64,
    /// What is open of it, in minor units.
    pub outstanding_minor: i64,
    /// What credit notes take back of it, in minor units.
    pub credited_minor: i64,
    /// Each of its taxes.
    pub taxes: Vec<TaxAmounts>,
    /// Where taxes were rounded.
    pub rounding: Option<Rounding>,
    /// How many lines it has.
    pub line_count: u32,
    /// What the client wants to find on it.
    pub buyer_reference: Option<Name>,
    /// What stands below its lines.
    pub note: Option<Text>,
    /// Who is owed, as it says.
    pub seller: Option<Seller>,
    /// Who owes, as it says.
    pub buyer: Option<Buyer>,
    /// In which language it is written.
    pub language: Option<Language>,
    /// What pays for it.
    pub settlements: Vec<SettlementRow>,
    /// The credit notes that take back of it.
    pub credit_note_ids: Vec<CreditNoteId>,
    /// The client has it.
    pub sent: bool,
    /// What the ledger calls it.
    #[column(filter)]
    pub external_id: Option<Name>,
    /// Why the ledger does not take it.
    pub ledger_rejection: Option<Text>,
    /// Why it was sent back, voided or written off.
    pub reason: Option<Text>,
    /// Who wrote it.
    pub drafted_by: Option<Principal>,
    /// Its paper as a PDF, once it is set.
    pub pdf_file_id: Option<FileId>,
    /// Its paper as a file for networks, once it is written.
    pub xml_file_id: Option<FileId>,
    /// Whose policy on who approves is followed, since it was handed in.
    pub policy_id: Option<ApprovalPolicyId>,
    /// Which of its rules.
    pub rule: Option<Name>,
    /// What was asked of whom, step by step.
    pub steps: Vec<ApprovalStep>,
    /// The number of the step whose turn it is, from 0; none while nobody is asked.
    pub step: Option<u32>,
    /// The people who approve at this step, teams and roles aside.
    #[column(filter)]
    pub approver_ids: Vec<UserId>,
    /// Those whom the policy names for when its approvers do not approve may do so at this step.
    pub escalated: bool,
}

impl InvoiceRow {
    fn asked(&mut self, step: Option<u32>) {
        let current = step.and_then(|step| self.steps.get(usize::try_from(step).ok()?));
        self.approver_ids = current.map(|step| people(&step.approvers)).unwrap_or_default();
        (self.step, self.escalated) = (step.filter(|_| current.is_some()), false);
    }

    fn is_paid(&mut self, settlement: Settlement, amount: Money, paid: Money) {
        self.settlements.retain(|there| there.settlement != settlement);
        if !amount.is_zero() {
            self.settlements.push(SettlementRow { settlement, amount });
        }
        self.paid_minor = paid.minor();
        if self.status != InvoiceStatus::WrittenOff {
            self.outstanding_minor = self.total_minor.unwrap_or_default() - self.paid_minor;
        }
    }
}

impl Fold for InvoiceRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Drafted { client_id, project_id, engagement_id, currency, buyer_reference, note, lines, drafted_by } =
            change
        else {
            return None;
        };
        Some(Self {
            client_id: *client_id,
            shown_to_client_id: None,
            project_id: *project_id,
            engagement_id: *engagement_id,
            status: InvoiceStatus::default().after(change),
            number: None,
            currency: *currency,
            issued_on: None,
            due_on: None,
            net_minor: None,
            tax_minor: None,
            total_minor: None,
            paid_minor: 0,
            outstanding_minor: 0,
            credited_minor: 0,
            taxes: vec![],
            rounding: None,
            line_count: u32::try_from(lines.len()).unwrap_or(u32::MAX),
            buyer_reference: buyer_reference.clone(),
            note: note.clone(),
            seller: None,
            buyer: None,
            language: None,
            settlements: vec![],
            credit_note_ids: vec![],
            sent: false,
            external_id: None,
            ledger_rejection: None,
            reason: None,
            drafted_by: *drafted_by,
            pdf_file_id: None,
            xml_file_id: None,
            policy_id: None,
            rule: None,
            steps: vec![],
            step: None,
            approver_ids: vec![],
            escalated: false,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Drafted { .. } | E::LineChanged { .. } | E::Overdue { .. } => {}
            E::LineAdded { .. } => self.line_count += 1,
            E::LineRemoved { .. } => self.line_count = self.line_count.saturating_sub(1),
            E::Submitted { total, request, .. } => {
                (self.total_minor, self.reason) = (Some(total.minor()), None);
                self.policy_id = request.as_ref().and_then(|request| request.policy_id);
                self.rule = request.as_ref().and_then(|request| request.rule.clone());
                self.steps = request.as_ref().map(|request| request.steps.clone()).unwrap_or_default();
                self.asked(Some(0));
            }
            E::ApprovalGranted { step, completes, .. } => {
                if *completes {
                    self.asked(Some(step.saturating_add(1)));
                }
            }
            E::ApprovalEscalated { step, .. } => {
                self.escalated = true;
                let current = usize::try_from(*step).ok().and_then(|step| self.steps.get(step));
                let escalation = current.map(|step| people(&step.escalate_to)).unwrap_or_default();
                self.approver_ids.retain(|id| !escalation.contains(id));
                self.approver_ids.extend(escalation);
            }
            E::Approved {} => self.asked(None),
            E::Rejected { reason } => {
                (self.total_minor, self.reason) = (None, Some(reason.clone()));
                self.asked(None);
            }
            E::Issued { client_id, number, issued_on, due_on, seller, buyer, language, amounts, .. } => {
                self.shown_to_client_id = Some(*client_id);
                self.number = Some(number.clone());
                (self.issued_on, self.due_on) = (Some(*issued_on), Some(*due_on));
                (self.seller, self.buyer) = (Some(seller.clone()), Some(buyer.clone()));
                self.language = language.clone();
                (self.net_minor, self.tax_minor) = (Some(amounts.net.minor()), Some(amounts.tax.minor()));
                self.total_minor = Some(amounts.total.minor());
                self.outstanding_minor = amounts.total.minor();
                (self.taxes, self.rounding) = (amounts.taxes.clone(), Some(amounts.rounding));
            }
            E::PaperStored { pdf_file_id, xml_file_id, .. } => {
                (self.pdf_file_id, self.xml_file_id) = (Some(*pdf_file_id), *xml_file_id);
            }
            E::Sent {} => self.sent = true,
            E::PushedToLedger { external_id } => {
                (self.external_id, self.ledger_rejection) = (Some(external_id.clone()), None);
            }
            E::LedgerRejected { reason } => self.ledger_rejection = Some(reason.clone()),
            E::PartiallyPaid { settlement, amount, paid, .. }
            | E::Paid { settlement, amount, paid, .. }
            | E::PaymentReversed { settlement, amount, paid, .. } => self.is_paid(*settlement, *amount, *paid),
            E::Credited { credit_note_id, amount } => {
                self.credit_note_ids.push(*credit_note_id);
                self.credited_minor += amount.minor();
            }
            E::Voided { reason, .. } | E::WrittenOff { reason, .. } => {
                self.asked(None);
                (self.outstanding_minor, self.reason) = (0, Some(reason.clone()));
            }
        }
        Ok(())
    }
}
