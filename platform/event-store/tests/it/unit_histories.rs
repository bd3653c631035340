//! Random units of several tasks at once, on streams and claims that they share, while connections are killed: what the log says
//! in the end is what the same commands would have done one after the other.

use crate::common::{Tally, TallyCommand as C, assert_sound, keyed, request, tenant};
use event_store::{ExecuteError, Executed, Log, RawEvent, Request, Store, StoreOptions, UnitCommand, UnitError};
use futures::future::join_all;
use kernel::{Actor, Aggregate, ClaimChange, Context};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;

/// Streams that everybody works on, and labels that they want.
const STREAMS: usize = 5;
const LABELS: usize = 3;

/// One command of a unit.
#[derive(Debug, Clone)]
enum Op {
    Open(Option<usize>),
    To(usize, C),
}

fn op() -> impl Strategy<Value = Op> {
    let label = || (0..LABELS).prop_map(|label| format!("label {label}"));
    let command = prop_oneof![
        4 => (-1i64..4).prop_map(|amount| C::Add { amount: if amount < 0 { 1 } else { amount } }),
        1 => Just(C::Add { amount: -1 }),
        2 => prop::collection::vec(1i64..4, 1..3).prop_map(|amounts| C::AddEach { amounts }),
        3 => label().prop_map(|label| C::Label { label }),
        2 => label().prop_map(|label| C::TakeLabel { label }),
        3 => Just(C::Unlabel {}),
    ];
    prop_oneof![
        1 => prop::option::of(0..LABELS).prop_map(Op::Open),
        12 => (0..STREAMS, command).prop_map(|(stream, command)| Op::To(stream, command)),
    ]
}

/// What each task does, one unit after the other.
fn plans() -> impl Strategy<Value = Vec<Vec<Vec<Op>>>> {
    prop::collection::vec(prop::collection::vec(prop::collection::vec(op(), 1..6), 5..15), 4..9)
}

/// A unit that was asked for, and what became of it.
struct Asked {
    request: Request,
    commands: Vec<(Uuid, C)>,
    answer: Result<Vec<Executed>, UnitError>,
}

fn commands(ops: &[Op], streams: &[Uuid]) -> Vec<(Uuid, C)> {
    let command = |op: &Op| match op {
        Op::Open(label) => (Uuid::now_v7(), C::Open { label: label.map(|label| format!("label {label}")) }),
        Op::To(stream, command) => (streams[*stream], command.clone()),
    };
    ops.iter().map(command).collect()
}

/// Asks until the answer is known, as a client would, and then once more at another process.
async fn ask(stores: &[Store; 2], turn: usize, commands: Vec<(Uuid, C)>) -> Asked {
    let request = keyed(&Uuid::now_v7().to_string(), 1);
    let unit: Vec<_> = commands.iter().map(|(id, c)| UnitCommand::new::<Tally>(Some(*id), c.clone())).collect();
    let answer = loop {
        match stores[turn % 2].execute_unit(&unit, &request).await {
            Err(UnitError { error: ExecuteError::Unavailable(_) | ExecuteError::Overloaded, .. }) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer => break answer,
        }
    };
    if let Ok(first) = &answer {
        let again = loop {
            // Loads go over the pool, whose connections are not killed; the append may be unlucky again.
            match stores[(turn + 1) % 2].execute_unit(&unit, &request).await {
                Err(UnitError { error: ExecuteError::Unavailable(_) | ExecuteError::Conflict, .. }) => {}
                again => break again.unwrap(),
            }
        };
        assert!(again.iter().all(|executed| executed.replayed));
        let same = |e: &Executed| (e.id, e.version, e.position, e.created);
        assert_eq!(again.iter().map(same).collect::<Vec<_>>(), first.iter().map(same).collect::<Vec<_>>());
    }
    Asked { request, commands, answer }
}

/// Ends whatever appends, again and again.
async fn kill(superuser: PgPool, stop: Arc<AtomicBool>, killed: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let gone: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and usename = 'ubos_command' and query like '%eventstore.append(%'
               and state <> 'idle'",
        )
        .fetch_one(&superuser)
        .await
        .unwrap();
        killed.fetch_add(usize::try_from(gone).unwrap(), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

async fn play(plans: Vec<Vec<Vec<Op>>>, killed: Arc<AtomicUsize>) {
    let database = TestDatabase::create().await;
    let make = async || Store::start(database.command().await, StoreOptions::default());
    let stores = [make().await, make().await];
    let mut streams = vec![];
    for _ in 0..STREAMS {
        streams.push(stores[0].execute::<Tally>(None, C::Open { label: None }, &request()).await.unwrap().id);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn(kill(database.superuser().await, stop.clone(), killed));
    let tasks = plans.into_iter().enumerate().map(|(turn, units)| {
        let (stores, streams) = (stores.clone(), streams.clone());
        tokio::spawn(async move {
            let mut asked = vec![];
            for ops in units {
                asked.push(ask(&stores, turn, commands(&ops, &streams)).await);
            }
            asked
        })
    });
    let asked: Vec<Asked> = join_all(tasks).await.into_iter().flat_map(|task| task.unwrap()).collect();
    stop.store(true, Ordering::Relaxed);
    killer.await.unwrap();
    let log = Log::new(database.worker().await).read(0, 100_000).await.unwrap();
    assert_sound(&database.owner().await).await;
    judge(&log, &asked, &streams);
    let claims: Vec<(String, Uuid)> = sqlx::query_as("select value, aggregate_id from eventstore.claims")
        .fetch_all(&database.owner().await)
        .await
        .unwrap();
    assert_eq!(claims.into_iter().collect::<HashMap<_, _>>(), serial(&log, &asked, &streams));
    // Whatever a process remembers, what it does next is right.
    for id in streams {
        let cold = make().await.load::<Tally>(tenant(), id).await.unwrap();
        for (store, nth) in stores.iter().zip(1..) {
            let next =
                store.execute_unit(&[UnitCommand::new::<Tally>(Some(id), C::Add { amount: 1 })], &request()).await;
            assert_eq!(next.unwrap()[0].version, cold.1 + nth);
        }
        assert_eq!(make().await.load::<Tally>(tenant(), id).await.unwrap().0.sum, cold.0.sum + 2);
    }
}

/// A unit is there as a whole or not at all, its events one after the other.
fn judge(log: &[RawEvent], asked: &[Asked], streams: &[Uuid]) {
    let mut by_request: HashMap<Uuid, Vec<&RawEvent>> = HashMap::new();
    for event in log {
        by_request.entry(event.metadata.correlation_id).or_default().push(event);
    }
    for Asked { request, commands, answer } in asked {
        let events = by_request.remove(&request.correlation_id).unwrap_or_default();
        let Ok(executed) = answer else {
            assert!(events.is_empty(), "{answer:?} left {events:?}");
            continue;
        };
        assert_eq!(executed.len(), commands.len());
        let size = u32::try_from(events.len()).unwrap();
        for (pair, index) in events.windows(2).zip(1..) {
            assert_eq!(pair[1].position, pair[0].position + 1, "{index}");
            assert_eq!(pair[1].recorded_at, pair[0].recorded_at);
        }
        for (event, index) in events.iter().zip(1..) {
            // Several events of one command alone need no mark.
            if let Some(unit) = event.metadata.unit {
                assert_eq!((unit.id, unit.index, unit.size), (request.command_id, index, size));
            } else {
                assert!(events.iter().all(|other| other.aggregate_id == event.aggregate_id));
            }
        }
        for Executed { id, version, position, .. } in executed {
            let event = &log[usize::try_from(position - 1).unwrap()];
            assert_eq!((event.aggregate_id, event.sequence), (*id, *version));
        }
    }
    assert_eq!(by_request.len(), streams.len(), "nothing is from nowhere");
}

/// Sends what was done to aggregates in memory, in the order of the log, and compares event by event.
fn serial(log: &[RawEvent], asked: &[Asked], streams: &[Uuid]) -> HashMap<String, Uuid> {
    let mut states: HashMap<Uuid, Tally> = streams.iter().map(|id| (*id, Tally::default())).collect();
    let mut held: HashMap<String, Uuid> = HashMap::new();
    let done: HashMap<Uuid, &Asked> = asked.iter().map(|asked| (asked.request.correlation_id, asked)).collect();
    let mut rest = &log[streams.len()..];
    while let Some(next) = rest.first() {
        let Asked { request, commands, .. } = done[&next.metadata.correlation_id];
        for (id, command) in commands {
            // Whoever has the label that another takes gives it up first.
            let mut turns = vec![(*id, command.clone())];
            if let C::TakeLabel { label } = command
                && let Some(holder) = held.get(label).filter(|holder| *holder != id)
            {
                turns.insert(0, (*holder, C::Unlabel {}));
            }
            for (id, command) in turns {
                let actor = Actor::System { name: "serial".into() };
                let ctx = Context::new(tenant(), actor, request.now, id, request.command_id);
                let state = states.entry(id).or_default();
                for event in state.decide(command, &ctx).unwrap() {
                    for change in state.claims(&event) {
                        match change {
                            ClaimChange::Take(claim) => {
                                assert_eq!(*held.entry(claim.value).or_insert(id), id, "somebody else held it");
                            }
                            ClaimChange::Release(claim) => drop(held.remove(&claim.value)),
                        }
                    }
                    state.apply(&event);
                    let (written, others) = rest.split_first().unwrap();
                    assert_eq!(written.aggregate_id, id);
                    assert_eq!(written.payload.get(), serde_json::to_string(&event).unwrap());
                    rest = others;
                }
            }
        }
    }
    held
}

#[test]
fn units_at_once_are_as_units_one_after_the_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let killed = Arc::new(AtomicUsize::new(0));
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(8);
    let config = Config { cases, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&plans(), |plans| {
            runtime.block_on(play(plans, killed.clone()));
            Ok(())
        })
        .unwrap();
    let killed = killed.load(Ordering::Relaxed);
    println!("{killed} connections killed");
    assert!(killed > 0, "no append was ever interrupted");
}
