//! Every read table of every group is a pure fold: however the log is cut into batches and dealt out to shards, the rows
//! are the same, byte for byte. In memory, with real histories of every aggregate.

use event_store::RawEvent;
use kernel::TenantId;
use projections::{Event, Group, Kind, Table, Upserts, groups};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use samples::{World, exploring_scripts, mixed_scripts};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Key = (TenantId, Uuid);
/// The rows of one table as JSON text.
type Rows = BTreeMap<Key, String>;

/// A log, and the ways in which it is read.
#[derive(Debug, Clone)]
struct Case {
    script: samples::Script,
    /// Lengths of batches, over and over again.
    batches: Vec<usize>,
    /// Which shard a stream goes to is its id's remainder by one of these, after some mixing by the other.
    shards: u128,
    mixing: u128,
}

fn cases() -> impl Strategy<Value = Case> {
    let batches = prop::collection::vec(1..40usize, 1..8);
    let scripts = prop_oneof![mixed_scripts(1..400), exploring_scripts(None, 200..500)];
    (scripts, batches, 1..9u128, any::<u128>()).prop_map(|(script, batches, shards, mixing)| Case {
        script,
        batches,
        shards,
        mixing,
    })
}

/// Worlds of one context in which every table of its group is sought, and the commands in each. They are the same every time, so
/// that what is found once is found again.
const WORLDS_MAX: u64 = 20;
const COMMANDS: u64 = 120;

#[test]
fn any_batches_and_any_shards_give_the_same_rows() {
    let seen: RefCell<BTreeSet<String>> = RefCell::default();
    let missing = |group: &Group| {
        let tables = group.tables.iter().map(|table| name(group, table.as_ref()));
        tables.filter(|table| !seen.borrow().contains(table)).collect::<Vec<_>>()
    };
    for group in groups() {
        let commands = samples::commands_in(group.name, COMMANDS);
        for number in (0..WORLDS_MAX).take_while(|_| !missing(group).is_empty()) {
            let steps = (number * commands..(number + 1) * commands).collect();
            let script = samples::Script { focus: Some(group.name), explores: true, steps };
            let case = Case { script, batches: vec![1, 40, 7], shards: 3, mixing: number.into() };
            play(&case, &mut seen.borrow_mut()).unwrap_or_else(|error| panic!("{}: {error}", group.name));
        }
    }
    let unseen: Vec<String> = groups().iter().flat_map(missing).collect();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");

    let mut runner = TestRunner::new(samples::config(24, samples::regressions!("properties")));
    let played = runner.run(&cases(), |case| play(&case, &mut seen.borrow_mut()));
    played.unwrap_or_else(|error| panic!("{error}"));
}

/// Reads the log in all the ways, and notes which tables have rows.
fn play(case: &Case, seen: &mut BTreeSet<String>) -> TestCaseResult {
    let events = decoded(World::log_of(&case.script));
    let all = [events.len().max(1)];
    for group in groups() {
        let whole = apply(group, &events, &all)?;
        let single = apply(group, &events, &[1])?;
        prop_assert_eq!(&single, &whole, "{}: one event at a time", group.name);
        let batched = apply(group, &events, &case.batches)?;
        prop_assert_eq!(&batched, &whole, "{}: in batches of {:?}", group.name, &case.batches);
        let rebuilt = rebuild(group, &events, case)?;
        prop_assert_eq!(&rebuilt, &as_copied(group, &whole), "{}: in {} shards", group.name, case.shards);
        for (table, rows) in group.tables.iter().zip(&whole) {
            if !rows.is_empty() {
                seen.insert(name(group, table.as_ref()));
            }
        }
    }
    Ok(())
}

fn name(group: &Group, table: &dyn Table) -> String {
    format!("{}.{}", group.name, table.name())
}

fn decoded(log: Vec<RawEvent>) -> Vec<Event> {
    log.into_iter().map(|event| catalogue::decode(event).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// What the live engine does with every batch: loads the rows that it touches, folds, writes what changed.
fn apply(group: &'static Group, events: &[Event], batches: &[usize]) -> Result<Vec<Rows>, TestCaseError> {
    let mut tables: Vec<Rows> = group.tables.iter().map(|_| Rows::new()).collect();
    let mut rest = events;
    for length in batches.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, later) = rest.split_at((*length).min(rest.len()));
        rest = later;
        for ((table, rows), index) in group.tables.iter().zip(&mut tables).zip(0..) {
            let mut fold = table.fold();
            let touching: Vec<&Event> = batch.iter().filter(|event| table.wants(&event.aggregate_type)).collect();
            if !table.append_only() {
                let keys = touching.iter().flat_map(|e| fold.keys(e).into_iter().map(|key| (e.tenant_id, key)));
                for key in keys.collect::<BTreeSet<Key>>() {
                    if let Some(row) = rows.get(&key) {
                        fold.load(key, position(row), row).unwrap();
                    }
                }
            }
            for event in touching {
                // Real histories are never parked.
                let staged = fold.stage(event).map_err(|(row, error)| format!("row {row}: {error}"));
                prop_assert!(staged.is_ok(), "{} {}: {:?}", group.name, event.event_type, staged);
                fold.accept(event);
            }
            let changes = fold.changes(None).unwrap();
            // Stream by stream, the way a batch is written that the tables refuse, comes to the same.
            let streams: BTreeSet<Key> = batch.iter().map(|event| (event.tenant_id, event.aggregate_id)).collect();
            let parts =
                streams.into_iter().flat_map(|stream| upserts(table.as_ref(), &fold.changes(Some(stream)).unwrap()));
            let (mut parts, mut at_once): (Vec<_>, Vec<_>) = (parts.collect(), upserts(table.as_ref(), &changes));
            parts.sort();
            at_once.sort();
            prop_assert_eq!(parts, at_once, "{}: stream by stream", group.name);
            for row in upserts(table.as_ref(), &changes) {
                let event = position(&row);
                prop_assert!(batch.iter().any(|e| e.position == event), "a row of position {}: {}", event, index);
                rows.insert(key(&row), row);
            }
        }
    }
    Ok(tables)
}

/// What a rebuild does: every stream to its shard, every shard writes its rows out once. Answers the lines of each table.
fn rebuild(group: &'static Group, events: &[Event], case: &Case) -> Result<Vec<BTreeSet<String>>, TestCaseError> {
    let mut lines: Vec<Vec<String>> = group.tables.iter().map(|_| vec![]).collect();
    for shard in 0..case.shards {
        let shard_of = |id: Uuid| (id.as_u128().wrapping_mul(case.mixing | 1) >> 64) % case.shards;
        let mine = events.iter().filter(|event| shard_of(event.aggregate_id) == shard);
        let mut folds: Vec<_> = group.tables.iter().map(|table| table.fold()).collect();
        for event in mine {
            for (table, fold) in group.tables.iter().zip(&mut folds) {
                if table.wants(&event.aggregate_type) {
                    prop_assert!(fold.stage(event).is_ok());
                    fold.accept(event);
                }
            }
        }
        for (fold, lines) in folds.iter_mut().zip(&mut lines) {
            fold.drain(&mut |piece| {
                lines.extend(String::from_utf8(piece).unwrap().lines().map(str::to_owned));
                true
            })
            .unwrap();
        }
    }
    for lines in &lines {
        prop_assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len(), "a row of two shards");
    }
    Ok(lines.into_iter().map(BTreeSet::from_iter).collect())
}

/// The rows as a rebuild would write them.
fn as_copied(group: &'static Group, tables: &[Rows]) -> Vec<BTreeSet<String>> {
    let lines = group.tables.iter().zip(tables).map(|(table, rows)| {
        let mut fold = table.fold();
        for (key, row) in rows {
            fold.load(*key, position(row), row).unwrap();
        }
        let mut lines = BTreeSet::new();
        fold.drain(&mut |piece| {
            lines.extend(String::from_utf8(piece).unwrap().lines().map(str::to_owned));
            true
        })
        .unwrap();
        lines
    });
    lines.collect()
}

/// The rows as the tables would give them back: as JSON, each text read as its column's type.
fn upserts(table: &dyn Table, upserts: &Upserts) -> Vec<String> {
    let row = |n: usize| {
        let mut row = serde_json::Map::new();
        row.insert("tenant_id".into(), upserts.tenants[n].to_string().into());
        row.insert("position".into(), upserts.positions[n].into());
        for (column, texts) in table.columns().iter().zip(&upserts.columns) {
            let value = match (&texts[n], column.kind) {
                (None, _) => Value::Null,
                (Some(text), Kind::Integer | Kind::Boolean | Kind::Json) => serde_json::from_str(text).unwrap(),
                (Some(text), _) => text.as_str().into(),
            };
            row.insert(column.name.clone(), value);
        }
        Value::Object(row).to_string()
    };
    (0..upserts.tenants.len()).map(row).collect()
}

fn position(row: &str) -> i64 {
    serde_json::from_str::<Value>(row).unwrap()["position"].as_i64().unwrap()
}

fn key(row: &str) -> Key {
    let row: Value = serde_json::from_str(row).unwrap();
    let id = |field: &str| row[field].as_str().unwrap().parse::<Uuid>().unwrap();
    (TenantId(id("tenant_id")), id("id"))
}
