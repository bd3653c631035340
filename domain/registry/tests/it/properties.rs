//! Every aggregate of every context, driven by random commands: what the store, the cache and the snapshots rely on.

use crate::schemas::Schemas;
use crate::{claims, concerns};
use kernel::CommandEntry;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use samples::{Attempt, Decided, Key, Prospect, Sought, World, context_of, scripts, subjects};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Commands that do something again when they are sent again, and why that is meant. Whoever repeats a request sends the
/// same idempotency key, and the store answers for them.
const AGAIN: &[(&str, &str)] = &[
    ("communications.thread.post_message", "two messages may say the same"),
    ("connections.connection.resync", "whoever asks twice has everything looked at twice"),
    ("connections.webhook_endpoint.replay", "what was sent again may be sent once more"),
    ("connections.webhook_endpoint.rotate_secret", "every rotation makes another secret"),
    ("connections.webhook_endpoint.test", "every test sends an event"),
    ("files.file.add_version", "two uploads may bring the same bytes"),
    ("files.file_request.add_item", "two items may have one name"),
    ("files.file_request.remind", "every reminder is noted"),
    ("identity.api_key.rotate", "every rotation makes another secret"),
    ("identity.subscriber.rotate", "every rotation makes another secret"),
    ("identity.tenant.note_repair", "every repair is noted, also one of what was repaired before"),
    ("identity.user.reinvite", "a new invitation takes the place of the open one"),
    ("portal.portal_user.invite", "a new invitation takes the place of the open one"),
    ("projects.project.add_milestone", "two milestones may have one name"),
    ("projects.project.add_task", "two tasks may have one title"),
    ("revenue.invoice.add_line", "two lines may say the same"),
    ("revenue.invoice_plan.add_entry", "two entries may have one name"),
    ("projects.project.spend_time", "the time entry knows whether it counts"),
    ("projects.project.take_time_back", "the time entry knows whether it counts"),
    ("scheduling.appointment.request_reschedule", "every request is noted"),
    ("revenue.bill.record_payment", "a bill may be paid in equal parts"),
    ("workflow.run.signal", "a signal that is sent twice is two"),
    ("workflow.run.record", "the engine records what happened, however often the same thing happens"),
];

/// Commands that bring along another.
const COMPANIONS: &[(&str, &str)] = &[
    ("agreements.proposal.send", "the proposal whose place it takes"),
    ("crm.contact.link_to_client", "whoever was asked first before"),
    ("revenue.credit_note.apply", "the invoice that it pays"),
    ("revenue.credit_note.issue", "the invoice that it takes back, and the series of its number"),
    ("revenue.invoice.draft_from_plan", "the plan whose entries are on it"),
    ("revenue.invoice.issue", "the series of its number"),
    ("revenue.invoice.remove_line", "the plan whose entry it was"),
    ("revenue.invoice.void", "the plans whose entries were on it"),
    ("revenue.payment.allocate", "the invoice that it pays"),
    ("revenue.payment.deallocate", "the invoice that it paid"),
    ("revenue.payment.receive", "the invoices that it pays"),
    ("revenue.payment.reverse", "the invoices that it paid"),
    ("communications.notification.mark_all_read", "what else was seen"),
    ("projects.time_entry.approve", "the project's sums"),
    ("projects.time_entry.mark_invoiced", "the project's sums"),
    ("projects.time_entry.reject", "the project's sums"),
    ("projects.time_entry.release", "the project's sums"),
];

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

/// Worlds of one context in which everything that can happen in it is sought, and the commands in each. They are the same
/// every time, so that what is found once is found again; few contexts need ten.
const WORLDS_MAX: u64 = 60;
const COMMANDS: u64 = 120;

#[test]
fn every_aggregate_keeps_what_the_store_relies_on() {
    let schemas = Schemas::read();
    let parts = samples::in_every_context(|context| {
        let mut examined = Examined { schemas: &schemas, seen: Seen::default() };
        examined.seek_all_of(context).unwrap_or_else(|error| panic!("{context}: {error}"));
        (examined.missing(context).collect::<Vec<_>>(), examined.seen)
    });
    let (unseen, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let seen = parts.into_iter().fold(Seen::default(), Seen::with);
    seen.report();
    let unseen: Vec<String> = unseen.into_iter().flatten().collect();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");

    let examined = Examined { schemas: &schemas, seen };
    let examined = RefCell::new(examined);
    let mut runner = TestRunner::new(samples::config(96, samples::regressions!("properties")));
    let played = runner.run(&scripts(1..250), |script| {
        let (mut world, mut concerns) = (World::audited(), concerns::Concerns::default());
        for number in &script.steps {
            let (key, attempt) = world.step(script.focus, *number);
            examined.borrow_mut().examine(&world, &mut concerns, &key, &attempt)?;
        }
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
}

/// What was examined, and what the contract says of it.
struct Examined<'a> {
    schemas: &'a Schemas,
    seen: Seen,
}

impl Examined<'_> {
    fn examine(
        &mut self,
        world: &World,
        concerns: &mut concerns::Concerns,
        key: &Key,
        attempt: &Attempt,
    ) -> TestCaseResult {
        let companions = attempt.companions.iter().map(|(key, attempt)| (key, attempt));
        for (key, attempt) in companions.chain([(key, attempt)]) {
            self.seen.count(attempt);
            for event in attempt.events() {
                self.schemas.check(key.1, event.event_type, event.version, &event.payload)?;
            }
        }
        check(world, key, attempt)?;
        concerns.check(world, key, attempt)
    }

    /// Does whatever was not seen yet of a context as soon as it is possible, in one world after the other.
    fn seek_all_of(&mut self, context: &'static str) -> TestCaseResult {
        let commands = samples::commands_in(context, COMMANDS);
        for number in 0..WORLDS_MAX {
            if number % 10 == 9 {
                let missing: Vec<String> = self.missing(context).collect();
                println!("not seen in {number} worlds of {context}: {missing:#?}");
            }
            let (mut world, mut concerns) = (World::audited(), concerns::Concerns::default());
            for number in number * commands..(number + 1) * commands {
                if self.missing(context).next().is_none() {
                    println!("everything of {context} was seen after {number} commands");
                    return Ok(());
                }
                let (key, attempt) = world.seek(Some(context), number, &self.seen);
                self.examine(&world, &mut concerns, &key, &attempt)?;
            }
        }
        Ok(())
    }

    /// Commands of a context that never did anything, events that never happened, exceptions that were never made: of them, the
    /// properties say nothing.
    fn missing<'a>(&'a self, of: &'a str) -> impl Iterator<Item = String> + 'a {
        let seen = &self.seen;
        let of_context = move |name: &&'static str| context_of(name) == of;
        let commands = subjects().iter().flat_map(|subject| subject.commands()).map(|entry| entry.name);
        let idle = commands.filter(of_context).filter(|name| seen.never(name, |tally| tally.changed));
        let idle = idle.map(|name| format!("{name} changes something"));
        let events = self.schemas.event_types(of).filter(|event_type| !seen.events.contains(event_type));
        let events = events.map(str::to_owned);
        let alone = COMPANIONS.iter().filter(move |(name, _)| of_context(name) && seen.never(name, |t| t.together));
        let alone = alone.map(|(command, other)| format!("{command} together with {other}"));
        let once = AGAIN.iter().filter(move |(name, _)| of_context(name) && seen.never(name, |tally| tally.again));
        let once = once.map(|(command, why)| format!("{command} does it again, because {why}"));
        idle.chain(events).chain(once).chain(alone)
    }
}

/// What holds after every single command.
fn check(world: &World, key: &Key, attempt: &Attempt) -> TestCaseResult {
    for (other, brought) in &attempt.companions {
        prop_assert_eq!(
            context_of(other.1),
            context_of(key.1),
            "{} brings along another context's",
            attempt.entry.name
        );
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

    /// What was seen in another context too.
    fn with(mut self, other: Self) -> Self {
        self.commands.extend(other.commands);
        self.events.extend(other.events);
        self
    }

    fn report(&self) {
        println!("{:42} changed already so refused claimed again", "");
        for (command, Tally { changed, already_so, refused, claimed, again, together: _ }) in &self.commands {
            let refused: u32 = refused.values().sum();
            println!("{command:42} {changed:7} {already_so:10} {refused:7} {claimed:7} {again:5}");
        }
    }

    fn never(&self, name: &str, what: fn(&Tally) -> u32) -> bool {
        self.commands.get(name).is_none_or(|tally| what(tally) == 0)
    }
}

/// What was not seen yet.
impl Sought for Seen {
    fn is_event(&self, event_type: &str) -> bool {
        !self.events.contains(event_type)
    }

    fn is_command(&self, entry: &CommandEntry) -> bool {
        let meant = |list: &[(&str, &str)]| list.iter().any(|(name, _)| *name == entry.name);
        self.never(entry.name, |tally| tally.changed)
            || meant(AGAIN) && self.never(entry.name, |tally| tally.again)
            || meant(COMPANIONS) && self.never(entry.name, |tally| tally.together)
    }

    fn is(&self, prospect: &Prospect) -> bool {
        let Prospect { entry, has_companions, .. } = prospect;
        let done = COMPANIONS.iter().any(|(name, _)| *name == entry.name)
            && !has_companions
            && !self.never(entry.name, |tally| tally.changed);
        prospect.all_events().any(|event_type| self.is_event(event_type)) || self.is_command(entry) && !done
    }
}
