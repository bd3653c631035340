//! Every kind of action, what takes it back, and how runs for the same thing get along, on real PostgreSQL.

use crate::common::World;
use event_store::{ExecuteError, Request};
use kernel::{Actor, Permissions, UserId};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;
use workflow::StepStatus;
use workflow_engine::{Asked, RunStatus, StepPath, Verb};

fn on_client(name: &str, actions: Value) -> Value {
    json!({ "name": name, "runs_as": ["*"], "trigger": { "event_type": "client.created" }, "actions": actions })
}

fn tag(id: &str, tag: &str) -> Value {
    json!({ "id": id, "type": "command", "command": "crm.client.tag", "target": "{{ trigger.aggregate_id }}", "parameters": { "tag": tag },
        "undo": { "command": "crm.client.untag", "target": "{{ trigger.aggregate_id }}", "parameters": { "tag": tag } } })
}

fn contact(name: &str) -> Value {
    json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": name } })
}

fn until_go(id: &str) -> Value {
    json!({ "id": id, "type": "wait", "any": [{ "name": "go", "signal": true }] })
}

fn path(text: &str) -> StepPath {
    text.parse().unwrap()
}

/// What happened to clients and contacts, in order: event and the text that it is about.
async fn done(world: &World) -> Vec<String> {
    let events = world.events().await;
    let told = events.iter().filter_map(|event| {
        let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
        match event.event_type.as_str() {
            "client.tagged" => Some(format!("+{}", payload["tag"].as_str()?)),
            "client.untagged" => Some(format!("-{}", payload["tag"].as_str()?)),
            "contact.created" => Some(payload["name"].as_str()?.to_owned()),
            _ => None,
        }
    });
    told.collect()
}

async fn result(world: &World, run: Uuid, step: &str) -> Value {
    world.show(run).await.step_at(step).unwrap().result.expose().cloned().unwrap_or_default()
}

async fn signal(world: &World, run: Uuid, name: &str) {
    let body = json!({ "name": name, "payload": { "by": "Ada" } });
    world.send("workflow.run.signal", Some(run), body).await.unwrap();
}

fn asked(world: &World, run: Uuid) -> Asked {
    Asked { tenant: world.tenant, run, reason: "an operator says so".parse().unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_several_things_ends_a_wait_and_says_which_it_was() {
    let world = World::new().await;
    let about = |tag: &str| format!("event.aggregate_id == trigger.aggregate_id && event.payload.tag == '{tag}'");
    let any = json!({ "id": "answer", "type": "wait", "any": [
        { "name": "signed", "event_type": "client.tagged", "match": about("signed") },
        { "name": "declined", "event_type": "client.tagged", "match": about("declined") },
        { "name": "called_off", "signal": true },
        { "name": "late", "until": "{{ timestamp(event.recorded_at) + (event.payload.name == 'Late' ? duration('1s') : duration('1000h')) }}" },
    ] });
    let after = json!({ "type": "create_entity", "domain": "crm", "entity": "contact",
        "parameters": { "name": "{{ event.payload.name + ' ' + steps.answer.result.came }}" } });
    world.publish(&on_client("Ask", json!([any, after]))).await;
    let engine = world.engine();
    let mut clients = vec![];
    for name in ["Signs", "Declines", "Calls off", "Late"] {
        clients.push(world.client(name).await.id);
    }
    world.until("step.waiting", 4).await;
    // Of two that come, the first counts.
    for (client, tag) in [(0, "signed"), (0, "declined"), (1, "declined"), (1, "signed")] {
        world.send("crm.client.tag", Some(clients[client]), json!({ "tag": tag })).await.unwrap();
    }
    for run in world.runs().await {
        if world.show(run).await.trigger.as_ref().unwrap().aggregate_id == clients[2] {
            signal(&world, run, "called_off").await;
            world.until("run.succeeded", 3).await;
            assert_eq!(result(&world, run, "answer").await, json!({ "came": "called_off", "signal": { "by": "Ada" } }));
        }
    }
    world.until("run.succeeded", 4).await;
    world.until_idle().await;
    let mut names: Vec<String> = done(&world).await.into_iter().filter(|text| text.contains(' ')).collect();
    names.sort();
    assert_eq!(names, ["Calls off called_off", "Declines declined", "Late late", "Signs signed"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_before_anybody_waits_for_it_is_kept() {
    let world = World::new().await;
    world.publish(&on_client("Early", json!([until_go("first"), until_go("second")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    let run = world.runs().await[0];
    signal(&world, run, "go").await;
    signal(&world, run, "go").await;
    world.until("run.succeeded", 1).await;
    let ended = world.send("workflow.run.signal", Some(run), json!({ "name": "go" })).await.unwrap_err();
    assert!(matches!(ended, ExecuteError::Rejected { code: "workflow.run.ended", .. }), "{ended:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_takes_the_first_case_that_holds_and_leaves_the_others_out() {
    let world = World::new().await;
    let choice = json!({ "id": "size", "type": "choose", "cases": [
        { "name": "small", "when": "size(event.payload.name) < 4", "actions": [tag("few", "small")] },
        { "name": "middle", "when": "size(event.payload.name) < 8", "actions": [tag("some", "middle"), tag("more", "more")] },
    ], "otherwise": [tag("many", "large")] });
    let after = json!({ "type": "create_entity", "domain": "crm", "entity": "contact",
        "parameters": { "name": "{{ steps.size.result.case + ' ' + steps.some.status }}" } });
    world.publish(&on_client("Size", json!([choice, after]))).await;
    let engine = world.engine();
    for (n, (name, expected)) in [("Ada", 1), ("Byron", 2), ("Lovelace & Sons", 3)].into_iter().enumerate() {
        world.client(name).await;
        world.until("run.succeeded", n + 1).await;
        assert_eq!(world.count("step.chosen").await, expected);
    }
    let expected = ["+small", "small skipped", "+middle", "+more", "middle succeeded", "+large", "otherwise skipped"];
    assert_eq!(done(&world).await, expected);
    let run = world.show(world.runs().await[0]).await;
    assert_eq!(run.step_status("size.few"), StepStatus::Succeeded);
    assert_eq!(run.step_status("size.many"), StepStatus::Skipped);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_goes_over_its_items_in_turn_or_so_many_at_once() {
    let world = World::new().await;
    let named = json!({ "id": "made", "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "{{ item.name + ' ' + string(index) }}" } });
    let each = |parallel: u32| {
        json!({ "id": "each", "type": "for_each", "items": "['a', 'b', 'c'].map(n, {'name': n})",
        "parallel": parallel, "actions": [named, until_go("pause")] })
    };
    world.publish(&on_client("In turn", json!([each(1)]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    let run = world.runs().await[0];
    assert_eq!(done(&world).await, ["a 0"]);
    for round in 1..=3 {
        signal(&world, run, "go").await;
        if round < 3 {
            world.until("step.waiting", round + 1).await;
        }
    }
    world.until("run.succeeded", 1).await;
    assert_eq!(done(&world).await, ["a 0", "b 1", "c 2"]);
    assert_eq!(result(&world, run, "each").await, json!({ "count": 3, "failed": 0 }));
    assert_eq!(world.show(run).await.step_status("each[2].pause"), StepStatus::Succeeded);
    world.publish(&on_client("In turn", json!([each(2)]))).await;
    world.client("Bob").await;
    world.until("step.waiting", 5).await;
    let run = *world.runs().await.last().unwrap();
    assert_eq!(world.show(run).await.progress.waiting, [path("each[0].pause"), path("each[1].pause")].into());
    // Both rounds wait for the signal; it ends one of them, and the next round begins.
    signal(&world, run, "go").await;
    world.until("step.waiting", 6).await;
    assert_eq!(world.show(run).await.progress.waiting.len(), 2);
    signal(&world, run, "go").await;
    signal(&world, run, "go").await;
    world.until("run.succeeded", 2).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_over_too_much_or_over_nothing_says_so() {
    let world = World::new().await;
    let each = |items: &str| json!({ "type": "for_each", "items": items, "at_most": 2, "actions": [contact("x")] });
    world.publish(&on_client("Many", json!([each("[1, 2, 3]")]))).await;
    world.publish(&on_client("Text", json!([each("event.payload.name")]))).await;
    world.publish(&on_client("None", json!([each("[]")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 2).await;
    world.until("run.succeeded", 1).await;
    let mut codes = vec![];
    for run in world.runs().await {
        codes.extend(world.show(run).await.incident().map(|(_, code, _)| code.to_owned()));
    }
    codes.sort();
    assert_eq!(codes, ["items_not_a_list", "too_many_items"]);
    assert_eq!(done(&world).await, [""; 0]);
    engine.stop().await;
}

async fn decide(world: &World, user: u128, held: &[&str], verb: &str, run: Uuid) -> Result<(), ExecuteError> {
    let info = world.bus.command(&format!("workflow.run.{verb}")).unwrap();
    let actor = Actor::User { id: UserId(Uuid::from_u128(user)) };
    let held = Permissions::patterns(held.iter().copied().chain(["workflow.run.*"]));
    let request = Request { permissions: Some(Arc::new(held)), ..Request::new(world.tenant, actor) };
    let mut body = json!({ "step": "ask" });
    if verb == "delegate" {
        body = json!({ "step": "ask", "to_user_id": Uuid::from_u128(9), "reason": "on leave" });
    }
    world.bus.execute(info, Some(run), body.to_string(), request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_decided_by_those_whom_the_definition_names() {
    let world = World::new().await;
    let ask = json!({ "id": "ask", "type": "approval", "question": "Block {{ event.payload.name }}?",
        "approvers": ["crm.client.block"], "quorum": 2 });
    let blocked = json!({ "type": "command", "command": "crm.client.block", "target": "{{ event.aggregate_id }}",
        "parameters": { "reason": "decided" }, "when": "steps.ask.result.decision == 'approved'" });
    world.publish(&on_client("Ask", json!([ask, blocked]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("approval.requested", 1).await;
    let run = world.runs().await[0];
    let refused = decide(&world, 1, &["files.*"], "approve", run).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Rejected { code: "workflow.run.not_for_you", .. }), "{refused:?}");
    decide(&world, 1, &["crm.*"], "approve", run).await.unwrap();
    decide(&world, 1, &["crm.*"], "delegate", run).await.unwrap();
    assert_eq!(world.show(run).await.status(), RunStatus::Waiting);
    // Whoever was named by somebody who may, may too.
    decide(&world, 9, &[], "approve", run).await.unwrap();
    world.until("run.succeeded", 1).await;
    assert_eq!(world.count("client.blocked").await, 1);
    let late = decide(&world, 2, &["crm.*"], "approve", run).await.unwrap_err();
    assert!(matches!(late, ExecuteError::Rejected { code: "workflow.run.ended", .. }), "{late:?}");
    world.client("Bob").await;
    world.until("approval.requested", 2).await;
    let run = world.runs().await[1];
    decide(&world, 1, &["crm.*"], "reject", run).await.unwrap();
    world.until("run.succeeded", 2).await;
    assert_eq!(
        (world.count("client.blocked").await, result(&world, run, "ask").await["decision"].clone()),
        (1, json!("rejected"))
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_answers_is_asked_again_and_of_others_and_expires() {
    let world = World::new().await;
    let ask = json!({ "id": "ask", "type": "approval", "question": "Well?", "approvers": ["crm.client.block"],
        "remind_every": "1s", "escalate": { "after": "1s", "to": ["files.folder.archive"] }, "expire_after": "4s" });
    world.publish(&on_client("Ask", json!([ask]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("approval.reminded", 1).await;
    world.until("approval.escalated", 1).await;
    let run = world.runs().await[0];
    assert!(decide(&world, 1, &["projects.*"], "approve", run).await.is_err());
    world.until("run.succeeded", 1).await;
    assert_eq!(result(&world, run, "ask").await["decision"], "expired");
    assert_eq!(world.count("approval.escalated").await, 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_did_is_taken_back_last_first_when_it_is_cancelled() {
    let world = World::new().await;
    let kept = contact("kept");
    let each = json!({ "id": "each", "type": "for_each", "items": "['x', 'y']", "actions": [tag_of_item()] });
    let mut definition = on_client("Back", json!([tag("one", "a"), kept, tag("two", "b"), each, until_go("pause")]));
    definition["cancel_on"] =
        json!([{ "event_type": "client.status_changed", "match": "event.aggregate_id == trigger.aggregate_id" }]);
    world.publish(&definition).await;
    let engine = world.engine();
    let ada = world.client("Ada").await.id;
    world.until("step.waiting", 1).await;
    world.send("crm.client.change_status", Some(ada), json!({ "status": "onboarding" })).await.unwrap();
    world.until("run.compensated", 1).await;
    world.until_idle().await;
    assert_eq!(done(&world).await, ["+a", "kept", "+b", "+x", "+y", "-y", "-x", "-b", "-a"]);
    let run = world.show(world.runs().await[0]).await;
    assert_eq!((run.status(), run.step_status("pause")), (RunStatus::Compensated, StepStatus::Cancelled));
    assert_eq!(run.step_status("each[1].tag.undo"), StepStatus::Succeeded);
    // What is taken back is taken back once.
    let again = workflow_engine::ask(&world.bus, asked(&world, world.runs().await[0]), Verb::Compensate).await.unwrap();
    assert_eq!(
        again.version,
        world.events().await.iter().filter(|e| e.aggregate_type == "workflow.run").count() as i64
    );
    engine.stop().await;
}

fn tag_of_item() -> Value {
    json!({ "id": "tag", "type": "command", "command": "crm.client.tag", "target": "{{ trigger.aggregate_id }}",
        "parameters": { "tag": "{{ item }}" },
        "undo": { "command": "crm.client.untag", "target": "{{ trigger.aggregate_id }}", "parameters": { "tag": "{{ item }}" }, "when": "result.version > 0" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_succeeded_is_taken_back_when_an_operator_or_an_event_says_so() {
    let world = World::new().await;
    let mut definition = on_client("Back", json!([tag("one", "a"), tag("two", "b")]));
    definition["cancel_on"] =
        json!([{ "event_type": "client.status_changed", "match": "event.aggregate_id == trigger.aggregate_id" }]);
    world.publish(&definition).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    let run = world.runs().await[0];
    workflow_engine::ask(&world.bus, asked(&world, run), Verb::Compensate).await.unwrap();
    world.until("run.compensated", 1).await;
    assert_eq!(done(&world).await, ["+a", "+b", "-b", "-a"]);
    let bob = world.client("Bob").await.id;
    world.until("run.succeeded", 2).await;
    world.until_idle().await;
    engine.stop().await;
    // Nobody remembers the run but the log.
    world.send("crm.client.change_status", Some(bob), json!({ "status": "onboarding" })).await.unwrap();
    let engine = world.engine();
    world.until("run.compensated", 2).await;
    world.until_idle().await;
    assert_eq!(done(&world).await[4..], ["+a", "+b", "-b", "-a"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_is_an_incident_and_goes_on_when_somebody_has_seen_to_it() {
    let world = World::new().await;
    let mut first = tag("one", "a");
    first["undo"] = json!({ "command": "crm.client.change_status", "target": "{{ trigger.aggregate_id }}", "parameters": { "status": "dormant" } });
    world.publish(&on_client("Back", json!([tag("zero", "z"), first, until_go("pause")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    let run = world.runs().await[0];
    workflow_engine::cancel(&world.bus, world.tenant, run, "no".parse().unwrap()).await.unwrap();
    world.until("run.parked", 1).await;
    let shown = world.show(run).await;
    assert_eq!((shown.status(), shown.incident().unwrap().0.as_str()), (RunStatus::Parked, "one.undo"));
    workflow_engine::skip(&world.bus, world.tenant, run, Value::Null, "by hand".parse().unwrap()).await.unwrap();
    world.until("run.compensated", 1).await;
    assert_eq!(done(&world).await, ["+z", "+a", "-z"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_cancels_and_lets_stay_what_was_done() {
    let world = World::new().await;
    world.publish(&on_client("Stay", json!([tag("one", "a"), until_go("pause")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    let run = world.runs().await[0];
    workflow_engine::ask(&world.bus, asked(&world, run), Verb::Cancel { keep: true }).await.unwrap();
    world.until_idle().await;
    assert_eq!((world.show(run).await.status(), done(&world).await), (RunStatus::Cancelled, vec!["+a".to_owned()]));
    engine.stop().await;
}

fn correlated(name: &str, policy: &str) -> Value {
    let mut definition = on_client(name, json!([tag("one", "a"), until_go("pause")]));
    definition["correlation"] = json!({ "key": "event.payload.kind", "policy": policy });
    definition
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_skipped_while_another_for_the_same_goes_on() {
    let world = World::new().await;
    world.publish(&correlated("Skip", "skip_if_running")).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    world.client("Bob").await;
    let read = async || world.intake().await >= world.log.head().await.unwrap();
    world.eventually("the intake lags", read).await;
    let tasks = async || sqlx::query_scalar::<_, i64>("select count(*) from engine.tasks").fetch_one(&world.pool).await;
    world.eventually("nobody is skipped", async || tasks().await.unwrap() == 1).await;
    let run = world.runs().await[0];
    signal(&world, run, "go").await;
    world.until("run.succeeded", 1).await;
    world.until_idle().await;
    assert_eq!(world.runs().await.len(), 1);
    world.client("Eve").await;
    world.until("run.started", 2).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_cancels_the_one_for_the_same_that_goes_on() {
    let world = World::new().await;
    world.publish(&correlated("Cancel", "cancel_running")).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 1).await;
    world.client("Bob").await;
    world.until("run.compensated", 1).await;
    world.until("step.waiting", 2).await;
    let runs = world.runs().await;
    assert_eq!(world.show(runs[0]).await.status(), RunStatus::Compensated);
    assert_eq!(world.show(runs[1]).await.status(), RunStatus::Waiting);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_for_the_same_queue_in_the_order_in_which_they_came() {
    let world = World::new().await;
    world.publish(&correlated("Queue", "queue")).await;
    let engines = [world.engine(), world.engine()];
    let mut clients = vec![];
    for n in 0..4 {
        clients.push(world.client(&format!("Client {n}")).await.id);
    }
    for n in 0..4 {
        world.until("step.waiting", n + 1).await;
        let runs = world.runs().await;
        assert_eq!(runs.len(), n + 1, "one at a time");
        assert_eq!(world.show(runs[n]).await.trigger.as_ref().unwrap().aggregate_id, clients[n]);
        signal(&world, runs[n], "go").await;
        world.until("run.succeeded", n + 1).await;
    }
    world.until_idle().await;
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_one_run_for_a_time_however_many_engines_look() {
    let world = World::new().await;
    let made = json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "due {{ event.payload.time_zone }}" } });
    let definition = json!({ "name": "Daily", "runs_as": ["*"], "actions": [made],
        "trigger": { "schedule": { "cron": "0 9 * * *", "time_zone": "Europe/Berlin" } } });
    let id = world.publish(&definition).await;
    let engines = [world.engine(), world.engine()];
    let scheduled = async || {
        let sql = "select count(*) from engine.schedules where definition_id = $1 and due_at > now()";
        sqlx::query_scalar::<_, i64>(sql).bind(id).fetch_one(&world.pool).await.unwrap() == 1
    };
    world.eventually("nothing is scheduled", scheduled).await;
    let passed = "update engine.schedules set due_at = now() - interval '3 days'";
    sqlx::query(passed).execute(&world.pool).await.unwrap();
    world.until("run.succeeded", 1).await;
    world.eventually("the schedule does not go on", scheduled).await;
    world.until_idle().await;
    assert_eq!(done(&world).await, ["due Europe/Berlin"], "what was missed is made up for once");
    let run = world.show(world.runs().await[0]).await;
    assert_eq!(run.trigger.as_ref().unwrap().event_type, "schedule.due");
    // The same time again is the same run.
    sqlx::query("update engine.schedules set due_at = now() - interval '3 days'").execute(&world.pool).await.unwrap();
    world.eventually("the schedule does not go on", scheduled).await;
    world.until_idle().await;
    assert_eq!(world.runs().await.len(), 1);
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_calls_another_and_waits_for_its_end() {
    let world = World::new().await;
    let input = json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
    let named = json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "{{ event.payload.name }}" } });
    let called = json!({ "name": "Called", "runs_as": ["crm.contact.create"], "trigger": { "called": { "input": input } }, "actions": [named, until_go("pause")] });
    world.publish(&called).await;
    let call = |input: Value| json!({ "id": "call", "type": "run_workflow", "workflow": "Called", "input": input });
    let good = call(json!({ "name": "for {{ event.payload.name }}" }));
    world.publish(&on_client("Calls", json!([good, tag("after", "done")]))).await;
    world.publish(&on_client("Wrong", json!([call(json!({ "nmae": "x" }))]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    world.until("step.waiting", 2).await;
    let runs = world.runs().await;
    let mut children = vec![];
    for run in &runs {
        let shown = world.show(*run).await;
        if shown.parent.is_some() {
            children.push((*run, shown));
        }
    }
    let [(child, shown)] = &children[..] else { panic!("{children:?}") };
    assert_eq!((shown.depth, shown.parent.as_ref().unwrap().step.as_str()), (1, "call"));
    signal(&world, *child, "go").await;
    world.until("run.succeeded", 2).await;
    assert_eq!(done(&world).await, ["for Ada", "+done"]);
    assert_eq!(
        result(&world, shown.parent.as_ref().unwrap().run_id.0, "call").await,
        json!({ "run_id": child, "status": "succeeded" })
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_a_run_ends_what_it_has_called() {
    let world = World::new().await;
    let called =
        json!({ "name": "Called", "runs_as": ["*"], "trigger": { "called": {} }, "actions": [until_go("pause")] });
    world.publish(&called).await;
    let call = json!({ "id": "call", "type": "run_workflow", "workflow": "Called" });
    world.publish(&on_client("Calls", json!([call]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("step.waiting", 2).await;
    let runs = world.runs().await;
    workflow_engine::cancel(&world.bus, world.tenant, runs[0], "no".parse().unwrap()).await.unwrap();
    world.until("run.cancelled", 2).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_amends_what_a_step_is_sent_with_and_has_it_taken_again_from_any_step() {
    let world = World::new().await;
    let status = json!({ "id": "status", "type": "command", "command": "crm.client.change_status", "target": "{{ event.aggregate_id }}", "parameters": { "status": "dormant" } });
    let mut named = contact("again");
    named["id"] = json!("made");
    world.publish(&on_client("Amend", json!([named, status]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    let run = world.runs().await[0];
    let amend = Verb::AmendInput { step: Some(path("status")), parameters: json!({ "status": "onboarding" }) };
    workflow_engine::ask(&world.bus, asked(&world, run), amend).await.unwrap();
    world.until("run.succeeded", 1).await;
    assert_eq!(world.count("client.status_changed").await, 1);
    world.until_idle().await;
    // Taken again, it has its effect once more, and what is sent is what the definition says.
    workflow_engine::ask(&world.bus, asked(&world, run), Verb::RerunFrom { step: path("made") }).await.unwrap();
    world.until("run.parked", 2).await;
    assert_eq!(done(&world).await, ["again", "again"]);
    let skip = Verb::Skip { step: None, output: json!({}) };
    workflow_engine::ask(&world.bus, asked(&world, run), skip).await.unwrap();
    world.until("run.succeeded", 2).await;
    world.until_idle().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_a_parked_run_follow_another_version() {
    let world = World::new().await;
    let status = |id: &str, status: &str| json!({ "id": id, "type": "command", "command": "crm.client.change_status", "target": "{{ event.aggregate_id }}", "parameters": { "status": status } });
    let mut named = contact("once");
    named["id"] = json!("made");
    world.publish(&on_client("Move", json!([named, status("status", "dormant")]))).await;
    let engine = world.engine();
    world.client("Ada").await;
    world.until("run.parked", 1).await;
    named["id"] = json!("person");
    world.publish(&on_client("Move", json!([named, status("status", "onboarding")]))).await;
    let run = world.runs().await[0];
    let renamed = vec![workflow_events::Renamed { from: path("made"), to: path("person") }];
    let missing = workflow_engine::move_to(&world.bus, &world.log, asked(&world, run), 7, vec![]).await.unwrap_err();
    assert!(matches!(missing, workflow_engine::MoveError::NoSuchVersion(7)), "{missing:?}");
    workflow_engine::move_to(&world.bus, &world.log, asked(&world, run), 2, renamed).await.unwrap();
    workflow_engine::retry(&world.bus, world.tenant, run, "another version".parse().unwrap()).await.unwrap();
    world.until("run.succeeded", 1).await;
    assert_eq!(done(&world).await, ["once"]);
    assert_eq!(world.show(run).await.definition_version, 2);
    engine.stop().await;
}
