//! What we write ourselves says the same when it is read.

use super::{day, invoice, plain, standard};
use crate::read::{Format, Paper, read};
use crate::{Invoice, InvoiceKind, PrecedingInvoice, Press, cii, ubl};
use kernel::{Money, Rounding, Tax};

/// The same in each of the formats.
fn written(press: &Press, invoice: &Invoice) -> Vec<(Format, Vec<u8>)> {
    let pdf = press.invoice(invoice).unwrap();
    vec![(Format::Pdf, pdf), (Format::Cii, cii(invoice).unwrap()), (Format::Ubl, ubl(invoice).unwrap())]
}

fn agrees(paper: &Paper, invoice: &Invoice) {
    assert_eq!(paper.number.as_ref(), Some(&invoice.number));
    assert_eq!(paper.issued_on, Some(invoice.issued_on));
    assert_eq!(paper.currency, Some(invoice.currency));
    assert_eq!(paper.seller.name.as_ref(), Some(&invoice.seller.name));
    assert_eq!(paper.buyer.name.as_ref(), Some(&invoice.buyer.name));
    assert_eq!(paper.seller.email.as_deref(), Some("ada@example.com"));
    let is_outside = invoice.taxes.iter().any(|tax| matches!(tax.tax, Tax::OutsideScope {}));
    assert_eq!(paper.seller.vat_id.as_ref(), invoice.seller.vat_id.as_ref().filter(|_| !is_outside));
    assert_eq!(paper.iban.as_deref(), Some("DE02120300000000202051"));
    let money = |amount: Option<crate::read::Decimal>| amount.unwrap().money(invoice.currency);
    let nets: Vec<_> = paper.lines.iter().map(|line| money(line.net)).collect();
    assert_eq!(nets, invoice.lines.iter().map(|line| Some(line.amounts.net)).collect::<Vec<_>>());
    let names: Vec<_> = paper.lines.iter().map(|line| line.text.clone().unwrap()).collect();
    assert_eq!(names, invoice.lines.iter().map(|line| line.name.clone()).collect::<Vec<_>>());
    let taxes: Vec<_> = paper.taxes.iter().map(|tax| (tax.tax.0.as_str(), money(tax.net), money(tax.amount))).collect();
    let wanted = invoice.taxes.iter().map(|tax| (tax.tax.code(), Some(tax.net), Some(tax.amount)));
    assert_eq!(taxes, wanted.collect::<Vec<_>>());
    assert_eq!(money(paper.sums.total), Some(invoice.total));
}

fn becomes_a_bill(paper: &Paper, invoice: &Invoice) {
    let asked = paper.bill().unwrap();
    assert_eq!((asked.total, asked.tax, asked.due), (invoice.total, invoice.tax, invoice.due));
    assert_eq!((asked.issued_on, asked.due_on), (Some(invoice.issued_on), invoice.due_on));
    assert_eq!(asked.lines.len(), invoice.lines.len());
    let all = asked.lines.iter().flat_map(|line| [Some(line.net), line.tax]).flatten();
    assert_eq!(Money::sum(invoice.currency, all).unwrap(), invoice.total, "lines and taxes come to the total");
}

#[test]
fn every_paper_of_ours_is_read_back_in_each_format_with_the_same_values() {
    let press = Press::default();
    let mixed = [
        ("2.5", 12_000, standard("19")),
        ("0.333333", 9_999, standard("7")),
        ("3", -1_050, standard("19")),
        ("1", 100, Tax::ZeroRated {}),
        ("1", 250, Tax::Exempt {}),
    ];
    let thirds = [("1", 1_001, standard("20")); 3];
    let mut papers = vec![
        plain(),
        invoice("EUR", Rounding::PerDocument, &mixed),
        invoice("EUR", Rounding::PerDocument, &thirds),
        invoice("EUR", Rounding::PerLine, &thirds),
        invoice("JPY", Rounding::PerDocument, &[("1", 12_345, standard("10"))]),
        invoice("GBP", Rounding::PerDocument, &[("1", 1, standard("10"))]),
    ];
    let untaxed = [
        Tax::ZeroRated {},
        Tax::Exempt {},
        Tax::ReverseCharge {},
        Tax::IntraCommunity {},
        Tax::Export {},
        Tax::OutsideScope {},
    ];
    papers.extend(untaxed.map(|tax| invoice("EUR", Rounding::PerDocument, &[("1", 50_000, tax)])));
    let many: Vec<_> = (1..=50).map(|n| ("1.5", n * 137, standard(if n % 2 == 0 { "19" } else { "7" }))).collect();
    papers.push(invoice("EUR", Rounding::PerLine, &many));
    for invoice in &papers {
        for (format, bytes) in written(&press, invoice) {
            let paper = read(&bytes).unwrap();
            assert_eq!(paper.format, format);
            agrees(&paper, invoice);
            becomes_a_bill(&paper, invoice);
        }
    }
}

#[test]
fn a_part_that_was_paid_before_is_no_part_of_the_total_and_is_told() {
    let mut invoice = plain();
    invoice.prepaid = Some(Money::new(10_000, invoice.currency).unwrap());
    invoice.due = invoice.total.minus(invoice.prepaid.unwrap()).unwrap();
    for bytes in [cii(&invoice).unwrap(), ubl(&invoice).unwrap()] {
        let paper = read(&bytes).unwrap();
        becomes_a_bill(&paper, &invoice);
        assert_eq!(paper.bill().unwrap().prepaid, invoice.prepaid.unwrap());
    }
}

#[test]
fn a_credit_note_is_read_and_is_no_bill() {
    let press = Press::default();
    let mut credit = plain();
    credit.kind = InvoiceKind::CreditNote;
    credit.preceding = Some(PrecedingInvoice { number: "R-2027/0".to_owned(), issued_on: day(1, 2) });
    for (_, bytes) in written(&press, &credit) {
        let paper = read(&bytes).unwrap();
        agrees(&paper, &credit);
        assert_eq!(paper.bill(), Err(crate::read::Unusable::CreditNote));
    }
}

#[test]
fn a_pdf_without_an_invoice_inside_says_so() {
    let dinars = invoice("KWD", Rounding::PerDocument, &[("1", 12_345, standard("10"))]);
    let pdf = Press::default().invoice(&dinars).unwrap();
    assert_eq!(read(&pdf), Err(crate::read::Unreadable::NothingInside));
}
