//! What takes back invoices.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{
    Allocation, Buyer, CreditNoteEvent as E, CreditNoteId, CreditNoteStatus, Line, Seller,
};
use kernel::{Amounts, ClientId, Currency, Date, FileId, InvoiceId, Machine, Name, Text, read_model};

/// Credit notes. Whoever may see a client sees its credit notes from the day on which they are issued; drafts are the firm's.
#[read_model(
    "revenue.credit_notes",
    id = CreditNoteId,
    read = "revenue.credit_note.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(shown_to_client_id))
)]
pub struct CreditNoteRow {
    /// To whom.
    #[column(filter)]
    pub client_id: ClientId,
    /// The client again, once it is issued.
    pub shown_to_client_id: Option<ClientId>,
    /// The invoice that it takes back, or a part of it.
    #[column(filter)]
    pub invoice_id: InvoiceId,
    /// The number of that invoice.
    pub invoice_number: Name,
    /// Where it stands.
    #[column(filter)]
    pub status: CreditNoteStatus,
    /// Its own number, once it is issued.
    #[column(filter)]
    pub number: Option<Name>,
    /// Its day.
    #[column(filter)]
    pub issued_on: Option<Date>,
    /// Why.
    pub reason: Text,
    /// In which currency.
    #[column(filter)]
    pub currency: Currency,
    /// What it comes to without tax, in minor units.
    pub net_minor: i64,
    /// All its taxes, in minor units.
    pub tax_minor: i64,
    /// What it comes to, in minor units.
    pub total_minor: i64,
    /// What is left of the credit, in minor units: none before it is issued.
    pub remaining_minor: i64,
    /// Of which lines how much.
    pub lines: Vec<Line>,
    /// What they come to, and by which rule of rounding.
    pub amounts: Amounts,
    /// Who owes it, as it says.
    pub seller: Option<Seller>,
    /// To whom, as it says.
    pub buyer: Option<Buyer>,
    /// What it pays for.
    pub allocations: Vec<Allocation>,
    /// What was given back of it in money, in minor units.
    pub refunded_minor: i64,
    /// Its paper as a PDF, once it is set.
    pub pdf_file_id: Option<FileId>,
    /// Its paper as a file for networks, once it is written.
    pub xml_file_id: Option<FileId>,
}

impl CreditNoteRow {
    fn pays(&mut self, allocation: &Allocation, remaining: i64) {
        self.allocations.retain(|part| part.invoice_id != allocation.invoice_id);
        self.allocations.push(*allocation);
        self.remaining_minor = remaining;
    }
}

impl Fold for CreditNoteRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Drafted { client_id, invoice_id, invoice_number, reason, lines, amounts } = change else { return None };
        Some(Self {
            client_id: *client_id,
            shown_to_client_id: None,
            invoice_id: *invoice_id,
            invoice_number: invoice_number.clone(),
            status: CreditNoteStatus::default().after(change),
            number: None,
            issued_on: None,
            reason: reason.clone(),
            currency: amounts.total.currency(),
            net_minor: amounts.net.minor(),
            tax_minor: amounts.tax.minor(),
            total_minor: amounts.total.minor(),
            remaining_minor: 0,
            lines: lines.clone(),
            amounts: amounts.clone(),
            seller: None,
            buyer: None,
            allocations: vec![],
            refunded_minor: 0,
            pdf_file_id: None,
            xml_file_id: None,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Drafted { .. } | E::Discarded {} => {}
            E::Issued { client_id, number, issued_on, seller, buyer, amounts, .. } => {
                self.shown_to_client_id = Some(*client_id);
                (self.number, self.issued_on) = (Some(number.clone()), Some(*issued_on));
                (self.seller, self.buyer) = (Some(seller.clone()), Some(buyer.clone()));
                self.remaining_minor = amounts.total.minor();
            }
            E::PaperStored { pdf_file_id, xml_file_id, .. } => {
                (self.pdf_file_id, self.xml_file_id) = (Some(*pdf_file_id), *xml_file_id);
            }
            E::PartiallyApplied { allocation, remaining } => self.pays(allocation, remaining.minor()),
            E::Applied { allocation } => self.pays(allocation, 0),
            E::Refunded { amount } => (self.refunded_minor, self.remaining_minor) = (amount.minor(), 0),
        }
        Ok(())
    }
}
