//! What happens to a credit note.

use crate::{Allocation, Buyer, Language, Line, Seller};
use kernel::{Amounts, ClientId, Date, Email, FileId, InvoiceId, Machine, Money, Name, Personal, Text, event, status};

use CreditNoteEvent as E;

/// Where a credit note stands.
#[status]
pub enum CreditNoteStatus {
    /// Being written.
    #[default]
    Draft,
    /// The client has the credit.
    Issued,
    /// All of it paid for invoices.
    Applied,
    /// What was left of it was given back in money.
    Refunded,
    /// It was given up as a draft.
    Discarded,
}

impl Machine<E> for CreditNoteStatus {
    const BEGINS: &'static [&'static str] = &["credit_note.drafted"];

    fn after(self, event: &E) -> Self {
        use CreditNoteStatus::{Applied, Discarded, Draft, Issued, Refunded};
        match (self, event) {
            (Draft, E::Issued { .. }) => Issued,
            (Draft, E::Discarded {}) => Discarded,
            (Issued, E::Applied { .. }) => Applied,
            (Issued, E::Refunded { .. }) => Refunded,
            _ => self,
        }
    }
}

/// Everything that happens to a credit note.
#[event("revenue.credit_note")]
#[expect(
    clippy::large_enum_variant,
    reason = "it is issued once, and all that is on its paper travels with that event"
)]
pub enum CreditNoteEvent {
    /// A part of an issued invoice, or all of it, is to be taken back.
    Drafted {
        /// The client.
        client_id: ClientId,
        /// The invoice.
        invoice_id: InvoiceId,
        /// Its number.
        invoice_number: Name,
        /// Why.
        reason: Text,
        /// Of which lines how much.
        lines: Vec<Line>,
        /// What they come to, by the invoice's own rule.
        amounts: Amounts,
    },
    /// The client has the credit; nothing of the paper changes any more.
    Issued {
        /// The client.
        client_id: ClientId,
        /// The invoice.
        invoice_id: InvoiceId,
        /// Its own number.
        number: Name,
        /// Its day.
        issued_on: Date,
        /// Who owes it.
        seller: Seller,
        /// To whom.
        buyer: Buyer,
        /// What it comes to.
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
    /// A part of the credit pays for an invoice.
    PartiallyApplied {
        /// Which invoice, and how much: in place of what it was.
        allocation: Allocation,
        /// What is left of the credit.
        remaining: Money,
    },
    /// The last of the credit pays for an invoice.
    Applied {
        /// Which invoice, and how much: in place of what it was.
        allocation: Allocation,
    },
    /// What was left of the credit was given back in money.
    Refunded {
        /// How much.
        amount: Money,
    },
    /// The draft was given up.
    Discarded {},
}
