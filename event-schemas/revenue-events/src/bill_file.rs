//! What happens to a file that is to become a bill.

use crate::{BillId, Iban, VatId, VendorId};
use kernel::{Date, Email, FileId, Machine, Money, Name, Personal, Text, UserId, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use BillFileEvent as E;

kernel::ids! {
    /// A file that is to become a bill.
    BillFileId,
}

/// Where a file that is to become a bill stands.
#[status]
pub enum BillFileStatus {
    /// It is being read.
    #[default]
    Reading,
    /// It became a bill.
    Read,
    /// It did not become a bill by itself: somebody has to look at it.
    NotRead,
    /// Somebody entered what stands on it as a bill.
    Entered,
    /// It becomes no bill.
    Discarded,
}

impl BillFileStatus {
    /// Did it become a bill?
    pub fn has_bill(self) -> bool {
        matches!(self, Self::Read | Self::Entered)
    }
}

impl Machine<E> for BillFileStatus {
    const BEGINS: &'static [&'static str] = &["bill_file.handed_in"];

    fn after(self, event: &E) -> Self {
        match event {
            E::HandedIn { .. } => self,
            E::Read { .. } if self == Self::Reading => Self::Read,
            E::NotRead { .. } if self == Self::Reading => Self::NotRead,
            E::Entered { .. } if matches!(self, Self::Reading | Self::NotRead) => Self::Entered,
            E::Discarded { .. } if matches!(self, Self::Reading | Self::NotRead) => Self::Discarded,
            E::ReadingAsked { .. } if self == Self::NotRead => Self::Reading,
            E::Read { .. } | E::NotRead { .. } | E::Entered { .. } | E::Discarded { .. } | E::ReadingAsked { .. } => {
                self
            }
        }
    }
}

/// Why a file did not become a bill by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum BillFileProblem {
    /// There is no such file, or none of its versions can be read.
    FileMissing,
    /// It is a client's or a project's, and not the firm's own.
    NotTheFirms,
    /// It is larger than what is read.
    TooLarge,
    /// It is neither a PDF nor XML.
    UnknownFormat,
    /// It is a PDF for people alone.
    NothingInside,
    /// It is protected by a password.
    Protected,
    /// It is damaged, or tries to do more than to say something.
    Damaged,
    /// It is something else than an invoice.
    NotAnInvoice,
    /// It gives money back.
    CreditNote,
    /// The firm is who is paid.
    SelfBilled,
    /// It asks for nothing.
    AsksForNothing,
    /// Something is missing or cannot be.
    Incomplete,
    /// Its sums do not come to what it says.
    SumsDiffer,
    /// The same bill came in before.
    Duplicate,
    /// A bill does not take what stands on it.
    Refused,
    /// It could not be read within two days.
    GivenUp,
}

/// How a paper was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum BillFormat {
    /// XML inside of a PDF: Factur-X, ZUGFeRD.
    Pdf,
    /// Cross Industry Invoice.
    Cii,
    /// Universal Business Language.
    Ubl,
}

/// What somebody who approves or pays should know.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, kernel::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum BillWarning {
    /// No vendor has the registration that stands on it.
    UnknownVendor,
    /// It is to be paid to another bank account than the vendor's.
    OtherBankAccount,
    /// Somebody else than the vendor is to be paid.
    OtherPayee,
    /// A part of it was paid before, or all of it.
    PaidBefore,
    /// It is addressed to somebody with another registration than the firm's.
    OtherBuyer,
}

/// What stands on a paper, as far as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoundBill {
    /// How it was written.
    pub format: BillFormat,
    /// The vendor, if one has the registration that stands on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<VendorId>,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<Personal<Name>>,
    /// Their registration for VAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_vat_id: Option<Personal<VatId>>,
    /// Where they can be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_email: Option<Personal<Email>>,
    /// The bank account that it is to be paid to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<Personal<Iban>>,
    /// Their number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Name>,
    /// Its day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_on: Option<Date>,
    /// Until when it is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
    /// Everything together, with tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// The tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// What is left to be paid of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Money>,
    /// What somebody should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<BillWarning>,
}

/// Everything that happens to a file that is to become a bill.
#[event("revenue.bill_file")]
pub enum BillFileEvent {
    /// Somebody wants a file to become a bill.
    HandedIn {
        /// Which file.
        file_id: FileId,
        /// Who; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed_in_by: Option<UserId>,
    },
    /// It was read, and is a bill.
    Read {
        /// Which file.
        file_id: FileId,
        /// Which bill.
        bill_id: BillId,
        /// What stands on it.
        found: FoundBill,
    },
    /// It is no bill yet; somebody has to look at it.
    NotRead {
        /// Which file.
        file_id: FileId,
        /// Why.
        problem: BillFileProblem,
        /// The same in words.
        detail: Text,
        /// The bill that came in before, if it is that one again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        same_bill_id: Option<BillId>,
        /// What stands on it, as far as it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<FoundBill>,
        /// Who handed the file in, and waits for the bill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed_in_by: Option<UserId>,
    },
    /// It is read once more.
    ReadingAsked {
        /// Which file.
        file_id: FileId,
        /// Who said so; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_by: Option<UserId>,
    },
    /// Somebody entered what stands on it.
    Entered {
        /// Which bill it is.
        bill_id: BillId,
        /// Who said so; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entered_by: Option<UserId>,
    },
    /// It becomes no bill.
    Discarded {
        /// Why.
        reason: Text,
        /// Who said so; none if no member of staff did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        discarded_by: Option<UserId>,
    },
}
