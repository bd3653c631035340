//! The same on a real PostgreSQL: whatever batches the live tables were written in, and however often one was delivered,
//! a rebuild of any number of shards, pages and passes has the same rows.

use crate::common::World;
use event_store::RawEvent;
use projections::{Applied, Group, Kept, Progress, RebuildOptions, ReplayOptions, Target, groups, replay};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use samples::mixed_scripts;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A log, and the ways in which it is read.
#[derive(Debug, Clone)]
struct Case {
    script: samples::Script,
    /// How much of the log is there before the first replay, in percent.
    first: usize,
    /// Deliveries, over and over again: how far behind or beyond the checkpoint they begin, and how long they are.
    deliveries: Vec<(i64, i64)>,
    shards: usize,
    page: i64,
    streams_max: i64,
}

fn cases() -> impl Strategy<Value = Case> {
    let delivery = (prop_oneof![3 => Just(0i64), 1 => -5..5i64], 1..60i64);
    let deliveries = prop::collection::vec(delivery, 1..12)
        .prop_filter("some delivery goes on", |deliveries| deliveries.iter().any(|(offset, _)| *offset == 0));
    (mixed_scripts(50..300), 0..100usize, deliveries, 1..6usize, 1..80i64, 3..80i64).prop_map(
        |(script, first, deliveries, shards, page, streams_max)| Case {
            script,
            first,
            deliveries,
            shards,
            page,
            streams_max,
        },
    )
}

#[test]
fn any_deliveries_and_any_replay_give_the_same_rows() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(samples::config(4, samples::regressions!("properties_database")));
    let played = runner.run(&cases(), |case| runtime.block_on(play(&case)));
    played.unwrap_or_else(|error| panic!("{error}"));
}

/// Places of commands that were given extremes.
type Strained = BTreeSet<(&'static str, String)>;

/// Whatever extreme is put into a field of a command: what the decision lets through is kept by every read model, live and
/// in a rebuild.
#[test]
fn what_is_let_into_the_log_can_be_kept_by_every_read_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let strained: RefCell<Strained> = RefCell::default();
    let mut runner = TestRunner::new(samples::config(4, samples::regressions!("extremes_database")));
    let numbers = (mixed_scripts(50..100), mixed_scripts(150..151));
    let played = runner.run(&numbers, |(before, script)| {
        let mut world = samples::World::default();
        for number in &before.steps {
            world.step(None, *number);
        }
        for number in &script.steps {
            let done = world.strain(None, *number, &strained.borrow());
            let done = done.and_then(|(place, attempts)| Some((attempts.first()?.1.entry.name, place)));
            strained.borrow_mut().extend(done);
        }
        runtime.block_on(keep(world.log()))
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}

async fn keep(log: &[RawEvent]) -> TestCaseResult {
    let world = World::new().await;
    append(&world, log).await;
    for group in groups() {
        deliver(&world, group, &[(0, 500)]).await?;
        let before = rows(&world, group).await;
        let report = replay(&world.log, group, &ReplayOptions::default(), &mut |_: &Progress| {}).await.unwrap();
        prop_assert!(report.switched && report.comparison.equal(), "{}", report);
        prop_assert_eq!(rows(&world, group).await, before, "{}", group.name);
    }
    let parked = projections::parked(&world.worker, None).await.unwrap();
    let parked: Vec<String> = parked.iter().map(ToString::to_string).collect();
    prop_assert_eq!(parked, Vec::<String>::new(), "what the log took was parked");
    Ok(())
}

async fn play(case: &Case) -> TestCaseResult {
    let world = World::new().await;
    let log = samples::World::log_of(&case.script);
    let (first, second) = log.split_at(log.len() * case.first / 100);
    for part in [first, second] {
        append(&world, part).await;
        for group in groups() {
            deliver(&world, group, &case.deliveries).await?;
        }
        for group in groups() {
            let before = rows(&world, group).await;
            let rebuild = RebuildOptions { shards: case.shards, page: case.page, streams_max: case.streams_max };
            let options = ReplayOptions { rebuild, accept_differences: false };
            let report = replay(&world.log, group, &options, &mut |_: &Progress| {}).await.unwrap();
            prop_assert!(report.switched && report.comparison.equal(), "{}", report);
            prop_assert_eq!(rows(&world, group).await, before, "{}", group.name);
        }
    }
    let parked = world.count("select count(*) from projections.parked").await;
    prop_assert_eq!(parked, 0, "a real history was parked");
    Ok(())
}

/// Applies the log up to its head; a delivery that does not begin right after the checkpoint changes nothing. Two readers
/// with memories of their own and one without take turns, as after a lost lease.
async fn deliver(world: &World, group: &'static Group, deliveries: &[(i64, i64)]) -> TestCaseResult {
    let (target, head) = (Target::live(group), world.log.head().await.unwrap());
    let mut at = target.position(&mut world.worker.acquire().await.unwrap()).await.unwrap().unwrap();
    let mut memories = [Kept::default(), Kept::default()];
    for (offset, length) in deliveries.iter().cycle() {
        if at == head {
            return Ok(());
        }
        let events = world.read((at + offset).clamp(0, head), *length).await;
        let Some(begins) = events.first().map(|event| event.position) else { continue };
        let applied = match memories.get_mut(usize::try_from(length % 3).unwrap()) {
            Some(kept) => target.apply_keeping(&world.worker, &events, kept).await.unwrap(),
            None => target.apply(&world.worker, &events).await.unwrap(),
        };
        if begins == at + 1 {
            at += i64::try_from(events.len()).unwrap();
            prop_assert_eq!(applied, Applied::At(at), "{}", group.name);
        } else {
            prop_assert_eq!(applied, Applied::Elsewhere(at), "{}", group.name);
        }
    }
    Ok(())
}

async fn rows(world: &World, group: &'static Group) -> Vec<Vec<String>> {
    let mut rows = vec![];
    for table in &group.tables {
        rows.push(world.rows(&format!("{}.{}", group.name, table.name())).await);
    }
    rows
}

/// Writes events as they are, as the append would.
async fn append(world: &World, events: &[RawEvent]) {
    let mut tx = event_store::begin(&world.owner).await.unwrap();
    sqlx::query(
        "insert into eventstore.events (position, event_id, tenant_id, domain, aggregate_type, aggregate_id, sequence,
             event_type, event_version, payload, metadata, recorded_at)
         select (e->>'position')::bigint, (e->>'event_id')::uuid, (e->>'tenant_id')::uuid, e->>'domain',
                e->>'aggregate_type', (e->>'aggregate_id')::uuid, (e->>'sequence')::bigint, e->>'event_type',
                (e->>'event_version')::int, e->'payload', e->'metadata', (e->>'recorded_at')::timestamptz
         from jsonb_array_elements($1::text::jsonb) as e",
    )
    .bind(serde_json::to_string(events).unwrap())
    .execute(&mut *tx)
    .await
    .unwrap();
    let head = sqlx::query("update eventstore.head set position = position + $1");
    head.bind(i64::try_from(events.len()).unwrap()).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}
