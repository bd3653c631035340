//! What the engine promises on a real PostgreSQL: batches, compare-and-set, parking, one leader.

use crate::common::{World, client, crm, read_as, renamed, tagged, tenant};
use kernel::TenantId;
use projections::{Applied, Target};
use serde_json::json;
use uuid::Uuid;

const A: u128 = 1;

fn target() -> Target {
    Target::live(crm())
}

#[tokio::test]
async fn every_read_table_has_the_columns_of_its_row_type() {
    let world = World::new().await;
    for (group, table, resource) in projections::resources() {
        let columns: Vec<(String, String, bool)> = sqlx::query_as(
            "select a.attname::text, format_type(a.atttypid, a.atttypmod), not a.attnotnull
             from pg_attribute a
             where a.attrelid = format('%I.%I', $1::text, $2::text)::regclass and a.attnum > 0 and not a.attisdropped
             order by a.attnum",
        )
        .bind(group.name)
        .bind(table.name())
        .fetch_all(&world.owner)
        .await
        .unwrap();
        let mut expected = vec![("tenant_id".to_owned(), "uuid".to_owned(), false)];
        expected.push(("position".to_owned(), "bigint".to_owned(), false));
        expected.extend(table.columns().iter().map(|c| (c.name.clone(), sql_name(c.kind), c.nullable)));
        assert_eq!(columns, expected, "{}.{}", group.name, table.name());
        for named in resource.filter.iter().chain(resource.sort) {
            assert!(table.columns().iter().any(|c| c.name == *named), "{}.{named}", table.name());
        }
        for sorted in resource.sort {
            let column = table.columns().iter().find(|c| c.name == *sorted).unwrap();
            assert!(!column.nullable, "{}.{sorted} can be null, so it cannot be paged by", table.name());
        }
    }
}

fn sql_name(kind: projections::Kind) -> String {
    if kind == projections::Kind::Time { "timestamp with time zone".to_owned() } else { kind.sql().to_owned() }
}

#[tokio::test]
async fn any_batch_size_gives_the_same_rows() {
    let mut rows = vec![];
    for batch in [1, 3, 1_000] {
        let mut world = World::new().await;
        for n in 0..10 {
            let id = Uuid::from_u128(100 + n);
            world.event(tenant(n % 2), id, client(&format!("Client {n}")));
            world.event(tenant(n % 2), id, tagged("vip"));
            world.event(tenant(n % 2), id, renamed(&format!("Renamed {n}")));
        }
        let head = world.write().await;
        assert_eq!(world.catch_up(crm(), batch).await, head);
        let names: Vec<String> = sqlx::query_scalar(
            "select concat_ws('|', tenant_id, id, version, position, name, tags) from crm.clients order by id",
        )
        .fetch_all(&world.worker)
        .await
        .unwrap();
        assert_eq!(names.len(), 10);
        rows.push(names);
        assert_eq!(
            world.count("select position - events from projections.checkpoints where group_name = 'crm'").await,
            0
        );
    }
    assert_eq!(rows[0], rows[1]);
    assert_eq!(rows[0], rows[2]);
}

#[tokio::test]
async fn a_batch_that_was_applied_already_changes_nothing() {
    let mut world = World::new().await;
    world.event(tenant(A), Uuid::from_u128(1), client("Ada"));
    world.event(tenant(A), Uuid::from_u128(1), renamed("Ada Ltd"));
    world.write().await;
    let events = world.read(0, 10).await;
    assert_eq!(target().apply(&world.worker, &events).await.unwrap(), Applied::At(2));
    assert_eq!(target().apply(&world.worker, &events).await.unwrap(), Applied::Elsewhere(2));
    assert_eq!(world.client_column(Uuid::from_u128(1), "version").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn of_two_workers_that_apply_the_same_batch_one_does() {
    let mut world = World::new().await;
    for n in 0..50 {
        world.event(tenant(A), Uuid::from_u128(n), client("Somebody"));
    }
    world.write().await;
    let events = world.read(0, 100).await;
    let other = world.database.worker().await;
    let (one, two) = tokio::join!(target().apply(&world.worker, &events), target().apply(&other, &events));
    let outcomes = [one.unwrap(), two.unwrap()];
    assert!(outcomes.contains(&Applied::At(50)) && outcomes.contains(&Applied::Elsewhere(50)), "{outcomes:?}");
    assert_eq!(world.count("select count(*) from crm.clients").await, 50);
}

#[tokio::test]
async fn a_batch_with_a_gap_is_refused() {
    let mut world = World::new().await;
    for n in 0..3 {
        world.event(tenant(A), Uuid::from_u128(n), client("Somebody"));
    }
    world.write().await;
    let mut events = world.read(0, 10).await;
    events.remove(1);
    let error = target().apply(&world.worker, &events).await.unwrap_err();
    assert!(error.to_string().contains("not contiguous"), "{error}");
    assert_eq!(world.count("select count(*) from crm.clients").await, 0);
}

#[tokio::test]
async fn an_unreadable_event_parks_its_stream_and_the_others_go_on() {
    let mut world = World::new().await;
    let (bad, good) = (Uuid::from_u128(1), Uuid::from_u128(2));
    world.event(tenant(A), bad, client("Bad"));
    world.event(tenant(A), good, client("Good"));
    world.stored(tenant(A), "crm.client", bad, "client.teleported", 1, json!({ "to": "the moon" }));
    world.event(tenant(A), bad, renamed("Too late"));
    world.event(tenant(A), good, renamed("Better"));
    world.write().await;
    world.catch_up(crm(), 2).await;
    assert_eq!(world.client_column(bad, "name").await.as_deref(), Some("Bad"));
    assert_eq!(world.client_column(good, "name").await.as_deref(), Some("Better"));
    let parked: (i64, i64, i64, String) = sqlx::query_as(
        "select first_position, last_position, event_count, error from projections.parked where aggregate_id = $1",
    )
    .bind(bad)
    .fetch_one(&world.worker)
    .await
    .unwrap();
    assert_eq!((parked.0, parked.1, parked.2), (3, 4, 2));
    assert!(parked.3.contains("client.teleported"), "{}", parked.3);
}

#[tokio::test]
async fn an_event_for_a_row_that_is_not_there_parks_the_stream() {
    let mut world = World::new().await;
    world.event(tenant(A), Uuid::from_u128(1), renamed("Nobody"));
    world.event(tenant(A), Uuid::from_u128(2), client("Somebody"));
    let head = world.write().await;
    assert_eq!(world.catch_up(crm(), 100).await, head);
    assert_eq!(world.count("select count(*) from projections.parked where table_name = 'clients'").await, 1);
    assert_eq!(world.count("select count(*) from crm.clients").await, 1);
}

#[tokio::test]
async fn rows_that_the_table_refuses_park_only_their_stream() {
    let mut world = World::new().await;
    sqlx::query("alter table crm.clients add constraint no_voldemort check (name <> 'Voldemort')")
        .execute(&world.owner)
        .await
        .unwrap();
    world.event(tenant(A), Uuid::from_u128(1), client("Tom"));
    world.write().await;
    world.catch_up(crm(), 100).await;
    world.event(tenant(A), Uuid::from_u128(1), tagged("wizard"));
    world.event(tenant(A), Uuid::from_u128(2), client("Harry"));
    world.event(tenant(A), Uuid::from_u128(1), renamed("Voldemort"));
    world.event(tenant(A), Uuid::from_u128(2), tagged("wizard"));
    let head = world.write().await;
    assert_eq!(world.catch_up(crm(), 100).await, head);
    let parked: (i64, i64, i64) =
        sqlx::query_as("select first_position, last_position, event_count from projections.parked")
            .fetch_one(&world.worker)
            .await
            .unwrap();
    assert_eq!(parked, (2, 4, 2));
    assert_eq!(world.client_column(Uuid::from_u128(1), "version").await.as_deref(), Some("1"));
    assert_eq!(world.client_column(Uuid::from_u128(2), "version").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_batch_that_is_cut_off_anywhere_leaves_nothing_half_done() {
    let mut world = World::new().await;
    for n in 0..20 {
        world.event(tenant(n % 3), Uuid::from_u128(n), client("Somebody"));
    }
    world.write().await;
    let events = world.read(0, 100).await;
    // Cut after every millisecond or so of the batch, then let one through.
    for micros in (0..6_000).step_by(400) {
        let cut =
            tokio::time::timeout(std::time::Duration::from_micros(micros), target().apply(&world.worker, &events));
        drop(cut.await);
        // In one statement: what was cut off here may be committed over there a moment later.
        let apart = "select count(*) - (select position from projections.checkpoints
                                        where group_name = 'crm' and slot = 'live') from crm.clients";
        assert_eq!(world.count(apart).await, 0, "rows and checkpoint commit together");
    }
    world.catch_up(crm(), 7).await;
    assert_eq!(world.count("select count(*) from crm.clients").await, 20);
}

#[tokio::test]
async fn a_tenant_sees_its_own_rows_only() {
    let mut world = World::new().await;
    let id = Uuid::from_u128(1);
    world.event(tenant(A), id, client("Mine"));
    world.write().await;
    world.catch_up(crm(), 100).await;
    let query = world.database.query().await;
    let read = |tenant: TenantId| {
        let query = query.clone();
        async move { read_as(&query, tenant, id).await }
    };
    assert!(read(tenant(A)).await.unwrap().contains("Mine"));
    assert_eq!(read(tenant(2)).await, None);
    let unset: i64 = sqlx::query_scalar("select count(*) from crm.clients").fetch_one(&query).await.unwrap();
    assert_eq!(unset, 0, "the tenant does not outlive the statement that set it");
}
