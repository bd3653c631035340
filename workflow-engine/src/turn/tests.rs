use super::*;
use crate::document::Document;
use crate::plan;
use kernel::{Aggregate as _, DefinitionId};
use workflow::run::RunCommand;
use workflow_events::{RunEvent, Trigger, TriggerKind};

fn document(retry: Value) -> Document {
    Document::read(&json!({
        "name": "Tags", "runs_as": ["crm.client.tag"], "trigger": { "event_type": "client.created" }, "retry": retry,
        "actions": [
            { "id": "first", "type": "command", "command": "crm.client.tag", "target": "x", "parameters": {} },
            { "id": "second", "when": "false", "type": "wait", "for": "1s" },
            { "id": "third", "when": "steps.first.status == 'failed'", "type": "wait", "for": "1s" },
        ]
    }))
    .unwrap()
}

fn now() -> Timestamp {
    Timestamp::of_clock(Utc::now())
}

/// A run at its first step, which began so many seconds ago.
fn run(document: &Document, seconds: i64) -> Run {
    let at = now() - TimeDelta::seconds(seconds);
    let mut run = Run::default();
    run.apply(&RunEvent::Started {
        definition_id: DefinitionId::default(),
        definition: document.name.clone(),
        definition_version: 1,
        definition_hash: String::new(),
        document: Value::Null,
        steps: document.steps(),
        compensates: false,
        trigger: Trigger {
            kind: TriggerKind::Event,
            event_id: Uuid::nil(),
            event_type: "client.created".into(),
            event_version: 2,
            position: 1,
            aggregate_type: "crm.client".into(),
            aggregate_id: Uuid::nil(),
            recorded_at: kernel::spec::spec_time(),
            correlation_id: Uuid::nil(),
            traceparent: None,
            concerns: vec![],
            payload: json!({}).into(),
        },
        depth: 0,
        correlation_key: None,
        parent: None,
    });
    run.steps.entry(first()).or_default().since = Some(at);
    run
}

fn first() -> StepPath {
    "first".parse().unwrap()
}

fn unavailable() -> Failure {
    classify(ExecuteError::Unavailable(anyhow::anyhow!("gone")))
}

fn attempt(retry: Value, attempts: u32, seconds: i64, failure: Failure) -> Entry {
    let document = document(retry);
    let mut run = run(&document, seconds);
    run.steps.entry(first()).or_default().attempts = attempts;
    let standing = Standing { tenant: TenantId::default(), run_id: Uuid::nil(), run: &run, document: &document };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    let bus = CommandBus::new(event_store::Store::start(pool.clone(), event_store::StoreOptions::default()));
    let tasks = Tasks::new(pool, std::time::Duration::from_secs(1));
    let turn = Turn::new(standing, first(), document.actions[0].common(), &bus, &tasks);
    turn.attempt(Err(failure)).pop().unwrap()
}

#[test]
fn what_may_succeed_later_is_tried_again_until_attempts_run_out() {
    let policy = || json!({ "max_attempts": 3 });
    assert!(matches!(attempt(policy(), 0, 0, unavailable()), Entry::RetryScheduled { .. }));
    assert!(matches!(attempt(policy(), 1, 0, unavailable()), Entry::RetryScheduled { .. }));
    let exhausted = attempt(policy(), 2, 0, unavailable());
    assert!(
        matches!(exhausted, Entry::Failed { class: FailureClass::Retryable {}, go_on: false, .. }),
        "{exhausted:?}"
    );
}

#[test]
fn what_may_succeed_later_is_tried_again_until_time_runs_out() {
    let policy = || json!({ "max_elapsed_s": 60 });
    assert!(matches!(attempt(policy(), 0, 30, unavailable()), Entry::RetryScheduled { .. }));
    assert!(matches!(attempt(policy(), 0, 61, unavailable()), Entry::Failed { .. }));
}

#[test]
fn what_will_fail_again_is_not_tried_again() {
    let rejected = ExecuteError::Rejected { code: "crm.client.blocked", message: "", invalid: None };
    assert!(
        matches!(attempt(json!({}), 0, 0, classify(rejected)), Entry::Failed { code, .. } if code == "crm.client.blocked")
    );
    assert!(matches!(attempt(json!({}), 0, 0, classify(ExecuteError::NotFound)), Entry::Failed { .. }));
}

#[test]
fn pauses_grow_to_their_cap_and_are_drawn_from_all_of_it() {
    let policy = Retry { initial_ms: 100, factor: 2.0, cap_ms: 1_000, ..Retry::default() };
    for attempt in 1..60 {
        let longest = (100.0 * 2f64.powi(i32::try_from(attempt).unwrap() - 1)).min(1_000.0);
        for _ in 0..50 {
            let drawn = pause(&policy, attempt).num_milliseconds() as f64;
            assert!((0.0..=longest).contains(&drawn), "{attempt}: {drawn}");
        }
    }
    let drawn: Vec<_> = (0..200).map(|_| pause(&policy, 10).num_milliseconds()).collect();
    assert!(drawn.iter().any(|ms| *ms < 300) && drawn.iter().any(|ms| *ms > 700), "{drawn:?}");
}

#[test]
fn what_is_limited_waits_as_long_as_the_other_side_says_and_what_is_not_authorised_waits_for_somebody() {
    let failure = |class| Failure { class, code: "x".into(), message: "y".into() };
    let before = now();
    let limited = failure(FailureClass::RateLimited { retry_after_s: Some(60) });
    let Entry::RetryScheduled { due_at, class, .. } = attempt(json!({}), 0, 0, limited) else { panic!() };
    assert!(due_at >= before + TimeDelta::seconds(60), "{due_at:?}");
    assert_eq!(class, FailureClass::RateLimited { retry_after_s: Some(60) });
    let unknown = attempt(json!({}), 0, 0, failure(FailureClass::UnknownOutcome {}));
    assert!(matches!(unknown, Entry::RetryScheduled { .. }), "{unknown:?}");
    let broken = FailureClass::AuthBroken { connection: Some(Uuid::nil()) };
    let failed = attempt(json!({}), 0, 0, failure(broken));
    assert!(matches!(failed, Entry::Failed { class, .. } if class == broken));
}

#[test]
fn what_comes_next_is_found_by_a_walk_over_the_definition() {
    let document = Document::read(&json!({
        "name": "Blocks", "runs_as": [], "trigger": { "event_type": "client.created" },
        "actions": [
            { "id": "pick", "type": "choose", "cases": [
                { "name": "big", "when": "true", "actions": [{ "id": "inner", "type": "wait", "for": "1s" }] },
            ] },
            { "id": "each", "type": "for_each", "items": "[1, 2, 3]", "parallel": 2, "actions": [
                { "id": "one", "type": "wait", "for": "1s" }, { "id": "two", "type": "wait", "for": "1s" },
            ] },
        ]
    }))
    .unwrap();
    let mut run = run(&document, 0);
    run.steps.clear();
    let record = |run: &mut Run, entries: &[Entry]| {
        let actor = Actor::Workflow { run_id: Uuid::nil(), definition: "Blocks".into() };
        let ctx = kernel::Context::new(TenantId::default(), actor, Utc::now(), Uuid::nil(), Uuid::nil());
        let events = run.decide(RunCommand::Record { entries: entries.to_vec() }, &ctx).unwrap();
        events.iter().for_each(|event| run.apply(event));
    };
    let open = |run: &Run| plan::open(&document, run).iter().map(|open| open.path.to_string()).collect::<Vec<_>>();
    let path = |text: &str| text.parse::<StepPath>().unwrap();
    let done = |text: &str| Entry::Succeeded { step: path(text), began_at: now(), result: json!({}).into() };
    assert_eq!(open(&run), ["pick"]);
    record(&mut run, &[Entry::Chosen { step: path("pick"), case: Some("big".into()), left_out: vec![] }]);
    assert_eq!(open(&run), ["pick.inner"]);
    record(&mut run, &[done("pick.inner")]);
    assert_eq!(open(&run), ["each"]);
    let items = vec![json!(1), json!(2), json!(3)];
    record(&mut run, &[Entry::Expanded { step: path("each"), began_at: now(), items: items.into() }]);
    assert_eq!(open(&run), ["each[0].one", "each[1].one"], "two rounds at a time");
    record(&mut run, &[done("each[0].one"), done("each[0].two")]);
    assert_eq!(open(&run), ["each[1].one", "each[2].one"]);
    let rest = ["each[1].one", "each[1].two", "each[2].one", "each[2].two"];
    record(&mut run, &rest.map(done));
    assert_eq!(open(&run), ["each"], "every round is over, and the loop says so");
    record(&mut run, &[done("each")]);
    assert_eq!(open(&run), [""; 0]);
}

#[test]
fn a_step_s_id_is_the_same_every_time_and_nobody_else_s() {
    let run = Uuid::from_u128(5);
    assert_eq!(derived(run, "contact", 0), derived(run, "contact", 0));
    assert_ne!(derived(run, "contact", 0), derived(run, "contact", 1));
    assert_ne!(derived(run, "contact", 0), derived(run, "client", 0));
    assert_ne!(derived(run, "contact", 0), derived(Uuid::from_u128(6), "contact", 0));
}
