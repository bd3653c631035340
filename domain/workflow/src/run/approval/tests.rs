use super::*;
use crate::run::RunCommand as C;
use crate::run::tests::{engine, kinds, path, reason, started, step_succeeded, succeeded, terminal};
use crate::{Entry, RunStatus};
use kernel::spec::spec_time;
use kernel::{Actor, Aggregate as _, Rejection as _};

fn asked(quorum: u32) -> [E; 2] {
    let terms = ApprovalTerms { approvers: vec!["crm.*".parse().unwrap()], quorum, ..ApprovalTerms::default() };
    let question = Personal::new("Shall we?".parse().unwrap());
    [started(), E::ApprovalRequested { step: path("contact"), began_at: spec_time(), question, terms }]
}

fn decide_as(history: &[E], user: u128, held: &[&str], command: C) -> Decided {
    let mut run = Run::default();
    history.iter().for_each(|event| run.apply(event));
    let actor = Actor::User { id: UserId(uuid::Uuid::from_u128(user)) };
    let mut ctx = Context::new(Default::default(), actor, spec_time(), Default::default(), Default::default());
    ctx.permissions = kernel::Permissions::patterns(held.iter().copied()).into();
    run.decide(command, &ctx)
}

#[test]
fn so_many_must_approve_and_nobody_counts_twice() {
    let approve = || C::Approve { step: path("contact"), comment: None };
    let mut history = asked(2).to_vec();
    let first = decide_as(&history, 1, &["crm.*"], approve()).unwrap();
    assert_eq!(kinds(Ok(first.clone())), ["approval.granted"]);
    history.extend(first);
    assert_eq!(decide_as(&history, 1, &["crm.*"], approve()), Ok(vec![]));
    let second = decide_as(&history, 2, &["*"], approve()).unwrap();
    let [_, _, E::StepSucceeded { result, .. }] = &second[..] else { panic!("{second:?}") };
    let both: Vec<Principal> = [1, 2].map(|id| UserId(uuid::Uuid::from_u128(id)).into()).into();
    assert_eq!(result.expose(), Some(&json!({ "decision": "approved", "by": both })));
}

#[test]
fn only_those_decide_whom_the_definition_names_and_their_delegates() {
    let approve = || C::Approve { step: path("contact"), comment: None };
    let mut history = asked(1).to_vec();
    assert_eq!(decide_as(&history, 1, &["files.*"], approve()), Err(R::NotForYou));
    assert!(R::NotForYou.entry().audited, "who tries what they may not is on the audit trail");
    assert_eq!(decide_as(&history, 1, &["*", "!crm.client.tag"], approve()), Err(R::NotForYou));
    let to_user_id = UserId(uuid::Uuid::from_u128(7));
    let delegate = C::Delegate { step: path("contact"), to_user_id, reason: reason() };
    history.extend(decide_as(&history, 1, &["crm.*"], delegate).unwrap());
    assert_eq!(decide_as(&history, 6, &[], approve()), Err(R::NotForYou));
    assert_eq!(
        kinds(decide_as(&history, 7, &[], approve())),
        ["approval.granted", "approval.closed", "step.succeeded"]
    );
    let nowhere = C::Approve { step: path("client"), comment: None };
    assert_eq!(decide_as(&history, 1, &["*"], nowhere), Err(R::NotOpen));
}

#[test]
fn one_rejection_is_enough() {
    let reject = C::Reject { step: path("contact"), comment: None };
    let rejected = decide_as(&asked(3), 1, &["crm.*"], reject);
    assert_eq!(kinds(rejected.clone()), ["approval.rejected", "approval.closed", "step.succeeded"]);
    let Ok(events) = rejected else { panic!() };
    assert!(
        matches!(&events[2], E::StepSucceeded { result, .. } if result.expose().unwrap()["decision"] == "rejected")
    );
}

fn closed(outcome: ApprovalOutcome) -> E {
    E::ApprovalClosed { step: path("contact"), outcome }
}

#[test]
fn a_question_whose_time_is_over_has_expired() {
    let events = engine(&asked(1), vec![succeeded("contact")]).unwrap();
    assert_eq!(events, [closed(ApprovalOutcome::Expired), step_succeeded("contact")]);
    let late = C::Approve { step: path("contact"), comment: None };
    let history = [asked(1).to_vec(), events].concat();
    assert_eq!(decide_as(&history, 1, &["crm.*"], late), Err(R::NotOpen));
}

#[test]
fn nobody_is_reminded_of_what_was_not_asked() {
    let reminded = || Entry::ApprovalReminded { step: path("contact"), remind_at: None };
    assert_eq!(kinds(engine(&asked(1), vec![reminded()])), ["approval.reminded"]);
    let waits = E::StepWaiting { step: path("contact"), began_at: spec_time(), wait: Default::default() };
    assert_eq!(engine(&[started(), waits], vec![reminded()]), Err(R::StalePosition));
}

#[test]
fn what_waits_ends_after_its_run_and_its_question_is_withdrawn() {
    let cancelled = decide_as(&asked(1), 1, &["*"], C::Cancel { keep: true, reason: reason() }).unwrap();
    let end = E::Cancelled { reason: reason() };
    let step = E::StepCancelled { step: path("contact") };
    assert_eq!(cancelled, [end, closed(ApprovalOutcome::Withdrawn), step]);
    let mut run = Run::default();
    asked(1).iter().chain(&cancelled).for_each(|event| run.apply(event));
    assert_eq!((run.status(), run.step_status("contact")), (RunStatus::Cancelled, StepStatus::Cancelled));
}

#[test]
fn a_question_is_withdrawn_when_its_step_fails_or_is_taken_again() {
    let failed = engine(&asked(1), vec![terminal("contact", true)]).unwrap();
    assert_eq!(kinds(Ok(failed)), ["approval.closed", "step.failed"]);
    let stands_still = engine(&asked(1), vec![terminal("client", false)]).unwrap();
    let history = [asked(1).to_vec(), stands_still].concat();
    let again = decide_as(&history, 1, &["*"], C::RerunFrom { step: path("contact"), reason: reason() }).unwrap();
    assert_eq!(again[0], closed(ApprovalOutcome::Withdrawn));
    let mut run = Run::default();
    history.iter().chain(&again).for_each(|event| run.apply(event));
    assert_eq!((run.progress.waiting.len(), run.step_status("contact")), (0, StepStatus::Pending));
}

#[test]
fn a_question_that_was_decided_is_asked_again_with_its_step() {
    let again = |answer: Vec<E>, outcome: ApprovalOutcome| {
        assert!(answer.contains(&closed(outcome)), "{answer:?}");
        let stands_still = engine(&[started()], vec![terminal("client", false)]).unwrap();
        let mut history = [asked(1).to_vec(), answer, stands_still].concat();
        let rerun = C::RerunFrom { step: path("contact"), reason: reason() };
        history.extend(decide_as(&history, 1, &["*"], rerun).unwrap());
        let question = Personal::new("Shall we?".parse().unwrap());
        let terms = ApprovalTerms::default();
        let ask = Entry::ApprovalRequested { step: path("contact"), began_at: spec_time(), question, terms };
        assert_eq!(kinds(engine(&history, vec![ask])), ["approval.requested"]);
    };
    let approve = C::Approve { step: path("contact"), comment: None };
    again(decide_as(&asked(1), 1, &["*"], approve).unwrap(), ApprovalOutcome::Approved);
    let reject = C::Reject { step: path("contact"), comment: None };
    again(decide_as(&asked(1), 1, &["*"], reject).unwrap(), ApprovalOutcome::Rejected);
    again(engine(&asked(1), vec![succeeded("contact")]).unwrap(), ApprovalOutcome::Expired);
}
