//! The journal: what events come to in double entry, receivables and payables.
//!
//! An entry is made of one event and of nothing else, and its debits are its credits, so the books balance at every position of the log.
//! Money of a client that pays for nothing yet, and credit, stand on an account of their own: what is allocated moves from there to the
//! receivable, so that the receivables are what the open invoices come to, at every position too.

use crate::model::Event;
use catalogue::AnyEvent;
use catalogue::revenue_events::{
    BillEvent, CreditNoteEvent, InvoiceEvent, LedgerCode, OwedBill, PaymentEvent, VendorId,
};
use kernel::{Amounts, ClientId, Currency, Date, Money, ProjectId, Tax};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whose events the journal is made of.
pub(crate) const STREAMS: &[&str] = &["revenue.invoice", "revenue.payment", "revenue.credit_note", "revenue.bill"];

/// An account of the journal. Which account of the firm's chart that is, the ledger says; of an expense the bill says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JournalAccount {
    /// What clients owe: what is open of issued invoices.
    Receivable,
    /// What clients paid or were credited, as far as it pays for nothing yet.
    ClientCredit,
    /// What was earned.
    Revenue,
    /// Tax that clients pay and the firm passes on.
    OutputTax,
    /// What is not expected any more.
    BadDebt,
    /// Money that came in and went out.
    Bank,
    /// What is owed to vendors: what is open of approved bills.
    Payable,
    /// What was bought.
    Expense,
    /// Tax that vendors were paid and the firm gets back.
    InputTax,
}

/// What an entry of the journal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JournalKind {
    /// An invoice was issued.
    InvoiceIssued,
    /// What a client had paid or been credited pays for an invoice.
    Allocation,
    /// It pays for an invoice no longer, or for less of it.
    AllocationReversed,
    /// An invoice was voided.
    InvoiceVoided,
    /// What was open of an invoice is not expected any more.
    WriteOff,
    /// A client paid.
    PaymentReceived,
    /// Money was given back to a client.
    Refund,
    /// A client's payment was taken back.
    PaymentReversed,
    /// A credit note was issued.
    CreditNoteIssued,
    /// A bill was approved.
    BillApproved,
    /// A bill that was owed was voided.
    BillVoided,
    /// A vendor was paid.
    BillPaid,
    /// A payment to a vendor was taken back.
    BillPaymentReversed,
}

/// A line of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posting {
    pub account: JournalAccount,
    /// More exactly: the account of an expense, the kind of a tax.
    pub code: Option<LedgerCode>,
    pub project_id: Option<ProjectId>,
    /// Minor units; a credit with a minus.
    pub minor: i64,
}

/// An entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub kind: JournalKind,
    pub booked_on: Date,
    pub currency: Currency,
    pub client_id: Option<ClientId>,
    pub vendor_id: Option<VendorId>,
    pub postings: Vec<Posting>,
}

/// The row of an entry's posting. It is the event's id with the posting's number in the twelve bits that say which of a millisecond's
/// ids it is, so the number of a row is found without trying.
pub fn posting_row_id(event: Uuid, number: usize) -> Uuid {
    Uuid::from_u128(event.as_u128() ^ ((number as u128) << 64))
}

/// The number of a posting's row.
pub(crate) fn posting_number(event: Uuid, row: Uuid) -> usize {
    usize::try_from((event.as_u128() ^ row.as_u128()) >> 64).unwrap_or(usize::MAX)
}

impl Entry {
    /// The entry that an event makes, if it makes one.
    pub fn of(change: &AnyEvent, event: &Event) -> Option<Self> {
        let entry = match change {
            AnyEvent::Bill(change) => bill(change)?,
            AnyEvent::Invoice(change) => invoice(change, event)?,
            AnyEvent::Payment(change) => payment(change, event)?,
            AnyEvent::CreditNote(change) => credit_note(change, event)?,
            _ => return None,
        };
        (!entry.postings.is_empty()).then_some(entry)
    }

    /// From one account to another: a debit of the first, a credit of the second.
    fn between(
        kind: JournalKind,
        booked_on: Date,
        amount: Money,
        debit: JournalAccount,
        credit: JournalAccount,
    ) -> Self {
        Self::new(kind, booked_on, amount.currency()).post(debit, amount.minor()).post(credit, -amount.minor())
    }

    fn new(kind: JournalKind, booked_on: Date, currency: Currency) -> Self {
        Self { kind, booked_on, currency, client_id: None, vendor_id: None, postings: vec![] }
    }

    fn post(self, account: JournalAccount, minor: i64) -> Self {
        self.post_as(account, None, None, minor)
    }

    fn post_as(
        mut self,
        account: JournalAccount,
        code: Option<LedgerCode>,
        project_id: Option<ProjectId>,
        minor: i64,
    ) -> Self {
        if minor != 0 {
            self.postings.push(Posting { account, code, project_id, minor });
        }
        self
    }

    fn of_client(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    fn of_vendor(mut self, vendor_id: VendorId) -> Self {
        self.vendor_id = Some(vendor_id);
        self
    }

    /// The same on the other sides.
    fn reversed(mut self, kind: JournalKind, booked_on: Date) -> Self {
        (self.kind, self.booked_on) = (kind, booked_on);
        self.postings.iter_mut().for_each(|posting| posting.minor = -posting.minor);
        self
    }

    /// All debits, which are all credits.
    pub fn minor(&self) -> i64 {
        self.postings.iter().map(|posting| posting.minor.max(0)).sum()
    }
}

/// The day of the event, where it says none.
fn day(event: &Event) -> Date {
    Date::try_from(event.recorded_at.date_naive()).unwrap_or(Date::MIN)
}

fn invoice(change: &InvoiceEvent, event: &Event) -> Option<Entry> {
    use InvoiceEvent as E;
    use JournalAccount::{BadDebt, ClientCredit, Receivable};
    Some(match change {
        E::Issued { client_id, issued_on, amounts, .. } => sold(amounts, *issued_on).of_client(*client_id),
        E::PartiallyPaid { client_id, change, .. } | E::Paid { client_id, change, .. } => {
            Entry::between(JournalKind::Allocation, day(event), *change, ClientCredit, Receivable).of_client(*client_id)
        }
        E::PaymentReversed { client_id, change, given_up, .. } => {
            let (kind, owed) = (JournalKind::AllocationReversed, if *given_up { BadDebt } else { Receivable });
            Entry::between(kind, day(event), *change, owed, ClientCredit).of_client(*client_id)
        }
        E::Voided { amounts: Some(amounts), .. } => {
            sold(amounts, day(event)).reversed(JournalKind::InvoiceVoided, day(event))
        }
        E::WrittenOff { outstanding, .. } => {
            Entry::between(JournalKind::WriteOff, day(event), *outstanding, BadDebt, Receivable)
        }
        E::Drafted { .. }
        | E::LineAdded { .. }
        | E::LineChanged { .. }
        | E::LineRemoved { .. }
        | E::Submitted { .. }
        | E::ApprovalGranted { .. }
        | E::ApprovalEscalated { .. }
        | E::Approved { .. }
        | E::Rejected { .. }
        | E::Sent { .. }
        | E::PushedToLedger { .. }
        | E::LedgerRejected { .. }
        | E::PaperStored { .. }
        | E::Overdue { .. }
        | E::Credited { .. }
        | E::Voided { amounts: None, .. } => return None,
    })
}

/// What a paper asks for.
fn sold(amounts: &Amounts, booked_on: Date) -> Entry {
    use JournalAccount::{OutputTax, Receivable, Revenue};
    let entry = Entry::new(JournalKind::InvoiceIssued, booked_on, amounts.total.currency());
    let entry = entry.post(Receivable, amounts.total.minor()).post(Revenue, -amounts.net.minor());
    let taxed =
        |entry: Entry, tax: &kernel::TaxAmounts| entry.post_as(OutputTax, tax_code(tax.tax), None, -tax.amount.minor());
    amounts.taxes.iter().fold(entry, taxed)
}

/// `S-19`: the category and the rate.
fn tax_code(tax: Tax) -> Option<LedgerCode> {
    let code = tax.rate().map_or_else(|| tax.code().to_owned(), |rate| format!("{}-{rate}", tax.code()));
    code.parse().ok()
}

fn payment(change: &PaymentEvent, event: &Event) -> Option<Entry> {
    use JournalAccount::{Bank, ClientCredit};
    use PaymentEvent as E;
    Some(match change {
        E::Received { client_id, amount, received_on, .. } => {
            let kind = JournalKind::PaymentReceived;
            Entry::between(kind, *received_on, *amount, Bank, ClientCredit).of_client(*client_id)
        }
        E::Refunded { amount, .. } => Entry::between(JournalKind::Refund, day(event), *amount, ClientCredit, Bank),
        E::Reversed { amount, .. } => {
            Entry::between(JournalKind::PaymentReversed, day(event), *amount, ClientCredit, Bank)
        }
        // What it pays for the invoice says.
        E::Allocated { .. } | E::Deallocated { .. } => return None,
    })
}

fn credit_note(change: &CreditNoteEvent, event: &Event) -> Option<Entry> {
    use CreditNoteEvent as E;
    use JournalAccount::{Bank, ClientCredit, Receivable};
    Some(match change {
        E::Issued { client_id, issued_on, amounts, .. } => {
            let mut entry = sold(amounts, *issued_on).reversed(JournalKind::CreditNoteIssued, *issued_on);
            // It pays for nothing by itself: its invoice is paid by it when the credit is applied.
            for posting in entry.postings.iter_mut().filter(|posting| posting.account == Receivable) {
                posting.account = ClientCredit;
            }
            entry.of_client(*client_id)
        }
        E::Refunded { amount, .. } => Entry::between(JournalKind::Refund, day(event), *amount, ClientCredit, Bank),
        E::Drafted { .. }
        | E::PaperStored { .. }
        | E::PartiallyApplied { .. }
        | E::Applied { .. }
        | E::Discarded {} => return None,
    })
}

fn bill(change: &BillEvent) -> Option<Entry> {
    use BillEvent as E;
    use JournalAccount::{Bank, Payable};
    Some(match change {
        E::Approved { owed } => bought(owed),
        E::Voided { owed: Some(owed), voided_on, .. } => bought(owed).reversed(JournalKind::BillVoided, *voided_on),
        E::PaymentRecorded { vendor_id, amount, paid_on, .. } => {
            Entry::between(JournalKind::BillPaid, *paid_on, *amount, Payable, Bank).of_vendor(*vendor_id)
        }
        E::PaymentReversed { vendor_id, amount, reversed_on, .. } => {
            let kind = JournalKind::BillPaymentReversed;
            Entry::between(kind, *reversed_on, *amount, Bank, Payable).of_vendor(*vendor_id)
        }
        E::Received { .. }
        | E::DuplicateSuspected { .. }
        | E::Corrected { .. }
        | E::Coded { .. }
        | E::ApprovalRequested { .. }
        | E::ApprovalGranted { .. }
        | E::ApprovalDelegated { .. }
        | E::ApprovalEscalated { .. }
        | E::Rejected { .. }
        | E::PushedToLedger { .. }
        | E::LedgerRejected { .. }
        | E::Paid { .. }
        | E::Voided { owed: None, .. } => return None,
    })
}

/// What a bill is owed for: one posting for each account and project, and one for each tax.
fn bought(owed: &OwedBill) -> Entry {
    use JournalAccount::{Expense, InputTax, Payable};
    let mut sums: BTreeMap<(JournalAccount, Option<LedgerCode>, Option<ProjectId>), i64> = BTreeMap::new();
    for line in &owed.lines {
        *sums.entry((Expense, line.account_code.clone(), line.project_id)).or_default() += line.net.minor();
        if let Some(tax) = line.tax {
            *sums.entry((InputTax, line.tax_code.clone(), None)).or_default() += tax.minor();
        }
    }
    let entry = Entry::new(JournalKind::BillApproved, owed.booked_on, owed.total.currency());
    let entry = sums
        .into_iter()
        .fold(entry, |entry, ((account, code, project), minor)| entry.post_as(account, code, project, minor));
    entry.post(Payable, -owed.total.minor()).of_vendor(owed.vendor_id)
}
