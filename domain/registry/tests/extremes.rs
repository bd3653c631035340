//! Whatever is put into a field of a command: it is refused there, or everything that it leads to can be kept. No decision
//! panics, and no event holds what the contract does not say or a database cannot take.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod schemas;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use samples::{Attempt, Decided, World, mixed_scripts, subjects};
use schemas::Schemas;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Scripts are played in rounds until every field of every command was strained.
const ROUNDS_MAX: u32 = 20;

#[test]
fn an_extreme_is_refused_at_its_field_or_can_be_kept() {
    let schemas = Schemas::read();
    let done: RefCell<BTreeSet<(&'static str, String)>> = RefCell::default();
    let fields = |entry: &'static kernel::CommandEntry| {
        let schema = Value::from((entry.schema)());
        let names: Vec<String> = schema["properties"].as_object().into_iter().flat_map(|f| f.keys().cloned()).collect();
        names.into_iter().map(|name| (entry.name, format!("/{name}")))
    };
    let all: BTreeSet<_> = subjects().iter().flat_map(|subject| subject.commands()).flat_map(fields).collect();
    for _ in 0..ROUNDS_MAX {
        let mut runner = TestRunner::new(samples::config(2, samples::regressions!("extremes")));
        let played = runner.run(&(mixed_scripts(50..150), mixed_scripts(100..101)), |(before, script)| {
            let mut world = World::default();
            for number in &before.steps {
                world.step(None, *number);
            }
            for number in &script.steps {
                let strained = world.strain(*number, &done.borrow());
                let Some((place, attempts)) = strained else { continue };
                for (key, attempt) in &attempts {
                    check(&place, attempt)?;
                    for event in attempt.events() {
                        schemas.check(key.1, event.event_type, event.version, &event.payload)?;
                        let kept = keepable(&serde_json::from_str(&event.payload).unwrap(), 0);
                        prop_assert!(kept.is_ok(), "{} {place}, {}: {kept:?}", attempt.entry.name, event.event_type);
                    }
                }
                done.borrow_mut().extend(attempts.first().map(|(_, attempt)| (attempt.entry.name, place)));
            }
            Ok(())
        });
        played.unwrap_or_else(|error| panic!("{error}"));
        if all.is_subset(&done.borrow()) {
            break;
        }
    }
    let done = done.into_inner();
    let never: Vec<_> = all.difference(&done).collect();
    assert!(never.is_empty(), "never strained: {never:?}");
}

/// Refused where it stands, if it cannot be read.
fn check(place: &str, attempt: &Attempt) -> Result<(), TestCaseError> {
    if let Decided::Unreadable(errors) = &attempt.decided {
        let there = |error: &kernel::FieldError| error.pointer.starts_with(place) || place.starts_with(&error.pointer);
        prop_assert!(errors.iter().all(there), "{} {}: {}", attempt.entry.name, place, errors);
    }
    Ok(())
}

/// PostgreSQL's text has no U+0000, and JSON that is nested too deeply cannot be read back from inside a row.
fn keepable(value: &Value, depth: usize) -> Result<(), TestCaseError> {
    prop_assert!(depth <= 110, "nested too deeply");
    match value {
        Value::String(text) => prop_assert!(!text.contains('\0'), "U+0000 in {text:?}"),
        Value::Array(items) => items.iter().try_for_each(|item| keepable(item, depth + 1))?,
        Value::Object(fields) => {
            for (name, value) in fields {
                prop_assert!(!name.contains('\0'), "U+0000 in the name {name:?}");
                keepable(value, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}
