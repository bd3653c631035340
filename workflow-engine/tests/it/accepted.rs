//! Flagship 2 on real PostgreSQL: what a client accepted becomes a signed contract, an engagement, a project and an invoice plan.

use crate::common::World;
use serde_json::{Value, json};
use uuid::Uuid;

/// A proposal of two lines that cost something and one that does not, accepted. Answers the client.
async fn accept(world: &World) -> Uuid {
    let client = crate::money::billing(world).await;
    let line = |minor: i64| {
        json!({ "description": format!("Work for {minor}"), "quantity": "1", "unit": "day",
            "unit_price": { "minor": minor, "currency": "EUR" }, "tax": { "category": "standard", "rate": "20" } })
    };
    let valid_until = (chrono::Utc::now() + chrono::TimeDelta::days(10)).date_naive().to_string();
    let offer = json!({ "title": "Bookkeeping", "body": { "kind": "written", "markdown": "We do it." },
        "currency": "EUR", "lines": [line(1000), line(0), line(2500)], "valid_until": valid_until });
    let create = json!({ "client_id": client, "offer": offer });
    let proposal = world.send("agreements.proposal.create", None, create).await.unwrap().id;
    world.send("agreements.proposal.send", Some(proposal), json!({})).await.unwrap();
    let signer = json!({ "signer_name": "Ada Lovelace", "signer_email": "ada@example.com" });
    world.send("agreements.proposal.accept", Some(proposal), signer).await.unwrap();
    client
}

/// What the only event of a type is about, and what it says.
async fn only(world: &World, event_type: &str) -> (Uuid, Value) {
    let events = world.events().await;
    let mut found = events.iter().filter(|event| event.event_type == event_type);
    let event = found.next().unwrap_or_else(|| panic!("no {event_type}"));
    assert!(found.next().is_none(), "one {event_type}");
    (event.aggregate_id, serde_json::from_str(event.payload.get()).unwrap())
}

/// The contract, when it is out.
async fn sent(world: &World) -> Uuid {
    world.until("contract.sent_for_signature", 1).await;
    only(world, "contract.sent_for_signature").await.0
}

/// Everybody signs.
async fn complete(world: &World, contract: Uuid) {
    world.send("agreements.contract.complete", Some(contract), json!({})).await.unwrap();
}

async fn nothing_began(world: &World) {
    for event_type in ["contract.activated", "engagement.created", "project.created", "invoice_plan.created"] {
        assert_eq!(world.count(event_type).await, 0, "{event_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_everybody_signed_leads_to_a_project_and_an_invoice_plan() {
    let world = World::office(true).await;
    let engine = world.engine();
    let client = accept(&world).await;
    let contract = sent(&world).await;
    nothing_began(&world).await;
    complete(&world, contract).await;
    world.until("invoice_plan.activated", 1).await;
    world.only_waiting().await;
    let (engagement, of) = only(&world, "engagement.created").await;
    assert_eq!((&of["contract_id"], &of["client_id"]), (&json!(contract), &json!(client)));
    assert_eq!(of["value"], json!({ "minor": 3500, "currency": "EUR" }));
    let (project, of) = only(&world, "project.created").await;
    assert_eq!(of["engagement_id"], json!(engagement));
    assert_eq!(only(&world, "project.activated").await.0, project);
    assert_eq!(only(&world, "contract.activated").await.0, contract);
    let (_, plan) = only(&world, "invoice_plan.created").await;
    assert_eq!((&plan["project_id"], &plan["engagement_id"]), (&json!(project), &json!(engagement)));
    // What costs nothing is not invoiced; what waits for nothing is due.
    assert_eq!((world.count("plan_entry.added").await, world.count("plan_entry.due").await), (2, 2));
    // Both are on one invoice, about which somebody is asked.
    assert_eq!((world.count("invoice.submitted").await, world.count("run.parked").await), (1, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_comes_while_no_engine_runs_or_before_the_run_waits_is_not_missed() {
    let world = World::office(true).await;
    let engine = world.engine();
    accept(&world).await;
    let contract = sent(&world).await;
    engine.stop().await;
    complete(&world, contract).await;
    let engine = world.engine();
    world.until("invoice_plan.activated", 1).await;
    world.only_waiting().await;
    assert_eq!((world.count("contract.created").await, world.count("project.created").await), (1, 1));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_is_declined_or_voided_leads_to_nothing() {
    for (command, body) in [("decline", json!({})), ("void", json!({ "reason": "another price" }))] {
        let world = World::office(true).await;
        let engine = world.engine();
        accept(&world).await;
        let contract = sent(&world).await;
        world.send(&format!("agreements.contract.{command}"), Some(contract), body).await.unwrap();
        world.until_idle().await;
        nothing_began(&world).await;
        assert_eq!((world.count("run.parked").await, world.count("contract.expired").await), (0, 0));
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_nobody_signs_expires() {
    let world = World::office(true).await;
    world.hurry("for: 30d", "for: 1s").await;
    let engine = world.engine();
    accept(&world).await;
    let contract = sent(&world).await;
    world.until("contract.expired", 1).await;
    assert_eq!(only(&world, "contract.expired").await.0, contract);
    world.until_idle().await;
    nothing_began(&world).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_not_signed_is_reminded_until_nothing_is_awaited() {
    let world = World::office(true).await;
    world.hurry("for: 7d", "for: 1s").await;
    let engine = world.engine();
    accept(&world).await;
    let contract = sent(&world).await;
    world.until("contract.reminded", 1).await;
    complete(&world, contract).await;
    world.until("invoice_plan.activated", 1).await;
    world.only_waiting().await;
    // Once a day at most, however often it is asked for.
    assert_eq!(world.count("contract.reminded").await, 1);
    engine.stop().await;
}
