//! What clients owe the firm, what it owes its vendors, and what was paid of it.
//!
//! An *invoice plan* says what is to be invoiced, and when; an *invoice* what a client owes. A *payment* is money that came in, and an
//! *allocation* the part of it that pays for one invoice. A *credit note* takes back what an issued invoice asked for. A *bill* is what
//! a *vendor* asks for.

// What clients owe.

// What vendors are owed.
pub mod approval;
pub mod approval_policy;
pub mod bill;
pub mod payables_settings;
pub mod vendor;

pub use approval_policy::ApprovalPolicy;
pub use bill::Bill;
pub use payables_settings::PayablesSettings;
pub use vendor::Vendor;
