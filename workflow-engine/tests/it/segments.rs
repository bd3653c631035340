//! A run goes as far as it can in one append.

use crate::common::World;
use event_store::{CommandBus, RawEvent, Store, StoreOptions};
use kernel::Actor;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use workflow::RunStatus;
use workflow_engine::{Engine, EngineOptions, PolledLog};

fn on_client(name: &str, actions: Value) -> Value {
    json!({ "name": name, "runs_as": ["*"], "trigger": { "event_type": "client.created" }, "actions": actions })
}

fn tag(tag: &str) -> Value {
    json!({
        "type": "command", "command": "crm.client.tag", "target": "{{ event.aggregate_id }}", "parameters": { "tag": tag }
    })
}

fn four_tags() -> Value {
    on_client("Four tags", json!([tag("one"), tag("two"), tag("three"), tag("four")]))
}

/// Everything that a run did, its own events included.
fn by_run(events: &[RawEvent], run: Uuid) -> Vec<&RawEvent> {
    let own = |event: &&RawEvent| matches!(event.metadata.actor, Actor::Workflow { run_id, .. } if run_id == run);
    events.iter().filter(own).collect()
}

fn kinds<'a>(events: &[&'a RawEvent]) -> Vec<&'a str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

/// The appends of a run's events, by their units.
fn appends(events: &[&RawEvent]) -> usize {
    let units: BTreeSet<Uuid> = events.iter().filter_map(|event| Some(event.metadata.unit?.id)).collect();
    units.len() + events.iter().filter(|event| event.metadata.unit.is_none()).count()
}

/// A run's effects are in the log with the record of them or not at all.
fn assert_whole(events: &[RawEvent]) {
    let mut units: BTreeMap<Uuid, Vec<&RawEvent>> = BTreeMap::new();
    for event in events {
        match event.metadata.unit {
            Some(unit) => units.entry(unit.id).or_default().push(event),
            None => assert!(
                event.domain == "workflow" || !matches!(event.metadata.actor, Actor::Workflow { .. }),
                "{} of a run stands alone",
                event.event_type
            ),
        }
    }
    for unit in units.values().filter(|unit| matches!(unit[0].metadata.actor, Actor::Workflow { .. })) {
        assert!(unit.iter().any(|event| event.aggregate_type == "workflow.run"), "{:?}", kinds(unit));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_four_commands_is_one_append() {
    let world = World::new().await;
    world.publish(&four_tags()).await;
    let engine = world.engine();
    let client = world.client("Ada").await;
    world.until("run.succeeded", 1).await;
    let events = world.events().await;
    let run = world.runs().await[0];
    let told = by_run(&events, run);
    let step = ["client.tagged", "step.succeeded"];
    let expected: Vec<&str> = ["run.started"].into_iter().chain([step; 4].concat()).chain(["run.succeeded"]).collect();
    assert_eq!(kinds(&told), expected);
    assert_eq!(appends(&told), 1, "{told:#?}");
    let unit = told[0].metadata.unit.unwrap();
    assert_eq!((unit.index, unit.size), (1, 10));
    assert!(told.windows(2).all(|pair| pair[0].position + 1 == pair[1].position));
    // Each says on whose behalf, and because of what.
    let created = events.iter().find(|event| event.position == client.position).unwrap();
    for event in told {
        assert_eq!(event.metadata.causation_id, Some(created.event_id));
        assert_eq!(event.metadata.correlation_id, created.metadata.correlation_id);
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_ends_where_a_run_waits_and_before_what_is_refused() {
    let world = World::new().await;
    let nap = json!({ "type": "wait", "until": "{{ timestamp(event.recorded_at) }}" });
    world.publish(&on_client("Naps", json!([tag("a"), tag("b"), nap, tag("c"), tag("d")]))).await;
    // A client that was created is a prospect, and does not become dormant.
    let refused = json!({ "type": "command", "command": "crm.client.change_status", "on_error": "continue",
        "target": "{{ event.aggregate_id }}", "parameters": { "status": "dormant" } });
    let contact =
        json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "Ada" } });
    world.publish(&on_client("Refused", json!([refused, contact, refused, contact]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.succeeded", 2).await;
    let events = world.events().await;
    for run in world.runs().await {
        let told = by_run(&events, run);
        if told.iter().any(|event| event.event_type == "step.waiting") {
            assert_eq!(appends(&told), 2, "{:?}", kinds(&told));
        } else {
            let expected = [
                "run.started",
                "step.failed",
                "contact.created",
                "step.succeeded",
                "step.failed",
                "contact.created",
                "step.succeeded",
                "run.succeeded",
            ];
            assert_eq!(kinds(&told), expected);
            // What is refused before anything was done is refused; after that, what was done is in the log first.
            let units: Vec<Uuid> = told.iter().map(|event| event.metadata.unit.unwrap().id).collect();
            assert!(units[..4].iter().all(|unit| *unit == units[0]) && units[4..].iter().all(|unit| *unit == units[4]));
            assert_eq!(appends(&told), 2);
        }
    }
    assert_whole(&events);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_loop_is_a_few_appends_none_of_which_is_too_large() {
    let world = World::new().await;
    let contact = |name: &str| json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": name } });
    let items = json!((0..100).collect::<Vec<_>>()).to_string();
    let each = |parallel: u32| json!({ "type": "for_each", "items": items, "parallel": parallel, "actions": [contact("{{ string(item) }}")] });
    world.publish(&on_client("In turn", json!([each(1)]))).await;
    world.publish(&on_client("At once", json!([each(20)]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.succeeded", 2).await;
    let events = world.events().await;
    for run in world.runs().await {
        let told = by_run(&events, run);
        let made = told.iter().filter(|event| event.event_type == "contact.created").count();
        assert_eq!(made, 100);
        assert!(appends(&told) <= 6, "{} appends", appends(&told));
        assert!(told.iter().all(|event| event.metadata.unit.is_none_or(|unit| unit.size <= 100)));
    }
    assert_whole(&events);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_that_look_for_the_same_contact_find_or_make_one() {
    let world = World::new().await;
    let contact = json!({ "id": "contact", "type": "create_entity", "domain": "crm", "entity": "contact", "match": true,
        "parameters": { "name": "Ada", "email": "ada@example.com" } });
    let mut tagged = tag("seen");
    tagged["when"] = json!("steps.contact.result.created");
    world.publish(&on_client("Match", json!([tag("first"), contact, tagged, tag("last")]))).await;
    let engines = [world.engine(), world.engine()];
    let clients = (0..30).map(|n| world.send("crm.client.create", None, json!({ "name": format!("Client {n}") })));
    futures::future::join_all(clients).await.into_iter().for_each(|created| drop(created.unwrap()));
    world.until("run.succeeded", 30).await;
    assert_eq!(world.count("contact.created").await, 1);
    assert_eq!(world.count("client.tagged").await, 2 * 30 + 1, "only who made it has seen it made");
    assert_eq!(world.count("step.failed").await, 0);
    let events = world.events().await;
    let made = events.iter().find(|event| event.event_type == "contact.created").unwrap().aggregate_id;
    for run in world.runs().await {
        let contact = world.show(run).await.step_at("contact").unwrap().result.expose().cloned().unwrap();
        assert_eq!(contact["id"], json!(made));
    }
    assert_whole(&events);
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_all_change_one_record_come_to_their_end() {
    let world = World::new().await;
    let board = world.client("Board").await.id;
    let note = |which: &str| {
        json!({ "type": "command", "command": "crm.client.rename", "target": board.to_string(),
            "parameters": { "name": format!("{which} of {{{{ event.payload.name }}}}") } })
    };
    let mut definition = on_client("Notes", json!([tag("a"), note("one"), note("two"), tag("b")]));
    definition["retry"] = json!({ "max_attempts": 50, "initial_ms": 5, "cap_ms": 50 });
    world.publish(&definition).await;
    let engines = [world.engine(), world.engine()];
    let clients = (0..40).map(|n| world.send("crm.client.create", None, json!({ "name": n.to_string() })));
    futures::future::join_all(clients).await.into_iter().for_each(|created| drop(created.unwrap()));
    world.until("run.succeeded", 40).await;
    let events = world.events().await;
    let notes = events.iter().filter(|event| event.event_type == "client.renamed" && event.aggregate_id == board);
    assert_eq!(notes.count(), 80);
    assert_eq!(world.count("step.failed").await, 0);
    assert_whole(&events);
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_comes_before_a_segment_or_after_it_and_never_into_it() {
    let world = World::new().await;
    let undone = |tag: &str| {
        json!({ "type": "command", "command": "crm.client.tag", "target": "{{ event.aggregate_id }}",
        "parameters": { "tag": tag },
        "undo": { "command": "crm.client.untag", "target": "{{ event.aggregate_id }}", "parameters": { "tag": tag } } })
    };
    let go = json!({ "type": "wait", "any": [{ "name": "go", "signal": true }] });
    world.publish(&on_client("Race", json!([go, undone("a"), undone("b"), undone("c")]))).await;
    let engines = [world.engine(), world.engine()];
    let clients = (0..40).map(|n| world.send("crm.client.create", None, json!({ "name": format!("Client {n}") })));
    futures::future::join_all(clients).await.into_iter().for_each(|created| drop(created.unwrap()));
    world.until("step.waiting", 40).await;
    let races = world.runs().await.into_iter().enumerate().map(async |(n, run)| {
        let world = &world;
        world.send("workflow.run.signal", Some(run), json!({ "name": "go" })).await.unwrap();
        tokio::time::sleep(Duration::from_micros(500 * n as u64)).await;
        let cancelled = world.send("workflow.run.cancel", Some(run), json!({ "reason": "no" })).await;
        // The run was faster: then all that it did stays.
        cancelled.map(|_| run).map_err(|_| run)
    });
    let races = futures::future::join_all(races).await;
    world.until_idle().await;
    let events = world.events().await;
    for race in races {
        let (run, expected) = match race {
            Ok(run) => (run, world.show(run).await.status()),
            Err(run) => (run, RunStatus::Succeeded),
        };
        let told = by_run(&events, run);
        let count = |kind: &str| told.iter().filter(|event| event.event_type == kind).count();
        let (done, undone) = (count("client.tagged"), count("client.untagged"));
        assert!(done == 0 || done == 3, "{done} of three");
        assert_eq!(undone, if expected == RunStatus::Succeeded { 0 } else { done });
        assert_eq!(world.show(run).await.status(), expected);
    }
    assert_whole(&events);
    for engine in engines {
        engine.stop().await;
    }
}

/// Where the engine that is to die finds the database.
const DATABASE: &str = "UBOS_TEST_DYING_ENGINE";

/// What the process does that is to die; in any other it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_that_dies() {
    let Ok(urls) = std::env::var(DATABASE) else { return };
    let (worker, command) = urls.split_once(' ').unwrap();
    let pool = sqlx::PgPool::connect(worker).await.unwrap();
    let store = Store::start(sqlx::PgPool::connect(command).await.unwrap(), StoreOptions::default());
    let mut bus = CommandBus::new(store);
    registry::mount_all(&mut bus);
    let log = Arc::new(PolledLog(event_store::Log::new(pool.clone())));
    let options = EngineOptions { lease: Duration::from_millis(300), ..EngineOptions::default() };
    let _engine = Engine::start(pool, bus, log, options);
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_with_a_segment_leaves_all_of_it_or_nothing() {
    for (point, left) in
        [("workflow.decided", 0), ("append.unit_sending", 0), ("append.unit_committed", 10), ("workflow.appended", 10)]
    {
        let world = World::new().await;
        world.publish(&four_tags()).await;
        world.client("Ada").await;
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "segments::the_engine_that_dies"])
            .env(DATABASE, format!("{} {}", world.url("ubos_worker"), world.url("ubos_command")))
            .env("UBOS_CRASH_AT", format!("{point}:1"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        // A test that fails ends with a code; this one must not have ended by itself.
        assert_eq!(died.code(), None, "{point}");
        let of_runs = |events: &[RawEvent]| {
            events.iter().filter(|event| matches!(event.metadata.actor, Actor::Workflow { .. })).count()
        };
        assert_eq!(of_runs(&world.events().await), left, "{point}");
        let engine = world.engine();
        world.until("run.succeeded", 1).await;
        world.until_idle().await;
        let events = world.events().await;
        assert_eq!((of_runs(&events), world.count("client.tagged").await), (10, 4), "{point}");
        assert_eq!(appends(&by_run(&events, world.runs().await[0])), 1, "{point}");
        engine.stop().await;
    }
}
