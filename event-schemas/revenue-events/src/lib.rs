//! What did happen in the revenue context: the event enums other crates may read.

// What clients owe.
mod billing;
mod credit_note;
mod invoice;
mod invoice_plan;
mod invoice_series;
mod paper;
mod payment;
mod tax_rate;
mod values;

pub use billing::{BillingProfileEvent, BillingProfileId, BillingSettingsEvent, BillingSettingsId, Terms};
pub use credit_note::{CreditNoteEvent, CreditNoteStatus};
pub use invoice::{InvoiceEvent, InvoiceStatus, Reopened};
pub use invoice_plan::{
    EntryStatus, InvoicePlanEvent, InvoicePlanId, InvoicePlanStatus, PlanEntry, PlanEntryId, PlanKind, PlanTerms,
};
pub use invoice_series::{InvoiceSeriesEvent, InvoiceSeriesId};
pub use paper::{Buyer, CreditNoteId, InvoiceLineId, Line, LineTax, Paper, PaymentId, Seller, Settlement, Source};
pub use payment::{Allocation, PaymentEvent, PaymentMethod, PaymentStatus};
pub use tax_rate::{TaxRateEvent, TaxRateId};
pub use values::{Bic, Iban, Language, NumberPrefix, VatId};

// What vendors are owed.
mod approval;
mod approval_policy;
mod bill;
mod bill_file;
mod codes;
mod payables_settings;
mod vendor;

pub use approval::{ApprovalPolicyId, ApprovalRequest, ApprovalStep, Approver};
pub use approval_policy::{AmountRange, ApprovalPolicyEvent, ApprovalRule, ApprovalSubject};
pub use bill::{
    BillContent, BillEvent, BillId, BillLine, BillPaymentId, BillPaymentMethod, BillSource, BillStatus, LeftPaid,
    OwedBill,
};
pub use bill_file::{BillFileEvent, BillFileId, BillFileProblem, BillFileStatus, BillFormat, BillWarning, FoundBill};
pub use codes::{LedgerCode, reference_key};
pub use payables_settings::{PayablesSettingsEvent, PayablesSettingsId, ReferenceRule};
pub use vendor::{VendorDefaults, VendorDetails, VendorEvent, VendorId};
