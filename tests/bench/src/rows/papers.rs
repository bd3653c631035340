//! How long it takes to set an invoice.

use crate::family::Family;
use crate::goal::Goal;
use crate::load;
use crate::plan::Plan;
use crate::record::{Figure, Records, Series};
use anyhow::Result;
use papers::{Invoice, Press};
use serde_json::{Value, json};
use std::sync::Arc;

const SET: Series = Series::of("an invoice with 50 lines to PDF/A-3", "UBOS");

/// The lines of the invoice.
const LINES: i64 = 50;

/// The family.
pub const FAMILY: Family = Family {
    word: "papers",
    title: "An invoice becomes a paper",
    about: "An invoice with 50 lines is set as PDF/A-3 with its XML inside, one after the other, each with another number, so that nothing \
            that was set before helps.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[Goal::limit(300.0, Figure::P50, SET)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let (press, invoice) = (Press::default(), Arc::new(serde_json::from_value::<Invoice>(invoice())?));
    for pass in 0..=plan.passes {
        let (press, invoice) = (press.clone(), invoice.clone());
        let set = move |turn: u64| {
            let (press, mut invoice) = (press.clone(), invoice.as_ref().clone());
            invoice.number = format!("{pass}-{turn}");
            async move { tokio::task::spawn_blocking(move || press.invoice(&invoice)).await.is_ok_and(|pdf| pdf.is_ok()) }
        };
        let sample = load::closed(1, plan.seconds, set).await;
        if pass > 0 {
            records.add(SET, sample);
        }
    }
    Ok(())
}

fn invoice() -> Value {
    let eur = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    let tax = json!({ "category": "standard", "rate": "19" });
    let party = |name: &str| {
        json!({
            "name": name,
            "address": { "line1": "Analytical Way 1", "city": "Berlin", "postal_code": "10115", "country": "DE" },
            "vat_id": "DE123456789",
        })
    };
    let line = |number: i64| {
        json!({
            "name": format!("Advice {number}"),
            "description": "Meetings, and what was written after them",
            "quantity": "1",
            "measure": "hour",
            "unit_price": eur(10_000),
            "tax": tax,
            "amounts": { "net": eur(10_000), "tax": eur(1_900) },
        })
    };
    json!({
        "kind": "invoice",
        "language": "en",
        "number": "1",
        "issued_on": "2027-02-01",
        "due_on": "2027-02-15",
        "currency": "EUR",
        "seller": party("Lovelace Advice GmbH"),
        "buyer": party("Babbage Engines GmbH"),
        "lines": (1..=LINES).map(line).collect::<Vec<_>>(),
        "taxes": [{ "tax": tax, "net": eur(10_000 * LINES), "amount": eur(1_900 * LINES) }],
        "net": eur(10_000 * LINES),
        "tax": eur(1_900 * LINES),
        "total": eur(11_900 * LINES),
        "due": eur(11_900 * LINES),
        "payment": { "iban": "DE02120300000000202051" },
    })
}
