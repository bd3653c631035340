//! A run under workers that hang, die, come late and come twice, and under operators: whatever they record in whatever
//! order, the stream tells one sensible story, and a run that is left in peace comes to its end.

use crate::story::{self, Standing, Story, tell};
use kernel::{Actor, Aggregate, Context, Event as _, Personal, TenantId, UserId, spec::spec_time};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use uuid::Uuid;
use workflow::run::RunCommand as C;
use workflow::{Entry, Run, RunStatus, StepPath, StepStatus};
use workflow_events::{ApprovalTerms, FailureClass, Parent, Renamed, RunEvent as E, Trigger, TriggerKind, Wait};

/// What a step comes to when it is executed.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Success,
    TryAgain,
    Park,
    GoOn,
    Wait,
    Ask,
    Remind,
    Choose,
    Expand,
    Notify,
    LeftOut,
}

/// What happens next. Workers are numbered.
#[derive(Debug, Clone)]
enum Move {
    /// A worker looks at the run.
    Look(usize),
    /// It executes the step that it saw, and does not say so yet.
    Execute(usize, Outcome),
    /// It says so; with or without the version that it saw, because the state has to hold its own too.
    Record(usize, bool),
    /// It says the same once more.
    RecordAgain(usize),
    /// It dies.
    Die(usize),
    Retry,
    Skip,
    Amend,
    Signal,
    Approve(u128),
    Reject,
    Delegate,
    Rerun,
    Follow,
    Cancel,
    Compensate,
}

fn moves() -> impl Strategy<Value = Move> {
    use Outcome::{Ask, Choose, Expand, GoOn, LeftOut, Notify, Park, Remind, Success, TryAgain, Wait};
    let worker = 0..3usize;
    let outcomes =
        vec![Success, Success, Success, TryAgain, Park, GoOn, Wait, Ask, Remind, Choose, Expand, Notify, LeftOut];
    let outcome = prop::sample::select(outcomes);
    let seldom = |often: Move, seldom: Move| {
        prop::num::u8::ANY.prop_map(move |n| if n < 40 { seldom.clone() } else { often.clone() })
    };
    prop_oneof![
        8 => worker.clone().prop_map(Move::Look),
        8 => (worker.clone(), outcome).prop_map(|(worker, outcome)| Move::Execute(worker, outcome)),
        8 => (worker.clone(), any::<bool>()).prop_map(|(worker, checked)| Move::Record(worker, checked)),
        2 => worker.clone().prop_map(Move::RecordAgain),
        1 => worker.prop_map(Move::Die),
        3 => Just(Move::Retry),
        2 => Just(Move::Skip),
        1 => Just(Move::Amend),
        1 => Just(Move::Signal),
        3 => (1..4u128).prop_map(Move::Approve),
        1 => Just(Move::Delegate),
        1 => Just(Move::Reject),
        1 => seldom(Move::Retry, Move::Cancel),
        1 => seldom(Move::Retry, Move::Compensate),
        1 => Just(Move::Follow),
        1 => seldom(Move::Retry, Move::Rerun),
    ]
}

/// A run as a worker saw it, and what it did since.
#[derive(Debug, Clone, Default)]
struct Worker {
    seen: Run,
    version: usize,
    to_record: Vec<Entry>,
}

/// The stream and everybody around it.
struct World {
    stream: Vec<E>,
    run: Run,
    workers: Vec<Worker>,
    /// A run that was taken again or follows another version tells another story than the one that is told here.
    retold: bool,
}

fn path(text: &str) -> StepPath {
    text.parse().unwrap()
}

fn order(steps: usize) -> Vec<StepPath> {
    (0..steps).map(|n| path(&format!("step_{n}"))).collect()
}

impl World {
    fn new(steps: usize) -> Self {
        let mut world =
            Self { stream: vec![], run: Run::default(), workers: vec![Worker::default(); 3], retold: false };
        let trigger = Trigger {
            kind: TriggerKind::Event,
            event_id: Uuid::from_u128(7),
            event_type: "client.created".into(),
            event_version: 1,
            position: 1,
            aggregate_type: "crm.client".into(),
            aggregate_id: Uuid::from_u128(8),
            recorded_at: spec_time(),
            correlation_id: Uuid::from_u128(9),
            traceparent: None,
            concerns: vec![],
            payload: Personal::new(json!({})),
        };
        let start = C::Start {
            definition_id: Uuid::from_u128(1).into(),
            definition: "Sample".parse().unwrap(),
            definition_version: 1,
            definition_hash: "00".into(),
            document: json!({}),
            steps: order(steps),
            compensates: true,
            trigger,
            depth: 0,
            correlation_key: Some("ada".into()),
            parent: Some(Parent { run_id: Uuid::from_u128(5).into(), step: path("call") }),
        };
        assert!(world.send(start, true));
        world
    }

    /// Whether it was taken.
    fn send(&mut self, command: C, engine: bool) -> bool {
        self.send_as(command, if engine { None } else { Some(3) })
    }

    fn send_as(&mut self, command: C, user: Option<u128>) -> bool {
        let engine = Actor::Workflow { run_id: Uuid::from_u128(2), definition: "Sample".into() };
        let actor = user.map_or(engine, |id| Actor::User { id: UserId(Uuid::from_u128(id)) });
        let ctx = Context::new(TenantId::default(), actor, spec_time(), Uuid::from_u128(2), Uuid::from_u128(4));
        let Ok(events) = self.run.decide(command, &ctx) else { return false };
        events.iter().for_each(|event| self.run.apply(event));
        self.stream.extend(events);
        true
    }

    fn look(&mut self, worker: usize) {
        self.workers[worker] = Worker { seen: self.run.clone(), version: self.stream.len(), to_record: vec![] };
    }

    /// What a worker does with the step that it saw, the way the engine would.
    fn execute(&mut self, worker: usize, outcome: Outcome) {
        let Worker { seen, to_record, .. } = &mut self.workers[worker];
        if seen.has_ended() || seen.status() == RunStatus::Parked {
            return;
        }
        if seen.status() == RunStatus::Compensating {
            *to_record = vec![Entry::Compensated {}];
            return;
        }
        let open = |step: &&StepPath| !seen.step_status(step).has_ended();
        let Some(step) = seen.order.iter().find(open).cloned() else {
            *to_record = vec![Entry::Finished {}];
            return;
        };
        let (code, message, began_at) = ("unavailable".to_owned(), "nobody answered".to_owned(), spec_time());
        let failed = |go_on| Entry::Failed {
            step: step.clone(),
            began_at,
            class: FailureClass::Terminal {},
            code: code.clone(),
            message: message.clone(),
            go_on,
        };
        let done =
            || Entry::Succeeded { step: step.clone(), began_at, result: Personal::new(json!({ "id": step.as_str() })) };
        let class = FailureClass::RateLimited { retry_after_s: Some(3) };
        let (stands, asked) = (seen.step_status(&step), seen.step_at(&step).is_some_and(|s| s.approval.is_some()));
        *to_record = match (stands, outcome) {
            (StepStatus::Pending, Outcome::LeftOut) => {
                vec![Entry::LeftOut {
                    step: step.clone(),
                    left_out: vec![step.child("a")],
                    reason: "no".parse().unwrap(),
                }]
            }
            (StepStatus::Pending, Outcome::Choose) => {
                let left_out = vec![step.child("b")];
                vec![Entry::Chosen { step: step.clone(), case: Some("big".into()), left_out }]
            }
            (StepStatus::Pending, Outcome::Expand) => {
                let round = step.item(0, "a");
                let inner = Entry::Succeeded { step: round, began_at, result: Personal::erased() };
                vec![Entry::Expanded { step: step.clone(), began_at, items: vec![json!(1)].into() }, inner]
            }
            // Whoever looks at an open question mostly has nothing but that to say.
            (StepStatus::Waiting, outcome) if asked && !matches!(outcome, Outcome::Success | Outcome::Park) => vec![
                Entry::ApprovalReminded { step: step.clone(), remind_at: Some(spec_time()) },
                Entry::ApprovalEscalated { step: step.clone(), to: vec!["crm.*".parse().unwrap()] },
            ],
            (_, Outcome::Park) => vec![failed(false)],
            (_, Outcome::GoOn) => vec![failed(true)],
            (StepStatus::Waiting | StepStatus::Running, _) => vec![done()],
            (_, Outcome::TryAgain) => {
                vec![Entry::RetryScheduled { step: step.clone(), began_at, class, code, message, due_at: spec_time() }]
            }
            (_, Outcome::Wait) => {
                let wait = Wait { signals: vec!["go".into()], ..Wait::default() };
                vec![Entry::Waiting { step: step.clone(), began_at, wait }]
            }
            (_, Outcome::Ask) => {
                let terms =
                    ApprovalTerms { approvers: vec!["crm.*".parse().unwrap()], quorum: 2, ..Default::default() };
                let question = Personal::new("Shall we?".parse().unwrap());
                vec![Entry::ApprovalRequested { step: step.clone(), began_at, question, terms }]
            }
            (_, Outcome::Notify) => {
                let text = || Personal::new("Hello".parse().unwrap());
                let (step, to) = (step.clone(), Personal::new("owner".into()));
                vec![Entry::Notified { step, to, subject: text(), body: text() }, done()]
            }
            _ => vec![done()],
        };
    }

    fn record(&mut self, worker: usize, checked: bool) -> bool {
        let Worker { version, to_record, .. } = &self.workers[worker];
        if to_record.is_empty() || checked && *version != self.stream.len() {
            return false;
        }
        self.send(C::Record { entries: to_record.clone() }, true)
    }

    fn make(&mut self, next: &Move) {
        let reason = || "an operator says so".parse().unwrap();
        let asked = || self.run.progress.waiting.iter().next().cloned().unwrap_or_else(|| path("step_0"));
        match next {
            Move::Look(worker) => self.look(*worker),
            Move::Execute(worker, outcome) => self.execute(*worker, *outcome),
            Move::Record(worker, checked) => {
                if self.record(*worker, *checked) {
                    self.workers[*worker].to_record.clear();
                }
            }
            Move::RecordAgain(worker) => drop(self.record(*worker, false)),
            Move::Die(worker) => self.workers[*worker] = Worker::default(),
            Move::Retry => drop(self.send(C::Retry { step: None, reason: reason() }, false)),
            Move::Skip => drop(self.send(C::Skip { step: None, output: Value::Null, reason: reason() }, false)),
            Move::Amend => {
                let parameters = json!({ "name": "Ada" });
                self.send(C::AmendInput { step: None, parameters, reason: reason() }, false);
            }
            Move::Signal => drop(self.send(C::Signal { name: "go".parse().unwrap(), payload: json!({}) }, false)),
            Move::Approve(user) => {
                let command = C::Approve { step: asked(), comment: None };
                self.send_as(command, Some(*user));
            }
            Move::Reject => drop(self.send(C::Reject { step: asked(), comment: None }, false)),
            Move::Delegate => {
                let (step, to_user_id) = (asked(), UserId(Uuid::from_u128(9)));
                self.send(C::Delegate { step, to_user_id, reason: reason() }, false);
            }
            Move::Cancel => drop(self.send(C::Cancel { keep: true, reason: reason() }, false)),
            Move::Compensate => drop(self.send(C::Compensate { reason: reason() }, false)),
            Move::Rerun => {
                let command = C::RerunFrom { step: path("step_0"), reason: reason() };
                self.retold |= self.send(command, false);
            }
            Move::Follow => {
                let command = C::MoveTo {
                    definition_version: 2,
                    definition_hash: "01".into(),
                    document: json!({}),
                    steps: self.run.order.clone(),
                    compensates: true,
                    renamed: vec![Renamed { from: path("nobody"), to: path("somebody") }],
                    reason: reason(),
                };
                self.send(command, true);
            }
        }
    }

    fn story(&self) -> Result<Story, String> {
        tell(self.stream.iter().map(|event| (event.entry().event_type, serde_json::to_value(event).unwrap())))
    }

    /// Is the state what the stream tells?
    fn check(&self) -> Result<RunStatus, TestCaseError> {
        let mut replayed = Run::default();
        self.stream.iter().for_each(|event| replayed.apply(event));
        prop_assert_eq!(&replayed, &self.run);
        let status = self.run.status();
        let parked: BTreeSet<&str> = self.run.incidents.keys().map(|step| step.as_str()).collect();
        let stands: BTreeSet<&str> = self.run.progress.parked.iter().map(|step| step.as_str()).collect();
        if !status.has_ended() {
            prop_assert_eq!(parked, stands);
        }
        if self.retold {
            return Ok(status);
        }
        let story = self.story().map_err(|why| TestCaseError::fail(format!("{why}: {:#?}", self.stream)))?;
        let told = match story.standing {
            Standing::Parked => RunStatus::Parked,
            Standing::Succeeded => RunStatus::Succeeded,
            Standing::Cancelled => RunStatus::Cancelled,
            Standing::Compensating => RunStatus::Compensating,
            Standing::Compensated => RunStatus::Compensated,
            Standing::Going | Standing::Failed if self.run.progress.waiting.is_empty() => RunStatus::Running,
            Standing::Going | Standing::Failed => RunStatus::Waiting,
        };
        prop_assert_eq!(status, told);
        for (step, stands) in &story.steps {
            let expected = match stands {
                story::Stands::Open(0) => StepStatus::Pending,
                story::Stands::Open(_) => StepStatus::RetryScheduled,
                story::Stands::Rounds => StepStatus::Running,
                story::Stands::Waiting => StepStatus::Waiting,
                story::Stands::Done => StepStatus::Succeeded,
                story::Stands::Failed => StepStatus::Failed,
                story::Stands::LeftOut => StepStatus::Skipped,
                story::Stands::Never => StepStatus::Cancelled,
            };
            prop_assert_eq!(self.run.step_status(step), expected, "{}", step);
        }
        Ok(status)
    }
}

#[test]
fn whatever_workers_and_operators_do_a_run_tells_one_story_and_ends() {
    let seen: RefCell<BTreeSet<&'static str>> = RefCell::default();
    let cases = (1..6usize, prop::collection::vec(moves(), 0..120));
    let play = |(steps, moves): (usize, Vec<Move>)| {
        let mut world = World::new(steps);
        for next in &moves {
            world.make(next);
            world.check()?;
        }
        // Left in peace, with an operator who looks after what stands still: so many moves are enough for every step.
        for _ in 0..6 * steps + 6 {
            if world.check()? == RunStatus::Parked {
                world.make(&Move::Retry);
            }
            world.look(0);
            world.execute(0, Outcome::Success);
            world.record(0, true);
        }
        prop_assert!(world.check()?.has_ended(), "{:?}: {:#?}", world.run.status(), world.stream);
        seen.borrow_mut().extend(world.stream.iter().map(|event| event.entry().event_type));
        Ok(())
    };
    let missing = || {
        let types = E::CATALOGUE.iter().map(|entry| entry.event_type);
        types.filter(|event_type| !seen.borrow().contains(event_type)).map(str::to_owned).collect()
    };
    let config = samples::config(512, samples::regressions!("properties"));
    samples::play_until_seen(&config, &cases, play, missing);
}
