//! Writes papers of every kind into a folder, for those who judge them: `cargo run -p papers --example papers -- <folder>`.

use anyhow::{Context, Result};
use kernel::{Amounts, Currency, Measure, Money, Name, PostalAddress, Priced, Quantity, Rounding, Tax, read_input};
use papers::*;
use std::path::Path;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("which folder?")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let press = Press::default();
    for (name, invoice) in all()? {
        std::fs::write(folder.join(format!("{name}.pdf")), press.invoice(&invoice)?)?;
        for (format, xml) in [("cii", cii(&invoice)), ("ubl", ubl(&invoice))] {
            xml.map(|xml| std::fs::write(folder.join(format!("{name}.{format}.xml")), xml)).transpose()?;
        }
    }
    std::fs::write(folder.join("contract.pdf"), press.document(&contract())?)?;
    Ok(())
}

/// Each with a name for its files.
fn all() -> Result<Vec<(String, Invoice)>> {
    let standard = |percent: &str| -> Result<Tax> { Ok(Tax::Standard { rate: percent.parse()? }) };
    let one = |minor: i64, tax: Tax| ("1", minor, tax);
    let mut all = vec![];
    for (name, rounding) in [("per-document", Rounding::PerDocument), ("per-line", Rounding::PerLine)] {
        let lines = [one(1_001, standard("20")?), one(1_001, standard("20")?), one(1_001, standard("20")?)];
        all.push((name.to_owned(), invoice("EUR", rounding, &lines)?));
    }
    let mixed = [
        ("2.5", 12_000, standard("19")?),
        ("0.333333", 9_999, standard("7")?),
        ("3", -1_050, standard("19")?),
        one(100, Tax::ZeroRated {}),
        one(250, Tax::Exempt {}),
    ];
    all.push(("mixed".to_owned(), invoice("EUR", Rounding::PerDocument, &mixed)?));
    for (currency, minor) in [("JPY", 12_345), ("KWD", 12_345), ("GBP", 1)] {
        all.push((
            format!("in-{}", currency.to_lowercase()),
            invoice(currency, Rounding::PerDocument, &[one(minor, standard("10")?)])?,
        ));
    }
    let categories = [
        ("zero-rated", Tax::ZeroRated {}),
        ("exempt", Tax::Exempt {}),
        ("reverse-charge", Tax::ReverseCharge {}),
        ("intra-community", Tax::IntraCommunity {}),
        ("export", Tax::Export {}),
        ("outside-scope", Tax::OutsideScope {}),
    ];
    for (name, tax) in categories {
        let mut invoice = invoice("EUR", Rounding::PerDocument, &[one(50_000, tax)])?;
        invoice.delivery = Some(Delivery { on: Some(day(1, 31)), to: Some(invoice.buyer.address.clone()) });
        all.push((name.to_owned(), invoice));
    }
    let mut credit = invoice("EUR", Rounding::PerDocument, &[one(5_000, standard("19")?)])?;
    credit.kind = InvoiceKind::CreditNote;
    credit.number = "C-2027-0001".to_owned();
    credit.preceding = Some(PrecedingInvoice { number: "2027-0001".to_owned(), issued_on: day(1, 2) });
    all.push(("credit-note".to_owned(), credit));
    let mut strange = invoice("EUR", Rounding::PerDocument, &[one(5_000, standard("19")?)])?;
    strange.language = Language::De;
    strange.buyer.name = "Zoë ☃ 𝔘 東京 🙂 <&> \"#let x\" \u{1}".to_owned();
    strange.note = Some("#eval(\"1\") $x$ @ref *bold*\nzweite Zeile".to_owned());
    strange.lines[0].name = "#panic() [x] `code`".to_owned();
    all.push(("strange".to_owned(), strange));
    let many = (1..=50).map(|n| one(n * 137, if n % 3 == 0 { Tax::ZeroRated {} } else { mixed[n as usize % 2].2 }));
    let many: Vec<_> = many.collect();
    let mut many = invoice("EUR", Rounding::PerDocument, &many)?;
    many.prepaid = Some(Money::new(10_000, many.currency)?);
    many.due = many.total.minus(Money::new(10_000, many.currency)?)?;
    all.push(("fifty-lines".to_owned(), many));
    Ok(all)
}

fn invoice(currency: &str, rounding: Rounding, lines: &[(&str, i64, Tax)]) -> Result<Invoice> {
    let currency: Currency = currency.parse()?;
    let priced = lines.iter().map(|(quantity, minor, tax)| {
        let quantity: Quantity = quantity.parse()?;
        Ok(Priced { quantity, unit_price: Money::new(*minor, currency)?, tax: *tax })
    });
    let priced = priced.collect::<Result<Vec<_>>>()?;
    let amounts = Amounts::of(currency, rounding, &priced)?;
    let lines = priced.iter().zip(&amounts.lines).enumerate().map(|(index, (line, amounts))| Line {
        name: format!("Advice {}", index + 1),
        description: (index % 2 == 0).then(|| "Meetings, and what was written after them".to_owned()),
        quantity: line.quantity,
        measure: if index % 2 == 0 { Measure::Hour } else { Measure::One },
        unit_price: line.unit_price,
        tax: line.tax,
        amounts: *amounts,
        period: Some(Period { from: day(1, 1), to: day(1, 31) }),
    });
    Ok(Invoice {
        kind: InvoiceKind::Invoice,
        language: Language::En,
        number: "2027-0001".to_owned(),
        issued_on: day(2, 1),
        due_on: Some(day(2, 15)),
        currency,
        buyer_reference: Some("04011000-1234512345-06".to_owned()),
        order_reference: Some("PO 17".to_owned()),
        contract_reference: None,
        preceding: None,
        note: None,
        seller: party("Lovelace Advice GmbH", "DE", Some("DE123456789"))?,
        buyer: party("Babbage Engines SAS", "FR", Some("FR40303265045"))?,
        period: Some(Period { from: day(1, 1), to: day(1, 31) }),
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
            account_name: Some("Lovelace Advice".to_owned()),
            iban: "DE02120300000000202051".to_owned(),
            bic: Some("BYLADEM1001".to_owned()),
            reference: Some("2027-0001".to_owned()),
        }),
    })
}

fn party(name: &str, country: &str, vat_id: Option<&str>) -> Result<Party> {
    let address =
        format!(r#"{{"line1":"Analytical Way 1","city":"Example","postal_code":"10115","country":"{country}"}}"#);
    let address: PostalAddress = read_input(&address).map_err(|e| anyhow::anyhow!("{e}"))?;
    let contact = name.parse::<Name>()?.to_string();
    Ok(Party {
        name: name.to_owned(),
        address,
        vat_id: vat_id.map(str::to_owned),
        tax_number: None,
        registration: Some("HRB 1815".to_owned()),
        electronic_address: Some(ElectronicAddress::email("books@example.com")),
        contact: Some(Contact {
            name: Some(contact),
            phone: Some("+4930123456".to_owned()),
            email: Some("books@example.com".to_owned()),
        }),
    })
}

fn day(month: u32, day: u32) -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2027, month, day).unwrap_or_default()
}

fn contract() -> Document {
    let body = "## 1. What is done\n\nThe firm *advises* the client, **in writing**.\n\n1. first\n2. second\n   - inner\n\n\
                | What | Price |\n|---|---:|\n| Advice | 100.00 EUR |\n\n> Nothing of this is `code`. #let x = 1 <b>x</b>\n\n---\n\n```\nfn main() {}\n```\n";
    let signatory = |name: &str, n: u8| Signatory {
        name: name.to_owned(),
        signature_anchor: Some(format!("/sign{n}/")),
        date_anchor: Some(format!("/date{n}/")),
    };
    Document {
        language: Language::En,
        title: "Contract of services".to_owned(),
        parties: vec!["Lovelace Advice GmbH".to_owned(), "Babbage Engines SAS".to_owned()],
        made_on: day(2, 1),
        body: body.to_owned(),
        signatories: vec![signatory("Ada Lovelace", 1), signatory("Charles Babbage", 2)],
    }
}
