//! Flagships 4 and 6 on real PostgreSQL: what is due becomes an issued invoice, and a bill is coded and approved.

use crate::common::World;
use serde_json::{Value, json};
use uuid::Uuid;

pub fn eur(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

/// A firm that bills, and a client of it.
pub async fn billing(world: &World) -> Uuid {
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
pub async fn decide(world: &World, verb: &str) {
    world.until("approval.requested", 1).await;
    let events = world.events().await;
    let run = events.iter().find(|event| event.event_type == "approval.requested").unwrap().aggregate_id;
    let answer = json!({ "step": "decision" });
    world.send(&format!("workflow.run.{verb}"), Some(run), answer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_lets_become_due_is_one_invoice_that_is_approved_and_issued() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    let engine = world.engine();
    due(&world, client).await;
    decide(&world, "approve").await;
    world.until("invoice.issued", 1).await;
    assert_eq!((world.count("invoice.drafted").await, world.count("plan_entry.invoiced").await), (1, 2));
    // The client is written to when the paper is there, and not before.
    assert_eq!(world.count("email.queued").await, 0);
    engine.stop().await;
}

/// A plan of which each entry waits for a milestone or a task of a project; answers the project and the plan.
async fn waiting(world: &World, client: Uuid, entries: &[Value]) -> (Uuid, Uuid) {
    let project = json!({ "name": "Launch", "client_id": client });
    let project = world.send("projects.project.create", None, project).await.unwrap().id;
    for entry in entries {
        let (kind, id) = entry.as_object().unwrap().iter().next().unwrap();
        let (command, name) = if kind == "task_id" { ("add_task", "title") } else { ("add_milestone", "name") };
        let add = json!({ kind: id, name: "Concept" });
        world.send(&format!("projects.project.{command}"), Some(project), add).await.unwrap();
    }
    let plan = json!({ "name": "Launch", "client_id": client, "project_id": project,
                       "terms": { "kind": "milestone", "currency": "EUR" } });
    let plan = world.send("revenue.invoice_plan.create", None, plan).await.unwrap().id;
    for entry in entries {
        let mut add = json!({ "name": "Concept", "amount": eur(100_000) });
        add.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        world.send("revenue.invoice_plan.add_entry", Some(plan), add).await.unwrap();
    }
    (project, plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_milestone_and_a_completed_task_lead_to_a_draft_each_and_to_no_second_one() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    let engine = world.engine();
    let (milestone, task) = (Uuid::now_v7(), Uuid::now_v7());
    let entries = [json!({ "milestone_id": milestone }), json!({ "task_id": task })];
    let (project, plan) = waiting(&world, client, &entries).await;
    world.send("revenue.invoice_plan.activate", Some(plan), json!({})).await.unwrap();
    let complete = json!({ "milestone_id": milestone });
    world.send("projects.project.complete_milestone", Some(project), complete.clone()).await.unwrap();
    world.until("invoice.submitted", 1).await;
    world.send("projects.project.complete_milestone", Some(project), complete).await.unwrap();
    let task = json!({ "task_id": task });
    world.send("projects.project.complete_task", Some(project), task.clone()).await.unwrap();
    world.until("invoice.submitted", 2).await;
    // The task is done twice, while its draft is pending.
    world.send("projects.project.reopen_task", Some(project), task.clone()).await.unwrap();
    world.send("projects.project.complete_task", Some(project), task).await.unwrap();
    decide(&world, "approve").await;
    world.until("invoice.issued", 1).await;
    world.only_waiting().await;
    assert_eq!((world.count("plan_entry.due").await, world.count("invoice.drafted").await), (2, 2));
    assert_eq!((world.count("run.parked").await, world.count("step.failed").await), (0, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_milestone_that_is_completed_while_its_plan_is_a_draft_is_invoiced_when_the_plan_is_active() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    let engine = world.engine();
    let milestone = Uuid::now_v7();
    let (project, plan) = waiting(&world, client, &[json!({ "milestone_id": milestone })]).await;
    let complete = json!({ "milestone_id": milestone });
    world.send("projects.project.complete_milestone", Some(project), complete).await.unwrap();
    world.until("plan_entry.reached", 1).await;
    assert_eq!(world.count("invoice.drafted").await, 0);
    world.send("revenue.invoice_plan.activate", Some(plan), json!({})).await.unwrap();
    world.until("invoice.submitted", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_is_sent_back_is_written_otherwise_and_issued_when_it_is_approved() {
    let world = World::office(true).await;
    let client = billing(&world).await;
    let engine = world.engine();
    due(&world, client).await;
    world.until("approval.requested", 1).await;
    let invoice = world.of("invoice.submitted").await;
    let reason = json!({ "reason": "one line too many" });
    world.send("revenue.invoice.reject", Some(invoice), reason).await.unwrap();
    world.send("revenue.invoice.submit_for_approval", Some(invoice), json!({})).await.unwrap();
    world.send_as_system("revenue.invoice.approve", invoice, json!({})).await;
    world.until("invoice.issued", 1).await;
    assert_eq!((world.count("invoice.drafted").await, world.count("invoice.voided").await), (1, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_of_a_firm_that_does_not_bill_yet_is_an_incident_and_is_invoiced_after_it() {
    let world = World::office(true).await;
    let client = world.client("Acme").await.id;
    let engine = world.engine();
    due(&world, client).await;
    world.until("run.parked", 2).await;
    world.only_parked().await;
    let settled = billing(&world).await;
    assert_ne!(settled, client);
    for run in world.runs().await {
        if world.show(run).await.status() == workflow::RunStatus::Parked {
            let retry = json!({ "reason": "the firm bills now" });
            world.send("workflow.run.retry", Some(run), retry).await.unwrap();
        }
    }
    world.until("invoice.drafted", 1).await;
    world.only_waiting().await;
    assert_eq!((world.count("invoice.drafted").await, world.count("run.parked").await), (1, 2));
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

pub async fn vendor(world: &World) -> Uuid {
    let vendor = json!({ "name": "Paper Ltd", "account_code": "400" });
    world.send("revenue.vendor.add", None, vendor).await.unwrap().id
}

/// The firm's policy has nobody approve bills; without one its owners do.
async fn nobody_approves_bills(world: &World) {
    let policy = json!({ "name": "Bills", "subject": "bill", "rules": [{ "name": "All", "steps": [] }] });
    world.send("revenue.approval_policy.define", None, policy).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_coded_and_approved_and_the_same_one_does_not_come_in_again() {
    let world = World::office(true).await;
    let vendor = vendor(&world).await;
    nobody_approves_bills(&world).await;
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
    nobody_approves_bills(&world).await;
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
    nobody_approves_bills(&world).await;
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

/// A bill that came as a file, of which nobody knows whose it is yet, and the same one said by a program.
async fn twice(world: &World) -> (Uuid, Uuid) {
    let vendor = vendor(world).await;
    nobody_approves_bills(world).await;
    let by_file = json!({ "reference": "2026 14", "total": eur(1_200), "source": "file", "file_id": Uuid::now_v7() });
    let first = json!({ "vendor_id": vendor, "reference": "2026-14", "total": eur(1_200) });
    world.send("revenue.bill.receive", None, first).await.unwrap();
    world.until("bill.approved", 1).await;
    (vendor, world.send("revenue.bill.receive", None, by_file).await.unwrap().id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bill_by_file_and_by_a_program_is_looked_at_and_is_void_if_it_is_the_same() {
    let world = World::office(true).await;
    world.register().await;
    let engine = world.engine();
    let (_, second) = twice(&world).await;
    world.until("approval.requested", 1).await;
    assert_eq!(world.count("bill.duplicate_suspected").await, 1);
    let run = world.of("approval.requested").await;
    world.send("workflow.run.reject", Some(run), json!({ "step": "alike" })).await.unwrap();
    world.until("bill.voided", 1).await;
    assert_eq!((world.of("bill.voided").await, world.count("bill.approved").await), (second, 1));
    world.only_waiting().await;
    assert_eq!(world.count("run.parked").await, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_only_looks_the_same_goes_on_and_one_of_the_same_vendor_is_the_same() {
    let world = World::office(true).await;
    world.register().await;
    let engine = world.engine();
    let (vendor, second) = twice(&world).await;
    world.until("approval.requested", 1).await;
    let run = world.of("approval.requested").await;
    world.send("workflow.run.approve", Some(run), json!({ "step": "alike" })).await.unwrap();
    world.until("notification.sent", 1).await;
    let same = world.send("revenue.bill.code", Some(second), json!({ "vendor_id": vendor })).await.unwrap_err();
    assert!(matches!(same, event_store::ExecuteError::Claimed { .. }), "{same:?}");
    let other = json!({ "name": "Pencils Ltd", "account_code": "400" });
    let other = world.send("revenue.vendor.add", None, other).await.unwrap().id;
    world.send("revenue.bill.code", Some(second), json!({ "vendor_id": other })).await.unwrap();
    world.until("bill.approved", 2).await;
    engine.stop().await;
}
