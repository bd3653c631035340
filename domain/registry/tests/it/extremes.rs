//! Whatever is put into a field of a command: it is refused there, or everything that it leads to can be kept. No decision
//! panics, and no event holds what the contract does not say or a database cannot take.

use crate::schemas::Schemas;
use kernel::CommandEntry;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use samples::{Attempt, Decided, Explored, Key, World, context_of, mixed_scripts, subjects};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Worlds of one context in which its fields are strained: what came before, and what is strained in each. They are the same
/// every time; few contexts need three. The first world of two is empty: some things happen to a firm only at its beginning.
const WORLDS_MAX: u64 = 10;
const BEFORE: u64 = 120;
const STRAINED: u64 = 150;

#[test]
fn an_extreme_is_refused_at_its_field_or_can_be_kept() {
    let schemas = Schemas::read();
    let parts = samples::in_every_context(|context| {
        let mut strained = Strained { schemas: &schemas, done: BTreeSet::new() };
        strained.seek_all_of(context).unwrap_or_else(|error| panic!("{context}: {error}"));
        (strained.missing(context), strained.done)
    });
    let (never, done): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let never: Vec<_> = never.into_iter().flatten().collect();
    assert!(never.is_empty(), "never strained: {never:#?}");

    let strained = Strained { schemas: &schemas, done: done.into_iter().flatten().collect() };
    let strained = RefCell::new(strained);
    let mut runner = TestRunner::new(samples::config(2, samples::regressions!("extremes")));
    let played = runner.run(&(mixed_scripts(50..150), mixed_scripts(100..101)), |(before, script)| {
        let mut world = World::default();
        for number in &before.steps {
            world.step(None, *number);
        }
        script.steps.iter().try_for_each(|number| strained.borrow_mut().strain(&mut world, None, *number))
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}

/// What was strained, each field with its command, and what the contract says of what comes of it.
struct Strained<'a> {
    schemas: &'a Schemas,
    done: BTreeSet<(&'static str, String)>,
}

impl Strained<'_> {
    fn seek_all_of(&mut self, context: &'static str) -> TestCaseResult {
        let (before, strained) = (samples::commands_in(context, BEFORE), samples::commands_in(context, STRAINED));
        let fields = fields_of(context);
        for number in 0..WORLDS_MAX {
            let (mut world, first) = (World::default(), number * (before + strained));
            let mut explored = Explored::default();
            for number in (first..first + before).filter(|_| number % 2 == 1) {
                world.explore(Some(context), number, &mut explored);
            }
            for number in first + before..first + before + strained {
                if fields.iter().all(|field| self.done.contains(field)) {
                    println!("every field of {context} was strained by {number}");
                    return Ok(());
                }
                // What is not there yet, or not in a state in which it can be said, comes to be.
                match world.strain_new(Some(context), number, &self.done) {
                    Some((place, attempts)) => self.check(place, &attempts)?,
                    None => drop(world.explore(Some(context), number, &mut explored)),
                }
            }
        }
        Ok(())
    }

    fn strain(&mut self, world: &mut World, focus: Option<&str>, number: u64) -> TestCaseResult {
        match world.strain(focus, number, &self.done) {
            Some((place, attempts)) => self.check(place, &attempts),
            None => Ok(()),
        }
    }

    fn check(&mut self, place: String, attempts: &[(Key, Attempt)]) -> TestCaseResult {
        for (key, attempt) in attempts {
            check(&place, attempt)?;
            for event in attempt.events() {
                self.schemas.check(key.1, event.event_type, event.version, &event.payload)?;
                let kept = keepable(&serde_json::from_str(&event.payload).unwrap(), 0);
                prop_assert!(kept.is_ok(), "{} {place}, {}: {kept:?}", attempt.entry.name, event.event_type);
            }
        }
        self.done.extend(attempts.first().map(|(_, attempt)| (attempt.entry.name, place)));
        Ok(())
    }

    /// Fields of a context's commands that were not strained yet.
    fn missing(&self, of: &str) -> Vec<(&'static str, String)> {
        fields_of(of).into_iter().filter(|field| !self.done.contains(field)).collect()
    }
}

/// All fields of a context's commands.
fn fields_of(context: &str) -> Vec<(&'static str, String)> {
    let commands = subjects().iter().flat_map(|subject| subject.commands());
    let fields = |entry: &'static CommandEntry| {
        let schema = Value::from((entry.schema)());
        let names = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
        names.map(|name| (entry.name, format!("/{name}"))).collect::<Vec<_>>()
    };
    commands.filter(|entry| context_of(entry.name) == context).flat_map(fields).collect()
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
