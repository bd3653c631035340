//! What a thousand commands at once may rely on: dense positions, contiguous streams, every acknowledged command once.

use crate::common::{Tally, TallyCommand as C, assert_sound, keyed, request, tenant};
use event_store::{ExecuteError, Executed, Store, StoreOptions, begin};
use futures::future::join_all;
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use testing::TestDatabase;
use uuid::Uuid;

const CLIENTS: usize = 64;

/// Every client adds 1 to hot and cold tallies through one of two stores; answers how often it was acknowledged.
async fn hammer(stores: [Store; 2], hot: Arc<Vec<Uuid>>, stop: Arc<AtomicBool>) -> (i64, i64) {
    let (acknowledged, conflicts) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let clients = (0..CLIENTS).map(|client| {
        let (store, hot, stop) = (stores[client % 2].clone(), hot.clone(), stop.clone());
        let (acknowledged, conflicts) = (acknowledged.clone(), conflicts.clone());
        tokio::spawn(async move {
            let mut turn = client;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                let id = if turn % 3 == 0 {
                    hot[turn % hot.len()]
                } else {
                    store.execute::<Tally>(None, C::Open { label: None }, &request()).await.map_or(hot[0], |e| e.id)
                };
                // Known keys make an unknown outcome safe to repeat, as a client would.
                let request = keyed(&format!("{client}-{turn}"), 1);
                loop {
                    match store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request).await {
                        Ok(Executed { .. }) => {
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        Err(ExecuteError::Conflict) => {
                            conflicts.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(ExecuteError::Unavailable(_) | ExecuteError::Overloaded) => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    (acknowledged.load(Ordering::Relaxed), conflicts.load(Ordering::Relaxed))
}

async fn world() -> (TestDatabase, [Store; 2], Arc<Vec<Uuid>>) {
    let database = TestDatabase::create().await;
    let count_calls = "do $$ begin
        execute format('alter database %I set track_functions = pl', current_database());
    end $$";
    sqlx::raw_sql(count_calls).execute(&database.superuser().await).await.unwrap();
    let stores = [
        Store::start(database.command().await, StoreOptions::default()),
        Store::start(database.command().await, StoreOptions::default()),
    ];
    let mut hot = vec![];
    for _ in 0..4 {
        hot.push(stores[0].execute::<Tally>(None, C::Open { label: None }, &request()).await.unwrap().id);
    }
    (database, stores, Arc::new(hot))
}

async fn additions(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("select count(*) from eventstore.events where event_type = 'tally.added'")
        .fetch_one(&database.owner().await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_appenders_and_sixty_four_clients_keep_one_serial_history() {
    let (database, stores, hot) = world().await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(hammer(stores.clone(), hot.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, conflicts) = load.await.unwrap();
    println!("{acknowledged} acknowledged, {conflicts} given up after retries");
    assert!(acknowledged > 100);
    assert_eq!(additions(&database).await, acknowledged);
    assert_sound(&database.owner().await).await;
    let granted = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                   where l.locktype = 'advisory' and d.datname = current_database() and granted";
    let turns = sqlx::query_scalar::<_, i64>(granted).fetch_one(&database.superuser().await).await.unwrap();
    assert_eq!(turns, 0, "whatever became of a batch, its turn was given back");
    // The states agree with the log, whichever store folds them.
    for id in hot.iter() {
        let first = stores[0].load::<Tally>(tenant(), *id).await.unwrap();
        assert_eq!(first, stores[1].load::<Tally>(tenant(), *id).await.unwrap());
        assert_eq!(first.0.additions, first.1 - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_no_turn_appends_all_the_same() {
    let (database, stores, hot) = world().await;
    // As a process that was stopped in its turn.
    let superuser = database.superuser().await;
    let mut stopped = superuser.acquire().await.unwrap();
    let take = sqlx::query("select pg_advisory_lock(hashtextextended('eventstore.turn', 0))");
    take.execute(&mut *stopped).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(hammer(stores, hot, stop.clone()));
    let (began, mut wanted) = (Instant::now(), 0);
    // Two seconds; longer if nobody has wanted a turn.
    while began.elapsed() < Duration::from_secs(2) || wanted == 0 && began.elapsed() < Duration::from_secs(30) {
        // Nobody wants a turn for a few commands, and on a busy machine more do not come together by themselves. They gather in
        // the stores' memory, where no condition can be waited for; if it was too short, it is done again.
        let mut held = begin(&superuser).await.unwrap();
        sqlx::query("select from eventstore.head for update").execute(&mut *held).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        held.rollback().await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        // Counted by PostgreSQL: a wait of 50 ms is over before a busy machine looks.
        let calls = "select coalesce(sum(calls), 0)::bigint from pg_stat_user_functions where funcname = 'await_turn'";
        wanted = sqlx::query_scalar::<_, i64>(calls).fetch_one(&mut *stopped).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, _) = load.await.unwrap();
    println!("{acknowledged} acknowledged, a turn was wanted {wanted} times");
    assert!(wanted > 0, "nobody wanted a turn");
    assert!(acknowledged > 100);
    assert_eq!(additions(&database).await, acknowledged);
    assert_sound(&database.owner().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_disconnect_leave_no_half_written_command() {
    let (database, stores, hot) = world().await;
    let mut aborted = 0;
    for round in 0..40u64 {
        let tasks: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (store, id) = (stores[client % 2].clone(), hot[client % hot.len()]);
                tokio::spawn(
                    async move { store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request()).await.is_ok() },
                )
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(150 * round)).await;
        for task in &tasks {
            if !task.is_finished() {
                task.abort();
                aborted += 1;
            }
        }
        join_all(tasks).await;
    }
    assert!(aborted > 100, "the storm must hit commands in flight, hit {aborted}");
    // The stores still work, and what was written is whole.
    for store in &stores {
        store.execute::<Tally>(Some(hot[0]), C::Add { amount: 1 }, &request()).await.unwrap();
        store.drain().await;
    }
    assert_sound(&database.owner().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_appender_connection_loses_and_doubles_nothing() {
    let (database, stores, hot) = world().await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(hammer(stores.clone(), hot.clone(), stop.clone()));
    let superuser = database.superuser().await;
    let mut killed = 0;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let gone: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and usename = 'ubos_command' and query like '%eventstore.append(%'",
        )
        .fetch_one(&superuser)
        .await
        .unwrap();
        killed += gone;
    }
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, _) = load.await.unwrap();
    println!("{killed} connections killed, {acknowledged} acknowledged");
    assert!(killed > 10);
    assert_eq!(additions(&database).await, acknowledged);
    assert_sound(&database.owner().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_command_fails_alone() {
    let (database, stores, _) = world().await;
    // Longer than an index row may be and too random to compress: only the database finds out.
    let poison: String = (0..400).map(|_| Uuid::new_v4().simple().to_string()).collect();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (store, label) = (stores[0].clone(), if client == 20 { poison.clone() } else { client.to_string() });
            tokio::spawn(async move { store.execute::<Tally>(None, C::Open { label: Some(label) }, &request()).await })
        })
        .collect();
    let answers: Vec<_> = join_all(tasks).await.into_iter().map(|a| a.unwrap()).collect();
    let failed: Vec<usize> = (0..CLIENTS).filter(|n| answers[*n].is_err()).collect();
    assert_eq!(failed, [20]);
    assert!(matches!(answers[20], Err(ExecuteError::Fault(_))));
    assert_sound(&database.owner().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_conflict_is_reported_to_the_right_caller() {
    let (database, stores, hot) = world().await;
    let id = hot[0];
    for version in 1..=20 {
        let seen = || event_store::Request { expected_versions: Some(vec![version]), ..request() };
        let tasks = (0..16).map(|n| {
            let (store, request) = (stores[n % 2].clone(), seen());
            tokio::spawn(async move { store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request).await })
        });
        let answers: Vec<_> = join_all(tasks).await.into_iter().map(|a| a.unwrap()).collect();
        let winners: Vec<i64> = answers.iter().filter_map(|a| a.as_ref().ok()).map(|e| e.version).collect();
        assert_eq!(winners, [version + 1], "exactly one of sixteen equal expectations is met");
        for refused in answers.iter().filter_map(|a| a.as_ref().err()) {
            match refused {
                ExecuteError::VersionMismatch { expected, actual } => {
                    assert_eq!((expected.as_slice(), *actual), (&[version][..], version + 1));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_sound(&database.owner().await).await;
}

/// The pool's own `begin` leaves one open if it is given up at the wrong moment.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_up_while_a_transaction_begins_leaves_none_open() {
    let database = TestDatabase::create().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url("ubos_command")).await.unwrap();
    let observer = database.superuser().await;
    let mut given_up = 0;
    for patience in (0..4_000).step_by(20) {
        let impatient = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            begun = begin(&pool) => drop(begun.unwrap()),
            () = impatient => given_up += 1,
        }
        let end = tokio::time::Instant::now() + Duration::from_secs(5);
        let open = "select count(*) from pg_stat_activity
                    where datname = current_database() and usename = 'ubos_command' and state <> 'idle'";
        // The pool has but one, so whoever has begun after all has let it go before this.
        drop(pool.acquire().await.unwrap());
        while sqlx::query_scalar::<_, i64>(open).fetch_one(&observer).await.unwrap() > 0 {
            assert!(tokio::time::Instant::now() < end, "left open by who gave up after {patience} turns");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(given_up > 3, "{given_up}");
}
