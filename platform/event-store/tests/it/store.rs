//! What one command may rely on.

use crate::common::{Tally, TallyCommand as C, assert_sound, keyed, request, tenant};
use event_store::{ExecuteError, Log, Request, Store, StoreOptions, UnitCommand};
use kernel::{ClientId, Grant, Permissions, TenantId};
use std::sync::Arc;
use testing::TestDatabase;
use uuid::Uuid;

async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let store = Store::start(database.command().await, StoreOptions::default());
    (database, store)
}

async fn open(store: &Store) -> Uuid {
    store.execute::<Tally>(None, C::Open { label: None }, &request()).await.unwrap().id
}

#[tokio::test]
async fn a_command_answers_id_version_and_position() {
    let (database, store) = store().await;
    let opened = store.execute::<Tally>(None, C::Open { label: None }, &request()).await.unwrap();
    assert_eq!((opened.version, opened.position, opened.created), (1, 1, true));
    let added = store.execute::<Tally>(Some(opened.id), C::Add { amount: 5 }, &request()).await.unwrap();
    assert_eq!((added.id, added.version, added.position, added.created), (opened.id, 2, 2, false));
    let events = Log::new(database.worker().await).read(0, 10).await.unwrap();
    assert_eq!(events.iter().map(|e| e.event_type.as_str()).collect::<Vec<_>>(), ["tally.opened", "tally.added"]);
    assert_eq!(events[1].payload.get(), r#"{"amount":5}"#);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn nothing_but_a_creation_meets_a_fresh_id() {
    let (_database, store) = store().await;
    let add = store.execute::<Tally>(Some(Uuid::now_v7()), C::Add { amount: 1 }, &request()).await;
    assert!(matches!(add, Err(ExecuteError::NotFound)), "{add:?}");
    let id = open(&store).await;
    let again = store.execute::<Tally>(Some(id), C::Open { label: None }, &request()).await;
    assert!(matches!(again, Err(ExecuteError::AlreadyExists)), "{again:?}");
}

#[tokio::test]
async fn another_tenants_aggregate_does_not_exist() {
    let (_database, store) = store().await;
    let id = open(&store).await;
    let stranger = Request { tenant: TenantId(Uuid::from_u128(9)), ..request() };
    let add = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &stranger).await;
    assert!(matches!(add, Err(ExecuteError::NotFound)), "{add:?}");
}

#[tokio::test]
async fn what_the_caller_may_not_do_is_refused_whoever_let_it_through() {
    let (_database, store) = store().await;
    let id = open(&store).await;
    let holding = |pattern| Request { permissions: Some(Arc::new(Permissions::patterns([pattern]))), ..request() };
    let denied = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &holding("*.read")).await;
    assert!(matches!(denied, Err(ExecuteError::Denied)), "{denied:?}");
    let allowed = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &holding("*.add")).await.unwrap();
    assert_eq!(allowed.version, 2);
}

#[tokio::test]
async fn a_right_for_one_resource_opens_what_belongs_to_it_and_hides_the_rest() {
    let (_database, store) = store().await;
    let [mine, other] = [(); 2].map(|()| Uuid::now_v7());
    let open = |label: Option<Uuid>| C::Open { label: label.map(|id| id.to_string()) };
    let grant = Grant { pattern: "*".parse().unwrap(), resource: ClientId(mine).into() };
    let held = Arc::new(Permissions::default().granted([&grant]));
    let granted = Request { permissions: Some(held), ..request() };
    let asked = || Request { command_id: Uuid::now_v7(), ..granted.clone() };

    let id = store.execute::<Tally>(None, open(Some(mine)), &asked()).await.unwrap().id;
    let added = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &asked()).await.unwrap();
    assert_eq!(added.version, 2);
    for label in [Some(other), None] {
        let denied = store.execute::<Tally>(None, open(label), &asked()).await;
        assert!(matches!(denied, Err(ExecuteError::Denied)), "{denied:?}");
        let theirs = store.execute::<Tally>(None, open(label), &request()).await.unwrap().id;
        // Whatever else would be wrong with it, it is as if it were not there.
        for expected_versions in [None, Some(vec![7])] {
            let asked = Request { expected_versions, ..asked() };
            let hidden = store.execute::<Tally>(Some(theirs), C::Add { amount: -1 }, &asked).await;
            assert!(matches!(hidden, Err(ExecuteError::NotFound)), "{hidden:?}");
        }
    }
    // What stops to belong to it is gone with the command that does it.
    store.execute::<Tally>(Some(id), C::Unlabel {}, &asked()).await.unwrap();
    let gone = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &asked()).await;
    assert!(matches!(gone, Err(ExecuteError::NotFound)), "{gone:?}");
}

#[tokio::test]
async fn already_so_is_a_success_that_stores_nothing() {
    let (_database, store) = store().await;
    let id = open(&store).await;
    let nothing = store.execute::<Tally>(Some(id), C::Add { amount: 0 }, &request()).await.unwrap();
    assert_eq!((nothing.version, nothing.position), (1, 1));
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_stored_answer() {
    let (database, store) = store().await;
    let first = store.execute::<Tally>(None, C::Open { label: Some("a".into()) }, &keyed("k1", 1)).await.unwrap();
    let again = store.execute::<Tally>(None, C::Open { label: Some("a".into()) }, &keyed("k1", 1)).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.id, again.version, again.position), (first.id, first.version, first.position));
    let other = store.execute::<Tally>(None, C::Open { label: None }, &keyed("k1", 2)).await;
    assert!(matches!(other, Err(ExecuteError::KeyReused)), "{other:?}");
    // Also when the decision would be refused today.
    let add = store.execute::<Tally>(Some(first.id), C::Add { amount: -1 }, &keyed("k1", 1)).await.unwrap();
    assert!(add.replayed);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn a_key_remembers_that_nothing_was_to_be_done() {
    let (_database, store) = store().await;
    let id = open(&store).await;
    store.execute::<Tally>(Some(id), C::Add { amount: 0 }, &keyed("k", 1)).await.unwrap();
    store.execute::<Tally>(Some(id), C::Add { amount: 7 }, &request()).await.unwrap();
    let again = store.execute::<Tally>(Some(id), C::Add { amount: 0 }, &keyed("k", 1)).await.unwrap();
    assert_eq!((again.version, again.replayed), (1, true));
}

#[tokio::test]
async fn one_hundred_parallel_repeats_have_one_effect() {
    let (database, store) = store().await;
    let tasks = (0..100).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.execute::<Tally>(None, C::Open { label: None }, &keyed("same", 1)).await })
    });
    let answers = futures::future::join_all(tasks).await;
    let ids: std::collections::HashSet<Uuid> = answers.into_iter().map(|a| a.unwrap().unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(Log::new(database.worker().await).head().await.unwrap(), 1);
}

#[tokio::test]
async fn a_claimed_value_names_its_holder_and_is_free_again_after_release() {
    let (_database, store) = store().await;
    let label = || C::Open { label: Some("unique".into()) };
    let holder = store.execute::<Tally>(None, label(), &request()).await.unwrap().id;
    match store.execute::<Tally>(None, label(), &request()).await {
        Err(ExecuteError::Claimed { scope, holder: by }) => {
            assert_eq!((scope.as_str(), by), ("test.tally.label", holder))
        }
        other => panic!("{other:?}"),
    }
    let elsewhere = Request { tenant: TenantId(Uuid::from_u128(9)), ..request() };
    store.execute::<Tally>(None, label(), &elsewhere).await.unwrap();
    store.execute::<Tally>(Some(holder), C::Unlabel {}, &request()).await.unwrap();
    store.execute::<Tally>(None, label(), &request()).await.unwrap();
}

#[tokio::test]
async fn a_stale_if_match_is_refused_with_the_actual_version() {
    let (_database, store) = store().await;
    let id = open(&store).await;
    let seen = |version| Request { expected_versions: Some(vec![version]), ..request() };
    store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &seen(1)).await.unwrap();
    match store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &seen(1)).await {
        Err(ExecuteError::VersionMismatch { expected, actual }) => assert_eq!((expected, actual), (vec![1], 2)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stale_cache_is_never_the_reason_for_a_refusal() {
    let (database, store) = store().await;
    let id = open(&store).await;
    let elsewhere = Store::start(database.command().await, StoreOptions::default());
    elsewhere.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request()).await.unwrap();
    let current = Request { expected_versions: Some(vec![1, 2]), ..request() };
    let added = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &current).await.unwrap();
    assert_eq!(added.version, 3);
}

#[tokio::test]
async fn what_is_so_no_longer_is_done_again_whatever_this_process_remembers() {
    let (database, store) = store().await;
    let elsewhere = Store::start(database.command().await, StoreOptions::default());
    let label = || C::Label { label: "a".to_owned() };
    let id = open(&store).await;
    store.execute::<Tally>(Some(id), label(), &request()).await.unwrap();
    // Nothing that this process does meanwhile tells it of the others.
    elsewhere.execute::<Tally>(Some(id), C::Unlabel {}, &request()).await.unwrap();
    assert_eq!(store.execute::<Tally>(Some(id), label(), &request()).await.unwrap().version, 4);
    let again = store.execute::<Tally>(Some(id), label(), &request()).await.unwrap();
    assert_eq!((again.version, again.position), (4, 4));
    elsewhere.execute::<Tally>(Some(id), C::Unlabel {}, &request()).await.unwrap();
    let unit = [UnitCommand::new::<Tally>(Some(id), label())];
    assert_eq!(store.execute_unit(&unit, &request()).await.unwrap()[0].version, 6);
    elsewhere.execute::<Tally>(Some(id), C::Unlabel {}, &request()).await.unwrap();
    assert_eq!(store.execute::<Tally>(Some(id), label(), &keyed("k", 1)).await.unwrap().version, 8);
}

#[tokio::test]
async fn a_snapshot_and_the_events_after_it_give_the_same_state() {
    let (database, store) = store().await;
    let id = open(&store).await;
    for amount in 1..=25 {
        store.execute::<Tally>(Some(id), C::Add { amount }, &request()).await.unwrap();
    }
    let snapshots: Vec<i64> = sqlx::query_scalar("select version from eventstore.snapshots")
        .fetch_all(&database.owner().await)
        .await
        .unwrap();
    assert_eq!(snapshots, [20]);
    let cold = Store::start(database.command().await, StoreOptions::default());
    let (tally, version) = cold.load::<Tally>(tenant(), id).await.unwrap();
    assert_eq!((tally.sum, tally.additions, version), (325, 25, 26));
}

#[tokio::test]
async fn a_nul_character_is_an_input_error_and_poisons_nobody() {
    let (_database, store) = store().await;
    let nul = store.execute::<Tally>(None, C::Open { label: Some("a\0b".into()) }, &request()).await;
    assert!(matches!(nul, Err(ExecuteError::Invalid(_))), "{nul:?}");
    open(&store).await;
}

#[tokio::test]
async fn the_log_refuses_change_from_everybody() {
    let (database, store) = store().await;
    open(&store).await;
    for role in ["ubos_owner", "ubos_command", "ubos_query", "ubos_worker"] {
        let pool = sqlx::PgPool::connect(&database.url(role)).await.unwrap();
        for sql in [
            "update eventstore.events set payload = '{}'",
            "delete from eventstore.events",
            "truncate eventstore.events",
            "update eventstore.events_0000 set payload = '{}'",
            "delete from eventstore.events_0000",
            "truncate eventstore.events_0000",
        ] {
            let refused = sqlx::query(sql).execute(&pool).await;
            assert!(refused.is_err(), "{role} could {sql}");
        }
    }
}

#[tokio::test]
async fn a_drained_store_has_answered_everything_and_takes_nothing_more() {
    let (database, store) = store().await;
    let id = open(&store).await;
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.execute::<Tally>(None, C::Open { label: Some(n.to_string()) }, &request()).await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.drain().await;
    let done = futures::future::join_all(tasks).await.into_iter().filter(|a| a.as_ref().unwrap().is_ok()).count();
    let head = Log::new(database.worker().await).head().await.unwrap();
    assert_eq!(head, 1 + done as i64);
    let late = store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request()).await;
    assert!(matches!(late, Err(ExecuteError::Overloaded)), "{late:?}");
}
