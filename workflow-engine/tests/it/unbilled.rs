//! Flagship 4 from time: what was worked is invoiced at its threshold, and again when its invoice is voided.

use crate::common::{HOST, World};
use crate::money::{billing, decide, eur};
use event_store::{NamedCommand, Request};
use kernel::{Actor, UserId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A project at 60 euros an hour, of which 100 minutes are invoiced.
async fn project(world: &World) -> Uuid {
    project_at(world, 6_000, 100).await
}

/// A project at this rate, in cents an hour, of which so many minutes are invoiced.
async fn project_at(world: &World, rate: i64, minutes: u32) -> Uuid {
    let client = billing(world).await;
    let project = json!({ "name": "Advice", "client_id": client });
    let project = world.send("projects.project.create", None, project).await.unwrap().id;
    let rates = json!({ "hourly_rate": eur(rate) });
    world.send("projects.project.set_rates", Some(project), rates).await.unwrap();
    let threshold = json!({ "minutes": minutes });
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
async fn a_threshold_that_is_crossed_twice_while_a_draft_is_pending_is_one_draft_at_a_time() {
    let world = World::office(true).await;
    let project = project(&world).await;
    let engine = world.engine();
    work(&world, project, 60).await;
    work(&world, project, 60).await;
    world.until("invoice.submitted", 1).await;
    // It is crossed anew, by time that is not on the draft.
    work(&world, project, 40).await;
    work(&world, project, 70).await;
    assert_eq!(world.count("time.threshold_reached").await, 2);
    let crossed = world.events().await.iter().map(|event| event.position).max().unwrap();
    world.eventually("not read", async || world.intake().await >= crossed).await;
    assert_eq!(world.count("invoice.drafted").await, 1);
    decide(&world, "approve").await;
    // The rest has its turn when the first one is issued.
    world.until("invoice.submitted", 2).await;
    assert_eq!((world.count("invoice.issued").await, world.count("invoice.drafted").await), (1, 2));
    let submitted = world.events().await.into_iter().rfind(|event| event.event_type == "invoice.submitted").unwrap();
    world.send_as_system("revenue.invoice.approve", submitted.aggregate_id, json!({})).await;
    world.until("time.invoiced", 4).await;
    world.only_waiting().await;
    assert_eq!((world.count("invoice.issued").await, world.count("run.parked").await), (2, 0));
    let lines = issued_lines(&world).await;
    assert_eq!(lines.iter().map(|(_, minor)| *minor).collect::<Vec<_>>(), [12_000, 11_000]);
    engine.stop().await;
}

/// So many entries of a minute, many in one append; answers their ids in order.
async fn work_minutes(world: &World, project: Uuid, count: usize) -> Vec<Uuid> {
    let entries: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let log = json!({ "project_id": project, "user_id": HOST, "minutes": 1 });
    for some in entries.chunks(12) {
        let commands = some.iter().flat_map(|id| {
            [("log", log.to_string()), ("submit", "{}".to_owned()), ("approve", "{}".to_owned())].map(|(verb, body)| {
                let info = *world.bus.command(&format!("projects.time_entry.{verb}")).unwrap();
                NamedCommand { info, id: Some(*id), body, expected_versions: None }
            })
        });
        let request = Request::new(world.tenant, Actor::User { id: UserId(HOST) });
        world.bus.execute_unit(commands.collect(), &request).await.unwrap_or_else(|e| panic!("{:?}", e.error));
    }
    entries
}

/// The lines of all issued invoices: which entries they are for, and what they ask for.
async fn issued_lines(world: &World) -> Vec<(Vec<Uuid>, i64)> {
    let events = world.events().await;
    let issued = events.iter().filter(|event| event.event_type == "invoice.issued");
    let payloads = issued.map(|event| serde_json::from_str::<Value>(event.payload.get()).unwrap());
    let lines = payloads.flat_map(|payload| payload["lines"].as_array().unwrap().clone());
    let line = |line: Value| {
        let entries = serde_json::from_value(line["source"]["time_entry_ids"].clone()).unwrap();
        (entries, line["unit_price"]["minor"].as_i64().unwrap())
    };
    lines.map(line).collect()
}

/// Waits until so many things happened: of that many, the log is not read whole each time.
async fn until_many(world: &World, event_type: &str, count: i64) {
    let sql = "select count(*) from eventstore.events where event_type = $1";
    let so_far = async || sqlx::query_scalar::<_, i64>(sql).bind(event_type).fetch_one(&world.pool).await.unwrap();
    world.eventually(event_type, async || so_far().await >= count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_time_entries_than_a_line_is_for_are_one_invoice_with_several_lines() {
    let world = World::office(true).await;
    // A minute is 0.83, and 501 of them at the rate would be 417.50.
    let project = project_at(&world, 5_000, 501).await;
    let engine = world.engine();
    let entries = work_minutes(&world, project, 501).await;
    decide(&world, "approve").await;
    until_many(&world, "time.invoiced", 501).await;
    world.only_waiting().await;
    let lines = issued_lines(&world).await;
    assert_eq!(lines.iter().map(|(of, minor)| (of.len(), *minor)).collect::<Vec<_>>(), [(500, 41_500), (1, 83)]);
    assert_eq!(lines.into_iter().flat_map(|(of, _)| of).collect::<Vec<_>>(), entries, "each once");
    let events = world.events().await;
    let of = |event_type: &str| {
        let of = events.iter().filter(|event| event.event_type == event_type);
        of.map(|event| event.aggregate_id).collect::<BTreeSet<_>>()
    };
    assert_eq!(of("time.invoiced"), entries.iter().copied().collect());
    let count = |event_type: &str| events.iter().filter(|event| event.event_type == event_type).count();
    assert_eq!((count("time.invoiced"), count("project.time_billed")), (501, 501));
    assert_eq!((count("invoice.drafted"), count("invoice.issued")), (1, 1));
    assert_eq!((count("run.parked"), count("step.failed")), (0, 0));
    engine.stop().await;
}

#[test]
fn as_many_time_entries_as_an_event_tells_of_can_be_drafted() {
    let shipped = workflow_engine::shipped().iter().find(|(name, _)| *name == "time-threshold-reached.yaml").unwrap();
    let definition: Value = serde_saphyr::from_str(shipped.1).unwrap();
    let lines = &definition["actions"][0]["parameters"]["lines"];
    let batch = |n: u128| {
        let ids: Vec<Uuid> = (0..500).map(|id| Uuid::from_u128((n << 64) + id)).collect();
        json!({ "minutes": 720_000, "amount": eur(1_000), "time_entry_ids": ids })
    };
    let batches: Vec<Value> = (0..4).map(batch).collect();
    for (name, expected) in
        [("x".repeat(170), "x".repeat(170) + ": 720000 minutes"), ("é".repeat(200), "720000 minutes".to_owned())]
    {
        let event = json!({ "payload": { "name": name, "batches": batches } });
        let lines = workflow_engine::fill_in(lines, &event).unwrap();
        assert_eq!(lines.as_array().unwrap().len(), 4);
        for (line, batch) in lines.as_array().unwrap().iter().zip(&batches) {
            assert_eq!((&line["description"], &line["unit_price"]), (&json!(expected), &batch["amount"]));
            assert_eq!(line["source"], json!({ "kind": "time", "time_entry_ids": batch["time_entry_ids"] }));
        }
    }
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
