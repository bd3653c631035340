//! Every published event goes into every table that wants it: live, rebuilt by COPY, and read back, all the same.

use crate::common::World;
use projections::{Progress, ReplayOptions, groups, replay, resources};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_can_be_applied_and_a_replay_equals_the_live_rows() {
    let (world, head) = World::of_golden_events().await;
    for group in groups() {
        assert_eq!(world.catch_up(group, 7).await, head);
    }
    let parked: Vec<String> =
        projections::parked(&world.worker, None).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(parked, Vec::<String>::new());
    for (group, table, _) in resources() {
        let rows = world.count(&format!("select count(*) from {}.{}", group.name, table.name())).await;
        assert!(rows >= 2, "{}.{} has {rows} rows", group.name, table.name());
    }
    for group in groups() {
        let report = replay(&world.log, group, &ReplayOptions::default(), &mut |_: &Progress| {}).await.unwrap();
        assert!(report.switched && report.comparison.equal(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_one_line_of_the_timeline() {
    let (world, head) = World::of_golden_events().await;
    world.catch_up(projections::group("timeline").unwrap(), 50).await;
    assert_eq!(world.count("select count(*) from timeline.activity_events").await, head);
    let empty =
        "select count(*) from timeline.activity_events where summary = '' or position <> version and version = 0";
    assert_eq!(world.count(empty).await, 0);
}
