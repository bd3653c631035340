//! The role as a whole: it follows the feed, one process leads, a standby takes over.

use crate::common::{World, client, crm, renamed, tagged, tenant};
use event_store::Log;
use messaging::Feed;
use projections::{RebuildOptions, retry, status, verify};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One process of the role, without NATS: slower, but correct.
async fn start(pool: PgPool) -> (CancellationToken, JoinHandle<anyhow::Result<()>>) {
    let feed = Feed::start(Log::new(pool.clone()), None).await.unwrap();
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(projections::run(pool, feed, stop)))
}

async fn until_read(pool: &PgPool, head: i64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = status(pool).await.unwrap();
        if status.groups.iter().all(|group| group.position >= head) {
            assert!(status.groups.iter().all(|group| group.missing_events == 0), "{status:?}");
            return;
        }
        assert!(Instant::now() < deadline, "{status:?}");
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
    assert!(status.groups.iter().all(|group| group.led), "{status:?}");
    stop_two.cancel();
    two.await.unwrap().unwrap();
}

/// A checkpoint is made by a migration, which cannot know which version of the folds will write its rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_rows_are_all_of_todays_folds_needs_no_replay() {
    let mut world = World::new().await;
    let needed = async |pool: &PgPool| -> Vec<String> {
        let groups = status(pool).await.unwrap().groups.into_iter();
        groups.filter(|group| group.replay_needed).map(|group| group.group).collect()
    };
    assert!(needed(&world.worker).await.is_empty(), "nothing was read yet");
    world.event(tenant(1), Uuid::from_u128(1), client("Somebody"));
    let head = world.write().await;
    let (stop, role) = start(world.database.worker().await).await;
    until_read(&world.worker, head).await;
    assert!(needed(&world.worker).await.is_empty(), "everything was read by today's folds");
    stop.cancel();
    role.await.unwrap().unwrap();
    sqlx::query("update projections.checkpoints set version = 0 where group_name = 'timeline' and slot = 'live'")
        .execute(&world.worker)
        .await
        .unwrap();
    assert_eq!(needed(&world.worker).await, ["timeline"], "rows of older folds");
}

/// Far behind, a batch is folded while the one before it is being written, which counts only if nobody else writes: here
/// an operator, who lets a stream flow again that those batches take for parked.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_flows_again_amid_a_backlog_lacks_nothing() {
    let mut world = World::new().await;
    sqlx::query("alter table crm.clients add constraint not_cursed check (not tags ? 'cursed')")
        .execute(&world.owner)
        .await
        .unwrap();
    let parked = Uuid::from_u128(7);
    for turn in 0..120 {
        for n in 0..500 {
            let name = format!("Turn {turn}");
            world.event(tenant(n % 2), Uuid::from_u128(n), if turn == 0 { client(&name) } else { renamed(&name) });
        }
        if turn == 5 {
            world.event(tenant(1), parked, tagged("cursed"));
        }
    }
    let head = world.write().await;
    let (stop, role) = start(world.database.worker().await).await;
    let position = "select position from projections.checkpoints where group_name = 'crm' and slot = 'live'";
    let deadline = Instant::now() + Duration::from_secs(60);
    // The batch that is refused and the one after it end here; from here on the next is folded ahead.
    while world.count(position).await < 21_000 {
        assert!(Instant::now() < deadline, "crm is at {}", world.count(position).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    sqlx::query("alter table crm.clients drop constraint not_cursed").execute(&world.owner).await.unwrap();
    let report = retry(&world.log, crm(), None).await.unwrap();
    assert_eq!(report.cleared, [parked]);
    assert!(world.count(position).await < head - 10_000, "too late to be amid it");
    until_read(&world.worker, head).await;
    stop.cancel();
    role.await.unwrap().unwrap();
    assert_eq!(world.count("select count(*) from projections.parked").await, 0);
    assert_eq!(world.client_column(parked, "version").await.as_deref(), Some("121"));
    let report = verify(&world.log, crm(), &RebuildOptions::default(), &mut |_| {}).await.unwrap();
    assert!(report.comparison.equal(), "{report}");
}
