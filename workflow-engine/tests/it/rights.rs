//! What a definition's steps may do: what it says, which is no more than its publisher may; and how many runs may follow.

use crate::common::World;
use event_store::{ExecuteError, Request};
use kernel::{Actor, Permissions, TenantId};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;
use workflow::definition::DefinitionCommand;
use workflow::{Definition, RunStatus};
use workflow_engine::{Bounds, EngineOptions, PublishError};

fn on_client(name: &str, runs_as: Value, actions: Value) -> Value {
    json!({ "name": name, "runs_as": runs_as, "trigger": { "event_type": "client.created" }, "actions": actions })
}

fn tag(tag: &str) -> Value {
    json!({
        "type": "command", "command": "crm.client.tag", "target": "{{ event.aggregate_id }}", "parameters": { "tag": tag }
    })
}

fn notify() -> Value {
    json!({ "type": "notify", "to": "owner", "subject": "New", "body": "{{ event.payload.name }}" })
}

/// A definition in the log that nobody has checked, as a defect, an older program or a restored backup would leave one.
async fn unchecked(world: &World, document: &Value) -> Uuid {
    let runs_as = serde_json::from_value(document["runs_as"].clone()).unwrap();
    let command = DefinitionCommand::Publish {
        name: document["name"].as_str().unwrap().parse().unwrap(),
        description: None,
        runs_as,
        trigger_event_type: "client.created".into(),
        // What was parsed is kept by its hash.
        hash: document["name"].to_string(),
        document: document.clone(),
    };
    let request = Request::new(world.tenant, Actor::System { name: "test".into() });
    world.bus.store().execute::<Definition>(None, command, &request).await.unwrap().id
}

/// What stands on the firm's trail of refusals: who, what, why.
async fn refusals(world: &World, tenant: TenantId) -> Vec<(String, String, String, String, String)> {
    let sql = "select actor_kind, actor, permission, reason, detail from audit.refusals where tenant_id = $1 order by permission";
    sqlx::query_as(sql).bind(tenant.0).fetch_all(&world.superuser().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn t_30_a_step_beyond_what_its_definition_may_is_denied_parked_and_on_the_trail() {
    let world = World::new().await;
    let block = json!({
        "type": "command", "command": "crm.client.block", "target": "{{ event.aggregate_id }}", "parameters": { "reason": "none" }
    });
    // Denials win, and what is one's own is nobody's here.
    let runs_as = json!(["crm.client.tag", "crm.client.block:own", "crm.*", "!crm.client.block"]);
    unchecked(&world, &on_client("Beyond", runs_as, json!([tag("seen"), block, tag("done")]))).await;
    let engine = world.engine();
    let client = world.client("Ada").await.id;
    world.until("run.parked", 1).await;
    let run_id = world.runs().await[0];
    let run = world.show(run_id).await;
    assert_eq!(run.status(), RunStatus::Parked);
    assert_eq!(run.incident().map(|(step, code, _)| (step.as_str(), code)), Some(("step_1", "denied")), "{run:?}");
    assert_eq!((world.count("client.tagged").await, world.count("client.blocked").await), (1, 0));
    let found = refusals(&world, world.tenant).await;
    let [(kind, actor, permission, reason, detail)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((kind.as_str(), actor, permission.as_str()), ("workflow", &run_id.to_string(), "crm.client.block"));
    assert_eq!(reason, "forbidden");
    assert!(detail.starts_with("Beyond, version 1: "), "{detail}");

    // An operator's retry changes nothing about what it may; a skip goes on, and what it may is done.
    workflow_engine::retry(&world.bus, world.tenant, run_id, "try".parse().unwrap()).await.unwrap();
    world.until("run.parked", 2).await;
    assert_eq!(world.count("client.blocked").await, 0);
    workflow_engine::skip(&world.bus, world.tenant, run_id, json!(null), "not needed".parse().unwrap()).await.unwrap();
    world.until("run.succeeded", 1).await;
    assert_eq!(world.count("client.tagged").await, 2);
    assert_eq!(refusals(&world, world.tenant).await.len(), 1, "the same refusal within the hour is one");
    let blocked = world.send("crm.client.block", Some(client), json!({ "reason": "a person may" })).await;
    blocked.unwrap();
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_step_and_telling_somebody_are_bounded_like_any_other() {
    let world = World::new().await;
    unchecked(&world, &on_client("First", json!([]), json!([tag("a")]))).await;
    unchecked(&world, &on_client("Tells", json!(["crm.*"]), json!([notify()]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 2).await;
    assert_eq!((world.count("client.tagged").await, world.count("run.notification_requested").await), (0, 0));
    let permissions: Vec<String> = refusals(&world, world.tenant).await.into_iter().map(|row| row.2).collect();
    assert_eq!(permissions, ["crm.client.tag", "workflow.run.notify"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t_30_a_workflow_gives_nobody_what_it_does_not_have() {
    let world = World::new().await;
    let define = json!({
        "type": "command", "command": "identity.role.define",
        "parameters": { "name": "boss", "description": "Everything", "patterns": ["*"] }
    });
    world.publish(&on_client("Promote", json!(["identity.role.define"]), json!([define]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    let run = world.show(world.runs().await[0]).await;
    let incident = run.incident().map(|(_, code, _)| code);
    assert_eq!(incident, Some("identity.role.patterns_exceed_your_permissions"));
    assert_eq!(world.count("role.defined").await, 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t_30_a_publisher_gives_a_workflow_no_more_than_the_request_holds() {
    let world = World::new().await;
    let definition = on_client("Tags", json!(["crm.client.tag"]), json!([tag("a")])).to_string();
    let held = |patterns: &[&str]| Permissions::patterns(patterns.iter().copied());
    let publish = async |held: Permissions| {
        workflow_engine::publish_within(&world.bus, world.tenant, "test", &definition, Arc::new(held)).await
    };
    let all = ["workflow.*", "crm.*", "*.read"];
    for (held, code) in [
        (held(&["workflow.*", "*.read"]), "patterns_exceed_your_permissions"),
        (held(&["workflow.*", "*.read", "crm.*", "!crm.client.tag"]), "patterns_exceed_your_permissions"),
        (held(&["workflow.*", "*.read", "crm.client.tag:own"]), "patterns_exceed_your_permissions"),
        // A key's scopes bound what its owner holds.
        (held(&["*"]).within(["workflow.*", "*.read"]), "patterns_exceed_your_permissions"),
        (held(&["*"]).within(["workflow.*", "crm.client.tag"]), "event_exceeds_your_permissions"),
        // Whoever may not read clients learns nothing of them through a workflow.
        (held(&["workflow.*", "crm.client.tag"]), "event_exceeds_your_permissions"),
    ] {
        let error = publish(held.clone()).await.expect_err(code);
        let PublishError::Problems(problems) = &error else { panic!("{held:?}: {error}") };
        assert!(problems.iter().any(|problem| problem.code == code), "{held:?}: {problems:?}");
    }
    // Whoever has all of it still needs the permission to publish.
    let refused = publish(held(&["crm.*", "*.read"])).await.unwrap_err();
    assert!(matches!(refused, PublishError::Execute(ExecuteError::Denied)), "{refused}");
    assert_eq!(world.count("definition.published").await, 0);
    assert_eq!(publish(held(&all)).await.unwrap().version, 1);
    let engine = world.engine();
    world.client("Ada").await;
    world.until("client.tagged", 1).await;
    engine.stop().await;
}

/// Two definitions that answer every new client with another: twice as many after each.
async fn doubling(world: &World, tenant: TenantId) {
    let more = json!([
        { "type": "create_entity", "domain": "crm", "entity": "client", "parameters": { "name": "More" } },
    ]);
    for name in ["One", "Other"] {
        world.publish_for(tenant, &on_client(name, json!(["crm.client.create"]), more.clone())).await;
    }
}

/// The codes of all incidents of a firm, with how many runs each stopped.
async fn incidents(world: &World, tenant: TenantId) -> Vec<(String, usize)> {
    let mut counted = std::collections::BTreeMap::<String, usize>::new();
    for event in world.events().await.iter().filter(|e| e.event_type == "run.parked" && e.tenant_id == tenant) {
        let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
        *counted.entry(payload["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counted.into_iter().collect()
}

async fn runs_of(world: &World, tenant: TenantId) -> usize {
    world.events().await.iter().filter(|e| e.event_type == "run.started" && e.tenant_id == tenant).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn x_07_definitions_that_double_stop_at_the_bound_and_other_firms_go_on() {
    let world = World::new().await;
    let quiet = TenantId(Uuid::now_v7());
    doubling(&world, world.tenant).await;
    world.publish_for(quiet, &on_client("Tags", json!(["crm.client.tag"]), json!([tag("a")]))).await;
    let bounds = Bounds { per_trigger: 30, per_firm: 1_000 };
    let engine = world.engine_with(EngineOptions { bounds, ..EngineOptions::default() });
    world.client("Ada").await;
    world.send_as(quiet, "crm.client.create", None, json!({ "name": "Only one" })).await.unwrap();
    world.until("client.tagged", 1).await;
    world.until("run.parked", 30).await;
    // Two by the event itself, thirty that follow, and as many that stand still.
    world.until("run.succeeded", 2 + 30 + 1).await;
    world.only_parked().await;
    assert_eq!(incidents(&world, world.tenant).await, [("too_many_runs".to_owned(), 30)]);
    assert_eq!(runs_of(&world, world.tenant).await, 2 + 30 + 30);
    // Another request has a bound of its own, and so has the firm.
    world.client("Bob").await;
    world.until("run.parked", 60).await;
    assert_eq!(incidents(&world, quiet).await, []);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_07_a_firm_whose_runs_lead_to_too_many_within_an_hour_stops_by_itself() {
    let world = World::new().await;
    let other = TenantId(Uuid::now_v7());
    for tenant in [world.tenant, other] {
        doubling(&world, tenant).await;
    }
    let bounds = Bounds { per_trigger: 20, per_firm: 30 };
    let engine = world.engine_with(EngineOptions { bounds, ..EngineOptions::default() });
    world.client("Ada").await;
    world.until("run.parked", 20).await;
    world.only_parked().await;
    world.client("Bob").await;
    world.until("run.parked", 21).await;
    world.only_parked().await;
    let codes: Vec<String> = incidents(&world, world.tenant).await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["too_many_runs", "too_many_runs_of_firm"]);
    // What starts no runs of its own accord is not counted, and what another firm does is its own affair.
    world.send_as(other, "crm.client.create", None, json!({ "name": "Eve" })).await.unwrap();
    world.only_parked().await;
    let codes: Vec<String> = incidents(&world, other).await.into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["too_many_runs"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_starts_so_many_runs_and_no_more() {
    let world = World::new().await;
    for n in 0..12 {
        world.publish(&on_client(&format!("Tags {n}"), json!(["crm.client.tag"]), json!([tag("a")]))).await;
    }
    let bounds = Bounds { per_trigger: 5, per_firm: 1_000 };
    let engine = world.engine_with(EngineOptions { bounds, ..EngineOptions::default() });
    world.client("Ada").await;
    world.until("run.succeeded", 5).await;
    world.until("run.parked", 5).await;
    world.only_parked().await;
    assert_eq!(incidents(&world, world.tenant).await, [("too_many_runs".to_owned(), 5)]);
    assert_eq!(runs_of(&world, world.tenant).await, 10);
    engine.stop().await;
}
