//! Every published event goes into every table that wants it: live, rebuilt by COPY, and read back, all the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{World, tenant};
use projections::{Progress, ReplayOptions, groups, replay, resources};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use uuid::Uuid;

/// The golden payload of an event, about the parts that the stream's first event made.
fn golden(entry: &'static kernel::EventEntry, version: u32, first: &Value) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(catalogue::golden_path(entry, version));
    let mut payload: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (field, made_by) in [("task_id", "tasks"), ("milestone_id", "milestones"), ("folder_id", "subfolders")] {
        if !payload[field].is_null() && !first[made_by][0]["id"].is_null() {
            payload[field] = first[made_by][0]["id"].clone();
        }
    }
    if !payload["action_index"].is_null() {
        payload["action_index"] = 0.into();
    }
    payload
}

async fn world_of_golden_events() -> (World, i64) {
    let mut world = World::new().await;
    let mut streams: BTreeMap<&str, Vec<&'static kernel::EventEntry>> = BTreeMap::new();
    for entry in catalogue::entries() {
        streams.entry(entry.stream).or_default().push(entry);
    }
    for firm in 1..=2u128 {
        for (number, (stream, entries)) in (1u128..).zip(&streams) {
            let id = Uuid::from_u128(number * 1_000);
            let first = golden(entries[0], entries[0].version, &Value::Null);
            for entry in entries {
                for version in 1..=entry.version {
                    world.stored(
                        tenant(firm),
                        stream,
                        id,
                        entry.event_type,
                        version as i32,
                        golden(entry, version, &first),
                    );
                }
            }
        }
    }
    let head = world.write().await;
    (world, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_can_be_applied_and_a_replay_equals_the_live_rows() {
    let (world, head) = world_of_golden_events().await;
    for group in groups() {
        assert_eq!(world.catch_up(group, 7).await, head);
    }
    let parked: Vec<String> =
        projections::parked(&world.worker, None).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(parked, Vec::<String>::new());
    let query = world.database.query().await;
    for (group, table, _) in resources() {
        let name = format!("{}.{}", group.name, table.name());
        let rows: Vec<(Uuid, Uuid)> =
            sqlx::query_as(&format!("select tenant_id, id from {name}")).fetch_all(&world.worker).await.unwrap();
        assert!(rows.len() >= 2, "{name} has {} rows", rows.len());
        for (firm, id) in rows {
            let row: Option<String> = sqlx::query_scalar(&format!("select {name}_by_id($1, $2)"))
                .bind(firm)
                .bind(id)
                .fetch_one(&query)
                .await
                .unwrap();
            let shown: Value = serde_json::from_str(&table.present(&row.unwrap()).unwrap()).unwrap();
            assert_eq!(shown["id"], id.to_string());
            assert!(shown.get("tenant_id").is_none());
        }
    }
    for group in groups() {
        let report = replay(&world.worker, group, &ReplayOptions::default(), &mut |_: &Progress| {}).await.unwrap();
        assert!(report.switched && report.comparison.equal(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_one_line_of_the_timeline() {
    let (world, head) = world_of_golden_events().await;
    world.catch_up(projections::group("timeline").unwrap(), 50).await;
    assert_eq!(world.count("select count(*) from timeline.activity_events").await, head);
    let empty =
        "select count(*) from timeline.activity_events where summary = '' or position <> version and version = 0";
    assert_eq!(world.count(empty).await, 0);
}
