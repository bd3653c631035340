//! Flagship 4 from time: what was worked is invoiced at its threshold, and again when its invoice is voided.

use crate::common::{HOST, World};
use crate::money::{billing, decide, eur};
use serde_json::json;
use uuid::Uuid;

/// A project at 60 euros an hour, of which 100 minutes are invoiced.
async fn project(world: &World) -> Uuid {
    let client = billing(world).await;
    let project = json!({ "name": "Advice", "client_id": client });
    let project = world.send("projects.project.create", None, project).await.unwrap().id;
    let rates = json!({ "hourly_rate": eur(6_000) });
    world.send("projects.project.set_rates", Some(project), rates).await.unwrap();
    let threshold = json!({ "minutes": 100 });
    world.send("projects.project.set_unbilled_threshold", Some(project), threshold).await.unwrap();
    project
}

async fn work(world: &World, project: Uuid, minutes: u32) {
    let log = json!({ "project_id": project, "user_id": HOST, "minutes": minutes });
    let entry = world.send("projects.time_entry.log", None, log).await.unwrap().id;
    for verb in ["submit", "approve"] {
        world.send(&format!("projects.time_entry.{verb}"), Some(entry), json!({})).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_that_is_crossed_twice_while_a_draft_is_pending_is_one_draft() {
    let world = World::office(true).await;
    let project = project(&world).await;
    let engine = world.engine();
    work(&world, project, 60).await;
    work(&world, project, 60).await;
    world.until("invoice.submitted", 1).await;
    // A higher threshold is crossed anew.
    let threshold = json!({ "minutes": 150 });
    world.send("projects.project.set_unbilled_threshold", Some(project), threshold).await.unwrap();
    work(&world, project, 60).await;
    assert_eq!(world.count("time.threshold_reached").await, 2);
    world.only_waiting().await;
    assert_eq!(world.count("invoice.drafted").await, 1);
    decide(&world, "approve").await;
    world.until("time.invoiced", 2).await;
    assert_eq!((world.count("invoice.issued").await, world.count("run.parked").await), (1, 0));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_on_an_invoice_that_is_voided_is_to_be_invoiced_again() {
    let world = World::office(true).await;
    let project = project(&world).await;
    let engine = world.engine();
    work(&world, project, 60).await;
    work(&world, project, 60).await;
    decide(&world, "approve").await;
    world.until("time.invoiced", 2).await;
    let invoice = world.of("invoice.issued").await;
    let void = json!({ "reason": "another client" });
    world.send("revenue.invoice.void", Some(invoice), void).await.unwrap();
    world.until("time.released", 2).await;
    // It is unbilled again, and at its threshold.
    world.until("invoice.drafted", 2).await;
    world.only_waiting().await;
    assert_eq!(world.count("run.parked").await, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_of_a_draft_that_is_given_up_was_never_invoiced() {
    let world = World::office(true).await;
    let project = project(&world).await;
    let engine = world.engine();
    work(&world, project, 120).await;
    decide(&world, "reject").await;
    world.until("invoice.voided", 1).await;
    world.only_waiting().await;
    assert_eq!((world.count("time.invoiced").await, world.count("invoice.issued").await), (0, 0));
    engine.stop().await;
}
