//! What stands on a bill, before it is known whether that can be.

use crate::bill::{Bill, BillRejection as R, FINGERPRINT_CLAIM};
use crate::{PayablesSettings, Vendor};
use chrono::Datelike;
use kernel::{Context, Date, FileId, Money, MoneyFault, Name, Text};
use revenue_events::{BillContent, BillId, BillLine, VendorId, reference_key};

/// Lines of one bill.
const LINES_MAX: usize = 200;

/// What somebody says that stands on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Paper {
    pub vendor_id: Option<VendorId>,
    pub reference: Option<Name>,
    pub issued_on: Option<Date>,
    pub due_on: Option<Date>,
    pub total: Option<Money>,
    pub lines: Vec<BillLine>,
    pub file_id: Option<FileId>,
    pub note: Option<Text>,
}

/// What bills are compared by as long as nobody knows of whom they are.
pub(super) fn fingerprint(reference: Option<&Name>, total: Money) -> String {
    let key = reference.map(reference_key).unwrap_or_default();
    format!("{}/{}/{key}", total.currency(), total.minor())
}

impl Paper {
    /// Its total: the one that is said, or what its lines come to.
    pub fn sum(&self) -> Option<Money> {
        self.total.or_else(|| sum_of(&self.lines).ok().flatten())
    }

    /// The same if it can be. `new_vendor` says whether somebody only now says whose bill it is.
    pub fn checked(self, new_vendor: bool, ctx: &Context) -> Result<BillContent, R> {
        let total = check_lines(&self.lines, self.total)?.ok_or(R::TotalMissing)?;
        if total.minor() <= 0 {
            return Err(R::NotPositive);
        }
        if let Some(vendor_id) = self.vendor_id.filter(|_| new_vendor) {
            let vendor = ctx.referenced::<Vendor>(vendor_id).ok_or(R::UnknownVendor)?;
            if vendor.is_archived() {
                return Err(R::VendorArchived);
            }
        }
        let settings = PayablesSettings::of(ctx);
        let due_on = self.due_on.or_else(|| settings.due_on(self.issued_on?));
        if let (Some(issued_on), Some(due_on)) = (self.issued_on, due_on)
            && due_on < issued_on
        {
            return Err(R::DueBeforeIssued);
        }
        let Some(reference) = self.reference else { return Err(R::TotalMissing) };
        let alike = ctx.holder::<Bill>(FINGERPRINT_CLAIM, &fingerprint(Some(&reference), total));
        let alike = alike.map(|(id, _)| id).filter(|id| *id != ctx.id);
        Ok(BillContent {
            vendor_id: self.vendor_id,
            reference,
            reference_rule: settings.reference_rule(),
            reference_year: u16::try_from(self.issued_on.unwrap_or(ctx.today()).year()).unwrap_or_default(),
            issued_on: self.issued_on,
            due_on,
            total,
            lines: self.lines,
            alike_bill_id: alike.map(BillId),
            file_id: self.file_id,
            note: self.note,
        })
    }
}

/// Does the same stand on both, whatever the firm's rules and other bills are by now?
pub(super) fn says_the_same(one: &BillContent, other: &BillContent) -> bool {
    let (reference_rule, reference_year, alike_bill_id) = (one.reference_rule, one.reference_year, one.alike_bill_id);
    *one == BillContent { reference_rule, reference_year, alike_bill_id, ..other.clone() }
}

/// What lines with their taxes come to; none if there are none.
fn sum_of(lines: &[BillLine]) -> Result<Option<Money>, MoneyFault> {
    let Some(first) = lines.first() else { return Ok(None) };
    let amounts = lines.iter().flat_map(|line| [Some(line.net), line.tax]).flatten();
    Money::sum(first.net.currency(), amounts).map(Some)
}

/// The total of a bill with these lines, which is the one that is said if one is.
pub(super) fn check_lines(lines: &[BillLine], total: Option<Money>) -> Result<Option<Money>, R> {
    if lines.len() > LINES_MAX {
        return Err(R::TooManyLines);
    }
    let sum = sum_of(lines).map_err(|fault| match fault {
        MoneyFault::TwoCurrencies => R::TwoCurrencies,
        MoneyFault::TooLarge | MoneyFault::ByNothing => R::AmountTooLarge,
    })?;
    match (sum, total) {
        (Some(sum), Some(total)) if sum.currency() != total.currency() => Err(R::TwoCurrencies),
        (Some(sum), Some(total)) if sum != total => Err(R::LinesDoNotAddUp),
        (sum, total) => Ok(total.or(sum)),
    }
}
