//! What counts for a run is where an event stands in the log, whatever was read when: with an engine that is quick, that is
//! slow, that is stopped and that is killed, and with two of them.

use crate::common::World;
use event_store::RawEvent;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use workflow::RunStatus;
use workflow_engine::{Engine, EngineOptions, Events, PolledLog};

fn on_client(name: &str, actions: Value) -> Value {
    json!({ "name": name, "runs_as": ["*"], "trigger": { "event_type": "client.created" }, "actions": actions })
}

fn tag(tag: &str) -> Value {
    json!({ "type": "command", "command": "crm.client.tag", "target": "{{ trigger.aggregate_id }}", "parameters": { "tag": tag } })
}

fn wait_for_tag(tag: &str, timeout: Option<&str>) -> Value {
    let matching = format!("event.aggregate_id == trigger.aggregate_id && event.payload.tag == '{tag}'");
    let mut event = json!({ "event_type": "client.tagged", "match": matching });
    if let Some(timeout) = timeout {
        event["timeout"] = json!(timeout);
    }
    json!({ "type": "wait", "event": event })
}

fn unless_blocked(mut definition: Value) -> Value {
    definition["cancel_on"] = json!([{ "event_type": "client.blocked", "match": "event.aggregate_id == trigger.aggregate_id", "reason": "blocked" }]);
    definition
}

async fn block(world: &World, client: Uuid) {
    world.send("crm.client.block", Some(client), json!({ "reason": "no" })).await.unwrap();
}

async fn tagged(world: &World, client: Uuid, tag: &str) {
    world.send("crm.client.tag", Some(client), json!({ "tag": tag })).await.unwrap();
}

/// The log one event at a time, each a little later.
struct Slow(PolledLog, Duration);

impl Events for Slow {
    fn read(&self, after: i64, _: usize) -> BoxFuture<'_, anyhow::Result<Vec<Arc<RawEvent>>>> {
        Box::pin(async move {
            let events = self.0.read(after, 1).await?;
            tokio::time::sleep(self.1).await;
            Ok(events)
        })
    }
}

fn slow_engine(world: &World, pause: Duration) -> Engine {
    let options = EngineOptions { lease: Duration::from_millis(300), ..EngineOptions::default() };
    Engine::start(world.pool.clone(), world.bus.clone(), Arc::new(Slow(PolledLog(world.log.clone()), pause)), options)
}

/// Waits until so many runs have ended.
async fn ended(world: &World, runs: usize) {
    let are = async || world.count("run.cancelled").await + world.count("run.succeeded").await >= runs;
    world.eventually("runs that go on", are).await;
}

/// Waits until a step has put a tag on the client.
async fn asked(world: &World, client: Uuid) {
    let tagged =
        async || world.events().await.iter().any(|e| e.event_type == "client.tagged" && e.aggregate_id == client);
    world.eventually("nobody asked", tagged).await;
}

/// Where each run stands, once nothing moves any more.
async fn statuses(world: &World, runs: usize) -> Vec<RunStatus> {
    world.until("run.started", runs).await;
    let ids = world.runs().await;
    assert_eq!(ids.len(), runs);
    let mut statuses = vec![];
    for id in ids {
        statuses.push(world.show(id).await.status());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_clients_that_are_created_and_blocked_at_once_have_forty_cancelled_runs() {
    let world = World::new().await;
    let nap = json!({ "type": "wait", "for": "1h" });
    world.publish(&unless_blocked(on_client("Welcome", json!([nap, tag("welcome")])))).await;
    let engines = [world.engine(), world.engine()];
    let pairs = (0..40).map(async |n| {
        let client = world.client(&format!("Client {n}")).await.id;
        block(&world, client).await;
    });
    futures::future::join_all(pairs).await;
    world.until("run.cancelled", 40).await;
    assert_eq!(statuses(&world, 40).await, [RunStatus::Cancelled; 40]);
    world.until_idle().await;
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_bookings_that_are_cancelled_at_once_invite_nobody_afterwards() {
    let world = World::office(true).await;
    let engines = [slow_engine(&world, Duration::from_millis(1)), world.engine()];
    for slot in 0..40 {
        let booked = world.book(slot, &format!("ada{slot}@example.com")).await;
        let cancel = json!({ "by": "invitee" });
        world.send("scheduling.appointment.cancel", Some(booked.id), cancel).await.unwrap();
    }
    ended(&world, 40).await;
    world.until_idle().await;
    let events = world.events().await;
    let cancelled = |appointment: Uuid| {
        events
            .iter()
            .find(|e| e.event_type == "appointment.cancelled" && e.aggregate_id == appointment)
            .unwrap()
            .position
    };
    for id in world.runs().await {
        let run = world.show(id).await;
        let at = cancelled(run.trigger.as_ref().unwrap().aggregate_id);
        let ended = events.iter().find(|e| e.aggregate_id == id && e.event_type == "run.succeeded");
        assert!(ended.is_none_or(|ended| ended.position < at), "{:#?}", world.summary().await);
        // The one segment that was on its way has had its effect; nothing else but what takes back.
        let takes_back = ["portal_user.invitation_revoked", "folder.archived", "project.cancelled"];
        let later = events.iter().filter(|e| {
            matches!(e.metadata.actor, kernel::Actor::Workflow { run_id, .. } if run_id == id)
                && e.position > at
                && e.domain != "workflow"
                && !takes_back.contains(&e.event_type.as_str())
        });
        let units: std::collections::BTreeSet<_> = later.map(|e| e.metadata.unit.map(|unit| unit.id)).collect();
        assert!(units.len() <= 1, "{units:?} after {at}: {:#?}", world.summary().await);
    }
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_engine_stopped_in_between_the_cancelled_booking_does_nothing() {
    let world = World::office(true).await;
    for slot in 0..5 {
        let booked = world.book(slot, &format!("ada{slot}@example.com")).await;
        world.send("scheduling.appointment.cancel", Some(booked.id), json!({ "by": "invitee" })).await.unwrap();
    }
    // One that reads everything at once, and one that reads event by event.
    let engines = [world.engine(), slow_engine(&world, Duration::from_millis(20))];
    world.until("run.cancelled", 5).await;
    world.until_idle().await;
    assert_eq!(world.made().await, [0; 7], "{:#?}", world.summary().await);
    assert_eq!(statuses(&world, 5).await, [RunStatus::Cancelled; 5]);
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_before_the_trigger_cancels_nothing_and_neither_does_the_trigger_itself() {
    let world = World::new().await;
    let by_tag = json!({
        "name": "Tagged", "runs_as": ["*"], "trigger": { "event_type": "client.tagged" },
        "cancel_on": [{ "event_type": "client.tagged", "match": "event.aggregate_id == trigger.aggregate_id" }],
        "actions": [{ "type": "wait", "for": "1h" }],
    });
    world.publish(&by_tag).await;
    let ada = world.client("Ada").await.id;
    tagged(&world, ada, "a").await;
    let engine = world.engine();
    world.until("step.waiting", 1).await;
    assert_eq!(statuses(&world, 1).await, [RunStatus::Waiting]);
    // The next one starts a run and cancels the one before.
    tagged(&world, ada, "b").await;
    world.until("run.cancelled", 1).await;
    world.until("step.waiting", 2).await;
    let mut both = statuses(&world, 2).await;
    both.sort_by_key(|status| *status as u8);
    assert_eq!(both, [RunStatus::Waiting, RunStatus::Cancelled]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_what_a_step_gave_counts_from_the_trigger_on() {
    let world = World::new().await;
    // The contact is archived before the engine has written down that it was created.
    let create = json!({ "id": "contact", "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "Ada" } });
    let nap = json!({ "type": "wait", "for": "1h" });
    for (name, matching) in [
        ("One", "event.aggregate_id == steps.contact.result.id"),
        ("Any", "event.type == 'contact.archived' && steps.contact.result.id == event.aggregate_id + ''"),
    ] {
        let mut definition = on_client(name, json!([create, nap]));
        definition["cancel_on"] = json!([{ "event_type": "contact.archived", "match": matching }]);
        world.publish(&definition).await;
    }
    world.client("Ada").await;
    let engine = slow_engine(&world, Duration::from_millis(60));
    world.until("contact.created", 2).await;
    let events = world.events().await;
    for contact in events.iter().filter(|event| event.event_type == "contact.created") {
        world.send("crm.contact.archive", Some(contact.aggregate_id), json!({})).await.unwrap();
    }
    world.until("run.cancelled", 2).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_before_what_would_cancel_it_or_is_cancelled_before_its_next_segment() {
    let world = World::new().await;
    world.publish(&unless_blocked(on_client("Short", json!([tag("a")])))).await;
    let nap = json!({ "type": "wait", "until": "{{ timestamp(event.recorded_at) }}" });
    world.publish(&unless_blocked(on_client("Long", json!([tag("b"), nap, tag("c")])))).await;
    let engine = slow_engine(&world, Duration::from_millis(150));
    let ada = world.client("Ada").await.id;
    world.until("client.tagged", 1).await;
    block(&world, ada).await;
    ended(&world, 2).await;
    let events = world.events().await;
    let blocked = events.iter().find(|e| e.event_type == "client.blocked").unwrap().position;
    for run in world.runs().await {
        let own = |e: &&event_store::RawEvent| matches!(e.metadata.actor, kernel::Actor::Workflow { run_id, .. } if run_id == run);
        let told: Vec<_> = events.iter().filter(own).collect();
        let later: std::collections::BTreeSet<_> =
            told.iter().filter(|e| e.position > blocked).map(|e| e.metadata.unit.map(|unit| unit.id)).collect();
        // A step that waited is cancelled after its run.
        let ends = |e: &&&event_store::RawEvent| matches!(e.event_type.as_str(), "run.succeeded" | "run.cancelled");
        let end = told.iter().find(ends).unwrap();
        match end.event_type.as_str() {
            // Nothing that it did came after the block but what was on its way.
            "run.succeeded" => assert!(later.len() <= 1, "{told:#?}"),
            "run.cancelled" => assert!(end.position > blocked && later.len() <= 2, "{told:#?}"),
            other => panic!("{other}"),
        }
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_at_once_is_not_missed_however_slow_the_engine_is() {
    let world = World::new().await;
    world.publish(&on_client("First", json!([wait_for_tag("yes", None)]))).await;
    world.publish(&on_client("Second", json!([tag("asked"), wait_for_tag("yes", None)]))).await;
    let stopped = world.client("Stopped").await.id;
    let engine = slow_engine(&world, Duration::from_millis(15));
    for n in 0..10 {
        let client = world.client(&format!("Client {n}")).await.id;
        // Asked by the second definition, whose run has not told yet that it waits.
        asked(&world, client).await;
        tagged(&world, client, "yes").await;
    }
    tagged(&world, stopped, "yes").await;
    world.until("run.succeeded", 22).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_heard_by_all_who_wait_for_it_whatever_else_one_of_them_waits_for() {
    let world = World::new().await;
    let one = |name: &str, tag: &str| {
        let matching = format!("event.aggregate_id == trigger.aggregate_id && event.payload.tag == '{tag}'");
        json!({ "name": name, "event_type": "client.tagged", "match": matching })
    };
    for n in 0..4 {
        let any = json!({ "type": "wait", "any": [one("first", "never"), one("second", "no"), one("third", "yes")] });
        world.publish(&on_client(&format!("Any {n}"), json!([any]))).await;
        world.publish(&on_client(&format!("One {n}"), json!([wait_for_tag("yes", None)]))).await;
    }
    let engine = world.engine();
    let ada = world.client("Ada").await.id;
    world.until("step.waiting", 8).await;
    let caught_up = async || world.intake().await >= world.log.head().await.unwrap();
    world.eventually("the intake lags", caught_up).await;
    tagged(&world, ada, "yes").await;
    world.until("run.succeeded", 8).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_engine_stopped_after_the_trigger_the_first_step_still_hears_the_answer() {
    let world = World::new().await;
    world.publish(&on_client("First", json!([wait_for_tag("yes", Some("1h"))]))).await;
    let ada = world.client("Ada").await.id;
    tagged(&world, ada, "yes").await;
    let engine = world.engine();
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_came_before_the_step_does_not_count() {
    let world = World::new().await;
    let nap = json!({ "type": "wait", "until": "{{ timestamp(event.recorded_at) + duration('800ms') }}" });
    world.publish(&on_client("Nap", json!([nap, wait_for_tag("yes", None)]))).await;
    world.publish(&on_client("Asked", json!([tag("asked"), wait_for_tag("yes", None)]))).await;
    let engine = world.engine();
    let ada = world.client("Ada").await.id;
    world.until("step.waiting", 2).await;
    tagged(&world, ada, "yes").await;
    // The one that asked goes on, the one that slept begins to wait after that.
    world.until("run.succeeded", 1).await;
    world.until("step.waiting", 3).await;
    engine.stop().await;
    // Nor does what came between the trigger and a step's effect, with the engine stopped.
    let bob = world.client("Bob").await.id;
    tagged(&world, bob, "yes").await;
    let engine = world.engine();
    world.until("step.waiting", 6).await;
    let caught_up = async || world.intake().await >= world.log.head().await.unwrap();
    world.eventually("the intake lags", caught_up).await;
    assert_eq!(world.count("run.succeeded").await, 1, "{:#?}", world.summary().await);
    world.send("crm.client.untag", Some(bob), json!({ "tag": "yes" })).await.unwrap();
    tagged(&world, bob, "yes").await;
    world.until("run.succeeded", 3).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_in_time_counts_and_what_came_too_late_does_not_whenever_the_engine_looks() {
    let world = World::new().await;
    let ask = |name: &str| on_client(name, json!([wait_for_tag("yes", Some("2s")), tag("went_on")]));
    world.publish(&ask("Ask")).await;
    let engine = world.engine();
    let (early, late) = (world.client("Early").await.id, world.client("Late").await.id);
    world.until("step.waiting", 2).await;
    engine.stop().await;
    tagged(&world, early, "yes").await;
    let due = world.show(world.runs().await[1]).await.step_at("step_0").unwrap().due_at.unwrap().utc();
    world.eventually("it is not due", async || chrono::Utc::now() > due + chrono::TimeDelta::milliseconds(50)).await;
    tagged(&world, late, "yes").await;
    // The timers are over and the events unread: neither may be taken for the whole story.
    let engine = slow_engine(&world, Duration::from_millis(30));
    world.until("run.parked", 1).await;
    world.until("run.succeeded", 1).await;
    let runs = world.runs().await;
    let of = async |id: Uuid| {
        let run = world.show(id).await;
        (run.trigger.as_ref().unwrap().aggregate_id, run.status())
    };
    let mut both = [of(runs[0]).await, of(runs[1]).await];
    both.sort_by_key(|(client, _)| *client != early);
    assert_eq!(both, [(early, RunStatus::Succeeded), (late, RunStatus::Parked)]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_die_anywhere_miss_neither_the_answer_nor_the_end() {
    let world = World::new().await;
    world
        .publish(&unless_blocked(on_client("Ask", json!([tag("asked"), wait_for_tag("yes", None), tag("done")]))))
        .await;
    let mut expected = vec![];
    for round in 0..24_u64 {
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        process.spawn(engine_of_its_own(world.url("ubos_worker"), world.url("ubos_command")));
        let client = world.client(&format!("Client {round}")).await.id;
        tokio::time::sleep(Duration::from_millis(3 * (round % 12))).await;
        // Whichever comes first once it was asked decides; what comes before it was asked is no answer.
        let blocks = round % 2 == 0;
        if blocks {
            block(&world, client).await;
        } else {
            asked(&world, client).await;
            tagged(&world, client, "yes").await;
        }
        expected.push((client, if blocks { RunStatus::Cancelled } else { RunStatus::Succeeded }));
        process.shutdown_background();
    }
    let engine = world.engine();
    world.until("run.cancelled", 12).await;
    world.until("run.succeeded", 12).await;
    world.until_idle().await;
    for id in world.runs().await {
        let run = world.show(id).await;
        let client = run.trigger.as_ref().unwrap().aggregate_id;
        assert!(expected.contains(&(client, run.status())), "{client}: {:?}", run.status());
    }
    engine.stop().await;
}

/// An engine with connections of the runtime it is started on, as another process would have.
async fn engine_of_its_own(worker_url: String, command_url: String) {
    let pool = sqlx::PgPool::connect(&worker_url).await.expect("PostgreSQL answers");
    let command = sqlx::PgPool::connect(&command_url).await.expect("PostgreSQL answers");
    let mut bus =
        event_store::CommandBus::new(event_store::Store::start(command, event_store::StoreOptions::default()));
    registry::mount_all(&mut bus);
    let log = Arc::new(PolledLog(event_store::Log::new(pool.clone())));
    let options = EngineOptions { lease: Duration::from_millis(300), ..EngineOptions::default() };
    let _engine = Engine::start(pool, bus, log, options);
    std::future::pending::<()>().await;
}
