//! Files that are to become bills, as lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{
    BillFileEvent as E, BillFileId, BillFileProblem, BillFileStatus, BillFormat, BillId, BillWarning, FoundBill, Iban,
    VatId, VendorId,
};
use kernel::{Currency, Date, Email, FileId, Machine, Money, Name, Personal, Text, UserId, read_model};

/// Files that are to become bills, and what was read of them.
#[read_model(
    "revenue.bill_files",
    id = BillFileId,
    read = "revenue.bill_file.read",
    created_at(filter),
    updated_at(filter, sort)
)]
pub struct BillFileRow {
    /// Which file.
    #[column(filter)]
    pub file_id: FileId,
    /// Where it stands.
    #[column(filter)]
    pub status: BillFileStatus,
    /// The bill that it became.
    #[column(filter)]
    pub bill_id: Option<BillId>,
    /// Why it did not become a bill by itself.
    #[column(filter)]
    pub problem: Option<BillFileProblem>,
    /// The same in words, or why it becomes none.
    pub detail: Option<Text>,
    /// The bill that came in before, if it is that one again.
    pub same_bill_id: Option<BillId>,
    /// How it was written.
    pub format: Option<BillFormat>,
    /// The vendor, if one has the registration that stands on it.
    #[column(filter)]
    pub vendor_id: Option<VendorId>,
    /// Who sent it.
    pub sender_name: Option<Personal<Name>>,
    /// Their registration for VAT.
    pub sender_vat_id: Option<Personal<VatId>>,
    /// Where they can be written to.
    pub sender_email: Option<Personal<Email>>,
    /// The bank account that it is to be paid to.
    pub iban: Option<Personal<Iban>>,
    /// Their number of it.
    #[column(filter)]
    pub reference: Option<Name>,
    /// Its day.
    pub issued_on: Option<Date>,
    /// Until when it is to be paid.
    pub due_on: Option<Date>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// Everything together, with tax, in minor units.
    pub total_minor: Option<i64>,
    /// The tax, in minor units.
    pub tax_minor: Option<i64>,
    /// What is left to be paid of it, in minor units.
    pub due_minor: Option<i64>,
    /// What somebody who approves or pays should know.
    pub warnings: Vec<BillWarning>,
    /// Who handed it in, if a member of staff did.
    #[column(filter)]
    pub handed_in_by: Option<UserId>,
}

impl Fold for BillFileRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::HandedIn { file_id, handed_in_by } = change else { return None };
        Some(Self {
            file_id: *file_id,
            status: BillFileStatus::default().after(change),
            bill_id: None,
            problem: None,
            detail: None,
            same_bill_id: None,
            format: None,
            vendor_id: None,
            sender_name: None,
            sender_vat_id: None,
            sender_email: None,
            iban: None,
            reference: None,
            issued_on: None,
            due_on: None,
            currency: None,
            total_minor: None,
            tax_minor: None,
            due_minor: None,
            warnings: vec![],
            handed_in_by: *handed_in_by,
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::HandedIn { .. } => {}
            E::Read { bill_id, found, .. } => {
                self.bill_id = Some(*bill_id);
                self.says(Some(found));
                self.stopped(None);
            }
            E::NotRead { problem, detail, same_bill_id, found, .. } => {
                self.says(found.as_ref());
                self.stopped(Some((*problem, detail, *same_bill_id)));
            }
            E::ReadingAsked { .. } => self.stopped(None),
            E::Entered { bill_id, .. } => self.bill_id = Some(*bill_id),
            E::Discarded { reason, .. } => self.detail = Some(reason.clone()),
        }
        Ok(())
    }
}

impl BillFileRow {
    /// It became no bill, and why; or that is over.
    fn stopped(&mut self, why: Option<(BillFileProblem, &Text, Option<BillId>)>) {
        self.problem = why.map(|(problem, ..)| problem);
        self.detail = why.map(|(_, detail, _)| detail.clone());
        self.same_bill_id = why.and_then(|(.., same)| same);
    }

    fn says(&mut self, found: Option<&FoundBill>) {
        let minor = |of: fn(&FoundBill) -> Option<Money>| found.and_then(of).map(Money::minor);
        (self.total_minor, self.tax_minor, self.due_minor) =
            (minor(|found| found.total), minor(|found| found.tax), minor(|found| found.due));
        self.currency = found.and_then(|found| found.total).map(Money::currency);
        self.format = found.map(|found| found.format);
        self.vendor_id = found.and_then(|found| found.vendor_id);
        self.sender_name = found.and_then(|found| found.sender_name.clone());
        self.sender_vat_id = found.and_then(|found| found.sender_vat_id.clone());
        self.sender_email = found.and_then(|found| found.sender_email.clone());
        self.iban = found.and_then(|found| found.iban.clone());
        self.reference = found.and_then(|found| found.reference.clone());
        self.issued_on = found.and_then(|found| found.issued_on);
        self.due_on = found.and_then(|found| found.due_on);
        self.warnings = found.map(|found| found.warnings.clone()).unwrap_or_default();
    }
}
