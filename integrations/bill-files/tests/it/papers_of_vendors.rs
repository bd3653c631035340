//! What vendors send.

use chrono::NaiveDate;
use kernel::{Amounts, Currency, Measure, Money, Priced, Rounding, Tax};
use papers::{Document, ElectronicAddress, Invoice, InvoiceKind, Language, Line, Party, Payment};

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 2, day).unwrap()
}

fn party(name: &str, vat_id: &str) -> Party {
    let address = r#"{"line1":"Way 1","city":"Berlin","postal_code":"10115","country":"DE"}"#;
    Party {
        name: name.to_owned(),
        address: kernel::read_input(address).unwrap(),
        vat_id: Some(vat_id.to_owned()),
        tax_number: None,
        registration: None,
        electronic_address: Some(ElectronicAddress::email("books@example.com")),
        contact: None,
    }
}

/// A bill of 241.56 EUR, with 38.23 EUR of tax.
pub fn bill() -> Invoice {
    let currency: Currency = "EUR".parse().unwrap();
    let priced = |quantity: &str, minor: i64, rate: &str| Priced {
        quantity: quantity.parse().unwrap(),
        unit_price: Money::new(minor, currency).unwrap(),
        tax: Tax::Standard { rate: rate.parse().unwrap() },
    };
    let priced = [priced("2", 10_000, "19"), priced("1", 333, "7")];
    let amounts = Amounts::of(currency, Rounding::PerDocument, &priced).unwrap();
    let lines = priced.iter().zip(&amounts.lines).map(|(line, amounts)| Line {
        name: "Paper".to_owned(),
        description: None,
        quantity: line.quantity,
        measure: Measure::One,
        unit_price: line.unit_price,
        tax: line.tax,
        amounts: *amounts,
        period: None,
    });
    Invoice {
        kind: InvoiceKind::Invoice,
        language: Language::En,
        number: "R-2027/1".to_owned(),
        issued_on: day(1),
        due_on: Some(day(15)),
        currency,
        buyer_reference: None,
        order_reference: None,
        contract_reference: None,
        preceding: None,
        note: None,
        seller: party("Lovelace & Söhne GmbH", "DE123456789"),
        buyer: party("Engines Ltd", "FR40303265045"),
        period: None,
        delivery: None,
        lines: lines.collect(),
        taxes: amounts.taxes,
        exemption_reason: None,
        net: amounts.net,
        tax: amounts.tax,
        total: amounts.total,
        prepaid: None,
        due: amounts.total,
        payment: Some(Payment {
            account_name: None,
            iban: "DE02120300000000202051".to_owned(),
            bic: None,
            reference: None,
        }),
    }
}

/// A PDF for people alone.
pub fn letter() -> Document {
    Document {
        language: Language::En,
        title: "Bill".to_owned(),
        parties: vec!["Lovelace".to_owned()],
        made_on: day(1),
        body: "Please pay 241.56 EUR.".to_owned(),
        signatories: vec![],
    }
}
