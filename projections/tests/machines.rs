//! The status machines and the decisions agree: what a figure shows can happen, and what can happen is in the figure. In memory,
//! with real histories of every aggregate.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catalogue::{AnyEvent, MachineEntry, Move, Standing, machines};
use kernel::{Event as _, TenantId};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use samples::{Script, World, scripts};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use workflow_events::{Renamed, RunEvent, StepPath};

/// Events that move a status elsewhere and leave these as they are, and why that is meant.
const STAYS: &[(&str, &str, &str, &str)] = &[
    ("identity.user", "invited", "user.invited", "a newer invitation makes the open one void"),
    ("portal.portal_user", "invited", "portal_user.invited", "a newer invitation makes the open one void"),
    (
        "identity.tenant",
        "closed",
        "tenant.suspended",
        "a firm that is closed can be suspended, and is when it is reopened",
    ),
    ("workflow.run_step", "retry_scheduled", "step.retry_scheduled", "a step is tried more than twice"),
    ("workflow.run_step", "pending", "run.rerun", "whatever has not ended is taken again too"),
];

/// Scripts of one context are played in rounds until every move of its machines was made.
const ROUNDS_MAX: u32 = 100;

/// Whose status: the firm, the machine and its column, the id.
type Key = (TenantId, &'static str, &'static str, String);

/// A move or a stay: whose status, which column, from where, by which event, to where.
type Step = (&'static str, &'static str, Move);

#[test]
fn what_a_figure_shows_can_happen_and_what_can_happen_is_in_the_figure() {
    let contexts: BTreeSet<&str> = machines().iter().map(context_of).collect();
    let unseen: Vec<String> = contexts.into_iter().flat_map(in_context).collect();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");
}

/// What is never seen of a context's machines.
fn in_context(context: &'static str) -> Vec<String> {
    let made: RefCell<BTreeSet<Step>> = RefCell::default();
    let stayed: RefCell<BTreeSet<(&str, &str, &str)>> = RefCell::default();
    let mut unseen = vec![];
    for round in 1..=ROUNDS_MAX {
        let mut runner = TestRunner::new(samples::config(8, samples::regressions!("machines")));
        let scripts = scripts(100..400).prop_map(|script| Script { focus: Some(context), ..script });
        let played = runner.run(&scripts, |script| {
            // Two firms may have records of the same id.
            let mut all: BTreeMap<Key, Box<dyn Standing>> = BTreeMap::new();
            for event in World::log_of(&script) {
                let event = catalogue::decode(event).unwrap();
                let (stream, event_type) = (event.aggregate_id.to_string(), event.payload.entry().event_type);
                for machine in of_context(context) {
                    rename(&mut all, (event.tenant_id, machine), &event.payload, &stream);
                    for id in subjects(machine, &event.payload, &stream) {
                        let key = (event.tenant_id, machine.of, machine.column, id);
                        let begins = machine.moves.iter().any(|m| m.from.is_none() && m.event_type == event_type);
                        let is_new = !all.contains_key(&key);
                        // A step inside of another begins unsaid.
                        prop_assert!(
                            begins || !is_new || machine.of == "workflow.run_step",
                            "{key:?} begins with {event_type}"
                        );
                        let standing = all.entry(key).or_insert_with(|| machine.begin());
                        let before = standing.status();
                        standing.apply(&event.payload);
                        let from = (!is_new || !begins).then_some(before);
                        let step = Move { from, event_type, to: standing.status() };
                        if machine.moves.contains(&step) {
                            made.borrow_mut().insert((machine.of, machine.column, step));
                        } else if from != Some(step.to) {
                            prop_assert!(false, "{step:?} of {} is not in the figure", machine.of);
                        } else if !machine.remembers
                            && machine.moves.iter().any(|m| m.from.is_some() && m.event_type == event_type)
                        {
                            let stay = (machine.of, before, event_type);
                            let meant = STAYS.iter().any(|(of, at, event, _)| (*of, *at, *event) == stay);
                            prop_assert!(meant, "{stay:?} leaves the status as it is");
                            stayed.borrow_mut().insert(stay);
                        }
                    }
                }
            }
            Ok(())
        });
        played.unwrap_or_else(|error| panic!("{error}"));
        unseen = unmade(context, &made.borrow(), &stayed.borrow());
        if unseen.is_empty() {
            println!("every move of {context} was made after {round} rounds");
            break;
        }
    }
    unseen
}

fn context_of(machine: &MachineEntry) -> &'static str {
    machine.of.split('.').next().unwrap_or(machine.of)
}

fn of_context(context: &str) -> impl Iterator<Item = &'static MachineEntry> {
    machines().iter().filter(move |machine| context_of(machine) == context)
}

/// The ids of whom the event is about, of those that the machine is of; what is not a part is its stream.
fn subjects(machine: &MachineEntry, event: &AnyEvent, stream: &str) -> Vec<String> {
    if event.entry().stream != machine.stream {
        return vec![];
    }
    if machine.of == machine.stream {
        return vec![stream.to_owned()];
    }
    let part = machine.of.rsplit('.').next().unwrap_or_default();
    if let AnyEvent::Run(event) = event {
        let about = part != "approval" || event.entry().event_type.starts_with("approval.");
        return event.steps().into_iter().filter(|_| about).map(|step| format!("{stream}/{step}")).collect();
    }
    let payload = serde_json::to_value(event).unwrap();
    let named = [&payload[format!("{part}_id")], &payload[part]["id"]];
    let listed = payload[format!("{part}s")].as_array().into_iter().flatten().map(|new| &new["id"]);
    // A task names its milestone, which is no event of that.
    let about = event.entry().event_type.starts_with(&format!("{part}.")) || payload[format!("{part}s")].is_array();
    let ids = named.into_iter().chain(listed).filter_map(|id| id.as_str()).filter(|_| about);
    ids.map(str::to_owned).collect()
}

/// What is called something else from now on goes on as what it was.
fn rename(all: &mut BTreeMap<Key, Box<dyn Standing>>, of: (TenantId, &MachineEntry), event: &AnyEvent, stream: &str) {
    let AnyEvent::Run(RunEvent::Moved { renamed, .. }) = event else { return };
    let (tenant, machine) = of;
    let its = |key: &Key| (key.0, key.1, key.2) == (tenant, machine.of, machine.column);
    let path = |key: &Key| key.3.strip_prefix(stream)?.strip_prefix('/')?.parse().ok();
    let keys: Vec<(Key, StepPath)> =
        all.keys().filter(|key| its(key)).filter_map(|key| Some((key.clone(), path(key)?))).collect();
    let taken: Vec<_> = keys.into_iter().filter_map(|(key, path)| Some((all.remove(&key)?, key, path))).collect();
    let renamed =
        taken.into_iter().map(|(standing, key, path)| (Renamed::of(renamed, path.clone()), path, standing, key));
    let (same, others): (Vec<_>, Vec<_>) = renamed.partition(|(name, path, ..)| name == path);
    // What nothing has come of yet gives way to what is called that from now on.
    for (name, _, standing, key) in same.into_iter().chain(others) {
        all.insert((key.0, key.1, key.2, format!("{stream}/{name}")), standing);
    }
}

/// Moves that no decision made, and exceptions that were never met.
fn unmade(context: &str, made: &BTreeSet<Step>, stayed: &BTreeSet<(&str, &str, &str)>) -> Vec<String> {
    let steps =
        of_context(context).flat_map(|machine| machine.moves.iter().map(|step| (machine.of, machine.column, step)));
    let unmade = steps.filter(|(of, column, step)| !made.contains(&(*of, *column, (*step).clone())));
    let unmade = unmade.map(|(of, column, step)| format!("{of} {column}: {step:?}"));
    let known = |of: &str| of_context(context).any(|machine| machine.of == of);
    let unmet = STAYS.iter().filter(|(of, at, event, _)| known(of) && !stayed.contains(&(*of, *at, *event)));
    unmade.chain(unmet.map(|(of, at, event, why)| format!("{of} stays {at} by {event}, because {why}"))).collect()
}
