//! Papers read back: our own, the official examples, and what somebody sends who means harm.

mod examples;
mod hostile;
mod round_trip;

use crate::{Contact, ElectronicAddress, Invoice, InvoiceKind, Language, Line, Party, Payment};
use chrono::NaiveDate;
use kernel::{Amounts, Currency, Measure, Money, Priced, Rounding, Tax};

fn day(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, month, day).unwrap()
}

fn standard(percent: &str) -> Tax {
    Tax::Standard { rate: percent.parse().unwrap() }
}

fn party(name: &str, vat_id: &str) -> Party {
    let address = r#"{"line1":"Way 1","city":"Berlin","postal_code":"10115","country":"DE"}"#;
    Party {
        name: name.to_owned(),
        address: kernel::read_input(address).unwrap(),
        vat_id: Some(vat_id.to_owned()),
        tax_number: Some("12/345".to_owned()),
        registration: None,
        electronic_address: Some(ElectronicAddress::email("books@example.com")),
        contact: Some(Contact { name: None, phone: None, email: Some("ada@example.com".to_owned()) }),
    }
}

/// An invoice of quantities, prices and taxes.
fn invoice(currency: &str, rounding: Rounding, lines: &[(&str, i64, Tax)]) -> Invoice {
    let currency: Currency = currency.parse().unwrap();
    let priced = lines.iter().map(|(quantity, minor, tax)| Priced {
        quantity: quantity.parse().unwrap(),
        unit_price: Money::new(*minor, currency).unwrap(),
        tax: *tax,
    });
    let priced: Vec<Priced> = priced.collect();
    let amounts = Amounts::of(currency, rounding, &priced).unwrap();
    let line = |(index, (line, amounts)): (usize, (&Priced, &kernel::LineAmounts))| Line {
        name: format!("Advice {index} <&> Zoë"),
        description: Some("more".to_owned()),
        quantity: line.quantity,
        measure: Measure::Hour,
        unit_price: line.unit_price,
        tax: line.tax,
        amounts: *amounts,
        period: None,
    };
    Invoice {
        kind: InvoiceKind::Invoice,
        language: Language::De,
        number: "R-2027/1".to_owned(),
        issued_on: day(2, 1),
        due_on: Some(day(2, 15)),
        currency,
        buyer_reference: Some("04011000-1234512345-06".to_owned()),
        order_reference: None,
        contract_reference: None,
        preceding: None,
        note: None,
        seller: party("Lovelace & Söhne GmbH", "DE123456789"),
        buyer: party("Babbage SAS", "FR40303265045"),
        period: None,
        delivery: None,
        lines: priced.iter().zip(&amounts.lines).enumerate().map(line).collect(),
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
            reference: Some("R-2027/1".to_owned()),
        }),
    }
}

/// A plain one.
fn plain() -> Invoice {
    invoice("EUR", Rounding::PerDocument, &[("2", 10_000, standard("19")), ("1", 333, standard("7"))])
}
