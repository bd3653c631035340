use super::*;
use kernel::spec::{Given, given, spec_time};
use kernel::{Actor, Event as _};
use serde_json::json;
use workflow_events::{FailureClass, TriggerKind};

fn trigger() -> Trigger {
    Trigger {
        kind: TriggerKind::Event,
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

pub(super) fn path(text: &str) -> StepPath {
    text.parse().unwrap()
}

pub(super) fn started() -> E {
    E::Started {
        definition_id: DefinitionId::default(),
        definition: "Onboarding".parse().unwrap(),
        definition_version: 1,
        definition_hash: "aa".into(),
        document: json!({}),
        steps: vec![path("contact"), path("client")],
        compensates: true,
        trigger: trigger(),
        depth: 0,
        correlation_key: None,
        parent: None,
    }
}

pub(super) fn step_succeeded(step: &str) -> E {
    E::StepSucceeded { step: path(step), began_at: spec_time(), result: Personal::new(json!({ "id": "x" })) }
}

fn parked() -> [E; 3] {
    let (code, message) = ("files.folder.unknown_template".to_owned(), "There is none.".to_owned());
    let failed = E::StepFailed {
        step: path("contact"),
        began_at: spec_time(),
        class: FailureClass::Terminal {},
        code: code.clone(),
        message: message.clone().into(),
    };
    [started(), failed, E::Parked { step: path("contact"), code, message: message.into() }]
}

pub(super) fn reason() -> Name {
    "the template is there now".parse().unwrap()
}

/// The engine acts, not a person.
pub(super) fn engine(events: &[E], entries: Vec<Entry>) -> Decided {
    let mut run = Run::default();
    events.iter().for_each(|event| run.apply(event));
    let actor = Actor::Workflow { run_id: uuid::Uuid::from_u128(1), definition: "Onboarding".into() };
    let ctx = Context::new(Default::default(), actor, spec_time(), Default::default(), Default::default());
    run.decide(C::Record { entries }, &ctx)
}

pub(super) fn succeeded(step: &str) -> Entry {
    Entry::Succeeded { step: path(step), began_at: spec_time(), result: Personal::new(json!({ "id": "x" })) }
}

pub(super) fn terminal(step: &str, go_on: bool) -> Entry {
    Entry::Failed {
        step: path(step),
        began_at: spec_time(),
        class: FailureClass::Terminal {},
        code: "files.folder.unknown_template".into(),
        message: "There is none.".into(),
        go_on,
    }
}

pub(super) fn kinds(decision: Decided) -> Vec<&'static str> {
    decision.unwrap().iter().map(|event| event.entry().event_type).collect()
}

fn on(events: impl IntoIterator<Item = E>) -> Given<Run> {
    given::<Run>(events)
}

fn retry(step: Option<&str>) -> C {
    C::Retry { step: step.map(path), reason: reason() }
}

fn resumed(steps: &[&str]) -> E {
    E::Resumed { steps: steps.iter().map(|step| path(step)).collect(), reason: reason() }
}

#[test]
fn one_record_tells_of_several_steps_and_of_the_end() {
    let events = engine(&[started()], vec![succeeded("contact"), succeeded("client"), Entry::Finished {}]);
    assert_eq!(events, Ok(vec![step_succeeded("contact"), step_succeeded("client"), E::Succeeded {}]));
}

#[test]
fn a_second_worker_that_is_late_is_refused() {
    assert_eq!(engine(&[started(), step_succeeded("contact")], vec![succeeded("contact")]), Err(R::StalePosition));
}

#[test]
fn a_terminal_failure_parks_the_run_at_its_step() {
    assert_eq!(kinds(engine(&[started()], vec![terminal("contact", false)])), ["step.failed", "run.parked"]);
    let mut run = Run::default();
    parked().iter().for_each(|event| run.apply(event));
    assert_eq!((run.status(), run.incident().map(|(step, ..)| step.as_str())), (RunStatus::Parked, Some("contact")));
}

#[test]
fn a_step_that_may_fail_does_not_stop_the_run() {
    let events = kinds(engine(&[started()], vec![terminal("contact", true), succeeded("client")]));
    assert_eq!(events, ["step.failed", "step.succeeded"]);
}

#[test]
fn attempts_are_counted() {
    let again = || Entry::RetryScheduled {
        step: path("contact"),
        began_at: spec_time(),
        class: FailureClass::Retryable {},
        code: "unavailable".into(),
        message: String::new(),
        due_at: spec_time(),
    };
    let events = engine(&[started()], vec![again(), again()]).unwrap();
    assert!(matches!(events[..], [E::StepRetryScheduled { attempt: 1, .. }, E::StepRetryScheduled { attempt: 2, .. }]));
}

#[test]
fn a_parked_run_is_retried_at_its_step() {
    on(parked()).when(retry(None)).then([resumed(&["contact"])]);
    on(parked()).when(retry(Some("contact"))).then([resumed(&["contact"])]);
    on(parked()).when(retry(Some("client"))).rejected("workflow.run.unknown_step");
}

#[test]
fn a_run_that_stands_still_at_two_steps_goes_on_when_both_are_looked_after() {
    let mut history = parked().to_vec();
    history.extend(engine(&history, vec![terminal("client", false)]).unwrap());
    let skip = |step: Option<&str>| C::Skip { step: step.map(path), output: json!({}), reason: reason() };
    on(history.clone()).when(skip(None)).rejected("workflow.run.unknown_step");
    let state = on(history.clone()).when(skip(Some("client"))).state();
    assert_eq!((state.status(), state.incidents.len()), (RunStatus::Parked, 1));
    assert_eq!(on(history).when(retry(None)).state().status(), RunStatus::Running);
}

#[test]
fn what_is_skipped_gives_later_steps_the_output_of_the_operator() {
    let output = json!({ "id": "y" });
    let state = on(parked()).when(C::Skip { step: None, output: output.clone(), reason: reason() }).state();
    assert_eq!(state.step_at("contact").unwrap().result, Personal::new(output));
    assert_eq!((state.status(), state.step_status("contact")), (RunStatus::Running, StepStatus::Skipped));
}

#[test]
fn an_operator_has_a_step_sent_with_other_input() {
    let amend = C::AmendInput { step: None, parameters: json!({ "name": "Ada" }), reason: reason() };
    let state = on(parked()).when(amend).state();
    let step = state.step_at("contact").unwrap();
    assert_eq!(
        (step.status, step.amended.clone()),
        (StepStatus::Pending, Some(Personal::new(json!({ "name": "Ada" }))))
    );
    assert_eq!(state.status(), RunStatus::Running);
}

#[test]
fn only_a_parked_run_is_retried_or_skipped() {
    on([started()]).when(retry(None)).rejected("workflow.run.not_parked");
    let skip = C::Skip { step: None, output: Value::Null, reason: reason() };
    on([started()]).when(skip).rejected("workflow.run.not_parked");
}

#[test]
fn a_parked_run_goes_no_further() {
    let wait = Entry::Waiting { step: path("client"), began_at: spec_time(), wait: Wait::default() };
    assert_eq!(engine(&parked(), vec![wait]), Err(R::StalePosition));
    assert_eq!(engine(&parked(), vec![succeeded("contact")]), Err(R::StalePosition), "it has failed");
    let with_more = vec![Entry::Cancelled { reason: reason() }, succeeded("client")];
    assert_eq!(engine(&parked(), with_more), Err(R::StalePosition));
}

#[test]
fn an_event_ends_a_parked_run_too() {
    let ended = engine(&parked(), vec![Entry::Cancelled { reason: reason() }]);
    assert_eq!(ended, Ok(vec![E::Cancelled { reason: reason() }]));
}

#[test]
fn a_person_cannot_write_a_run_s_history() {
    on([started()]).when(C::Record { entries: vec![succeeded("contact")] }).rejected("workflow.run.engine_only");
}

#[test]
fn a_cancelled_run_does_nothing_more() {
    let cancelled = || [started(), E::Cancelled { reason: reason() }];
    on(cancelled()).when(C::Cancel { keep: false, reason: reason() }).then_nothing();
    on(cancelled()).when(retry(None)).rejected("workflow.run.ended");
    assert_eq!(engine(&cancelled(), vec![succeeded("contact")]), Err(R::Ended));
}

#[test]
fn cancelling_takes_back_what_was_done_unless_it_shall_stay() {
    let cancel = |keep| C::Cancel { keep, reason: reason() };
    let (cancelled, back) = (E::Cancelled { reason: reason() }, E::CompensationStarted { reason: reason() });
    on([started(), step_succeeded("contact")]).when(cancel(true)).then([cancelled.clone()]);
    on([started(), step_succeeded("contact")]).when(cancel(false)).then([cancelled.clone(), back.clone()]);
    let history = [started(), step_succeeded("contact"), cancelled, back];
    let undone = engine(&history, vec![succeeded("contact.undo"), Entry::Compensated {}]);
    assert_eq!(undone, Ok(vec![step_succeeded("contact.undo"), E::Compensated {}]));
    on(history).when(C::Compensate { reason: reason() }).then_nothing();
}

#[test]
fn a_run_that_has_succeeded_is_taken_back_when_somebody_asks() {
    let succeeded = || [started(), step_succeeded("contact"), step_succeeded("client"), E::Succeeded {}];
    let state = on(succeeded()).when(C::Compensate { reason: reason() }).state();
    assert_eq!(state.status(), RunStatus::Compensating);
    on(succeeded()).when(C::Cancel { keep: false, reason: reason() }).rejected("workflow.run.ended");
}

#[test]
fn a_step_is_taken_again_with_everything_that_came_after_it() {
    let history = [started(), step_succeeded("contact"), step_succeeded("client"), E::Succeeded {}];
    let rerun = |step: &str| C::RerunFrom { step: path(step), reason: reason() };
    let state = on(history.clone()).when(rerun("client")).state();
    assert_eq!((state.status(), state.step_status("contact")), (RunStatus::Running, StepStatus::Succeeded));
    let client = state.step_at("client").unwrap();
    assert_eq!((client.status, client.rerun), (StepStatus::Pending, 1), "with another key, so with a new effect");
    let state = on(history.clone()).when(rerun("contact")).state();
    assert_eq!(state.step_status("client"), StepStatus::Pending);
    on(history).when(rerun("nobody")).rejected("workflow.run.unknown_step");
    on([started(), step_succeeded("contact")]).when(rerun("contact")).rejected("workflow.run.not_parked");
}

#[test]
fn a_step_that_waits_for_its_next_attempt_is_taken_again_with_what_is_parked_beside_it() {
    let later = Entry::RetryScheduled {
        step: path("client"),
        began_at: spec_time(),
        class: FailureClass::Retryable {},
        code: "unavailable".into(),
        message: "later".into(),
        due_at: spec_time(),
    };
    let history: Vec<E> =
        [started()].into_iter().chain(engine(&[started()], vec![later, terminal("contact", false)]).unwrap()).collect();
    let mut run = Run::default();
    history.iter().for_each(|event| run.apply(event));
    assert_eq!((run.status(), run.step_status("client")), (RunStatus::Parked, StepStatus::RetryScheduled));
    let state = on(history).when(C::RerunFrom { step: path("contact"), reason: reason() }).state();
    assert_eq!((state.status(), state.step_status("client")), (RunStatus::Running, StepStatus::Pending));
}

#[test]
fn another_version_may_call_steps_something_else() {
    let renamed = vec![workflow_events::Renamed { from: path("contact"), to: path("person") }];
    let command = C::MoveTo {
        definition_version: 2,
        definition_hash: "bb".into(),
        document: json!({ "v": 2 }),
        steps: vec![path("person"), path("client"), path("project")],
        compensates: false,
        renamed,
        reason: reason(),
    };
    let mut run = Run::default();
    parked().iter().for_each(|event| run.apply(event));
    let actor = Actor::System { name: "operator".into() };
    let ctx = Context::new(Default::default(), actor, spec_time(), Default::default(), Default::default());
    run.decide(command.clone(), &ctx).unwrap().iter().for_each(|event| run.apply(event));
    assert_eq!((run.definition_version, run.status()), (2, RunStatus::Parked));
    assert_eq!(run.step_status("project"), StepStatus::Pending, "a step more");
    assert_eq!(run.incident().map(|(step, ..)| step.as_str()), Some("person"));
    assert_eq!(run.decide(command.clone(), &ctx), Ok(vec![]), "it follows that version already");
    on(parked()).when(command).rejected("workflow.run.engine_only");
}

#[test]
fn no_two_steps_are_called_the_same_in_another_version() {
    let renamed = vec![workflow_events::Renamed { from: path("contact"), to: path("client") }];
    let command = C::MoveTo {
        definition_version: 2,
        definition_hash: "bb".into(),
        document: json!({ "v": 2 }),
        steps: vec![path("client")],
        compensates: false,
        renamed,
        reason: reason(),
    };
    let actor = Actor::System { name: "operator".into() };
    let ctx = Context::new(Default::default(), actor, spec_time(), Default::default(), Default::default());
    let mut run = Run::default();
    [started(), step_succeeded("client")].iter().chain(&parked()[1..]).for_each(|event| run.apply(event));
    assert_eq!(run.decide(command, &ctx), Err(R::InvalidSteps));
}

#[test]
fn only_what_is_inside_and_untouched_is_left_out_with_a_step() {
    let [done, open] = ["a", "b"].map(|id| path("contact").child(id));
    let left_out = vec![done, open.clone(), path("client")];
    let chosen = Entry::Chosen { step: path("contact"), case: None, left_out };
    let events = engine(&[started(), step_succeeded("contact.a")], vec![chosen]).unwrap();
    assert_eq!(events[1..], [E::StepsLeftOut { steps: vec![open.clone()] }]);
    let history = [vec![started(), step_succeeded("contact.a")], events].concat();
    let run = on(history).when(C::Signal { name: "go".parse().unwrap(), payload: json!(1) }).state();
    assert_eq!((run.step_status(&open), run.step_status("client")), (StepStatus::Skipped, StepStatus::Pending));
}

#[test]
fn no_event_ends_what_is_being_taken_back_even_if_that_stands_still() {
    let start = [started(), step_succeeded("contact"), E::Cancelled { reason: reason() }];
    let mut history = [start.to_vec(), vec![E::CompensationStarted { reason: reason() }]].concat();
    history.extend(engine(&history, vec![terminal("contact.undo", false)]).unwrap());
    assert_eq!(engine(&history, vec![Entry::Cancelled { reason: reason() }]), Err(R::StalePosition));
}

#[test]
fn a_signal_waits_for_the_step_that_wants_it_and_is_taken_up_once() {
    let signal = C::Signal { name: "go".parse().unwrap(), payload: json!({ "by": "Ada" }) };
    let mut run = on([started()]).when(signal).state();
    assert_eq!(run.signals.len(), 1);
    let result = Personal::new(json!({ "came": "go", "signal": {} }));
    run.apply(&E::StepSucceeded { step: path("contact"), began_at: spec_time(), result });
    assert!(run.signals.is_empty());
}

#[test]
fn one_run_at_a_time_holds_the_key() {
    let mut with_key = started();
    if let E::Started { correlation_key, .. } = &mut with_key {
        *correlation_key = Some(Personal::new("ada".to_owned()));
    }
    let mut run = Run::default();
    let [ClaimChange::Take(taken)] = &run.claims(&with_key)[..] else { panic!() };
    run.apply(&with_key);
    assert_eq!(run.claims(&E::Succeeded {}), [ClaimChange::Release(taken.clone())]);
    assert_eq!(Run::default().claims(&started()), []);
}
