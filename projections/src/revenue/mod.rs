//! What clients owe and what vendors are owed, as lists show it.

// What clients owe.
mod billing_profiles;
mod billing_settings;
mod credit_notes;
mod invoice_lines;
mod invoice_plans;
mod invoice_series;
mod invoices;
mod payments;
mod plan_entries;
mod tax_rates;

// What vendors are owed.
mod approval_policies;
mod bill_files;
mod bill_lines;
mod bill_payments;
mod bills;
mod books;
mod journal;
mod journal_entries;
mod journal_postings;
mod payables_settings;
mod vendors;

use crate::group::Group;

// What clients owe.
pub use billing_profiles::BillingProfileRow;
pub use billing_settings::BillingSettingsRow;
pub use credit_notes::CreditNoteRow;
pub use invoice_lines::InvoiceLineRow;
pub use invoice_plans::InvoicePlanRow;
pub use invoice_series::InvoiceSeriesRow;
pub use invoices::{InvoiceRow, SettlementRow};
pub use payments::PaymentRow;
pub use plan_entries::PlanEntryRow;
pub use tax_rates::TaxRateRow;

// What vendors are owed.
pub use approval_policies::ApprovalPolicyRow;
pub use bill_files::BillFileRow;
pub use bill_lines::{BillLineRow, bill_line_row_id};
pub use bill_payments::BillPaymentRow;
pub use bills::BillRow;
pub use books::{Books, BooksDifference, books};
pub use journal::{JournalAccount, JournalKind, posting_row_id};
pub use journal_entries::JournalEntryRow;
pub use journal_postings::JournalPostingRow;
pub use payables_settings::PayablesSettingsRow;
pub use vendors::{KnownVendor, VendorRow};

/// Its tables.
pub(crate) fn group() -> Group {
    let owed_by_clients = |group: Group| {
        group
            .with::<BillingSettingsRow>()
            .with::<BillingProfileRow>()
            .with::<TaxRateRow>()
            .with::<InvoiceSeriesRow>()
            .with::<InvoicePlanRow>()
            .with::<PlanEntryRow>()
            .with::<InvoiceRow>()
            .with::<InvoiceLineRow>()
            .with::<PaymentRow>()
            .with::<CreditNoteRow>()
    };
    let owed_to_vendors = |group: Group| {
        group
            .with::<VendorRow>()
            .with::<BillRow>()
            .with::<BillLineRow>()
            .with::<BillPaymentRow>()
            .with::<BillFileRow>()
            .with::<ApprovalPolicyRow>()
            .with::<PayablesSettingsRow>()
            .with::<JournalEntryRow>()
            .with::<JournalPostingRow>()
    };
    let about = "What clients owe the firm, what it owes its vendors, and what was paid of it.";
    owed_to_vendors(owed_by_clients(Group::new("revenue", 1, about)))
}
