//! A run under workers that hang, die, come late and come twice, and under operators: whatever they record in whatever
//! order, the stream tells one sensible story, and a run that is left in peace comes to its end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod story;

use kernel::{Actor, Aggregate, Context, Event as _, Personal, TenantId, UserId, spec::spec_time};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use story::{Standing, Story, tell};
use uuid::Uuid;
use workflow_domain::run::RunCommand as C;
use workflow_domain::{Entry, Run, RunStatus, StepStatus};
use workflow_events::{FailureClass, RunEvent as E, Trigger};

/// What a step comes to when it is executed.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Success,
    TryAgain,
    Park,
    GoOn,
    Wait,
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
    Cancel,
}

fn moves() -> impl Strategy<Value = Move> {
    use Outcome::{GoOn, LeftOut, Notify, Park, Success, TryAgain, Wait};
    let worker = 0..3usize;
    let outcome = prop::sample::select(vec![Success, Success, Success, TryAgain, Park, GoOn, Wait, Notify, LeftOut]);
    prop_oneof![
        8 => worker.clone().prop_map(Move::Look),
        8 => (worker.clone(), outcome).prop_map(|(worker, outcome)| Move::Execute(worker, outcome)),
        8 => (worker.clone(), any::<bool>()).prop_map(|(worker, checked)| Move::Record(worker, checked)),
        2 => worker.clone().prop_map(Move::RecordAgain),
        1 => worker.prop_map(Move::Die),
        3 => Just(Move::Retry),
        2 => Just(Move::Skip),
        1 => prop::num::u8::ANY.prop_map(|n| if n < 40 { Move::Cancel } else { Move::Retry }),
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
}

impl World {
    fn new(steps: usize) -> Self {
        let mut world = Self { stream: vec![], run: Run::default(), workers: vec![Worker::default(); 3] };
        let trigger = Trigger {
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
            steps: (0..steps).map(|n| format!("step_{n}")).collect(),
            trigger,
            depth: 0,
            entries: vec![],
        };
        assert!(world.send(start, true));
        world
    }

    /// Whether it was taken.
    fn send(&mut self, command: C, engine: bool) -> bool {
        let engine_itself = Actor::Workflow { run_id: Uuid::from_u128(2), definition: "Sample".into() };
        let actor = if engine { engine_itself } else { Actor::User { id: UserId(Uuid::from_u128(3)) } };
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
        let Some(step) = seen.step().filter(|_| !seen.has_ended() && seen.status != RunStatus::Parked) else { return };
        let (code, message) = ("unavailable".to_owned(), "nobody answered".to_owned());
        let failed = |go_on| Entry::Failed {
            class: FailureClass::Terminal,
            code: code.clone(),
            message: message.clone(),
            go_on,
        };
        let done = || Entry::Succeeded { result: Personal::new(json!({ "id": step.id })) };
        let mut entries = match (step.status, outcome) {
            (StepStatus::Pending, Outcome::LeftOut) => vec![Entry::LeftOut { reason: "no".parse().unwrap() }],
            (StepStatus::Pending, Outcome::Park) => vec![failed(false)],
            (StepStatus::Pending, _) => vec![Entry::Started {}],
            (_, Outcome::Park) => vec![failed(false)],
            (_, Outcome::GoOn) => vec![failed(true)],
            (StepStatus::Waiting, _) => vec![done()],
            (_, Outcome::TryAgain) => vec![Entry::RetryScheduled { code, message, due_at: spec_time() }],
            (_, Outcome::Wait) => {
                vec![Entry::Waiting { until: None, event_type: Some("client.tagged".into()), matching: None }]
            }
            (_, Outcome::Notify) => {
                let text = || Personal::new("Hello".parse().unwrap());
                let notified = Entry::Notified { to: Personal::new("owner".into()), subject: text(), body: text() };
                vec![notified, done()]
            }
            (_, Outcome::Success | Outcome::LeftOut) => vec![done()],
        };
        // One commit ends a step and begins the next.
        if let Ok(after) = seen.after(&entries, spec_time())
            && after.step().is_some_and(|next| next.status == StepStatus::Pending)
            && after.status == RunStatus::Running
        {
            entries.push(Entry::Started {});
        }
        *to_record = entries;
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
            Move::Retry => drop(self.send(C::Retry { reason: reason() }, false)),
            Move::Skip => drop(self.send(C::Skip { output: Value::Null, reason: reason() }, false)),
            Move::Cancel => drop(self.send(C::Cancel { reason: reason() }, false)),
        }
    }

    fn story(&self) -> Result<Story, String> {
        tell(self.stream.iter().map(|event| (event.entry().event_type, serde_json::to_value(event).unwrap())))
    }

    /// Is the state what the stream tells?
    fn check(&self) -> Result<Standing, TestCaseError> {
        let story = self.story().map_err(|why| TestCaseError::fail(format!("{why}: {:#?}", self.stream)))?;
        let mut replayed = Run::default();
        self.stream.iter().for_each(|event| replayed.apply(event));
        prop_assert_eq!(&replayed, &self.run);
        let status = match story.standing {
            Standing::Parked => RunStatus::Parked,
            Standing::Waiting => RunStatus::Waiting,
            Standing::Succeeded => RunStatus::Succeeded,
            Standing::Cancelled => RunStatus::Cancelled,
            _ => RunStatus::Running,
        };
        prop_assert_eq!(self.run.status, status);
        prop_assert_eq!(self.run.current, story.current);
        // A run that was cancelled may show what it stood still for.
        let incident = self.run.incident.is_some();
        prop_assert!(incident == (status == RunStatus::Parked) || status == RunStatus::Cancelled);
        if let Standing::Running(attempts) = story.standing {
            prop_assert_eq!(self.run.step().map(|step| u64::from(step.attempts)), Some(attempts));
        }
        Ok(story.standing)
    }
}

#[test]
fn whatever_workers_and_operators_do_a_run_tells_one_story_and_ends() {
    let seen: RefCell<BTreeSet<&'static str>> = RefCell::default();
    let mut runner = TestRunner::new(samples::config(512, samples::regressions!("properties")));
    let cases = (1..6usize, prop::collection::vec(moves(), 0..120));
    let played = runner.run(&cases, |(steps, moves)| {
        let mut world = World::new(steps);
        for next in &moves {
            world.make(next);
            world.check()?;
        }
        // Left in peace, with an operator who looks after what stands still: so many moves are enough for every step.
        for _ in 0..4 * steps + 4 {
            if world.check()? == Standing::Parked {
                world.make(&Move::Retry);
            }
            world.look(0);
            world.execute(0, Outcome::Success);
            world.record(0, true);
        }
        let end = world.check()?;
        prop_assert!(matches!(end, Standing::Succeeded | Standing::Cancelled), "{:?}: {:#?}", end, world.stream);
        seen.borrow_mut().extend(world.stream.iter().map(|event| event.entry().event_type));
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
    let unseen: Vec<_> = E::CATALOGUE.iter().filter(|entry| !seen.borrow().contains(entry.event_type)).collect();
    assert!(unseen.is_empty(), "events that no case led to: {unseen:?}");
}
