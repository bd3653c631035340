//! What did happen in the revenue context: the event enums other crates may read.

// What clients owe.

// What vendors are owed.
mod approval;
mod approval_policy;
mod bill;
mod codes;
mod payables_settings;
mod vendor;

pub use approval::{ApprovalPolicyId, ApprovalRequest, ApprovalStep, Approver};
pub use approval_policy::{AmountRange, ApprovalPolicyEvent, ApprovalRule, ApprovalSubject};
pub use bill::{
    BillContent, BillEvent, BillId, BillLine, BillPaymentId, BillPaymentMethod, BillSource, BillStatus, LeftPaid,
    OwedBill,
};
pub use codes::{Iban, LedgerCode, TaxId, reference_key};
pub use payables_settings::{PayablesSettingsEvent, PayablesSettingsId, ReferenceRule};
pub use vendor::{VendorDefaults, VendorDetails, VendorEvent, VendorId};
