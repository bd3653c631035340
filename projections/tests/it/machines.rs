//! The status machines and the decisions agree: what a figure shows can happen, and what can happen is in the figure. In memory,
//! with real histories of every aggregate.

use catalogue::workflow_events::{Renamed, RunEvent, StepPath};
use catalogue::{AnyEvent, MachineEntry, Move, Standing, machines};
use event_store::RawEvent;
use kernel::{CommandEntry, Event as _, TenantId};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use samples::{Prospect, Script, Sought, World, context_of, scripts};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Events that move a status elsewhere and leave these as they are, and why that is meant.
const STAYS: &[(&str, &str, &str, &str)] = &[
    ("agreements.contract", "partially_signed", "recipient.signed", "several sign it"),
    ("timeline.follow_up", "snoozed", "follow_up.snoozed", "what was put off is put off once more"),
    ("identity.user", "invited", "user.invited", "a newer invitation makes the open one void"),
    ("portal.portal_user", "invited", "portal_user.invited", "a newer invitation makes the open one void"),
    (
        "identity.tenant",
        "closed",
        "tenant.suspended",
        "a firm that is closed can be suspended, and is when it is reopened",
    ),
    ("revenue.bill", "received", "bill.corrected", "what was read wrongly twice is corrected twice"),
    ("revenue.bill", "coded", "bill.coded", "what was coded wrongly is coded anew"),
    ("revenue.bill", "partially_paid", "bill.payment_recorded", "a bill is paid in many parts"),
    ("revenue.bill", "partially_paid", "bill.payment_reversed", "of several payments one is taken back"),
    ("revenue.bill", "partially_paid", "bill.pushed_to_ledger", "a ledger may have it after it was paid"),
    ("revenue.bill", "paid", "bill.pushed_to_ledger", "a ledger may have it after it was paid"),
    ("revenue.invoice", "partially_paid", "invoice.sent", "that the client has it is said beside it"),
    ("revenue.invoice", "paid", "invoice.sent", "that the client has it is said beside it"),
    ("revenue.invoice", "overdue", "invoice.sent", "that the client has it is said beside it"),
    ("revenue.invoice", "written_off", "invoice.sent", "that the client has it is said beside it"),
    ("revenue.invoice", "partially_paid", "invoice.partially_paid", "an invoice is paid in more than two parts"),
    ("revenue.invoice", "overdue", "invoice.partially_paid", "what is overdue is so until it is paid"),
    ("revenue.invoice", "overdue", "invoice.payment_reversed", "what is overdue is so until it is paid"),
    ("revenue.invoice", "partially_paid", "invoice.payment_reversed", "another part of it is paid still"),
    ("revenue.invoice", "written_off", "invoice.payment_reversed", "what was given up is not expected again"),
    (
        "connections.connection",
        "connected",
        "connection.authorised",
        "whoever agrees again while it works replaces the grant",
    ),
    (
        "connections.connection",
        "connected",
        "connection.recovered",
        "that it works again is said beside that somebody has agreed again",
    ),
    (
        "connections.connection",
        "paused",
        "connection.authorised",
        "whoever agrees again while it is paused does not set it going",
    ),
    ("workflow.run_step", "retry_scheduled", "step.retry_scheduled", "a step is tried more than twice"),
    ("workflow.run_step", "pending", "run.rerun", "whatever has not ended is taken again too"),
    ("workflow.run_step", "pending", "run.resumed", "what has not begun goes on with the others"),
    ("files.file", "available", "file.version_added", "a file has several versions"),
    ("files.file", "deleted", "file.version_added", "what came before it was deleted is inspected all the same"),
    ("files.file_request", "partially_completed", "request_item.submitted", "more than one item is handed in"),
    ("files.file_request", "completed", "request_item.submitted", "what is optional, or better, is handed in later"),
    ("files.request_item", "submitted", "request_item.submitted", "another file takes the place of the one before"),
];

/// Moves and stays that need several things at once, so that chance does not come to them, and the test that makes each. What begins
/// there comes from "".
const ELSEWHERE: &[(&str, &str, &str, &str)] = &[
    ("files.request_item", "submitted", "request_item.submitted", ANOTHER_FILE),
    ("revenue.bill", "partially_paid", "bill.payment_reversed", ONE_OF_SEVERAL),
    ("revenue.invoice", "paid", "invoice.payment_reversed", TAKEN_BACK),
    ("workflow.run_step", "", "run.moved", "another_version_may_call_steps_something_else"),
    ("workflow.run_step", "waiting", "run.rerun", WITHDRAWN),
    ("workflow.run_step", "pending", "run.resumed", RESUMED),
    ("agreements.contract_recipient", "sent", "recipient.declined", DECLINED),
    ("agreements.contract_recipient", "delivered", "recipient.declined", DECLINED),
    ("agreements.contract_recipient", "bounced", "recipient.declined", DECLINED),
    (
        "workflow.run_step",
        "retry_scheduled",
        "run.rerun",
        "a_step_that_waits_for_its_next_attempt_is_taken_again_with_what_is_parked_beside_it",
    ),
    ("workflow.approval", "approved", "approval.requested", ASKED_AGAIN),
    ("workflow.approval", "rejected", "approval.requested", ASKED_AGAIN),
    ("workflow.approval", "expired", "approval.requested", ASKED_AGAIN),
];
const ANOTHER_FILE: &str = "another_file_takes_the_place_of_the_one_that_was_handed_in";
const ONE_OF_SEVERAL: &str = "of_several_payments_of_a_bill_one_is_taken_back";
const TAKEN_BACK: &str = "a_payment_pays_it_in_parts_and_as_a_whole_and_is_taken_back";
const WITHDRAWN: &str = "a_question_is_withdrawn_when_its_step_fails_or_is_taken_again";
const RESUMED: &str = "a_parked_run_is_retried_at_its_step";
const DECLINED: &str = "whoever_the_contract_was_sent_to_may_decline_whatever_became_of_it";
const ASKED_AGAIN: &str = "a_question_that_was_decided_is_asked_again_with_its_step";

/// Worlds of one context in which every move of its machines is sought, and the commands in each. They are the same every time, so
/// that what is found once is found again.
const WORLDS_MAX: u64 = 60;
const COMMANDS: u64 = 300;

/// Whose status: the firm, the machine and its column, the id.
type Key = (TenantId, &'static str, &'static str, String);

/// A move or a stay: whose status, which column, from where, by which event, to where.
type Step = (&'static str, &'static str, Move);

/// What has a status, in one world: two firms may have records of the same id.
type Statuses = BTreeMap<Key, Box<dyn Standing>>;

#[test]
fn what_a_figure_shows_can_happen_and_what_can_happen_is_in_the_figure() {
    let contexts: BTreeSet<&'static str> = machines().iter().map(|machine| context_of(machine.of)).collect();
    let sought = |context| contexts.contains(context).then(|| Moves::sought_in(context).unmade());
    let unseen: Vec<String> = samples::in_every_context(sought).into_iter().flatten().flatten().collect();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");

    let mut runner = TestRunner::new(samples::config(64, samples::regressions!("machines")));
    let moves: BTreeMap<&str, RefCell<Moves>> =
        contexts.iter().map(|context| (*context, RefCell::new(Moves::of(context)))).collect();
    let scripts = scripts(100..400).prop_filter("a context with machines", |script| {
        script.focus.is_some_and(|context| machines().iter().any(|machine| context_of(machine.of) == context))
    });
    let played = runner.run(&scripts, |script: Script| {
        let mut statuses = Statuses::new();
        let mut moves = moves[script.focus.unwrap_or_default()].borrow_mut();
        World::log_of(&script).into_iter().try_for_each(|event| moves.follow(&mut statuses, event))
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}

fn elsewhere(of: &str, at: &str, event_type: &str) -> bool {
    ELSEWHERE.iter().any(|(o, from, event, _)| (*o, *from, *event) == (of, at, event_type))
}

/// What was seen of a context's machines.
struct Moves {
    context: &'static str,
    made: BTreeSet<Step>,
    stayed: BTreeSet<(&'static str, &'static str, &'static str)>,
}

impl Moves {
    fn of(context: &'static str) -> Self {
        Self { context, made: BTreeSet::new(), stayed: BTreeSet::new() }
    }

    /// Seeks every move in one world after the other.
    fn sought_in(context: &'static str) -> Self {
        let mut moves = Self::of(context);
        let commands = samples::commands_in(context, COMMANDS);
        let (mut seen, mut unmade) = (0, Unmade::of(&moves));
        for number in 0..WORLDS_MAX {
            if number % 10 == 9 {
                println!("not made after {number} worlds of {context}: {:#?}", moves.unmade());
            }
            let (mut world, mut statuses) = (World::default(), Statuses::new());
            for number in number * commands..(number + 1) * commands {
                if unmade.steps.is_empty() && unmade.stays.is_empty() {
                    println!("every move of {context} was made after {number} commands");
                    return moves;
                }
                let known = world.log().len();
                world.seek(Some(context), number, &Sight { unmade: &unmade, statuses: &statuses });
                let followed = world.log()[known..].iter().try_for_each(|e| moves.follow(&mut statuses, e.clone()));
                followed.unwrap_or_else(|error| panic!("{context}: {error}"));
                if seen < moves.made.len() + moves.stayed.len() {
                    (seen, unmade) = (moves.made.len() + moves.stayed.len(), Unmade::of(&moves));
                }
            }
        }
        moves
    }

    /// Follows the machines of whom the event is about.
    fn follow(&mut self, statuses: &mut Statuses, event: RawEvent) -> TestCaseResult {
        let event = catalogue::decode(event).unwrap();
        let (stream, event_type) = (event.aggregate_id.to_string(), event.payload.entry().event_type);
        for machine in of_context(self.context) {
            rename(statuses, (event.tenant_id, machine), &event.payload, &stream);
            for id in subjects(machine, &event.payload, &stream) {
                let key = (event.tenant_id, machine.of, machine.column, id);
                let begins = machine.moves.iter().any(|m| m.from.is_none() && m.event_type == event_type);
                let is_new = !statuses.contains_key(&key);
                // A step inside of another begins unsaid.
                prop_assert!(
                    begins || !is_new || machine.of == "workflow.run_step",
                    "{key:?} begins with {event_type}"
                );
                let standing = statuses.entry(key).or_insert_with(|| machine.begin());
                let before = standing.status();
                standing.apply(&event.payload);
                let from = (!is_new || !begins).then_some(before);
                let step = Move { from, event_type, to: standing.status() };
                if machine.moves.contains(&step) {
                    self.made.insert((machine.of, machine.column, step));
                } else if from != Some(step.to) {
                    prop_assert!(false, "{step:?} of {} is not in the figure", machine.of);
                } else if !machine.remembers
                    && machine.moves.iter().any(|m| m.from.is_some() && m.event_type == event_type)
                {
                    let stay = (machine.of, before, event_type);
                    let meant = STAYS.iter().any(|(of, at, event, _)| (*of, *at, *event) == stay);
                    prop_assert!(meant, "{stay:?} leaves the status as it is");
                    self.stayed.insert(stay);
                }
            }
        }
        Ok(())
    }

    fn unmade_steps(&self) -> impl Iterator<Item = Step> {
        let steps = of_context(self.context)
            .flat_map(|machine| machine.moves.iter().map(|step| (machine.of, machine.column, step.clone())));
        let is_elsewhere = |(of, _, step): &Step| elsewhere(of, step.from.unwrap_or_default(), step.event_type);
        steps.filter(move |step| !self.made.contains(step) && !is_elsewhere(step))
    }

    fn unmet_stays(&self) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str, &'static str)> {
        let known = |of: &str| of_context(self.context).any(|machine| machine.of == of);
        let is_met = |of, at, event| self.stayed.contains(&(of, at, event)) || elsewhere(of, at, event);
        STAYS.iter().filter(move |(of, at, event, _)| known(of) && !is_met(*of, *at, *event))
    }

    /// Moves that no decision made, and exceptions that were never met.
    fn unmade(&self) -> Vec<String> {
        let unmade = self.unmade_steps().map(|(of, column, step)| format!("{of} {column}: {step:?}"));
        let unmet = self.unmet_stays().map(|(of, at, event, why)| format!("{of} stays {at} by {event}, because {why}"));
        unmade.chain(unmet).collect()
    }
}

/// The moves that were not made yet, and the exceptions that were not met.
struct Unmade {
    steps: Vec<Step>,
    stays: Vec<(&'static str, &'static str, &'static str)>,
    /// Moves that lead to where the others begin, on the shortest ways.
    ways: Vec<Step>,
}

impl Unmade {
    fn of(moves: &Moves) -> Self {
        let stays = moves.unmet_stays().map(|(of, at, event, _)| (*of, *at, *event)).collect();
        let mut unmade = Self { steps: moves.unmade_steps().collect(), stays, ways: vec![] };
        unmade.ways = of_context(moves.context).flat_map(|machine| unmade.ways_in(machine)).collect();
        unmade
    }

    fn ways_in(&self, machine: &'static MachineEntry) -> Vec<Step> {
        let steps = self.steps.iter().filter(|(of, column, _)| (*of, *column) == (machine.of, machine.column));
        let stays = self.stays.iter().filter(|(of, ..)| *of == machine.of).map(|(_, at, _)| *at);
        let mut near: BTreeSet<&str> = steps.filter_map(|(.., step)| step.from).chain(stays).collect();
        let mut ways = vec![];
        loop {
            // What begins is not sought again and again.
            let nearer = |step: &&Move| near.contains(step.to) && step.from.is_some_and(|from| !near.contains(from));
            let found: Vec<&Move> = machine.moves.iter().filter(nearer).collect();
            if found.is_empty() {
                return ways;
            }
            near.extend(found.iter().filter_map(|step| step.from));
            ways.extend(found.into_iter().map(|step| (machine.of, machine.column, step.clone())));
        }
    }
}

/// The same, seen from where everything stands.
struct Sight<'a> {
    unmade: &'a Unmade,
    statuses: &'a Statuses,
}

impl Sought for Sight<'_> {
    fn is_event(&self, event_type: &str) -> bool {
        let mut steps = self.unmade.steps.iter().chain(&self.unmade.ways);
        steps.any(|(.., step)| step.event_type == event_type)
            || self.unmade.stays.iter().any(|(.., event)| *event == event_type)
    }

    fn is_command(&self, _: &CommandEntry) -> bool {
        false
    }

    fn is(&self, prospect: &Prospect) -> bool {
        let brought = prospect.brought.iter().map(|(key, events)| (key, events));
        brought.chain([(&prospect.key, &prospect.events)]).any(|(key, events)| self.is_for(key, events))
    }
}

impl Sight<'_> {
    /// Would these events of a stream be it? Of the stream it is known from where it would move; of its parts only whether one is
    /// there.
    fn is_for(&self, (tenant, stream, id): &samples::Key, events: &[&'static str]) -> bool {
        let id = id.to_string();
        let status =
            |of, column| self.statuses.get(&(*tenant, of, column, id.clone())).map(|standing| standing.status());
        let is_at = |of: &str, at: &str| {
            let its = |i: &str| i.strip_prefix(&id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            self.statuses.iter().any(|((t, o, _, i), s)| t == tenant && *o == of && its(i) && s.status() == at)
        };
        let is_move = |(of, column, step): &Step| {
            let can = || match step.from {
                from if *of == *stream => status(*of, *column) == from,
                from => from.is_none_or(|at| is_at(of, at)),
            };
            events.contains(&step.event_type) && can()
        };
        let is_stay = |(of, at, event): &(&str, &str, &'static str)| events.contains(event) && is_at(of, at);
        self.unmade.steps.iter().chain(&self.unmade.ways).any(is_move) || self.unmade.stays.iter().any(is_stay)
    }
}

fn of_context(context: &str) -> impl Iterator<Item = &'static MachineEntry> {
    machines().iter().filter(move |machine| context_of(machine.of) == context)
}

/// The ids of whom the event is about, of those that the machine is of; what is not a part is its stream.
fn subjects(machine: &MachineEntry, event: &AnyEvent, stream: &str) -> Vec<String> {
    if event.entry().stream != machine.stream {
        return vec![];
    }
    if machine.of == machine.stream {
        return vec![stream.to_owned()];
    }
    // A recipient of a contract is called one, and where there are others too, a contract's.
    let name = |of: &'static str| of.rsplit('.').next().unwrap_or_default();
    let part = name(machine.of);
    let part = part.strip_prefix(name(machine.stream)).and_then(|rest| rest.strip_prefix('_')).unwrap_or(part);
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
    ids.map(|id| format!("{stream}/{id}")).collect()
}

/// What is called something else from now on goes on as what it was.
fn rename(all: &mut Statuses, of: (TenantId, &MachineEntry), event: &AnyEvent, stream: &str) {
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
