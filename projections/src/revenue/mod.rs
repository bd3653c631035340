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
    let about = "What clients owe the firm, what it owes its vendors, and what was paid of it.";
    owed_by_clients(Group::new("revenue", 1, about))
}
