//! Who approves invoices and bills: by amount, in the place of whoever is away, and nobody who had a hand in it.

use crate::common::{HOST, World};
use crate::money::{billing, eur, vendor};
use event_store::ExecuteError;
use serde_json::{Value, json};
use uuid::Uuid;

/// Somebody who is not there.
const AWAY: Uuid = Uuid::from_u128(9);

fn step(approver: Uuid, days: Option<u32>) -> Value {
    json!({ "name": "Head", "approvers": [{ "kind": "user", "user_id": approver }], "escalate_after_days": days,
            "escalate_to": [{ "kind": "user", "user_id": HOST }] })
}

/// From 1,000 euros on somebody approves, below nobody has to.
async fn policy(world: &World, subject: &str, step: Value) {
    let rules = json!([
        { "name": "Large", "amount": { "currency": "EUR", "from": eur(100_000) }, "steps": [step] },
        { "name": "Others", "steps": [] },
    ]);
    let policy = json!({ "name": "Who approves", "subject": subject, "rules": rules });
    world.send("revenue.approval_policy.define", None, policy).await.unwrap();
}

/// Something of so much is due for a client.
async fn due(world: &World, client: Uuid, minor: i64) {
    let plan = json!({ "name": "Launch", "client_id": client, "terms": { "kind": "milestone", "currency": "EUR" } });
    let plan = world.send("revenue.invoice_plan.create", None, plan).await.unwrap().id;
    let entry = json!({ "name": "Concept", "amount": eur(minor) });
    world.send("revenue.invoice_plan.add_entry", Some(plan), entry).await.unwrap();
    world.send("revenue.invoice_plan.activate", Some(plan), json!({})).await.unwrap();
}

fn refused(answer: Result<event_store::Executed, ExecuteError>) -> &'static str {
    match answer {
        Err(ExecuteError::Rejected { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_invoice_waits_for_whom_the_policy_names_and_a_small_one_for_nobody() {
    let world = World::office(true).await;
    world.register().await;
    let client = billing(&world).await;
    policy(&world, "invoice", step(HOST, None)).await;
    let engine = world.engine();
    due(&world, client, 5_000).await;
    world.until("invoice.issued", 1).await;
    due(&world, client, 500_000).await;
    // Whoever is to approve is told, and nobody is asked besides.
    world.until("notification.sent", 1).await;
    assert_eq!((world.count("invoice.issued").await, world.count("approval.requested").await), (1, 0));
    let large = world.events().await.into_iter().rfind(|event| event.event_type == "invoice.submitted").unwrap();
    world.send("revenue.invoice.approve", Some(large.aggregate_id), json!({})).await.unwrap();
    world.until("invoice.issued", 2).await;
    world.only_waiting().await;
    assert_eq!(world.count("invoice.approval_granted").await, 1);
    assert_eq!((world.count("run.parked").await, world.count("invoice.voided").await), (0, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_who_is_away_does_not_hold_an_invoice_up() {
    let world = World::office(true).await;
    world.register().await;
    // Days are seconds.
    world.hurry("3650 }}d", "3650 }}s").await;
    let client = billing(&world).await;
    policy(&world, "invoice", step(AWAY, Some(1))).await;
    let engine = world.engine();
    due(&world, client, 500_000).await;
    world.until("invoice.submitted", 1).await;
    let invoice = world.of("invoice.submitted").await;
    let early = world.send("revenue.invoice.approve", Some(invoice), json!({})).await;
    assert_eq!(refused(early), "revenue.invoice.not_for_you");
    // The owners are told in the place of somebody who is not with the firm.
    world.until("notification.sent", 1).await;
    world.until("invoice.approval_escalated", 1).await;
    world.send("revenue.invoice.approve", Some(invoice), json!({})).await.unwrap();
    world.until("invoice.issued", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wrote_an_invoice_does_not_approve_it_though_the_policy_names_them() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    policy(&world, "invoice", step(HOST, None)).await;
    let lines = json!([{ "description": "Work", "unit_price": eur(500_000) }]);
    let draft = json!({ "client_id": client, "lines": lines });
    let invoice = world.send("revenue.invoice.draft", None, draft).await.unwrap().id;
    world.send("revenue.invoice.submit_for_approval", Some(invoice), json!({})).await.unwrap();
    let own = world.send("revenue.invoice.approve", Some(invoice), json!({})).await;
    assert_eq!(refused(own), "revenue.invoice.own_invoice");
}

/// A bill of 12,000 euros that came in from elsewhere.
async fn bill(world: &World, due_on: Option<&str>) -> Uuid {
    let vendor = vendor(world).await;
    let id = Uuid::now_v7();
    let receive = json!({ "vendor_id": vendor, "reference": "14", "total": eur(1_200_000), "due_on": due_on,
                          "issued_on": "2020-01-01" });
    world.send_as_system("revenue.bill.receive", id, receive).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_who_is_away_holds_a_bill_up_no_longer_than_the_policy_says() {
    let world = World::office(true).await;
    world.register().await;
    world.hurry("3650 }}d", "3650 }}s").await;
    policy(&world, "bill", step(AWAY, Some(1))).await;
    let engine = world.engine();
    let bill = bill(&world, None).await;
    world.until("bill.approval_requested", 1).await;
    world.until("bill.approval_escalated", 1).await;
    world.send("revenue.bill.approve", Some(bill), json!({})).await.unwrap();
    world.until("bill.approved", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_is_due_waits_for_nobody_who_is_away() {
    let world = World::office(true).await;
    policy(&world, "bill", step(AWAY, None)).await;
    let engine = world.engine();
    let bill = bill(&world, Some("2020-01-15")).await;
    world.until("bill.approval_escalated", 1).await;
    world.send("revenue.bill.approve", Some(bill), json!({})).await.unwrap();
    world.until("bill.approved", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_says_no_days_lets_nobody_else_approve_before_the_bill_is_due() {
    let world = World::office(true).await;
    policy(&world, "bill", step(AWAY, None)).await;
    let engine = world.engine();
    let bill = bill(&world, None).await;
    world.until("bill.approval_requested", 1).await;
    world.only_waiting().await;
    assert_eq!(world.count("bill.approval_escalated").await, 0);
    let early = world.send("revenue.bill.approve", Some(bill), json!({})).await;
    assert_eq!(refused(early), "revenue.bill.not_for_you");
    engine.stop().await;
}
