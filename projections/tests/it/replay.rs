//! Replay, verification, rollback and retry on a real PostgreSQL, with readers and writers going on.

use crate::common::{World, client, crm, read_as, renamed, tagged, tenant};
use projections::{Progress, RebuildOptions, ReplayOptions, Target, replay, retry, rollback, status, verify};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

fn options() -> ReplayOptions {
    // Small pages, three threads and two passes, so that few events show what many would.
    let rebuild = RebuildOptions { shards: 3, page: 7, streams_max: 25 };
    ReplayOptions { rebuild, accept_differences: false }
}

async fn world_with_clients(clients: u128) -> World {
    let mut world = World::new().await;
    for n in 0..clients {
        let id = Uuid::from_u128(1_000 + n);
        world.event(tenant(n % 3), id, client(&format!("Client\t{n} \\N 'quoted' \"ü\"").replace('\t', " ")));
        world.event(tenant(n % 3), id, tagged("vip"));
        if n % 2 == 0 {
            world.event(tenant(n % 3), id, renamed(&format!("Renamed {n}")));
        }
    }
    world.write().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_gives_the_same_rows_and_is_switched_in() {
    let mut world = world_with_clients(50).await;
    world.stored(tenant(1), "crm.client", Uuid::from_u128(1_001), "client.teleported", 1, json!({}));
    world.write().await;
    world.catch_up(crm(), 100).await;
    let before = world.rows("crm.clients").await;
    let mut stages: Vec<projections::Stage> = vec![];
    let report = replay(&world.log, crm(), &options(), &mut |p: &Progress| stages.push(p.stage)).await.unwrap();
    assert!(report.switched && report.comparison.equal(), "{report}");
    assert_eq!(report.built.events, 126);
    stages.dedup();
    assert_eq!(stages.len(), 5, "{stages:?}");
    assert_eq!(world.rows("crm.clients").await, before);
    assert_eq!(world.rows("crm_previous.clients").await, before);
    assert_eq!(world.count("select count(*) from projections.parked where slot = 'live'").await, 1);
    // What was switched in is secured and indexed like what it replaced.
    let same = |what: &str| format!("select count(distinct d) from ({what}) x(d)");
    let indexes = "select replace(indexdef, schemaname || '.', '') from pg_indexes where tablename = 'clients'";
    let per_schema =
        world.count("select count(*) from pg_indexes where schemaname = 'crm' and tablename = 'clients'").await;
    assert_eq!(world.count(&same(indexes)).await, per_schema);
    let open = "select count(*) from pg_class where relname in ('clients', 'contacts') and relkind = 'r'
        and not (relrowsecurity and relforcerowsecurity)";
    assert_eq!(world.count(open).await, 0);
    // And the live engine goes on with it.
    world.event(tenant(0), Uuid::from_u128(1_000), renamed("After the switch"));
    let head = world.write().await;
    assert_eq!(world.catch_up(crm(), 100).await, head);
    assert_eq!(world.client_column(Uuid::from_u128(1_000), "name").await.as_deref(), Some("After the switch"));
    assert_eq!(status(&world.worker).await.unwrap().groups[0].missing_events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_can_be_replayed() {
    let world = World::new().await;
    let report = replay(&world.log, crm(), &options(), &mut |_: &Progress| {}).await.unwrap();
    assert!(report.switched, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_cut_off_anywhere_can_be_started_again() {
    let world = world_with_clients(60).await;
    world.catch_up(crm(), 1_000).await;
    let before = world.rows("crm.clients").await;
    let mut cuts = 0;
    for millis in (1..60).step_by(2) {
        let (mut quiet, options) = (|_: &Progress| {}, options());
        let attempt = replay(&world.log, crm(), &options, &mut quiet);
        if tokio::time::timeout(Duration::from_millis(millis), attempt).await.is_err() {
            cuts += 1;
        }
        assert_eq!(world.rows("crm.clients").await, before, "the live rows never notice");
        // At once, so that it meets what is left of the one before, whose lock goes with its connection.
        let report = loop {
            match replay(&world.log, crm(), &options, &mut quiet).await {
                Err(error) if error.to_string().contains("is running") => tokio::task::yield_now().await,
                done => break done.unwrap(),
            }
        };
        assert!(report.switched && report.comparison.equal(), "{report}");
    }
    assert!(cuts > 3, "only {cuts} attempts were cut off");
    assert_eq!(world.rows("crm.clients").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_the_old_tables_back_with_what_came_since() {
    let mut world = world_with_clients(20).await;
    world.catch_up(crm(), 1_000).await;
    replay(&world.log, crm(), &options(), &mut |_: &Progress| {}).await.unwrap();
    world.event(tenant(0), Uuid::from_u128(1_000), renamed("Since the replay"));
    let head = world.write().await;
    world.catch_up(crm(), 1_000).await;
    let before = world.rows("crm.clients").await;
    assert_eq!(rollback(&world.log, crm(), &mut |_: &Progress| {}).await.unwrap(), head);
    assert_eq!(world.rows("crm.clients").await, before);
    // And forth again: a rollback can be rolled back.
    assert_eq!(rollback(&world.log, crm(), &mut |_: &Progress| {}).await.unwrap(), head);
    assert_eq!(world.rows("crm.clients").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_earlier_replay_there_is_nothing_to_roll_back_to() {
    let world = World::new().await;
    let error = rollback(&world.log, crm(), &mut |_: &Progress| {}).await.unwrap_err();
    assert!(error.to_string().contains("no previous tables"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_tampered_with_is_named_and_not_switched_over_silently() {
    let world = world_with_clients(30).await;
    world.catch_up(crm(), 1_000).await;
    let fresh = verify(&world.log, crm(), &options().rebuild, &mut |_: &Progress| {}).await.unwrap();
    assert!(fresh.comparison.equal(), "{fresh}");
    sqlx::query("update crm.clients set name = 'Tampered' where id = $1")
        .bind(Uuid::from_u128(1_007))
        .execute(&world.worker)
        .await
        .unwrap();
    sqlx::query("delete from crm.clients where id = $1")
        .bind(Uuid::from_u128(1_011))
        .execute(&world.worker)
        .await
        .unwrap();
    let report = verify(&world.log, crm(), &options().rebuild, &mut |_: &Progress| {}).await.unwrap();
    let mut named: Vec<Uuid> = report.comparison.tables[0].differing_rows.iter().map(|(_, row)| *row).collect();
    named.sort();
    assert_eq!(named, [Uuid::from_u128(1_007), Uuid::from_u128(1_011)], "{report}");
    assert_eq!(world.count("select count(*) from projections.checkpoints where slot = 'next'").await, 0);

    let report = replay(&world.log, crm(), &options(), &mut |_: &Progress| {}).await.unwrap();
    assert!(!report.switched, "{report}");
    assert_eq!(world.client_column(Uuid::from_u128(1_007), "name").await.as_deref(), Some("Tampered"));
    let accept = ReplayOptions { accept_differences: true, ..options() };
    let report = replay(&world.log, crm(), &accept, &mut |_: &Progress| {}).await.unwrap();
    assert!(report.switched, "{report}");
    assert_ne!(world.client_column(Uuid::from_u128(1_007), "name").await.as_deref(), Some("Tampered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_no_error_and_nothing_stale_while_tables_are_switched() {
    let mut world = World::new().await;
    let id = Uuid::from_u128(1);
    world.event(tenant(1), id, client("Zero"));
    world.write().await;
    world.catch_up(crm(), 10).await;
    let query = world.database.query().await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicI64::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (query, stop, reads) = (query.clone(), stop.clone(), reads.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Every event is this client's, so its row must be at least as new as the checkpoint seen before.
                    let at: i64 = sqlx::query_scalar(
                        "select position from projections.checkpoints where group_name = 'crm' and slot = 'live'",
                    )
                    .fetch_one(&query)
                    .await
                    .unwrap();
                    let row = read_as(&query, tenant(1), id).await;
                    let row: serde_json::Value = serde_json::from_str(&row.expect("the client is there")).unwrap();
                    assert!(row["position"].as_i64().unwrap() >= at, "stale: {row} after {at}");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (ending, log) = (stop.clone(), world.log.clone());
    let writer = tokio::spawn(async move {
        let mut n = 0;
        while !ending.load(Ordering::Relaxed) {
            n += 1;
            world.event(tenant(1), id, renamed(&format!("Name {n}")));
            world.write().await;
            world.catch_up(crm(), 10).await;
        }
        world
    });
    for _ in 0..5 {
        let report = replay(&log, crm(), &options(), &mut |_: &Progress| {}).await.unwrap();
        assert!(report.switched && report.comparison.equal(), "{report}");
        rollback(&log, crm(), &mut |_: &Progress| {}).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let world = writer.await.unwrap();
    assert!(reads.load(Ordering::Relaxed) > 200, "{reads:?} reads");
    let head = world.log.head().await.unwrap();
    assert_eq!(world.catch_up(crm(), 100).await, head);
    assert_eq!(world.client_column(id, "version").await, Some(head.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replays_of_one_group_do_not_run_at_once() {
    let world = world_with_clients(40).await;
    world.catch_up(crm(), 1_000).await;
    let (one, two) = (options(), options());
    let (mut quiet, mut silent) = (|_: &Progress| {}, |_: &Progress| {});
    let (one, two) =
        tokio::join!(replay(&world.log, crm(), &one, &mut quiet), replay(&world.log, crm(), &two, &mut silent));
    let refused =
        [&one, &two].iter().filter(|r| r.as_ref().is_err_and(|e| e.to_string().contains("is running"))).count();
    assert_eq!(refused, 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn a_parked_stream_flows_again_after_a_retry() {
    let mut world = World::new().await;
    let id = Uuid::from_u128(1);
    sqlx::query("alter table crm.clients add constraint no_voldemort check (name <> 'Voldemort')")
        .execute(&world.owner)
        .await
        .unwrap();
    world.event(tenant(1), id, client("Tom"));
    world.event(tenant(1), id, renamed("Voldemort"));
    world.event(tenant(1), id, tagged("wizard"));
    world.write().await;
    world.catch_up(crm(), 2).await;
    let report = retry(&world.log, crm(), None).await.unwrap();
    assert_eq!(report.parked.len(), 1, "{report}");
    assert_eq!(world.count("select attempts::bigint from projections.parked").await, 2);

    sqlx::query("alter table crm.clients drop constraint no_voldemort").execute(&world.owner).await.unwrap();
    let report = retry(&world.log, crm(), Some(id)).await.unwrap();
    assert_eq!(report.cleared, [id]);
    assert_eq!(world.client_column(id, "version").await.as_deref(), Some("3"));
    world.event(tenant(1), id, renamed("Tom Riddle"));
    world.write().await;
    world.catch_up(crm(), 10).await;
    assert_eq!(world.client_column(id, "name").await.as_deref(), Some("Tom Riddle"));
    let report = verify(&world.log, crm(), &RebuildOptions::default(), &mut |_: &Progress| {}).await.unwrap();
    assert!(report.comparison.equal(), "{report}");
}

#[tokio::test]
async fn only_registered_groups_can_be_rebuilt_switched_or_dropped() {
    let world = World::new().await;
    for call in [
        "select projections.begin_rebuild('eventstore', 1)",
        "select projections.discard('eventstore', 'next')",
        "select projections.discard('crm', 'live')",
        "select projections.switch('crm', 'next')",
        "select projections.switch('crm', 'previous')",
        "select projections.finish_build('crm', 1)",
    ] {
        assert!(sqlx::query(call).execute(&world.worker).await.is_err(), "{call}");
    }
    let query = world.database.query().await;
    let refused = sqlx::query("select projections.begin_rebuild('crm', 1)").execute(&query).await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
    let position = Target::live(crm()).position(&mut world.worker.acquire().await.unwrap()).await.unwrap();
    assert_eq!(position, Some(0));
}

/// Events that no database holds, or no program reads, of one firm each; what another firm has is beside them.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_applied_stops_its_own_stream_and_no_replay() {
    let projects = projections::group("projects").unwrap();
    let created = |starts_on: &str| {
        json!({ "name": "x", "client_id": null, "owner_id": null, "template_id": null, "starts_on": starts_on,
                "tasks": [], "milestones": [] })
    };
    let mut world = World::new().await;
    let good = Uuid::from_u128(1);
    world.stored(tenant(1), "projects.project", good, "project.created", 1, created("2026-01-01"));
    for (n, starts_on) in (2u128..).zip(["+12026-01-01", "0000-01-01", "-0044-03-15", "no day"]) {
        world.stored(tenant(n), "projects.project", Uuid::from_u128(n), "project.created", 1, created(starts_on));
        world.stored(tenant(n), "projects.project", Uuid::from_u128(n), "project.renamed", 1, json!({ "name": "y" }));
    }
    world.stored(tenant(9), "projects.project", Uuid::from_u128(9), "project.created", 1, json!([1, 2]));
    world.stored(tenant(1), "projects.project", good, "project.renamed", 1, json!({ "name": "Good" }));
    let head = world.write().await;
    assert_eq!(world.catch_up(projects, 4).await, head);
    let before = world.rows("projects.projects").await;
    let report = verify(&world.log, projects, &options().rebuild, &mut |_: &Progress| {}).await.unwrap();
    assert!(report.comparison.equal(), "{report}");
    let streams = |parked: &[projections::ParkedStream]| {
        let mut ids: Vec<_> = parked.iter().map(|p| (p.aggregate_id, p.first_position, p.last_position)).collect();
        ids.sort_unstable();
        ids
    };
    let live = projections::parked(&world.worker, Some(projects)).await.unwrap();
    assert_eq!(streams(&report.comparison.parked), streams(&live));
    assert_eq!(live.len(), 5, "{live:?}");
    let report = replay(&world.log, projects, &options(), &mut |_: &Progress| {}).await.unwrap();
    assert!(report.switched && report.comparison.equal(), "{report}");
    assert_eq!(report.comparison.parked.len(), 5, "{report}");
    assert_eq!(world.rows("projects.projects").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_repaired_is_applied_and_a_replay_finds_nothing_parked() {
    let mut world = world_with_clients(10).await;
    let id = Uuid::from_u128(1_001);
    world.stored(tenant(1), "crm.client", id, "client.renamed", 1, json!({ "name": 7 }));
    let position = world.write().await;
    world.event(tenant(1), id, tagged("late"));
    world.write().await;
    world.catch_up(crm(), 7).await;
    let event = world.log.find(position).await.unwrap().unwrap();
    let entry = catalogue::by_event_type("client.renamed").unwrap();
    world.log.repair(&event, entry, r#"{"name":"Mended"}"#, "a ticket").await.unwrap();
    let report = retry(&world.log, crm(), None).await.unwrap();
    assert_eq!((report.cleared.as_slice(), report.parked.len()), ([id].as_slice(), 0));
    assert_eq!(world.client_column(id, "name").await.as_deref(), Some("Mended"));
    let report = replay(&world.log, crm(), &options(), &mut |_: &Progress| {}).await.unwrap();
    assert!(report.switched && report.comparison.equal() && report.comparison.parked.is_empty(), "{report}");
    assert_eq!(world.client_column(id, "name").await.as_deref(), Some("Mended"));
}

/// What a COPY meets that no look at an event tells: here a rule of the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_table_refuses_stops_its_own_stream_and_no_replay() {
    let mut world = world_with_clients(20).await;
    sqlx::query("alter table crm.clients add constraint no_voldemort check (name <> 'Voldemort')")
        .execute(&world.owner)
        .await
        .unwrap();
    world.event(tenant(1), Uuid::from_u128(1_001), renamed("Voldemort"));
    world.write().await;
    world.catch_up(crm(), 7).await;
    let before = world.rows("crm.clients").await;
    let report = replay(&world.log, crm(), &options(), &mut |_: &Progress| {}).await.unwrap();
    assert!(report.switched && report.comparison.equal(), "{report}");
    assert_eq!(report.comparison.parked.len(), 1, "{report}");
    // The one that is parked stays as far as it was folded; nobody else's row is another.
    let others = |rows: &[String]| rows.iter().filter(|row| !row.contains("0000000003e9")).cloned().collect::<Vec<_>>();
    assert_eq!(others(&world.rows("crm.clients").await), others(&before));
}
