//! Random histories of every aggregate, for property tests.
//!
//! A [`Script`] is a list of numbers; a [`World`] makes a command of each, sends it to an aggregate in memory the way the
//! event store would, and keeps the log. The registry says which aggregates there are and the commands' JSON Schemas what
//! their bodies look like, so a new aggregate takes part without a line here. Every number stands alone: what proptest
//! removes from a failing script leaves the others their meaning as far as it can.

mod extreme;
mod generate;
mod subject;
mod world;

pub use subject::{Attempt, Decided, Prospect, Sought, Subject, Written, subjects};
pub use world::{Explored, Key, World};

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseResult, TestRunner};
use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is played: one command per number.
#[derive(Debug, Clone)]
pub struct Script {
    /// Only aggregates of this context, so that few commands go deep; all if none.
    pub focus: Option<&'static str>,
    /// What was not done yet is sought, so that what needs much else to be there first comes to be.
    pub explores: bool,
    /// One command each.
    pub steps: Vec<u64>,
}

/// Scripts of one context each, most of the time.
pub fn scripts(steps: std::ops::Range<usize>) -> impl Strategy<Value = Script> {
    let focus = prop_oneof![4 => prop::sample::select(contexts()).prop_map(Some), 1 => Just(None)];
    (focus, numbers(steps)).prop_map(|(focus, steps)| Script { focus, explores: false, steps })
}

/// Scripts of one context each, or of this one, in which whatever is possible is done sooner or later. Where the steps of a context
/// go deep, an invoice's to its credit note say, chance alone does not go them.
pub fn exploring_scripts(of: Option<&'static str>, steps: std::ops::Range<usize>) -> impl Strategy<Value = Script> {
    let focus = prop::sample::select(of.map_or_else(contexts, |context| vec![context])).prop_map(Some);
    (focus, numbers(steps)).prop_map(|(focus, steps)| Script { focus, explores: true, steps })
}

/// Every context, once.
fn contexts() -> Vec<&'static str> {
    let mut contexts: Vec<&'static str> = subjects().iter().map(|subject| context_of(subject.stream())).collect();
    contexts.sort_unstable();
    contexts.dedup();
    contexts
}

/// Does the same in every context, in several at a time, and answers what came of each. Those with the most aggregates begin.
///
/// # Panics
///
/// If one panics.
pub fn in_every_context<R: Send>(work: impl Fn(&'static str) -> R + Sync) -> Vec<R> {
    let mut all = contexts();
    all.sort_by_key(|context| Reverse(aggregates_of(context)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(context) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let came_of_it = work(context);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(came_of_it);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn aggregates_of(context: &str) -> usize {
    subjects().iter().filter(|subject| context_of(subject.stream()) == context).count()
}

/// How many commands go into a world of a context in which things are sought: the more it has to choose from, the more it needs.
pub fn commands_in(context: &str, few: u64) -> u64 {
    few * u64::try_from(aggregates_of(context) / 4).unwrap_or(1).max(1)
}

/// Scripts of all contexts at once.
pub fn mixed_scripts(steps: std::ops::Range<usize>) -> impl Strategy<Value = Script> {
    numbers(steps).prop_map(|steps| Script { focus: None, explores: false, steps })
}

// A smaller number is not a simpler command, so only the list shrinks.
fn numbers(steps: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(any::<u64>().no_shrink(), steps)
}

/// The context of a kind of stream or of a command: `crm` of `crm.client`.
pub fn context_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// How a property is tried: in so many cases, or in more if `PROPTEST_CASES` says so, and seeds that failed are kept in
/// `file` and tried first from then on. Name the file with [`regressions!`].
pub fn config(cases: u32, file: &'static str) -> Config {
    #[expect(clippy::disallowed_methods, reason = "how often a test repeats is no business of the domain's")]
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    Config {
        cases: asked.unwrap_or(0).max(cases),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        max_shrink_iters: 2_000,
        ..Config::default()
    }
}

/// Rounds that are played at most: what every second round leads to is missed once in a million times.
const ROUNDS_MAX: usize = 20;

/// Plays cases in rounds until nothing is missing that the cases have to lead to: what a round seldom comes to, one of
/// many does.
///
/// # Panics
///
/// If a case fails, or if something is still missing after the last round.
pub fn play_until_seen<S: Strategy>(
    config: &Config,
    cases: &S,
    play: impl Fn(S::Value) -> TestCaseResult,
    missing: impl Fn() -> Vec<String>,
) {
    for _ in 0..ROUNDS_MAX {
        // A runner counts the cases of all its runs together, so every round has its own.
        let played = TestRunner::new(config.clone()).run(cases, &play);
        played.unwrap_or_else(|error| panic!("{error}"));
        if missing().is_empty() {
            return;
        }
    }
    panic!("not seen in {ROUNDS_MAX} rounds: {:?}", missing());
}

/// The file of a test's failed seeds, in the folder `proptest-regressions` of its crate.
#[macro_export]
macro_rules! regressions {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/", $name, ".txt")
    };
}
