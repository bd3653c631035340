//! What clients owe and what vendors are owed, as lists show it.

// What clients owe.

// What vendors are owed.
mod approval_policies;
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

// What vendors are owed.
pub use approval_policies::ApprovalPolicyRow;
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
    Group::new("revenue", 1, "What clients owe the firm, what it owes its vendors, and what was paid of it.")
        .with::<VendorRow>()
        .with::<BillRow>()
        .with::<BillLineRow>()
        .with::<BillPaymentRow>()
        .with::<ApprovalPolicyRow>()
        .with::<PayablesSettingsRow>()
        .with::<JournalEntryRow>()
        .with::<JournalPostingRow>()
}
