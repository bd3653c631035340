//! Flagships 4 and 6 on real PostgreSQL: what is due becomes an issued invoice, and a bill is coded and approved.

use crate::common::World;
use serde_json::{Value, json};
use uuid::Uuid;

fn eur(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

/// A firm that bills, and a client of it.
async fn billing(world: &World) -> Uuid {
    let client = world.client("Acme").await.id;
    let address = json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" });
    let terms = json!({ "currency": "EUR", "payment_terms_days": 14, "invoice_series": "invoices",
                        "credit_note_series": "credits", "default_tax_rate": "vat" });
    let seller = json!({ "legal_name": "Engines Ltd", "address": address, "vat_id": "DE123456789" });
    let establish = json!({ "seller": seller, "terms": terms });
    world.send("revenue.billing_settings.establish", None, establish).await.unwrap();
    let buyer = json!({ "legal_name": "Acme GmbH", "address": address, "email": "pay@acme.example" });
    let profile = json!({ "client_id": client, "buyer": buyer });
    world.send("revenue.billing_profile.create", None, profile).await.unwrap();
    let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
    world.send("revenue.tax_rate.define", None, rate).await.unwrap();
    let series = json!({ "key": "invoices", "name": "Invoices", "prefix": "R", "digits": 4, "first": 1 });
    world.send("revenue.invoice_series.define", None, series).await.unwrap();
    client
}

/// Two entries of a plan are due.
async fn due(world: &World, client: Uuid) {
    let plan = json!({ "name": "Launch", "client_id": client, "terms": { "kind": "milestone", "currency": "EUR" } });
    let plan = world.send("revenue.invoice_plan.create", None, plan).await.unwrap().id;
    for name in ["Concept", "Design"] {
        let entry = json!({ "name": name, "amount": eur(100_000) });
        world.send("revenue.invoice_plan.add_entry", Some(plan), entry).await.unwrap();
    }
    world.send("revenue.invoice_plan.activate", Some(plan), json!({})).await.unwrap();
}

/// The run that asks, answered by an owner.
async fn decide(world: &World, verb: &str) {
    world.until("approval.requested", 1).await;
    let events = world.events().await;
    let run = events.iter().find(|event| event.event_type == "approval.requested").unwrap().aggregate_id;
    let answer = json!({ "step": "decision" });
    world.send(&format!("workflow.run.{verb}"), Some(run), answer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_lets_become_due_is_one_invoice_that_is_approved_issued_and_written_about() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    let engine = world.engine();
    due(&world, client).await;
    decide(&world, "approve").await;
    world.until("invoice.issued", 1).await;
    world.until("email.queued", 1).await;
    world.until("invoice.sent", 1).await;
    assert_eq!((world.count("invoice.drafted").await, world.count("plan_entry.invoiced").await), (1, 2));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_approves_of_is_due_again() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    let engine = world.engine();
    due(&world, client).await;
    decide(&world, "reject").await;
    world.until("invoice.voided", 1).await;
    assert_eq!((world.count("invoice.issued").await, world.count("plan_entry.released").await), (0, 2));
    engine.stop().await;
}

async fn vendor(world: &World) -> Uuid {
    let vendor = json!({ "name": "Paper Ltd", "account_code": "400" });
    world.send("revenue.vendor.add", None, vendor).await.unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_coded_and_approved_and_the_same_one_does_not_come_in_again() {
    let world = World::office(true).await;
    let vendor = vendor(&world).await;
    let engine = world.engine();
    let bill = json!({ "vendor_id": vendor, "reference": "14", "total": eur(1_200) });
    world.send("revenue.bill.receive", None, bill.clone()).await.unwrap();
    world.until("bill.approved", 1).await;
    let again = world.send("revenue.bill.receive", None, bill).await.unwrap_err();
    assert!(matches!(again, event_store::ExecuteError::Claimed { .. }), "{again:?}");
    assert_eq!(world.count("bill.coded").await, 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_of_nobody_waits_until_somebody_codes_it() {
    let world = World::office(true).await;
    world.register().await;
    let vendor = vendor(&world).await;
    let engine = world.engine();
    let bill = json!({ "reference": "14", "total": eur(1_200) });
    let bill = world.send("revenue.bill.receive", None, bill).await.unwrap().id;
    world.until("notification.sent", 1).await;
    assert_eq!(world.count("bill.coded").await, 0);
    world.send("revenue.bill.code", Some(bill), json!({ "vendor_id": vendor })).await.unwrap();
    world.until("bill.approved", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_the_ledger_does_not_take_is_told_of_and_waits_until_it_does() {
    let world = World::office(true).await;
    world.register().await;
    let vendor = vendor(&world).await;
    let engine = world.engine();
    let bill = json!({ "vendor_id": vendor, "reference": "14", "total": eur(1_200) });
    let bill = world.send("revenue.bill.receive", None, bill).await.unwrap().id;
    world.until("bill.approved", 1).await;
    let closed = json!({ "reason": "period_closed: the period is closed" });
    world.send("revenue.bill.note_ledger_rejection", Some(bill), closed).await.unwrap();
    world.until("notification.sent", 1).await;
    world.send("revenue.bill.mark_pushed", Some(bill), json!({ "external_id": "x-1" })).await.unwrap();
    world.until("run.succeeded", 2).await;
    engine.stop().await;
}
