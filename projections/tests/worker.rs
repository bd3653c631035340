//! The role as a whole: it follows the feed, one process leads, a standby takes over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{World, client, renamed, tenant};
use event_store::Log;
use messaging::{Feed, StreamSettings};
use projections::status;
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
