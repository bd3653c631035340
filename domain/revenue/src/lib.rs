//! What clients owe the firm, what it owes its vendors, and what was paid of it.
//!
//! An *invoice plan* says what is to be invoiced, and when; an *invoice* what a client owes. A *payment* is money that came in, and an
//! *allocation* the part of it that pays for one invoice. A *credit note* takes back what an issued invoice asked for. A *bill* is what
//! a *vendor* asks for, and a *bill file* a file that is to become one.
//!
//! What belongs together enters the log as one: an invoice and its number, a payment and the invoices that it pays, a plan's entry and
//! the invoice that it is on. The record that is told is a companion, and refuses to be told by anybody else.

// What clients owe.
pub mod billing_profile;
pub mod billing_settings;
pub mod credit_note;
pub mod invoice;
pub mod invoice_plan;
pub mod invoice_series;
mod money;
pub mod payment;
pub mod tax_rate;

pub use billing_profile::BillingProfile;
pub use billing_settings::BillingSettings;
pub use credit_note::CreditNote;
pub use invoice::Invoice;
pub use invoice_plan::InvoicePlan;
pub use invoice_series::InvoiceSeries;
pub use payment::Payment;
pub use tax_rate::TaxRate;

// What vendors are owed.
pub mod approval;
pub mod approval_policy;
pub mod bill;
pub mod bill_file;
pub mod payables_settings;
pub mod vendor;

pub use approval_policy::ApprovalPolicy;
pub use bill::Bill;
pub use bill_file::BillFile;
pub use payables_settings::PayablesSettings;
pub use vendor::Vendor;
