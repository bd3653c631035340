//! Every aggregate of every context, driven by random commands: what the store, the cache and the snapshots rely on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod claims;
mod concerns;
mod schemas;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use samples::{Attempt, Decided, Key, World, scripts, subjects};
use schemas::Schemas;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Commands that do something again when they are sent again, and why that is meant. Whoever repeats a request sends the
/// same idempotency key, and the store answers for them.
const AGAIN: &[(&str, &str)] = &[
    ("identity.api_key.rotate", "every rotation makes another secret"),
    ("identity.subscriber.rotate", "every rotation makes another secret"),
    ("identity.tenant.note_repair", "every repair is noted, also one of what was repaired before"),
    ("identity.user.reinvite", "a new invitation takes the place of the open one"),
    ("portal.portal_user.invite", "a new invitation takes the place of the open one"),
    ("projects.project.add_milestone", "two milestones may have one name"),
    ("projects.project.add_task", "two tasks may have one title"),
    ("scheduling.appointment.request_reschedule", "every request is noted"),
    ("workflow.run.signal", "a signal that is sent twice is two"),
    ("workflow.run.record", "the engine records what happened, however often the same thing happens"),
];

/// Commands that bring along another.
const COMPANIONS: &[(&str, &str)] = &[("crm.contact.link_to_client", "whoever was asked first before")];

/// What became of the attempts at one command.
#[derive(Debug, Default)]
struct Tally {
    changed: u32,
    already_so: u32,
    refused: BTreeMap<&'static str, u32>,
    claimed: u32,
    /// Attempts that changed something again when they were retried.
    again: u32,
    /// Attempts that changed something together with another record.
    together: u32,
}

/// What the scripts came upon.
#[derive(Debug, Default)]
struct Seen {
    commands: BTreeMap<&'static str, Tally>,
    events: BTreeSet<&'static str>,
}

/// Scripts are played in rounds until everything was seen, which takes one to five; a command that is not seen by the last
/// is never accepted.
const ROUNDS_MAX: u32 = 20;

#[test]
fn every_aggregate_keeps_what_the_store_relies_on() {
    let schemas = Schemas::read();
    let seen: RefCell<Seen> = RefCell::default();
    let mut unseen = vec![];
    for round in 1..=ROUNDS_MAX {
        let mut runner = TestRunner::new(samples::config(48, samples::regressions!("properties")));
        let played = runner.run(&scripts(1..250), |script| {
            let (mut world, mut concerns) = (World::audited(), concerns::Concerns::default());
            for number in &script.steps {
                let (key, attempt) = world.step(script.focus, *number);
                for (key, attempt) in attempt.companions.iter().chain([&(key, attempt.clone())]) {
                    seen.borrow_mut().count(attempt);
                    for event in attempt.events() {
                        schemas.check(key.1, event.event_type, event.version, &event.payload)?;
                    }
                }
                check(&world, &key, &attempt)?;
                concerns.check(&world, &key, &attempt)?;
            }
            Ok(())
        });
        played.unwrap_or_else(|error| panic!("{error}"));
        unseen = seen.borrow().missing(&schemas);
        if unseen.is_empty() {
            println!("everything was seen after {round} rounds");
            break;
        }
    }
    seen.borrow().report();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");
}

/// What holds after every single command.
fn check(world: &World, key: &Key, attempt: &Attempt) -> TestCaseResult {
    for (other, brought) in &attempt.companions {
        let context = |key: &Key| key.1.split_once('.').map(|(context, _)| context);
        prop_assert_eq!(context(other), context(key), "{} brings along another context's", attempt.entry.name);
        check(world, other, brought)?;
    }
    let what = || format!("{} {}", attempt.entry.name, attempt.body);
    if let Decided::Unreadable(error) = &attempt.decided {
        prop_assert!(false, "the schema allows what is not read: {}: {error}", what());
    }
    let refusals = attempt.entry.refusals;
    match &attempt.decided {
        Decided::Refused(code) => {
            prop_assert!(
                refusals.contains(code),
                "{} does not say that it may be refused with {code}",
                attempt.entry.name
            );
        }
        Decided::Claimed(claim) => {
            let code = format!("{}.taken", claim.scope);
            prop_assert!(
                refusals.contains(&code.as_str()),
                "{} does not say that it may meet {code}",
                attempt.entry.name
            );
        }
        _ => {}
    }
    for (witness, decided) in &attempt.witnesses {
        // A claim is refused after the decision, so what was decided before it is what the others know.
        if !matches!(attempt.decided, Decided::Claimed(_)) {
            prop_assert_eq!(decided, &attempt.decided, "{} decides differently: {}", witness, what());
        }
    }
    check_parts(attempt)?;
    prop_assert!(attempt.misread.is_empty(), "{}: {:?}", what(), attempt.misread);
    for (kind, state) in attempt.states.iter().skip(1) {
        prop_assert_eq!(state, &attempt.states[0].1, "the {} state differs after {}", kind, what());
    }
    match &attempt.retried {
        Some(Decided::Events(events)) if !events.is_empty() && !may_repeat(attempt) => {
            prop_assert!(false, "{} does it again: {events:?}", what());
        }
        Some(Decided::Events(_) | Decided::Refused(_)) | None => {}
        Some(other) => prop_assert!(false, "{}: {other:?}", what()),
    }
    prop_assert_eq!(&attempt.held, &attempt.held_by_history, "claims after {}", what());
    prop_assert!(attempt.released_in_vain.is_empty(), "{} releases {:?}", what(), attempt.released_in_vain);
    for claim in &attempt.held {
        prop_assert_eq!(claim.personal, registry::PERSONAL_CLAIMS.contains(&claim.scope), "{}", claim.scope);
    }
    let held: Vec<(&str, &str)> = attempt.held.iter().map(|claim| (claim.scope, claim.value.as_str())).collect();
    let expected = claims::held(key, world.history(key));
    let expected: Vec<(&str, &str)> = expected.iter().map(|(scope, value)| (*scope, value.as_str())).collect();
    prop_assert_eq!(held, expected, "claims after {} on {:?}", what(), key);
    Ok(())
}

/// Whoever chooses the id of the part that is made, makes it once.
fn may_repeat(attempt: &Attempt) -> bool {
    AGAIN.iter().any(|(name, _)| *name == attempt.entry.name)
        && attempt.entry.makes.iter().all(|part| attempt.body[part.name].is_null())
}

/// What answers tell of parts is what the command declares, and what is in the events.
fn check_parts(attempt: &Attempt) -> TestCaseResult {
    let declared = attempt.entry.makes;
    for name in attempt.parts.names() {
        prop_assert!(declared.iter().any(|part| part.name == name), "{} makes {name} too", attempt.entry.name);
    }
    let Decided::Events(events) = &attempt.decided else { return Ok(()) };
    for part in declared {
        let (single, listed) = (attempt.parts.id(part.name), attempt.parts.ids(part.name));
        let told = attempt.parts.names().any(|name| name == part.name);
        prop_assert!(told || !part.always, "{} does not tell {}", attempt.entry.name, part.name);
        for id in single.into_iter().chain(listed) {
            let id = id.to_string();
            let made = events.is_empty() || events.iter().any(|event| event.payload.contains(&id));
            prop_assert!(made, "{} tells {id}, which is in no event", attempt.entry.name);
        }
    }
    Ok(())
}

impl Seen {
    fn count(&mut self, attempt: &Attempt) {
        self.events.extend(attempt.events().iter().map(|event| event.event_type));
        let tally = self.commands.entry(attempt.entry.name).or_default();
        match &attempt.decided {
            Decided::Events(events) if events.is_empty() => tally.already_so += 1,
            Decided::Events(_) => tally.changed += 1,
            Decided::Refused(code) => *tally.refused.entry(*code).or_default() += 1,
            Decided::Claimed(_) => tally.claimed += 1,
            Decided::Unreadable(_) => {}
        }
        tally.together += u32::from(!attempt.companions.is_empty());
        if matches!(&attempt.retried, Some(Decided::Events(events)) if !events.is_empty()) {
            tally.again += 1;
        }
    }

    fn report(&self) {
        println!("{:42} changed already so refused claimed again", "");
        for (command, Tally { changed, already_so, refused, claimed, again, together: _ }) in &self.commands {
            let refused: u32 = refused.values().sum();
            println!("{command:42} {changed:7} {already_so:10} {refused:7} {claimed:7} {again:5}");
        }
    }

    /// Commands that never did anything, events that never happened, exceptions that were never made: of them, the
    /// properties say nothing.
    fn missing(&self, schemas: &Schemas) -> Vec<String> {
        let never = |name: &str, what: fn(&Tally) -> u32| self.commands.get(name).is_none_or(|tally| what(tally) == 0);
        let commands = subjects().iter().flat_map(|subject| subject.commands());
        let idle = commands.filter(|entry| never(entry.name, |tally| tally.changed));
        let idle = idle.map(|entry| format!("{} changes something", entry.name));
        let events = schemas.event_types().filter(|event_type| !self.events.contains(event_type));
        let events = events.map(str::to_owned);
        let alone = COMPANIONS.iter().filter(|(command, _)| never(command, |tally| tally.together));
        let alone = alone.map(|(command, other)| format!("{command} together with {other}"));
        let once = AGAIN.iter().filter(|(command, _)| never(command, |tally| tally.again));
        let once = once.map(|(command, why)| format!("{command} does it again, because {why}"));
        idle.chain(events).chain(once).chain(alone).collect()
    }
}
