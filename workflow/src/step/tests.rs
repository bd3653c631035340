use super::*;
use kernel::{Aggregate as _, DefinitionId};
use workflow_domain::{RunStatus, StepStatus};
use workflow_events::{RunEvent, Trigger};

fn document(retry: Value) -> Document {
    serde_json::from_value(json!({
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
        steps: document.step_ids(),
        trigger: Trigger {
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
    });
    run.apply(&RunEvent::StepStarted { action_index: 0, step: "first".into(), iteration: 0, at });
    run
}

fn unavailable() -> Failure {
    classify(ExecuteError::Unavailable(anyhow::anyhow!("gone")))
}

fn attempt(retry: Value, attempts: u32, seconds: i64, failure: Failure) -> Entry {
    let document = document(retry);
    let mut run = run(&document, seconds);
    run.steps[0].attempts = attempts;
    let standing = Standing { tenant: TenantId::default(), run_id: Uuid::nil(), run: &run, document: &document };
    standing.failed_attempt(&document.actions[0], failure)
}

#[test]
fn what_may_succeed_later_is_tried_again_until_attempts_run_out() {
    let policy = || json!({ "max_attempts": 3 });
    assert!(matches!(attempt(policy(), 0, 0, unavailable()), Entry::RetryScheduled { .. }));
    assert!(matches!(attempt(policy(), 1, 0, unavailable()), Entry::RetryScheduled { .. }));
    let exhausted = attempt(policy(), 2, 0, unavailable());
    assert!(matches!(exhausted, Entry::Failed { class: FailureClass::Retryable, go_on: false, .. }), "{exhausted:?}");
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
fn steps_whose_condition_does_not_hold_are_left_out_in_one_go() {
    let document = document(json!({}));
    let run = run(&document, 0).after(&[Entry::Succeeded { result: json!({}).into() }], now()).unwrap();
    let standing = Standing { tenant: TenantId::default(), run_id: Uuid::nil(), run: &run, document: &document };
    let entries = standing.begin();
    assert!(matches!(entries[..], [Entry::LeftOut { .. }, Entry::LeftOut { .. }]), "{entries:?}");
    let ended = run.after(&entries, now()).unwrap();
    assert_eq!((ended.current, ended.status), (3, RunStatus::Running));
    assert!(ended.steps[1..].iter().all(|step| step.status == StepStatus::Skipped));
}

#[test]
fn a_step_s_id_is_the_same_every_time_and_nobody_else_s() {
    let run = Uuid::from_u128(5);
    assert_eq!(derived(run, "contact", 0), derived(run, "contact", 0));
    assert_ne!(derived(run, "contact", 0), derived(run, "contact", 1));
    assert_ne!(derived(run, "contact", 0), derived(run, "client", 0));
    assert_ne!(derived(run, "contact", 0), derived(Uuid::from_u128(6), "contact", 0));
}
