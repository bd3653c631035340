//! Random definitions under workers that are killed anywhere, that work on the same run at the same time, and that lose
//! their connections: every step does what it is for exactly once or not at all, as its definition says, and every run
//! ends, or stands still or waits for something that is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::bounds::Bounds;
use crate::common::World;
use crate::killed::moves;
use crate::tasks::Tasks;
use crate::worker::Worker;
use crate::{Engine, EngineOptions, Events, PolledLog};
use anyhow::bail;
use event_store::{Log, RawEvent};
use futures::future::BoxFuture;
use kernel::{Aggregate as _, read_event};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow::{Run, RunStatus, StepStatus};
use workflow_events::RunEvent;

#[path = "../../domain/workflow/tests/it/story.rs"]
#[allow(dead_code, reason = "a story tells more than is asked here")]
mod story;

/// How long workers are killed and connections are cut.
const STORM: Duration = Duration::from_millis(2_500);
/// Longer than any run of these definitions takes in peace.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tag,
    Create,
    Notify,
    Sleep,
    /// Waits for an event that the test sends.
    Await,
    /// Waits for an event that nobody sends.
    AwaitInVain,
    /// Waits for whichever comes first: an event that the test sends, or one that nobody does.
    Any,
    /// Waits for a signal that the test sends.
    Signal,
    /// Asks for a decision.
    Ask,
    /// Chooses between creating one thing and another.
    Choose,
    /// Creates something for each of two, at once or in turn.
    Each(bool),
    /// Has another workflow create something.
    Call,
    /// Is refused by the domain.
    Rejected,
    /// Cannot be sent at all.
    BadTarget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Holds,
    DoesNot,
    /// Neither yes nor no.
    Fails,
    /// Depends on how an earlier step ended.
    AfterFailure(usize),
}

#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    when: When,
    go_on: bool,
}

#[derive(Debug, Clone)]
struct Plan {
    definitions: Vec<Vec<Step>>,
    chance: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    use Kind::{
        Any, Ask, Await, AwaitInVain, BadTarget, Call, Choose, Create, Each, Notify, Rejected, Signal, Sleep, Tag,
    };
    let kinds = vec![
        Tag,
        Tag,
        Create,
        Create,
        Notify,
        Sleep,
        Await,
        AwaitInVain,
        Any,
        Signal,
        Ask,
        Choose,
        Choose,
        Each(true),
        Each(false),
        Call,
        Rejected,
        BadTarget,
    ];
    let kind = prop::sample::select(kinds);
    let when = prop_oneof![
        6 => Just(When::Always),
        1 => Just(When::Holds),
        1 => Just(When::DoesNot),
        1 => Just(When::Fails),
        2 => (0..6usize).prop_map(When::AfterFailure),
    ];
    let step = (kind, when, any::<bool>()).prop_map(|(kind, when, go_on)| Step { kind, when, go_on });
    let definitions = prop::collection::vec(prop::collection::vec(step, 1..7), 4..8);
    (definitions, any::<u64>()).prop_map(|(definitions, chance)| Plan { definitions, chance })
}

impl Step {
    fn earlier(self, index: usize) -> Option<usize> {
        match self.when {
            When::AfterFailure(earlier) if index > 0 => Some(earlier % index),
            _ => None,
        }
    }

    fn action(self, marker: &str, index: usize) -> Value {
        let command = |command: &str, target: &str, parameters: Value| json!({ "type": "command", "command": command, "target": target, "parameters": parameters });
        let client = "{{ event.aggregate_id }}";
        let contact = |name: &str| json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": name } });
        let wait = |tag: &str| json!({ "event_type": "client.tagged", "match": format!("event.aggregate_id == trigger.aggregate_id && event.payload.tag == '{tag}'") });
        let mut action = match self.kind {
            Kind::Tag => command("crm.client.tag", client, json!({ "tag": marker })),
            Kind::Create => contact(marker),
            Kind::Notify => {
                json!({ "type": "notify", "to": "owner", "subject": marker, "body": "{{ event.payload.name }}" })
            }
            Kind::Sleep => {
                json!({ "type": "wait", "until": "{{ timestamp(event.recorded_at) + duration('300ms') }}" })
            }
            Kind::Await => json!({ "type": "wait", "event": wait("go") }),
            Kind::AwaitInVain => {
                let mut event = wait("never");
                event["timeout"] = json!("0s");
                json!({ "type": "wait", "event": event })
            }
            Kind::Any => {
                let mut never = wait("never");
                never["name"] = json!("never");
                let mut event = wait("go");
                event["name"] = json!("go");
                json!({ "type": "wait", "any": [never, event] })
            }
            Kind::Signal => json!({ "type": "wait", "any": [{ "name": "go", "signal": true }] }),
            Kind::Ask => json!({ "type": "approval", "question": marker, "approvers": ["crm.client.tag"] }),
            Kind::Choose => json!({ "type": "choose",
                "cases": [{ "name": "other", "when": "event.payload.name == 'nobody'", "actions": [contact("not this one")] }],
                "otherwise": [contact(marker)] }),
            Kind::Each(at_once) => {
                json!({ "type": "for_each", "items": "['a', 'b']", "parallel": if at_once { 2 } else { 1 },
                "actions": [contact(marker)] })
            }
            Kind::Call => json!({ "type": "run_workflow", "workflow": "Called", "input": { "name": marker } }),
            // A client that was created is a prospect, and does not become dormant.
            Kind::Rejected => command("crm.client.change_status", client, json!({ "status": "dormant" })),
            Kind::BadTarget => command("crm.client.tag", "{{ event.payload.name }}", json!({ "tag": marker })),
        };
        let when = match self.when {
            When::Always => None,
            When::Holds => Some("size(event.payload.name) == 3".to_owned()),
            When::DoesNot => Some("size(event.payload.name) == 4".to_owned()),
            When::Fails => Some("1 / (size(event.payload.name) - 3) > 0".to_owned()),
            When::AfterFailure(_) => self.earlier(index).map(|earlier| format!("step[{earlier}].status == 'failed'")),
        };
        action["when"] = when.map_or(Value::Null, Value::from);
        if action["when"].is_null() {
            action.as_object_mut().unwrap().remove("when");
        }
        if self.go_on {
            action["on_error"] = json!("continue");
        }
        action
    }

    /// How it ends, by what the definition says. A step that would be parked is left out by the operator.
    fn ends(self, index: usize, before: &[StepStatus]) -> StepStatus {
        let failed = if self.go_on { StepStatus::Failed } else { StepStatus::Skipped };
        match self.when {
            When::DoesNot => StepStatus::Skipped,
            When::Fails => failed,
            When::AfterFailure(_) if self.earlier(index).is_some_and(|e| before[e] != StepStatus::Failed) => {
                StepStatus::Skipped
            }
            _ => match self.kind {
                Kind::AwaitInVain | Kind::Rejected | Kind::BadTarget => failed,
                _ => StepStatus::Succeeded,
            },
        }
    }
}

fn marker(definition: usize, step: usize) -> String {
    format!("d{definition}-s{step}")
}

fn document(definition: usize, steps: &[Step]) -> Value {
    let actions: Vec<Value> =
        steps.iter().enumerate().map(|(index, step)| step.action(&marker(definition, index), index)).collect();
    json!({
        "name": format!("Sample {definition}"),
        "runs_as": ["*"],
        "trigger": { "event_type": "client.created" },
        // A connection that is lost is no reason to give up.
        "retry": { "max_attempts": 100, "initial_ms": 1, "cap_ms": 20 },
        "actions": actions,
    })
}

fn predicted(steps: &[Step]) -> Vec<StepStatus> {
    let mut ends = vec![];
    for (index, step) in steps.iter().enumerate() {
        ends.push(step.ends(index, &ends));
    }
    ends
}

/// The log in pieces of any length, now and then not at all.
struct Flaky(PolledLog);

impl Events for Flaky {
    fn read(&self, after: i64, max: usize) -> BoxFuture<'_, anyhow::Result<Vec<Arc<RawEvent>>>> {
        Box::pin(async move {
            if rand::random_ratio(1, 20) {
                bail!("the feed is gone for a moment");
            }
            self.0.read(after, max.min(rand::random_range(1..8))).await
        })
    }
}

/// Everybody who works on the runs, and what troubles them.
struct Crew {
    storm: Arc<AtomicBool>,
    killed: Arc<AtomicUsize>,
    stopping: CancellationToken,
    intakes: Vec<Engine>,
    others: Vec<tokio::task::JoinHandle<()>>,
}

impl Crew {
    fn start(world: &World, watch: &PgPool, chance: u64) -> Self {
        let options = EngineOptions { runs_at_once: 0, ..EngineOptions::default() };
        let intakes = (0..2).map(|_| {
            let events = Arc::new(Flaky(PolledLog(world.log.clone())));
            Engine::start(world.pool.clone(), world.bus.clone(), events, options.clone())
        });
        let intakes = intakes.collect();
        let (storm, killed, stopping) = (Arc::new(AtomicBool::new(true)), Arc::default(), CancellationToken::new());
        let crew = |number| Chance {
            rng: StdRng::seed_from_u64(chance.wrapping_add(number)),
            storm: Arc::clone(&storm),
            killed: Arc::clone(&killed),
            stopping: stopping.clone(),
        };
        let mut others: Vec<_> =
            (1..4).map(|number| tokio::spawn(work(crew(number), world.pool.clone(), world.bus.clone()))).collect();
        others.push(tokio::spawn(cut_connections(crew(9), watch.clone())));
        Self { storm, killed, stopping, intakes, others }
    }

    async fn stop(self) {
        self.stopping.cancel();
        for engine in self.intakes {
            engine.stop().await;
        }
        for other in self.others {
            other.await.unwrap();
        }
    }
}

struct Chance {
    rng: StdRng,
    storm: Arc<AtomicBool>,
    killed: Arc<AtomicUsize>,
    stopping: CancellationToken,
}

/// Takes a few runs at a time, works on them in any order, dies often, and is somebody else then.
async fn work(mut chance: Chance, pool: PgPool, bus: event_store::CommandBus) {
    while !chance.stopping.is_cancelled() {
        let storm = chance.storm.load(Ordering::Relaxed);
        // In the storm a lease is over before the work is, so that several work on one run.
        let lease = Duration::from_millis(if storm { 4 } else { 5_000 });
        let tasks = Tasks::new(pool.clone(), lease);
        let worker =
            Worker::new(bus.clone(), tasks, Bounds::default(), CancellationToken::new(), watch::Sender::new(0));
        let mut tasks = worker.tasks.take(chance.rng.random_range(1..4)).await.unwrap_or_default();
        tasks.shuffle(&mut chance.rng);
        for task in tasks {
            let moves_left =
                if storm && chance.rng.random_bool(0.9) { chance.rng.random_range(1..16) } else { usize::MAX };
            // What cannot be done now is done by whoever comes when the lease is over.
            if !moves(Box::pin(async { drop(worker.work(task, None).await) }), moves_left).await {
                chance.killed.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(chance.rng.random_range(0..6))).await;
    }
}

/// Ends one connection after the other, whatever it is doing.
async fn cut_connections(mut chance: Chance, watch: PgPool) {
    while !chance.stopping.is_cancelled() && chance.storm.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(chance.rng.random_range(100..500))).await;
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and usename in ('ubos_worker', 'ubos_command')
                   order by random() limit 1";
        sqlx::query(sql).execute(&watch).await.unwrap();
    }
}

#[test]
fn whatever_fails_every_step_is_done_once_and_every_run_ends_or_stands_where_it_can_be_seen() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // The same plan fails in another way the next time, so there is little to be gained from smaller ones.
    let config = Config { max_shrink_iters: 4, ..samples::config(3, samples::regressions!("properties")) };
    let played = TestRunner::new(config).run(&plans(), |plan| runtime.block_on(play(&plan)));
    played.unwrap_or_else(|error| panic!("{error}"));
}

async fn play(plan: &Plan) -> TestCaseResult {
    let world = World::new().await;
    world.register().await;
    let watch = world.superuser().await;
    let log = Log::new(watch.clone());
    let contact = json!({ "type": "create_entity", "domain": "crm", "entity": "contact", "parameters": { "name": "{{ event.payload.name }}" } });
    let called = json!({ "name": "Called", "runs_as": ["*"], "trigger": { "called": {} }, "actions": [contact] });
    let called = world.publish(&called).await;
    let mut ids = BTreeMap::new();
    for (number, steps) in plan.definitions.iter().enumerate() {
        ids.insert(world.publish(&document(number, steps)).await, number);
    }
    let mut clients = vec![];
    for name in ["Ada", "Bob", "Eve", "Joe", "Zoë"] {
        clients.push(world.client(name).await.id);
    }
    let crew = Crew::start(&world, &watch, plan.chance);
    tokio::time::sleep(STORM).await;
    crew.storm.store(false, Ordering::Relaxed);
    let mut rng = StdRng::seed_from_u64(plan.chance);
    let (mut looks, mut sent) = (0, vec![]);
    loop {
        until_quiet(&watch).await?;
        let all = runs(&log).await?;
        prop_assert!(
            all.values().all(|(run, _)| run.definition_id.0 != called || run.has_ended()),
            "one that was called"
        );
        let runs: BTreeMap<_, _> = all.into_iter().filter(|(_, (run, _))| run.definition_id.0 != called).collect();
        prop_assert_eq!(runs.len(), plan.definitions.len() * clients.len());
        if runs.values().all(|(run, _)| run.has_ended()) {
            break;
        }
        // Every wait that was there when its event came is over.
        let waiting = |id: &Uuid| runs.get(id).and_then(|(run, _)| run.progress.waiting.first().cloned());
        for (id, step) in sent.drain(..) {
            prop_assert!(waiting(&id) != Some(step), "run {} missed its event: {:#?}", id, world.summary().await);
        }
        sent.extend(runs.keys().filter_map(|id| Some((*id, waiting(id)?))));
        looks += 1;
        prop_assert!(looks < 60, "the operators come to no end: {:#?}", world.summary().await);
        stands_where_it_can_be_seen(&watch, &runs).await?;
        for (id, (run, _)) in &runs {
            let reason = || "a sample".parse().unwrap();
            match run.status() {
                RunStatus::Waiting => answer(&world, *id, run).await,
                // Tried again it fails again. Left out, it is done with.
                RunStatus::Parked if rng.random_bool(0.3) => {
                    workflow_engine::retry(&world.bus, world.tenant, *id, reason()).await.unwrap();
                }
                RunStatus::Parked => {
                    workflow_engine::skip(&world.bus, world.tenant, *id, Value::Null, reason()).await.unwrap();
                }
                _ => {}
            }
        }
        for client in &clients {
            for (command, tag) in [("crm.client.untag", "go"), ("crm.client.tag", "go")] {
                world.send(command, Some(*client), json!({ "tag": tag })).await.unwrap();
            }
        }
    }
    let killed = crew.killed.load(Ordering::Relaxed);
    crew.stop().await;
    println!("{} runs, {killed} workers killed, {looks} looks of an operator", plan.definitions.len() * clients.len());
    let runs = runs(&log).await?;
    let events = log.read(0, 1_000_000).await.unwrap();
    for (id, (run, _)) in runs.iter().filter(|(_, (run, _))| run.definition_id.0 != called) {
        let number = ids[&run.definition_id.0];
        let steps = &plan.definitions[number];
        let ends: Vec<StepStatus> = run.order.iter().map(|step| run.step_status(step)).collect();
        prop_assert_eq!(&ends, &predicted(steps), "{:#?}", world.summary().await);
        prop_assert_eq!(run.status(), RunStatus::Succeeded);
        for (index, step) in steps.iter().enumerate() {
            let called = runs
                .iter()
                .filter(|(_, (other, _))| other.parent.as_ref().is_some_and(|parent| parent.run_id.0 == *id));
            let by: Vec<Uuid> = called.map(|(called, _)| *called).chain([*id]).collect();
            let done: usize = by.iter().map(|id| effects(&events, *id, &marker(number, index))).sum();
            let times = match step.kind {
                Kind::Tag | Kind::Create | Kind::Notify | Kind::Choose | Kind::Call => 1,
                Kind::Each(_) => 2,
                _ => 0,
            };
            let expected = if ends[index] == StepStatus::Succeeded { times } else { 0 };
            prop_assert_eq!(done, expected, "step {} of {:?}: {:#?}", index, steps, world.summary().await);
        }
    }
    prop_assert!(world.is_idle().await, "something is left over");
    Ok(())
}

/// Sends what a run waits for, unless that is an event.
async fn answer(world: &World, id: Uuid, run: &Run) {
    for path in &run.progress.waiting {
        let step = run.step_at(path).unwrap();
        // A run that goes on meanwhile is asked once more later.
        if step.approval.is_some() {
            drop(world.send("workflow.run.approve", Some(id), json!({ "step": path })).await);
        } else if step.wait.as_ref().is_some_and(|wait| !wait.signals.is_empty()) {
            drop(world.send("workflow.run.signal", Some(id), json!({ "name": "go" })).await);
        }
    }
}

/// How often a run did what its step with this marker is for.
fn effects(events: &[RawEvent], run: Uuid, marker: &str) -> usize {
    let by_run =
        |event: &&RawEvent| matches!(event.metadata.actor, kernel::Actor::Workflow { run_id, .. } if run_id == run);
    let tells = |event: &&RawEvent| {
        let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
        match event.event_type.as_str() {
            "client.tagged" => payload["tag"] == marker,
            "contact.created" => payload["name"] == marker,
            "run.notification_requested" => payload["subject"] == marker,
            _ => false,
        }
    };
    events.iter().filter(by_run).filter(tells).count()
}

/// Every run, by its stream, with its story.
async fn runs(log: &Log) -> Result<BTreeMap<Uuid, (Run, story::Story)>, TestCaseError> {
    let mut streams: BTreeMap<Uuid, Vec<RawEvent>> = BTreeMap::new();
    for event in log.read(0, 1_000_000).await.unwrap() {
        if event.aggregate_type == "workflow.run" {
            streams.entry(event.aggregate_id).or_default().push(event);
        }
    }
    let mut runs = BTreeMap::new();
    for (id, stream) in streams {
        let payload = |event: &RawEvent| serde_json::from_str::<Value>(event.payload.get()).unwrap();
        let story = story::tell(stream.iter().map(|event| (event.event_type.as_str(), payload(event))));
        let story = story.map_err(|why| TestCaseError::fail(format!("run {id}: {why}")))?;
        let mut run = Run::default();
        for event in &stream {
            run.apply(&read_event::<RunEvent>(&event.event_type, event.event_version, event.payload.get()).unwrap());
        }
        for (step, stands) in &story.steps {
            prop_assert_eq!(run.step_status(step) == StepStatus::Succeeded, *stands == story::Stands::Done, "{}", step);
        }
        runs.insert(id, (run, story));
    }
    Ok(runs)
}

/// Waits until nothing is due, nobody holds a run and the intake has read the log.
async fn until_quiet(watch: &PgPool) -> TestCaseResult {
    let started = Instant::now();
    let sql = "select (select count(*) from engine.tasks where lease is not null or state = 'due' or due_at is not null)
                    + (select h.position - c.position from eventstore.head h, engine.checkpoint c where c.name = 'intake')";
    let mut quiet = 0;
    while quiet < 3 {
        let open: i64 = sqlx::query_scalar(sql).fetch_one(watch).await.unwrap();
        quiet = if open == 0 { quiet + 1 } else { 0 };
        prop_assert!(started.elapsed() < PATIENCE, "{} things are still going on", open);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// What has not ended is parked, or waits for an event that the intake knows of; what has ended is forgotten.
async fn stands_where_it_can_be_seen(watch: &PgPool, runs: &BTreeMap<Uuid, (Run, story::Story)>) -> TestCaseResult {
    for (id, (run, _)) in runs {
        let state: Option<String> = sqlx::query_scalar("select state from engine.tasks where run_id = $1")
            .bind(id)
            .fetch_optional(watch)
            .await
            .unwrap();
        let waits: i64 = sqlx::query_scalar(
            "select count(*) from engine.waits where run_id = $1 and step = any($2) and matched is null",
        )
        .bind(id)
        .bind(run.progress.waiting.iter().map(ToString::to_string).collect::<Vec<_>>())
        .fetch_one(watch)
        .await
        .unwrap();
        let events =
            run.progress.waiting.iter().filter_map(|path| Some(run.step_at(path)?.wait.as_ref()?.events.len()));
        let awaited = i64::try_from(events.sum::<usize>()).unwrap();
        match run.status() {
            RunStatus::Parked => {
                prop_assert!(state.as_deref() == Some("parked") && run.incident().is_some(), "{:?}", state)
            }
            RunStatus::Waiting => {
                prop_assert_eq!((state.as_deref(), waits), (Some("waiting"), awaited), "{:?}", run.progress)
            }
            RunStatus::Compensating => prop_assert!(false, "nobody asked for that"),
            RunStatus::Running => prop_assert!(false, "run {} is forgotten: {:?}", id, state),
            RunStatus::Succeeded | RunStatus::Cancelled | RunStatus::Compensated => prop_assert_eq!(state, None),
        }
    }
    Ok(())
}
