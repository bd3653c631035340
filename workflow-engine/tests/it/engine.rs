//! What definitions can say, and what the engine makes of it, on real PostgreSQL.

use crate::common::World;
use event_store::ExecuteError;
use kernel::TenantId;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;
use workflow::{RunStatus, StepStatus};
use workflow_engine::EngineOptions;

fn on_client(name: &str, actions: Value) -> Value {
    json!({ "name": name, "runs_as": ["*"], "trigger": { "event_type": "client.created" }, "actions": actions })
}

fn tag(tag: &str) -> Value {
    json!({
        "type": "command", "command": "crm.client.tag", "target": "{{ event.aggregate_id }}", "parameters": { "tag": tag }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_takes_its_time_and_outlives_the_engine() {
    let world = World::new().await;
    let until = "{{ timestamp(event.recorded_at) + duration('1500ms') }}";
    world.publish(&on_client("Later", json!([{ "type": "wait", "until": until }, tag("later")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    engine.stop().await;
    let engine = world.engine();
    world.until("run.succeeded", 1).await;
    let events = world.events().await;
    let at = |event_type: &str| events.iter().find(|e| e.event_type == event_type).unwrap().recorded_at;
    let waited = at("client.tagged") - at("client.created");
    assert!(waited >= chrono::TimeDelta::milliseconds(1_500), "{waited}");
    assert!(waited < chrono::TimeDelta::milliseconds(2_500), "{waited}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_an_event_takes_the_one_that_matches_and_no_other() {
    let world = World::new().await;
    let wait = json!({
        "id": "answer", "type": "wait",
        "event": { "event_type": "client.tagged", "match": "event.aggregate_id == trigger.aggregate_id && event.payload.tag == 'yes'" }
    });
    let rename = json!({
        "type": "command", "command": "crm.client.rename", "target": "{{ event.aggregate_id }}",
        "parameters": { "name": "{{ steps.answer.result.event.payload.tag }} {{ event.payload.name }}" }
    });
    world.publish(&on_client("Ask", json!([wait, rename]))).await;
    let engine = world.engine();
    let (ada, bob) = (world.client("Ada").await.id, world.client("Bob").await.id);
    world.until("step.waiting", 2).await;
    world.send("crm.client.tag", Some(ada), json!({ "tag": "no" })).await.unwrap();
    world.send("crm.client.tag", Some(ada), json!({ "tag": "yes" })).await.unwrap();
    world.until("run.succeeded", 1).await;
    let renamed: Vec<_> = world.events().await.into_iter().filter(|e| e.event_type == "client.renamed").collect();
    assert_eq!((renamed.len(), renamed[0].aggregate_id), (1, ada));
    assert!(renamed[0].payload.get().contains("yes Ada"));
    world.send("crm.client.tag", Some(bob), json!({ "tag": "yes" })).await.unwrap();
    world.until("run.succeeded", 2).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_come_in_time_is_a_failed_step() {
    let world = World::new().await;
    let wait = json!({
        "type": "wait", "event": { "event_type": "client.tagged", "match": "true", "timeout": "1s" }, "on_error": "continue"
    });
    let fallback = json!({ "type": "command", "command": "crm.client.block", "target": "{{ event.aggregate_id }}",
        "parameters": { "reason": "no answer" }, "when": "step[0].status == 'failed'" });
    world.publish(&on_client("Ask", json!([wait, fallback]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.succeeded", 1).await;
    assert_eq!(world.count("client.blocked").await, 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_decide_what_starts_and_what_is_left_out() {
    let world = World::new().await;
    let mut definition = on_client("Some", json!([tag("a"), tag("b")]));
    definition["trigger"]["condition"] = json!("event.payload.name.startsWith('A')");
    definition["actions"][0]["when"] = json!("event.payload.name.endsWith('!')");
    world.publish(&definition).await;
    let engine = world.engine();
    world.client("Bob").await;
    world.client("Ada").await;
    world.until("run.succeeded", 1).await;
    let runs = world.runs().await;
    assert_eq!(runs.len(), 1);
    let run = world.show(runs[0]).await;
    let statuses: Vec<_> = run.order.iter().map(|step| run.step_status(step)).collect();
    assert_eq!(statuses, [StepStatus::Skipped, StepStatus::Succeeded]);
    assert_eq!(world.count("client.tagged").await, 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_fails_is_an_incident_and_not_a_silence() {
    let world = World::new().await;
    let mut definition = on_client("Odd", json!([tag("a")]));
    definition["trigger"]["condition"] = json!("1 / (size(event.payload.name) - 3) > 0");
    world.publish(&definition).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    let run_id = world.runs().await[0];
    assert_eq!(world.show(run_id).await.status(), RunStatus::Parked);
    workflow_engine::retry(&world.bus, world.tenant, run_id, "do it anyway".parse().unwrap()).await.unwrap();
    world.until("run.succeeded", 1).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_told_by_an_event_of_the_run() {
    let world = World::new().await;
    world.register().await;
    let notify =
        json!({ "type": "notify", "to": "owner", "subject": "New: {{ event.payload.name }}", "body": "Hello" });
    world.publish(&on_client("Tell", json!([notify]))).await;
    let engine = world.engine();
    // What a user wrote is text, whatever it looks like.
    world.client("{{ run.id }}").await;
    world.until("run.succeeded", 1).await;
    let events = world.events().await;
    let told = events.iter().find(|event| event.event_type == "run.notification_requested").unwrap();
    assert!(told.payload.get().contains("New: {{ run.id }}"), "{}", told.payload.get());
    let sent = events.iter().find(|event| event.event_type == "notification.sent").unwrap();
    let payload: Value = serde_json::from_str(sent.payload.get()).unwrap();
    assert_eq!((&payload["user_id"], &payload["title"]), (&json!(crate::common::HOST), &json!("New: {{ run.id }}")));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_the_version_it_began_on() {
    let world = World::new().await;
    let nap =
        || json!({ "type": "wait", "event": { "event_type": "client.tagged", "match": "event.payload.tag == 'go'" } });
    let first = on_client("Change", json!([nap(), tag("one")]));
    let text = |definition: &Value| definition.to_string();
    let published = workflow_engine::publish(&world.bus, world.tenant, "test", &text(&first)).await.unwrap();
    assert_eq!((published.version, published.changed), (1, true));
    let again = workflow_engine::publish(&world.bus, world.tenant, "test", &text(&first)).await.unwrap();
    assert_eq!((again.version, again.changed, &again.hash), (1, false, &published.hash));
    let engine = world.engine();
    let ada = world.client("Ada").await.id;
    world.until("step.waiting", 1).await;
    let second = on_client("Change", json!([tag("two")]));
    let revised = workflow_engine::publish(&world.bus, world.tenant, "test", &text(&second)).await.unwrap();
    assert_eq!((revised.version, revised.changed, revised.id), (2, true, published.id));
    world.client("Bob").await;
    world.until("run.succeeded", 1).await;
    world.send("crm.client.tag", Some(ada), json!({ "tag": "go" })).await.unwrap();
    world.until("run.succeeded", 2).await;
    let mut tags: Vec<String> = world
        .events()
        .await
        .iter()
        .filter(|e| e.event_type == "client.tagged")
        .map(|e| serde_json::from_str::<Value>(e.payload.get()).unwrap()["tag"].as_str().unwrap().to_owned())
        .collect();
    tags.sort();
    assert_eq!(tags, ["go", "one", "two"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_definition_starts_nothing_until_it_is_resumed() {
    let world = World::new().await;
    let id = world.publish(&on_client("Pause", json!([tag("a")]))).await;
    let engine = world.engine();
    world.send("workflow.definition.pause", Some(id), json!({ "reason": "holidays" })).await.unwrap();
    world.client("Ada").await;
    world.send("workflow.definition.resume", Some(id), json!({})).await.unwrap();
    world.client("Bob").await;
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    assert_eq!(world.runs().await.len(), 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_07_definitions_that_start_each_other_end_in_an_incident() {
    let world = World::new().await;
    let more =
        json!({ "type": "create_entity", "domain": "crm", "entity": "client", "parameters": { "name": "More" } });
    world.publish(&on_client("Circle", json!([more]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    engine.stop().await;
    assert!(world.count("client.created").await < 30);
    let events = world.events().await;
    let parked = events.iter().find(|event| event.event_type == "run.parked").unwrap();
    assert!(parked.payload.get().contains("chain_too_long"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t_17_nobody_but_the_engine_starts_or_records_a_run() {
    let world = World::new().await;
    world.publish(&on_client("Own", json!([tag("a")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.succeeded", 1).await;
    let run = world.runs().await[0];
    let entries = json!({ "entries": [{ "kind": "finished" }] });
    let refused = world.send("workflow.run.record", Some(run), entries).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Rejected { code: "workflow.run.engine_only", .. }), "{refused:?}");
    let definition = json!({ "name": "x", "runs_as": [], "trigger_event_type": "client.created", "hash": "00", "document": { "runs_as": [] } });
    let refused = world.send("workflow.definition.publish", None, definition).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Rejected { code: "workflow.definition.not_validated", .. }), "{refused:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_s_events_start_and_resolve_nothing() {
    let world = World::new().await;
    let wait = json!({ "type": "wait", "event": { "event_type": "client.tagged", "match": "true" } });
    world.publish(&on_client("Mine", json!([wait]))).await;
    let engine = world.engine();
    let stranger = TenantId(Uuid::now_v7());
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    let theirs = world.send_as(stranger, "crm.client.create", None, json!({ "name": "Bob" })).await.unwrap().id;
    world.send_as(stranger, "crm.client.tag", Some(theirs), json!({ "tag": "x" })).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!((world.runs().await.len(), world.count("run.succeeded").await), (1, 0));
    let not_mine = workflow_engine::show(&world.bus, stranger, world.runs().await[0]).await;
    assert!(matches!(not_mine, Err(ExecuteError::NotFound)));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_a_thousand_runs_does_not_stand_before_another_s_first() {
    let world = World::new().await;
    let quiet = TenantId(Uuid::now_v7());
    for tenant in [world.tenant, quiet] {
        world.publish_for(tenant, &on_client("Tags", json!([tag("a"), tag("b")]))).await;
    }
    let clients = (0..600).map(|n| world.send("crm.client.create", None, json!({ "name": format!("Client {n}") })));
    for created in futures::future::join_all(clients).await {
        created.unwrap();
    }
    world.send_as(quiet, "crm.client.create", None, json!({ "name": "Only one" })).await.unwrap();
    let engine = world.engine_with(EngineOptions { runs_at_once: 4, ..EngineOptions::default() });
    let started = Instant::now();
    world.until("run.succeeded", 601).await;
    let events = world.events().await;
    let ended: Vec<TenantId> = events.iter().filter(|e| e.event_type == "run.succeeded").map(|e| e.tenant_id).collect();
    let place = ended.iter().position(|tenant| *tenant == quiet).unwrap();
    assert!(place < 400, "the quiet tenant's run was the {place}th of 601");
    println!("601 runs of 2 steps in {:?}, the quiet tenant's was number {place}", started.elapsed());
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_runs_at_once_neither_fill_the_engine_nor_stand_before_another_tenant() {
    let world = World::new().await;
    let quiet = TenantId(Uuid::now_v7());
    for tenant in [world.tenant, quiet] {
        world.publish_for(tenant, &on_client("Tags", json!([tag("a"), tag("b")]))).await;
    }
    for thousand in 0..10 {
        let name = |n: i32| json!({ "name": format!("Client {thousand} {n}") });
        let clients = (0..1_000).map(|n| world.send("crm.client.create", None, name(n)));
        for created in futures::future::join_all(clients).await {
            created.unwrap();
        }
    }
    let options = EngineOptions { runs_at_once: 32, ..EngineOptions::default() };
    let engine = world.engine_with(options.clone());
    let tasks = async |what: &str| -> i64 {
        let sql = format!("select count(*) from engine.tasks where {what}");
        sqlx::query_scalar(&sql).fetch_one(&world.pool).await.unwrap()
    };
    let begun = Instant::now();
    // The intake does not wait for the runs.
    while world.intake().await < world.log.head().await.unwrap() - 5_000 || tasks("true").await < 5_000 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the intake stands at {}", world.intake().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = Instant::now();
    for n in 0..10 {
        world.send_as(quiet, "crm.client.create", None, json!({ "name": format!("Quiet {n}") })).await.unwrap();
    }
    let ended = async |tenant: TenantId| -> i64 {
        let sql = "select count(*) from eventstore.events where event_type = 'run.succeeded' and tenant_id = $1";
        sqlx::query_scalar(sql).bind(tenant.0).fetch_one(&world.pool).await.unwrap()
    };
    let mut held_most = 0;
    while ended(quiet).await < 10 {
        held_most = held_most.max(tasks("lease is not null").await);
        assert!(asked.elapsed() < Duration::from_secs(60), "{} of the quiet tenant's runs ended", ended(quiet).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (took, others) = (asked.elapsed(), ended(world.tenant).await);
    println!(
        "the quiet tenant's runs took {took:?}, {others} of the other's 10,000 had ended, {held_most} held at most"
    );
    assert!(others < 9_000, "{others} of 10,000 runs came first");
    // Those that have ended are let go of together, a little later.
    assert!(held_most <= 3 * i64::try_from(options.runs_at_once).unwrap(), "{held_most} runs held at once");
    engine.stop().await;
    assert_eq!(tasks("lease is not null").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_stopped_gives_its_runs_back_at_once() {
    let world = World::new().await;
    world.publish(&on_client("Stop", json!([tag("a"), tag("b"), tag("c")]))).await;
    let long = EngineOptions { lease: Duration::from_secs(60), ..EngineOptions::default() };
    let engine = world.engine_with(long.clone());
    for n in 0..20 {
        world.client(&format!("Client {n}")).await;
    }
    engine.stop().await;
    let held: i64 = sqlx::query_scalar("select count(*) from engine.tasks where lease is not null")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(held, 0);
    let engine = world.engine_with(long);
    world.until("run.succeeded", 20).await;
    assert_eq!(world.count("client.tagged").await, 60);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_by_where_they_stand() {
    let world = World::new().await;
    let block = json!({ "type": "command", "command": "crm.client.block", "target": "{{ event.payload.email }}",
        "parameters": { "reason": "none" }, "when": "event.payload.email != null" });
    world.publish(&on_client("Some fail", json!([block]))).await;
    let engine = world.engine();
    world.client("Fine").await;
    let odd = json!({ "name": "Odd", "email": "odd@example.com" });
    world.send("crm.client.create", None, odd).await.unwrap();
    world.until("run.parked", 1).await;
    world.until("run.succeeded", 1).await;
    // A run that stands still at once is in the log before it is in the queue.
    world.only_parked().await;
    let list = async |status: Option<RunStatus>| {
        let filter = workflow_engine::RunFilter { tenant: Some(world.tenant), status, limit: None };
        workflow_engine::runs(&world.bus, &world.pool, &filter).await.unwrap()
    };
    assert_eq!(list(None).await.len(), 2);
    assert_eq!(list(Some(RunStatus::Succeeded)).await.len(), 1);
    let parked = list(Some(RunStatus::Parked)).await;
    assert_eq!((parked.len(), parked[0].workflow.as_str()), (1, "Some fail"));
    assert!(parked[0].error.as_deref().unwrap().starts_with("target_not_an_id: "), "{parked:?}");
    assert!(list(Some(RunStatus::Waiting)).await.is_empty());
    engine.stop().await;
}
