//! What stands on a paper, in the words of a bill.

use chrono::NaiveDate;
use kernel::{Date, FileId, Money, Name, Text};
use papers::read::{Asked, AskedLine, Format, Paper};
use revenue::Vendor;
use revenue::bill::BillCommand;
use revenue::bill_file::NewFoundBill;
use revenue_events::{BillFormat, BillLine, BillSource, BillWarning as W, Iban, VatId, VendorId};

/// Lines of one bill.
const LINES_MAX: usize = 200;
/// Characters of a name.
const NAME_MAX: usize = 200;

/// What is known besides the paper.
pub(crate) struct Mapped {
    pub file_id: FileId,
    pub vendor: Option<(VendorId, Vendor)>,
    /// The firm's own registration for VAT.
    pub own_vat_id: Option<String>,
}

/// What was read, as far as it can be kept: what a stranger wrote may be no name, no address, no account.
pub(crate) fn found(paper: &Paper, asked: Option<&Asked>, known: &Mapped) -> NewFoundBill {
    let said = |amount: Option<papers::read::Decimal>| amount?.money(paper.currency?);
    let sums = &paper.sums;
    NewFoundBill {
        format: match paper.format {
            Format::Pdf => BillFormat::Pdf,
            Format::Cii => BillFormat::Cii,
            Format::Ubl => BillFormat::Ubl,
        },
        vendor_id: known.vendor.as_ref().map(|(id, _)| *id),
        sender_name: paper.seller.name.as_deref().and_then(name),
        sender_vat_id: paper.seller.vat_id.as_deref().and_then(|id| id.parse().ok()),
        sender_email: paper.seller.email.as_deref().and_then(|email| email.parse().ok()),
        iban: paper.iban.as_deref().and_then(|iban| iban.parse().ok()),
        reference: paper.number.as_deref().and_then(name),
        issued_on: paper.issued_on.and_then(day),
        due_on: paper.due_on.and_then(day),
        total: asked.map(|asked| asked.total).or_else(|| said(sums.total)),
        tax: asked.map(|asked| asked.tax).or_else(|| said(sums.tax)),
        due: asked.map(|asked| asked.due).or_else(|| said(sums.due)),
        warnings: warnings(paper, asked, known),
    }
}

/// What somebody who approves or pays should know.
fn warnings(paper: &Paper, asked: Option<&Asked>, known: &Mapped) -> Vec<W> {
    let account: Option<Iban> = paper.iban.as_deref().and_then(|iban| iban.parse().ok());
    let theirs = known.vendor.as_ref().and_then(|(_, vendor)| vendor.iban());
    // Who has sold what is owed to a bank says whom to pay: the account is another then, and that is what is to be looked at.
    let is_other_account = account.zip(theirs).is_some_and(|(account, theirs)| account != *theirs);
    let buyer: Option<VatId> = paper.buyer.vat_id.as_deref().and_then(|id| id.parse().ok());
    let is_other_buyer =
        buyer.zip(known.own_vat_id.as_ref()).is_some_and(|(buyer, own)| buyer.as_str() != own.as_str());
    let is_other_payee = paper.payee.is_some() && paper.payee != paper.seller.name;
    let all = [
        (known.vendor.is_none(), W::UnknownVendor),
        (is_other_account, W::OtherBankAccount),
        (is_other_payee, W::OtherPayee),
        (asked.is_some_and(|asked| asked.prepaid.minor() > 0), W::PaidBefore),
        (is_other_buyer, W::OtherBuyer),
    ];
    all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, warning)| warning).collect()
}

/// The bill.
///
/// # Errors
/// What a bill does not take, and what it says.
pub(crate) fn bill(asked: &Asked, known: &Mapped) -> Result<BillCommand, (&'static str, String)> {
    let reference = asked.number.parse::<Name>().map_err(|_| ("number", asked.number.chars().take(100).collect()))?;
    // One that says it is due before its own day is due on it.
    let due_on = asked.due_on.map(|due| asked.issued_on.map_or(due, |issued| due.max(issued)));
    Ok(BillCommand::Receive {
        vendor_id: known.vendor.as_ref().map(|(id, _)| *id),
        issued_on: asked.issued_on.and_then(day),
        due_on: due_on.and_then(day),
        total: Some(asked.total),
        lines: lines(&asked.lines, &reference),
        source: BillSource::File,
        file_id: Some(known.file_id),
        note: note(asked),
        reference,
    })
}

/// The lines. More than a bill takes are one for what bears no tax and one for the rest.
fn lines(of: &[AskedLine], reference: &Name) -> Vec<BillLine> {
    let line = |text: Option<&str>, net: Money, tax: Option<Money>| BillLine {
        description: text.and_then(name).unwrap_or_else(|| reference.clone()),
        net,
        tax,
        account_code: None,
        tax_code: None,
        project_id: None,
    };
    if of.len() <= LINES_MAX {
        return of.iter().map(|of| line(of.text.as_deref(), of.net, of.tax)).collect();
    }
    let together = |is_taxed: bool| {
        let alike = || of.iter().filter(move |of| of.tax.is_some_and(|tax| !tax.is_zero()) == is_taxed);
        let net = sum(alike().map(|of| of.net))?;
        let tax = sum(alike().filter_map(|of| of.tax))?;
        Some(net.map(|net| line(None, net, tax)))
    };
    let both = together(true).zip(together(false));
    // A part that is too large for an amount would be a wrong one: without lines the bill is coded by its total.
    both.map_or_else(Vec::new, |(taxed, untaxed)| taxed.into_iter().chain(untaxed).collect())
}

/// What they come to, if there are any; none if that is too large for an amount.
fn sum(mut all: impl Iterator<Item = Money>) -> Option<Option<Money>> {
    all.try_fold(None, |sum: Option<Money>, more| {
        let sum = sum.map_or(Ok(more), |sum| sum.plus(more));
        sum.ok().map(Some)
    })
}

/// What was paid before is no part of what is asked for, and nobody shall pay it twice.
fn note(asked: &Asked) -> Option<Text> {
    if asked.prepaid.minor() <= 0 {
        return None;
    }
    let show = |money: Money| {
        let exponent = money.currency().exponent() as usize;
        let digits = format!("{:0>width$}", money.minor().unsigned_abs(), width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{whole}{point}{fraction} {}", money.currency().code())
    };
    format!("Paid before, as the paper says: {}. Left to be paid: {}.", show(asked.prepaid), show(asked.due))
        .parse()
        .ok()
}

/// A day in the years that there are.
fn day(of: NaiveDate) -> Option<Date> {
    of.try_into().ok()
}

/// What a stranger wrote as a name: one line of what can be seen.
pub(crate) fn name(text: &str) -> Option<Name> {
    if let Ok(name) = text.parse() {
        return Some(name);
    }
    let plain: String = text.chars().filter(|c| c.is_alphanumeric() || c.is_ascii_graphic() || *c == ' ').collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(NAME_MAX).collect::<String>().trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn eur(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap()).unwrap()
    }

    fn known() -> Mapped {
        Mapped { file_id: FileId(Uuid::from_u128(1)), vendor: None, own_vat_id: None }
    }

    fn asked(lines: Vec<AskedLine>, total: i64) -> Asked {
        Asked {
            number: "2027-14".to_owned(),
            issued_on: NaiveDate::from_ymd_opt(2027, 1, 14),
            due_on: NaiveDate::from_ymd_opt(2027, 1, 1),
            total: eur(total),
            tax: eur(0),
            prepaid: eur(0),
            due: eur(total),
            lines,
        }
    }

    fn charged(text: &str, net: i64, tax: Option<i64>) -> AskedLine {
        AskedLine { text: Some(text.to_owned()), net: eur(net), tax: tax.map(eur) }
    }

    #[test]
    fn a_paper_with_more_lines_than_a_bill_takes_has_one_of_what_is_taxed_and_one_of_the_rest() {
        let many = (0..300).map(|n| charged("Advice", 100, (n % 3 != 0).then_some(19))).collect();
        let BillCommand::Receive { lines, total, .. } = bill(&asked(many, 33_800), &known()).unwrap() else { panic!() };
        let sums: Vec<_> = lines.iter().map(|line| (line.net.minor(), line.tax.map(Money::minor))).collect();
        assert_eq!(sums, [(20_000, Some(3_800)), (10_000, None)]);
        assert_eq!(total, Some(eur(33_800)));
    }

    #[test]
    fn lines_whose_sum_is_too_large_for_an_amount_are_none_and_not_some_of_them() {
        let most = Money::MINOR_MAX;
        let mut all = vec![charged("Much", most, None), charged("More", 1, None)];
        all.extend((0..LINES_MAX).map(|_| charged("Paper", 1, Some(1))));
        assert_eq!(lines(&all, &"R-1".parse().unwrap()), []);
    }

    #[test]
    fn what_was_paid_before_is_noted_and_a_day_before_the_bills_own_is_that_day() {
        let paid = Asked { prepaid: eur(10_005), due: eur(1_895), ..asked(vec![], 11_900) };
        let BillCommand::Receive { note, due_on, lines, .. } = bill(&paid, &known()).unwrap() else { panic!() };
        let said = note.unwrap().to_string();
        assert_eq!(said, "Paid before, as the paper says: 100.05 EUR. Left to be paid: 18.95 EUR.");
        assert_eq!(due_on.map(|due| due.to_string()).as_deref(), Some("2027-01-14"));
        assert!(lines.is_empty());
    }

    #[test]
    fn what_a_stranger_wrote_is_a_name_or_none() {
        assert_eq!(name("Advice").unwrap().as_str(), "Advice");
        assert_eq!(name("Ad\u{202e}vice\u{200b} \u{7}").unwrap().as_str(), "Advice");
        assert_eq!(name(&"x".repeat(1_000)).unwrap().as_str().len(), NAME_MAX);
        assert!(name("\u{202e}").is_none());
    }
}
