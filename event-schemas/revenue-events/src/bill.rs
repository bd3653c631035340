//! What happens to a bill that a vendor sent.

use crate::{ApprovalRequest, LedgerCode, ReferenceRule, VendorId};
use kernel::{ConnectionId, Date, FileId, Machine, Money, Name, ProjectId, Text, Timestamp, UserId, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use BillEvent as E;

kernel::ids! {
    /// A bill of a vendor.
    BillId,
    /// A payment of a bill, or of a part of it.
    BillPaymentId,
}

/// Where a bill stands.
#[status]
pub enum BillStatus {
    /// Came in; nobody has said yet what it is for.
    #[default]
    Received,
    /// Its vendor and its accounts are known.
    Coded,
    /// Somebody has to approve it.
    PendingApproval,
    /// Is owed.
    Approved,
    /// Somebody did not approve it; it can be coded anew or voided.
    Rejected,
    /// Is owed, and the ledger has it.
    PushedToLedger,
    /// Is paid in part.
    PartiallyPaid,
    /// Is paid.
    Paid,
    /// Is owed no more, or never was.
    Voided,
}

impl BillStatus {
    /// Does the firm owe it, or did it pay for it?
    pub fn is_owed(self) -> bool {
        matches!(self, Self::Approved | Self::PushedToLedger | Self::PartiallyPaid | Self::Paid)
    }

    /// May what stands on it still change?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::Coded | Self::Rejected)
    }
}

impl Machine<E> for BillStatus {
    const BEGINS: &'static [&'static str] = &["bill.received"];

    fn after(self, event: &E) -> Self {
        use BillStatus::{Approved, Coded, PartiallyPaid, PendingApproval, PushedToLedger, Received, Rejected, Voided};
        match (self, event) {
            (Voided, _) => Voided,
            (Coded | Rejected, E::Corrected { .. }) => Received,
            (Received | Rejected, E::Coded { .. }) => Coded,
            (Coded, E::ApprovalRequested { .. }) => PendingApproval,
            (PendingApproval, E::Approved { .. }) => Approved,
            (PendingApproval, E::Rejected { .. }) => Rejected,
            (Approved, E::PushedToLedger { .. }) => PushedToLedger,
            (Approved | PushedToLedger, E::PaymentRecorded { .. }) => PartiallyPaid,
            (PartiallyPaid, E::Paid { .. }) => Self::Paid,
            (PartiallyPaid | Self::Paid, E::PaymentReversed { leaves, .. }) => match leaves {
                LeftPaid::Part => PartiallyPaid,
                LeftPaid::NothingOfPushed => PushedToLedger,
                LeftPaid::Nothing => Approved,
            },
            (Received | Coded | PendingApproval | Approved | Rejected | PushedToLedger, E::Voided { .. }) => Voided,
            _ => self,
        }
    }
}

/// How a bill came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum BillSource {
    /// A program said what stands on it.
    #[default]
    Api,
    /// As a file that somebody uploaded.
    File,
    /// By email.
    Email,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, kernel::Input)]
pub struct BillLine {
    /// What was bought.
    pub description: Name,
    /// What it costs without tax.
    pub net: Money,
    /// The tax on it, as the vendor has it; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// The account that it is an expense of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_code: Option<LedgerCode>,
    /// The tax that it bears, as the ledger calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_code: Option<LedgerCode>,
    /// The project that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}

/// What stands on a bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BillContent {
    /// The vendor; none until somebody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<VendorId>,
    /// The vendor's number of it.
    pub reference: Name,
    /// For how long that number is this bill's alone: the firm's rule when it came in or was corrected.
    pub reference_rule: ReferenceRule,
    /// The year that counts where the rule is by year: that of the day of the bill, or of the day it came in.
    pub reference_year: u16,
    /// The day of the bill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_on: Option<Date>,
    /// Until when it is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
    /// Everything together, with tax.
    pub total: Money,
    /// Its lines, as far as they are known.
    pub lines: Vec<BillLine>,
    /// The first bill with the same reference, total and currency, if it is not this one. It is no duplicate of it if both are known to be
    /// of two vendors, or of two years where the firm's rule is by year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alike_bill_id: Option<BillId>,
    /// The paper itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<FileId>,
    /// What somebody noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Text>,
}

/// What a bill is owed for: what a ledger and the journal need of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwedBill {
    /// To whom.
    pub vendor_id: VendorId,
    /// The vendor's number of it.
    pub reference: Name,
    /// The day of the bill; the day it was approved where it has none.
    pub booked_on: Date,
    /// Until when it is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
    /// Everything together, with tax.
    pub total: Money,
    /// Its lines, each with its account.
    pub lines: Vec<BillLine>,
}

/// How a payment was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum BillPaymentMethod {
    /// From bank account to bank account.
    #[default]
    BankTransfer,
    /// The vendor drew it.
    DirectDebit,
    /// By card.
    Card,
    /// In cash.
    Cash,
    /// Otherwise.
    Other,
}

/// What of a bill is paid after a payment was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftPaid {
    /// A part.
    Part,
    /// Nothing.
    Nothing,
    /// Nothing of a bill that the ledger has.
    NothingOfPushed,
}

/// Everything that happens to a bill.
#[event("revenue.bill")]
pub enum BillEvent {
    /// A bill came in.
    Received {
        /// What stands on it.
        #[serde(flatten)]
        content: BillContent,
        /// How it came in.
        source: BillSource,
        /// Who brought it in; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        received_by: Option<UserId>,
    },
    /// Another bill has the same reference and total, and it is not known yet whether it is of another vendor.
    DuplicateSuspected {
        /// Which one.
        of_bill_id: BillId,
    },
    /// What stands on the bill was read wrongly, or not at all; it is to be coded anew.
    Corrected {
        /// What stands on it.
        #[serde(flatten)]
        content: BillContent,
        /// How many lines it had before.
        replaced: u32,
        /// Who said so; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        corrected_by: Option<UserId>,
    },
    /// It is known whose bill it is and what it is for. It is no other one's duplicate.
    Coded {
        /// The vendor.
        vendor_id: VendorId,
        /// Its lines, each with its account; they come to the total.
        lines: Vec<BillLine>,
        /// How many lines it had before.
        replaced: u32,
        /// Who said so; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coded_by: Option<UserId>,
    },
    /// Somebody is to approve the bill.
    ApprovalRequested {
        /// What is asked of whom.
        #[serde(flatten)]
        request: ApprovalRequest,
        /// How much it is about.
        total: Money,
        /// Until when it is to be paid, so that nobody waits longer for an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<Date>,
    },
    /// Somebody approved at a step.
    ApprovalGranted {
        /// The step's number, from 0.
        step: u32,
        /// Who.
        by: UserId,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<Text>,
        /// Have enough approved at this step? Then the next one begins, or the bill is approved.
        completes: bool,
        /// When.
        at: Timestamp,
    },
    /// Somebody else may approve at a step too.
    ApprovalDelegated {
        /// The step's number, from 0.
        step: u32,
        /// Who said so.
        by: UserId,
        /// Who.
        to: UserId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// Whoever would approve at a step does not; those whom the policy names for that may now.
    ApprovalEscalated {
        /// The step's number, from 0.
        step: u32,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// The bill is owed: whoever has to approved it, or nobody has to.
    Approved {
        /// What for.
        #[serde(flatten)]
        owed: OwedBill,
    },
    /// Somebody did not approve the bill.
    Rejected {
        /// The step's number, from 0.
        step: u32,
        /// Who.
        by: UserId,
        /// Why.
        reason: Text,
    },
    /// The ledger has the bill.
    PushedToLedger {
        /// Through which connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection_id: Option<ConnectionId>,
        /// What the ledger calls it.
        external_id: Name,
    },
    /// The ledger does not take the bill.
    LedgerRejected {
        /// Through which connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection_id: Option<ConnectionId>,
        /// Why, as the ledger says.
        reason: Text,
    },
    /// The bill was paid, or a part of it.
    PaymentRecorded {
        /// The payment.
        payment_id: BillPaymentId,
        /// To whom.
        vendor_id: VendorId,
        /// How much.
        amount: Money,
        /// When.
        paid_on: Date,
        /// How.
        method: BillPaymentMethod,
        /// What the bank calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Name>,
        /// What is owed after it.
        outstanding: Money,
    },
    /// Nothing is owed any more.
    Paid {
        /// To whom.
        vendor_id: VendorId,
        /// How much it was altogether.
        total: Money,
        /// When the last payment was made.
        paid_on: Date,
    },
    /// A payment was taken back: the bank returned it, or it was of another bill.
    PaymentReversed {
        /// The payment.
        payment_id: BillPaymentId,
        /// To whom it had gone.
        vendor_id: VendorId,
        /// How much it was.
        amount: Money,
        /// When it was taken back.
        reversed_on: Date,
        /// Why.
        reason: Text,
        /// What is owed after it.
        outstanding: Money,
        /// What is paid after it.
        leaves: LeftPaid,
    },
    /// The bill is void: a duplicate, a mistake, or taken back by the vendor.
    Voided {
        /// Why.
        reason: Text,
        /// When.
        voided_on: Date,
        /// What it was owed for, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owed: Option<OwedBill>,
    },
}
