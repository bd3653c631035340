//! What happens to an invoice.

use crate::{ApprovalRequest, Buyer, InvoiceLineId, Language, Line, Seller, Settlement};
use kernel::{
    Amounts, ClientId, Currency, Date, Email, EngagementId, FileId, Machine, Money, Name, Personal, Principal,
    ProjectId, Text, Timestamp, UserId, event, status,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use InvoiceEvent as E;

/// Where an invoice stands.
#[status]
pub enum InvoiceStatus {
    /// Being written.
    #[default]
    Drafted,
    /// Somebody is to approve it.
    PendingApproval,
    /// It may be issued.
    Approved,
    /// It has a number, and nothing of the paper changes any more.
    Issued,
    /// The client has it.
    Sent,
    /// A part of it is paid.
    PartiallyPaid,
    /// It is paid.
    Paid,
    /// It is not paid, and should be.
    Overdue,
    /// It is not owed, and never was; its number stays its own.
    Voided,
    /// What is open of it is not expected any more.
    WrittenOff,
}

impl InvoiceStatus {
    /// Can its lines change?
    pub fn is_draft(self) -> bool {
        self == Self::Drafted
    }

    /// Does the client owe something of it?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Issued | Self::Sent | Self::PartiallyPaid | Self::Overdue)
    }

    /// Was it issued, whatever became of it? What is voided was perhaps not.
    pub fn is_issued(self) -> bool {
        self.is_open() || matches!(self, Self::Paid | Self::WrittenOff)
    }
}

/// Where an invoice stands again after money for it was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reopened {
    /// It has a number.
    Issued,
    /// The client has it.
    Sent,
    /// Another part of it is paid.
    PartiallyPaid,
    /// It should be paid.
    Overdue,
}

impl From<Reopened> for InvoiceStatus {
    fn from(reopened: Reopened) -> Self {
        match reopened {
            Reopened::Issued => Self::Issued,
            Reopened::Sent => Self::Sent,
            Reopened::PartiallyPaid => Self::PartiallyPaid,
            Reopened::Overdue => Self::Overdue,
        }
    }
}

impl Machine<E> for InvoiceStatus {
    const BEGINS: &'static [&'static str] = &["invoice.drafted"];

    fn after(self, event: &E) -> Self {
        use InvoiceStatus::{
            Approved, Drafted, Issued, Overdue, Paid, PartiallyPaid, PendingApproval, Sent, Voided, WrittenOff,
        };
        match (self, event) {
            (Drafted, E::Submitted { .. }) => PendingApproval,
            (PendingApproval, E::Approved { .. }) => Approved,
            (PendingApproval | Approved, E::Rejected { .. }) => Drafted,
            (Approved, E::Issued { .. }) => Issued,
            (Issued, E::Sent { .. }) => Sent,
            // What is overdue stays so until it is paid.
            (Issued | Sent, E::PartiallyPaid { .. }) => PartiallyPaid,
            (Issued | Sent | PartiallyPaid | Overdue, E::Paid { .. }) => Paid,
            (PartiallyPaid | Paid, E::PaymentReversed { returns_to, .. }) => (*returns_to).into(),
            (Issued | Sent | PartiallyPaid, E::Overdue { .. }) => Overdue,
            (Drafted | PendingApproval | Approved | Issued | Sent | Overdue, E::Voided { .. }) => Voided,
            (Issued | Sent | PartiallyPaid | Overdue, E::WrittenOff { .. }) => WrittenOff,
            _ => self,
        }
    }
}

/// Everything that happens to an invoice; its lines are parts of it.
#[event("revenue.invoice")]
#[expect(
    clippy::large_enum_variant,
    reason = "it is issued once, and all that is on its paper travels with that event"
)]
pub enum InvoiceEvent {
    /// An invoice is being written.
    Drafted {
        /// To whom.
        client_id: ClientId,
        /// For which project.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// For which engagement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// In which currency.
        currency: Currency,
        /// What the client wants to find on it, if not what it always wants.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        buyer_reference: Option<Name>,
        /// What stands below its lines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Text>,
        /// Its lines.
        lines: Vec<Line>,
        /// Who wrote it, if that was somebody of the firm.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drafted_by: Option<Principal>,
    },
    /// It has one line more.
    LineAdded {
        /// The line.
        line: Line,
    },
    /// A line says something else; its id stays.
    LineChanged {
        /// The line.
        line: Line,
    },
    /// It has a line less.
    LineRemoved {
        /// Which one.
        line_id: InvoiceLineId,
    },
    /// Somebody is to approve it.
    Submitted {
        /// What it comes to.
        total: Money,
        /// Who handed it in, if that was somebody of the firm.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        submitted_by: Option<Principal>,
        /// What its first line is for, so that whoever is asked knows what of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<Name>,
        /// What is asked of whom, where the firm has a policy for invoices; without one, whoever may approve invoices does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<ApprovalRequest>,
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
        /// Have enough approved at this step? Then the next one begins, or the invoice is approved.
        completes: bool,
        /// When.
        at: Timestamp,
    },
    /// Whoever would approve at a step does not; those whom the policy names for that may now.
    ApprovalEscalated {
        /// The step's number, from 0.
        step: u32,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// It may be issued.
    Approved {},
    /// It is to be written otherwise.
    Rejected {
        /// Why.
        reason: Text,
    },
    /// It has a number and a day, and nothing of the paper changes any more.
    Issued {
        /// To whom.
        client_id: ClientId,
        /// Its number.
        number: Name,
        /// Its day.
        issued_on: Date,
        /// By when it is to be paid.
        due_on: Date,
        /// When that day is over where the firm is: from then on it is overdue, unless it is paid.
        overdue_at: Timestamp,
        /// Who is owed.
        seller: Seller,
        /// Who owes.
        buyer: Buyer,
        /// In which language it is written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<Language>,
        /// Its lines.
        lines: Vec<Line>,
        /// What they come to, and by which rule of rounding.
        amounts: Amounts,
    },
    /// Its paper is there: as a PDF for people that holds the same for programs, and as a file for networks.
    PaperStored {
        /// The client, whose files they are.
        client_id: ClientId,
        /// Its number.
        number: Name,
        /// What it comes to.
        total: Money,
        /// By when it is to be paid.
        due_on: Date,
        /// In which language it is written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<Language>,
        /// Where papers are sent to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<Personal<Email>>,
        /// The PDF.
        pdf_file_id: FileId,
        /// The file for networks; none if its currency has more decimals than these take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        xml_file_id: Option<FileId>,
    },
    /// The client has it.
    Sent {},
    /// The ledger has it.
    PushedToLedger {
        /// What the ledger calls it.
        external_id: Name,
    },
    /// The ledger does not take it.
    LedgerRejected {
        /// Why.
        reason: Text,
    },
    /// A part of it is paid.
    PartiallyPaid {
        /// The client.
        client_id: ClientId,
        /// By what.
        settlement: Settlement,
        /// How much of it this pays, in place of what it did.
        amount: Money,
        /// By how much that is more than it was.
        change: Money,
        /// What is paid of it in all.
        paid: Money,
        /// What is open.
        outstanding: Money,
    },
    /// The last of it is paid.
    Paid {
        /// The client.
        client_id: ClientId,
        /// By what.
        settlement: Settlement,
        /// How much of it this pays, in place of what it did.
        amount: Money,
        /// By how much that is more than it was.
        change: Money,
        /// What is paid of it in all.
        paid: Money,
    },
    /// What paid for it does so no longer, or less.
    PaymentReversed {
        /// The client.
        client_id: ClientId,
        /// What.
        settlement: Settlement,
        /// How much of it this still pays.
        amount: Money,
        /// By how much that is less than it was.
        change: Money,
        /// What is paid of it in all.
        paid: Money,
        /// What is open.
        outstanding: Money,
        /// Where it stands again.
        returns_to: Reopened,
        /// It was written off before, so what this pays no longer is not expected either.
        #[serde(default)]
        given_up: bool,
    },
    /// It is not paid, and should be.
    Overdue {
        /// The client.
        client_id: ClientId,
        /// Since the day after this one.
        due_on: Date,
        /// What is open.
        outstanding: Money,
    },
    /// A credit note takes back a part of it, or all.
    Credited {
        /// Which credit note.
        credit_note_id: crate::CreditNoteId,
        /// How much.
        amount: Money,
    },
    /// It is not owed.
    Voided {
        /// Why.
        reason: Text,
        /// What it came to, if it was issued.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amounts: Option<Amounts>,
    },
    /// What is open of it is not expected any more.
    WrittenOff {
        /// Why.
        reason: Text,
        /// What was open.
        outstanding: Money,
    },
}
