//! One suite for three stores behind `cqrs_es::EventStore`: in memory, stock `postgres-es`, and ours.

use crate::common::{Tally, TallyCommand as C, TallyEvent as E, assert_sound, request};
use cqrs_es::mem_store::MemStore;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{CqrsFramework, EventStore};
use event_store::{CqrsStore, Store, StoreOptions};
use kernel::{Actor, Context, Root, RootEvent, TenantId, UserId};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use std::collections::HashMap;
use testing::TestDatabase;
use uuid::Uuid;

type Stock = PersistedEventStore<PostgresEventRepository, Root<Tally>>;

fn ctx() -> Context {
    let actor = Actor::User { id: UserId(Uuid::from_u128(1)) };
    Context::new(TenantId(Uuid::from_u128(1)), actor, chrono::Utc::now(), Uuid::now_v7(), Uuid::now_v7())
}

/// What every store must do.
async fn suite<S: EventStore<Root<Tally>>>(make: impl Fn() -> S) {
    let id = Uuid::now_v7().to_string();
    let framework = CqrsFramework::new(make(), vec![], ());
    framework.execute(&id, (C::Open { label: None }, ctx())).await.expect("opens");
    for amount in 1..=12 {
        framework.execute(&id, (C::Add { amount }, ctx())).await.expect("adds");
    }
    assert!(framework.execute(&id, (C::Add { amount: -1 }, ctx())).await.is_err(), "refusals reach the caller");

    let store = make();
    let events = store.load_events(&id).await.expect("loads");
    assert_eq!(events.len(), 13);
    assert_eq!(events[0].payload, RootEvent(E::Opened { label: None }));
    assert_eq!(events.iter().map(|e| e.sequence).collect::<Vec<_>>(), (1..=13).collect::<Vec<_>>());

    // Two writers on one version: the second is told.
    let (first, second) =
        (store.load_aggregate(&id).await.expect("loads"), store.load_aggregate(&id).await.expect("loads"));
    let added = || vec![RootEvent(E::Added { amount: 1 })];
    store.commit(added(), first, HashMap::new()).await.expect("the first commits");
    let conflict = store.commit(added(), second, HashMap::new()).await;
    // The in-memory store does not check; the two real ones do.
    let checks = std::any::type_name::<S>().contains("MemStore") || conflict.is_err();
    assert!(checks, "a stale commit is a conflict");
    assert!(store.load_events(&Uuid::now_v7().to_string()).await.expect("loads").is_empty());
}

async fn stock_tables(database: &TestDatabase) -> PgPool {
    let pool = database.superuser().await;
    for sql in [
        "create table events (aggregate_type text not null, aggregate_id text not null, sequence bigint not null,
            event_type text not null, event_version text not null, payload json not null, metadata json not null,
            timestamp timestamptz default current_timestamp, primary key (aggregate_type, aggregate_id, sequence))",
        "create table snapshots (aggregate_type text not null, aggregate_id text not null, last_sequence bigint not null,
            current_snapshot bigint not null, payload json not null, timestamp timestamptz default current_timestamp,
            primary key (aggregate_type, aggregate_id, last_sequence))",
    ] {
        sqlx::query(sql).execute(&pool).await.expect("stock tables");
    }
    pool
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    let store = MemStore::<Root<Tally>>::default();
    suite(move || store.clone()).await;
}

#[tokio::test]
async fn stock_postgres_es_keeps_the_contract() {
    let database = TestDatabase::create().await;
    let pool = stock_tables(&database).await;
    suite(move || Stock::new_event_store(PostgresEventRepository::new(pool.clone()))).await;
}

#[tokio::test]
async fn our_store_keeps_the_contract() {
    let database = TestDatabase::create().await;
    let store = Store::start(database.command().await, StoreOptions::default());
    suite(move || CqrsStore::new(store.clone(), request())).await;
    assert_sound(&database.owner().await).await;
}

/// cqrs-es 0.5 applies new events a second time before it stores a snapshot. When this test fails the defect is fixed,
/// and the warning in `docs/adr/0006-own-append.md` can go.
#[tokio::test]
async fn stock_snapshots_still_apply_new_events_twice() {
    let database = TestDatabase::create().await;
    let pool = stock_tables(&database).await;
    let make = || Stock::new_snapshot_store(PostgresEventRepository::new(pool.clone()), 4);
    let framework = CqrsFramework::new(make(), vec![], ());
    let id = Uuid::now_v7().to_string();
    framework.execute(&id, (C::Open { label: None }, ctx())).await.expect("opens");
    for _ in 0..12 {
        framework.execute(&id, (C::Add { amount: 1 }, ctx())).await.expect("adds");
    }
    let loaded = make().load_aggregate(&id).await.expect("loads");
    let additions = loaded.aggregate.0.additions;
    assert!(additions > 12, "stock snapshots are right now ({additions}): the defect is fixed");
}
