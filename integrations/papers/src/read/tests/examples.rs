//! The official examples of others, which lie beside the workspace and are no part of it.

use crate::read::{Paper, Unreadable, Unusable, read};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder with them; none where it is absent, which is said.
fn folder() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/providers");
    let folder = std::env::var("UBOS_PROVIDER_DESCRIPTIONS").map_or(usual, PathBuf::from).join("fixtures/einvoice");
    if folder.join("index.json").exists() {
        return Some(folder);
    }
    eprintln!("{} is not there: the examples of others are not read", folder.display());
    None
}

/// What is read of each, with what is known of it.
fn examples(folder: &Path) -> BTreeMap<String, (Value, Result<Paper, Unreadable>)> {
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let files = index["files"].as_array().unwrap().iter().map(|of| {
        let name = of["file"].as_str().unwrap().to_owned();
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        (name, (of["facts"].clone(), read(&bytes)))
    });
    files.collect()
}

#[test]
fn the_examples_of_others_are_read_as_they_are_known() {
    let Some(folder) = folder() else { return };
    let mut read = 0;
    for (name, (facts, paper)) in examples(&folder) {
        let Ok(paper) = paper else { continue };
        read += 1;
        let text = |key: &str| facts[key].as_str().map(str::to_owned);
        assert_eq!(paper.number, text("number"), "{name}");
        assert_eq!(paper.currency.map(|c| c.code().to_owned()), text("currency"), "{name}");
        assert_eq!(
            paper.seller.name,
            text("seller").map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ")),
            "{name}"
        );
        let days = [(paper.issued_on, "issue_date"), (paper.due_on, "due_date")];
        for (day, key) in days {
            let known = text(key).map(|day| day.replace('-', ""));
            assert_eq!(day.map(|day| day.format("%Y%m%d").to_string()), known, "{name} {key}");
        }
        let decimal = |key: &str| text(key).map(|text| text.parse().unwrap());
        let sums = &paper.sums;
        for (sum, key) in [
            (sums.net, "without_vat"),
            (sums.tax, "vat_total"),
            (sums.total, "with_vat"),
            (sums.prepaid, "prepaid"),
            (sums.rounding, "rounding"),
            (sums.due, "payable"),
        ] {
            assert_eq!(sum, decimal(key), "{name} {key}");
        }
        if let Some(lines) = facts["lines"].as_u64() {
            assert_eq!(paper.lines.len() as u64, lines, "{name}");
        }
    }
    assert!(read >= 30, "only {read} were read");
}

#[test]
fn each_example_becomes_a_bill_or_says_why_not() {
    let Some(folder) = folder() else { return };
    let is_no_bill = |name: &str, paper: &Result<Paper, Unreadable>| match name {
        "ubl-despatch-advice-not-an-invoice.xml" => matches!(paper, Err(Unreadable::NotAnInvoice(_))),
        "ubl-doctype-external-entity.xml" => matches!(paper, Err(Unreadable::Doctype)),
        _ => {
            let why = paper.as_ref().unwrap().bill().unwrap_err();
            match name {
                "ubl-creditnote.xml" | "peppol-creditnote-with-reference.xml" | "peppol-negative-invoice.xml" => {
                    why == Unusable::CreditNote
                }
                "xrechnung-ubl-self-billed-01-20a.xml" => why == Unusable::SelfBilled,
                "cii-rounding-br-co-10.xml" => why == Unusable::AsksForNothing,
                // The second one's prices hold the charges that it adds once more; no official rule looks at that, and a person should.
                "cii-invalid-arithmetics.xml" | "cii-xrechnung-not-subject-to-vat-o.xml" => {
                    matches!(why, Unusable::SumsDiffer(_))
                }
                _ => panic!("{name}: {why}"),
            }
        }
    };
    for (name, (facts, paper)) in examples(&folder) {
        let Some(asked) = paper.as_ref().ok().and_then(|paper| paper.bill().ok()) else {
            assert!(is_no_bill(&name, &paper), "{name}: {paper:?}");
            continue;
        };
        let currency = asked.total.currency();
        let minor = |key: &str| {
            facts[key]
                .as_str()
                .map_or(0, |t| t.parse::<crate::read::Decimal>().unwrap().money(currency).unwrap().minor())
        };
        assert_eq!(asked.total.minor(), minor("with_vat") + minor("rounding"), "{name}");
        assert_eq!(asked.due.minor(), minor("payable"), "{name}");
        let all: i64 = asked.lines.iter().map(|line| line.net.minor() + line.tax.map_or(0, kernel::Money::minor)).sum();
        assert!(asked.lines.is_empty() || all == asked.total.minor(), "{name}");
    }
}

#[test]
fn the_same_invoice_of_two_programs_says_the_same() {
    let Some(folder) = folder() else { return };
    let all = examples(&folder);
    let asked = |name: &str| all[name].1.as_ref().unwrap().bill().unwrap();
    assert_eq!(asked("ubl-duplicate-a.xml"), asked("ubl-duplicate-b.xml"));
    assert_eq!(asked("ubl-duplicate-a.xml"), asked("ubl-iso-8859-15.xml"));
}
