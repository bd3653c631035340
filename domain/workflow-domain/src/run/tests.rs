use super::*;
use kernel::spec::{Given, given, spec_time};
use kernel::{Actor, Event as _};
use serde_json::json;

fn trigger() -> Trigger {
    Trigger {
        event_id: uuid::Uuid::from_u128(7),
        event_type: "appointment.booked".into(),
        event_version: 1,
        position: 42,
        aggregate_type: "scheduling.appointment".into(),
        aggregate_id: uuid::Uuid::from_u128(8),
        recorded_at: spec_time(),
        correlation_id: uuid::Uuid::from_u128(9),
        traceparent: None,
        concerns: vec![],
        payload: Personal::new(json!({ "client_name": "Ada" })),
    }
}

fn started() -> E {
    E::Started {
        definition_id: DefinitionId::default(),
        definition: "Onboarding".parse().unwrap(),
        definition_version: 1,
        definition_hash: "aa".into(),
        document: json!({}),
        steps: vec!["contact".into(), "client".into()],
        trigger: trigger(),
        depth: 0,
    }
}

fn step_started(action_index: u32, step: &str) -> E {
    E::StepStarted { action_index, step: step.into(), iteration: 0, at: spec_time() }
}

fn step_succeeded(action_index: u32, step: &str) -> E {
    E::StepSucceeded { action_index, step: step.into(), result: Personal::new(json!({ "id": "x" })) }
}

fn parked() -> [E; 4] {
    let (code, message) = ("files.folder.unknown_template".to_owned(), "There is none.".to_owned());
    let failed = E::StepFailed {
        action_index: 0,
        step: "contact".into(),
        class: FailureClass::Terminal,
        code: code.clone(),
        message: message.clone().into(),
    };
    let parked = E::Parked { action_index: 0, step: "contact".into(), code, message: message.into() };
    [started(), step_started(0, "contact"), failed, parked]
}

fn reason() -> Name {
    "the template is there now".parse().unwrap()
}

/// The engine acts, not a person.
fn engine(events: &[E], entries: Vec<Entry>) -> Decision<Run> {
    let mut run = Run::default();
    events.iter().for_each(|event| run.apply(event));
    let actor = Actor::Workflow { run_id: uuid::Uuid::from_u128(1), definition: "Onboarding".into() };
    let ctx = Context::new(Default::default(), actor, spec_time(), Default::default(), Default::default());
    run.decide(C::Record { entries }, &ctx)
}

fn succeeded() -> Entry {
    Entry::Succeeded { result: Personal::new(json!({ "id": "x" })) }
}

fn terminal(go_on: bool) -> Entry {
    Entry::Failed {
        class: FailureClass::Terminal,
        code: "files.folder.unknown_template".into(),
        message: "There is none.".into(),
        go_on,
    }
}

fn kinds(decision: Decision<Run>) -> Vec<&'static str> {
    decision.unwrap().iter().map(|event| event.entry().event_type).collect()
}

fn on(events: impl IntoIterator<Item = E>) -> Given<Run> {
    given::<Run>(events)
}

#[test]
fn one_record_ends_a_step_and_begins_the_next() {
    let events = engine(&[started(), step_started(0, "contact")], vec![succeeded(), Entry::Started {}]);
    assert_eq!(events, Ok(vec![step_succeeded(0, "contact"), step_started(1, "client")]));
}

#[test]
fn the_last_step_ends_the_run() {
    let history = [started(), step_started(0, "contact"), step_succeeded(0, "contact"), step_started(1, "client")];
    assert_eq!(engine(&history, vec![succeeded()]), Ok(vec![step_succeeded(1, "client"), E::Succeeded {}]));
}

#[test]
fn a_run_whose_every_step_is_left_out_ends_too() {
    let left_out = || Entry::LeftOut { reason: reason() };
    let ended = kinds(engine(&[started()], vec![left_out(), left_out()]));
    assert_eq!(ended, ["step.skipped", "step.skipped", "run.succeeded"]);
}

#[test]
fn a_start_carries_what_happens_to_the_first_step_at_once() {
    let start = |entries| {
        let actor = Actor::Workflow { run_id: uuid::Uuid::from_u128(1), definition: "Onboarding".into() };
        let ctx = Context::new(Default::default(), actor, spec_time(), Default::default(), Default::default());
        let command = C::Start {
            definition_id: DefinitionId::default(),
            definition: "Onboarding".parse().unwrap(),
            definition_version: 1,
            definition_hash: "aa".into(),
            document: json!({}),
            steps: vec!["contact".into(), "client".into()],
            trigger: trigger(),
            depth: 0,
            entries,
        };
        Run::default().decide(command, &ctx)
    };
    assert_eq!(start(vec![Entry::Started {}]), Ok(vec![started(), step_started(0, "contact")]));
    assert_eq!(kinds(start(vec![terminal(false)])), ["run.started", "step.failed", "run.parked"]);
    assert_eq!(start(vec![succeeded()]), Err(R::OutOfStep));
}

#[test]
fn a_second_worker_that_is_late_is_refused() {
    let history = [started(), step_started(0, "contact"), step_succeeded(0, "contact")];
    assert_eq!(engine(&history, vec![succeeded()]), Err(R::OutOfStep));
}

#[test]
fn a_terminal_failure_parks_the_run_at_its_step() {
    let history = [started(), step_started(0, "contact")];
    assert_eq!(kinds(engine(&history, vec![terminal(false)])), ["step.failed", "run.parked"]);
    let mut run = Run::default();
    parked().iter().for_each(|event| run.apply(event));
    assert_eq!((run.status, run.current), (RunStatus::Parked, 0));
}

#[test]
fn a_step_that_may_fail_does_not_stop_the_run() {
    let history = [started(), step_started(0, "contact")];
    let events = kinds(engine(&history, vec![terminal(true), Entry::Started {}]));
    assert_eq!(events, ["step.failed", "step.started"]);
}

#[test]
fn attempts_are_counted() {
    let again = || Entry::RetryScheduled { code: "unavailable".into(), message: String::new(), due_at: spec_time() };
    let events = engine(&[started(), step_started(0, "contact")], vec![again(), again()]).unwrap();
    assert!(matches!(events[..], [E::StepRetryScheduled { attempt: 1, .. }, E::StepRetryScheduled { attempt: 2, .. }]));
}

#[test]
fn a_parked_run_is_retried_at_its_step() {
    on(parked())
        .when(C::Retry { reason: reason() })
        .then([E::Resumed { reason: reason() }, step_started(0, "contact")]);
}

#[test]
fn what_is_skipped_gives_later_steps_the_output_of_the_operator() {
    let output = json!({ "id": "y" });
    let state = on(parked()).when(C::Skip { output: output.clone(), reason: reason() }).state();
    assert_eq!(state.steps[0].result, Personal::new(output));
    assert_eq!((state.status, state.current), (RunStatus::Running, 1));
}

#[test]
fn only_a_parked_run_is_retried_or_skipped() {
    let history = || [started(), step_started(0, "contact")];
    on(history()).when(C::Retry { reason: reason() }).rejected("workflow.run.not_parked");
    on(history()).when(C::Skip { output: Value::Null, reason: reason() }).rejected("workflow.run.not_parked");
}

#[test]
fn a_parked_run_records_nothing() {
    assert_eq!(engine(&parked(), vec![Entry::Started {}]), Err(R::OutOfStep));
    let with_more = vec![Entry::Cancelled { reason: reason() }, Entry::Started {}];
    assert_eq!(engine(&parked(), with_more), Err(R::OutOfStep));
}

#[test]
fn an_event_ends_a_parked_run_too() {
    assert_eq!(
        engine(&parked(), vec![Entry::Cancelled { reason: reason() }]),
        Ok(vec![E::Cancelled { reason: reason() }])
    );
}

#[test]
fn a_person_cannot_write_a_run_s_history() {
    on([started()]).when(C::Record { entries: vec![succeeded()] }).rejected("workflow.run.engine_only");
}

#[test]
fn a_cancelled_run_does_nothing_more() {
    let cancelled = || [started(), E::Cancelled { reason: reason() }];
    on(cancelled()).when(C::Cancel { reason: reason() }).then_nothing();
    on(cancelled()).when(C::Retry { reason: reason() }).rejected("workflow.run.ended");
    assert_eq!(engine(&cancelled(), vec![Entry::Started {}]), Err(R::Ended));
}
