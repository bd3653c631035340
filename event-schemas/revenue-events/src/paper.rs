//! What invoices and credit notes are made of.

use crate::{Bic, Iban, InvoicePlanId, PlanEntryId, VatId};
use kernel::{
    Email, InvoiceId, Measure, Money, Name, Personal, Phone, PostalAddress, Priced, Quantity, Slug, Tax, Text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

kernel::ids! {
    /// What takes back a part of an invoice, or all of it.
    CreditNoteId,
    /// A line of an invoice.
    InvoiceLineId,
    /// Money that came in.
    PaymentId,
}

/// Whoever asks for money, as papers name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seller {
    /// The name by law.
    pub legal_name: Name,
    /// Where it is.
    pub address: PostalAddress,
    /// The VAT number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<VatId>,
    /// The number that the tax office at home gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<Name>,
    /// The number in the register of companies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_number: Option<Name>,
    /// The account to pay to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<Iban>,
    /// Its bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<Bic>,
    /// Who answers questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_name: Option<Personal<Name>>,
    /// At which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_email: Option<Personal<Email>>,
    /// At which number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_phone: Option<Personal<Phone>>,
}

/// Whoever is asked for money, as papers name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Buyer {
    /// The name by law.
    pub legal_name: Personal<Name>,
    /// Where they are.
    pub address: Personal<PostalAddress>,
    /// The VAT number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<Personal<VatId>>,
    /// Where papers are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal<Email>>,
    /// What they want to find on the paper: an order, a cost centre, in Germany the Leitweg-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Name>,
}

/// A tax as a line has it: as the rate was when the line was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineTax {
    /// The key of the rate.
    pub key: Slug,
    /// What it is.
    pub tax: Tax,
    /// Why nothing is to be paid, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption_reason: Option<Text>,
}

/// What a line is for. It is on one invoice at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A milestone of a project.
    Milestone {
        /// Which one.
        milestone_id: Uuid,
    },
    /// A task of a project.
    Task {
        /// Which one.
        task_id: Uuid,
    },
    /// Time that was worked.
    Time {
        /// The entries.
        time_entry_ids: Vec<Uuid>,
    },
    /// An entry of an invoice plan.
    PlanEntry {
        /// The plan.
        invoice_plan_id: InvoicePlanId,
        /// The entry.
        plan_entry_id: PlanEntryId,
    },
}

/// A line of a paper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Its id.
    pub id: InvoiceLineId,
    /// What for.
    pub description: Name,
    /// How much of it.
    pub quantity: Quantity,
    /// What it is counted in.
    pub measure: Measure,
    /// What one costs, without tax.
    pub unit_price: Money,
    /// Its tax.
    pub tax: LineTax,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

impl Line {
    /// As far as amounts depend on it.
    pub fn priced(&self) -> Priced {
        Priced { quantity: self.quantity, unit_price: self.unit_price, tax: self.tax.tax }
    }
}

/// What has a number of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paper {
    /// An invoice.
    Invoice {
        /// Which one.
        invoice_id: InvoiceId,
    },
    /// A credit note.
    CreditNote {
        /// Which one.
        credit_note_id: CreditNoteId,
    },
}

/// By what an invoice is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Settlement {
    /// Money that came in.
    Payment {
        /// Which.
        payment_id: PaymentId,
    },
    /// Credit.
    CreditNote {
        /// Which.
        credit_note_id: CreditNoteId,
    },
}
