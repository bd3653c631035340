//! The role as a whole: it follows the feed, one process leads, a standby takes over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{World, client, crm, renamed, tenant};
use event_store::Log;
use messaging::{Feed, StreamSettings};
use projections::{RebuildOptions, retry, status, verify};
use serde_json::json;
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One process of the role, without NATS: slower, but correct.
async fn start(pool: PgPool) -> (CancellationToken, JoinHandle<anyhow::Result<()>>) {
    let settings = StreamSettings {
        name: "UNUSED".into(),
        prefix: "unused".into(),
        replicas: 1,
        max_age: Duration::from_secs(60),
    };
    let feed = Feed::start(Log::new(pool.clone()), None, settings).await.unwrap();
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(projections::run(pool, feed, stop)))
}

async fn until_read(pool: &PgPool, head: i64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = status(pool).await.unwrap();
        if status.groups.iter().all(|group| group.position >= head) {
            assert!(status.groups.iter().all(|group| group.missing_events == 0), "{status}");
            return;
        }
        assert!(Instant::now() < deadline, "{status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_when_the_leader_stops() {
    let mut world = World::new().await;
    for n in 0..30 {
        world.event(tenant(n % 2), Uuid::from_u128(n), client("Somebody"));
    }
    let head = world.write().await;
    let (stop_one, one) = start(world.database.worker().await).await;
    until_read(&world.worker, head).await;
    let (stop_two, two) = start(world.database.worker().await).await;
    // The standby has asked for the leases in vain by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop_one.cancel();
    one.await.unwrap().unwrap();
    for n in 0..30 {
        world.event(tenant(n % 2), Uuid::from_u128(n), renamed("Somebody else"));
    }
    let head = world.write().await;
    let since = Instant::now();
    until_read(&world.worker, head).await;
    assert!(since.elapsed() < Duration::from_secs(5), "took over after {:?}", since.elapsed());
    assert_eq!(world.count("select count(*) from crm.clients where name = 'Somebody else'").await, 30);
    let status = status(&world.worker).await.unwrap();
    assert!(status.groups.iter().all(|group| group.led), "{status}");
    stop_two.cancel();
    two.await.unwrap().unwrap();
}

/// Far behind, a batch is folded while the one before it is being written, which counts only if nobody else writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_gives_the_rows_of_a_replay_whoever_else_writes() {
    let mut world = World::new().await;
    let broken = Uuid::from_u128(7);
    for turn in 0..35 {
        for n in 0..1_000 {
            let name = format!("Turn {turn}");
            world.event(tenant(n % 2), Uuid::from_u128(n), if turn == 0 { client(&name) } else { renamed(&name) });
        }
        if turn == 17 {
            world.stored(tenant(1), "crm.client", broken, "client.teleported", 1, json!({ "to": "the moon" }));
        }
    }
    let head = world.write().await;
    let (stop, role) = start(world.database.worker().await).await;
    let mut retries = 0;
    while status(&world.worker).await.unwrap().groups.iter().any(|group| group.group == "crm" && group.position < head)
    {
        retries += retry(&world.worker, crm(), None).await.unwrap().parked.len();
    }
    until_read(&world.worker, head).await;
    stop.cancel();
    role.await.unwrap().unwrap();
    assert!(retries > 0, "nobody else wrote");
    let options = RebuildOptions::default();
    let report = verify(&world.worker, crm(), &options, &mut |_| {}).await.unwrap();
    assert!(report.comparison.equal(), "{report}");
    let parked: (i64, i64, i64) = sqlx::query_as(
        "select first_position, last_position, event_count from projections.parked where group_name = 'crm'",
    )
    .fetch_one(&world.worker)
    .await
    .unwrap();
    assert_eq!(parked, (18_001, 34_009, 18));
    assert_eq!(world.client_column(broken, "version").await.as_deref(), Some("18"));
    assert_eq!(world.count("select count(*) from crm.clients where name = 'Turn 34'").await, 999);
}
