//! Every status machine: what is published of it, and the moves that its figure shows.
//!
//! Nobody draws a figure. Every event is made in every shape that its schema's enums allow, and shown to everything that can come
//! of what begins; where that leads to another status is a move.

use crate::{AnyEvent, example};
use kernel::{Event, Progress, Status, StatusEntry, read_event};
use serde_json::Value;

/// A status machine of an aggregate, or of a part of one.
pub struct MachineEntry {
    /// Whose it is: `projects.project`, `projects.task`.
    pub of: &'static str,
    /// The column of its row that shows it: `status`, `archived`, `retired`.
    pub column: &'static str,
    /// The kind of stream whose events move it.
    pub stream: &'static str,
    /// What it can be, in the order of a life.
    pub statuses: Vec<&'static StatusEntry>,
    /// What leads from one to another.
    pub moves: Vec<Move>,
    /// It depends on more than the status before: an event may move it, or leave it as it is.
    pub remembers: bool,
    begin: Box<Begin>,
}

type Begin = dyn Fn() -> Box<dyn Standing> + Send + Sync;

/// Where one thing stands, as the events move it.
pub trait Standing {
    /// Moves along one event; one of another kind of stream leaves it as it is.
    fn apply(&mut self, event: &AnyEvent);

    /// The status.
    fn status(&self) -> &'static str;
}

struct Follower<P, E> {
    progress: P,
    its: fn(&AnyEvent) -> Option<&E>,
}

impl<P: Progress<E>, E: Event> Standing for Follower<P, E> {
    fn apply(&mut self, event: &AnyEvent) {
        if let Some(event) = (self.its)(event) {
            self.progress.apply(event);
        }
    }

    fn status(&self) -> &'static str {
        self.progress.status().as_str()
    }
}

/// One arrow of a figure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Where it was; none if it begins there.
    pub from: Option<&'static str>,
    /// The event's type: `project.activated`.
    pub event_type: &'static str,
    /// Where it is.
    pub to: &'static str,
}

/// Makes [`crate::machines()`] of the list of all machines.
macro_rules! machines {
    ($($variant:ident: $of:literal $column:literal = $status:ty),* $(,)?) => {
        /// Every machine of every context.
        pub fn machines() -> &'static [MachineEntry] {
            static MACHINES: LazyLock<Vec<MachineEntry>> = LazyLock::new(|| vec![$(
                MachineEntry::new::<$status, _>($of, $column, |event| match event {
                    AnyEvent::$variant(event) => Some(event),
                    _ => None,
                }),
            )*]);
            &MACHINES
        }
    };
}

impl MachineEntry {
    pub(crate) fn new<P: Progress<E> + 'static, E: Event>(
        of: &'static str,
        column: &'static str,
        its: fn(&AnyEvent) -> Option<&E>,
    ) -> Self {
        Self {
            of,
            column,
            stream: E::STREAM,
            statuses: P::Status::ALL.iter().map(|status| status.entry()).collect(),
            moves: moves::<P, E>(),
            remembers: P::REMEMBERS,
            begin: Box::new(move || Box::new(Follower { progress: P::default(), its })),
        }
    }

    /// The status that it begins from.
    pub fn initial(&self) -> &'static str {
        self.statuses.first().map_or("", |status| status.name)
    }

    /// One that nothing has happened to yet.
    pub fn begin(&self) -> Box<dyn Standing> {
        (self.begin)()
    }

    /// A figure of it in Mermaid.
    pub fn figure(&self) -> String {
        let place = |status: Option<&'static str>| status.unwrap_or("[*]");
        let mut figure = "stateDiagram-v2\n".to_owned();
        for step in &self.moves {
            figure.push_str(&format!("    {} --> {}: {}\n", place(step.from), step.to, step.event_type));
        }
        for end in self.statuses.iter().filter(|status| self.moves.iter().all(|step| step.from != Some(status.name))) {
            figure.push_str(&format!("    {} --> [*]\n", end.name));
        }
        figure
    }
}

/// What may be remembered is followed so far; a machine that counted would never come to an end.
const KNOWN_MAX: usize = 2_000;

/// Every move there is, in the order of the statuses and of the events.
fn moves<P: Progress<E>, E: Event>() -> Vec<Move> {
    let events: Vec<(&'static str, E)> = E::CATALOGUE.iter().flat_map(|entry| shapes(entry)).collect();
    let place = |status: P::Status| P::Status::ALL.iter().position(|other| *other == status);
    let mut moves: Vec<(Option<usize>, usize, Move)> = vec![];
    let mut known: Vec<P> = vec![];
    let mut go = |before: Option<&P>, nth: usize, known: &mut Vec<P>| {
        let (event_type, event) = &events[nth];
        let mut after = before.cloned().unwrap_or_default();
        after.apply(event);
        let (from, to) = (before.map(P::status), after.status());
        let step = Move { from: from.map(Status::as_str), event_type, to: to.as_str() };
        let key = (from.and_then(place), nth, step);
        if from != Some(to) && moves.iter().all(|(.., other)| *other != key.2) {
            moves.push(key);
        }
        if !known.contains(&after) && known.len() < KNOWN_MAX {
            known.push(after);
        }
    };
    for (nth, (event_type, _)) in events.iter().enumerate() {
        if P::BEGINS.contains(event_type) {
            go(None, nth, &mut known);
        }
    }
    let mut next = 0;
    while let Some(before) = known.get(next).cloned() {
        (0..events.len()).for_each(|nth| go(Some(&before), nth, &mut known));
        next += 1;
    }
    moves.sort();
    moves.into_iter().map(|(.., step)| step).collect()
}

/// The event as its schema's example has it, and once more with every value of each of its enums and every example of its texts:
/// two steps may stand differently.
fn shapes<E: Event>(entry: &'static kernel::EventEntry) -> Vec<(&'static str, E)> {
    let schema = Value::from((entry.schema)());
    let plain = example(&schema, entry.name);
    let mut payloads = vec![plain.clone()];
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        for value in values(schema) {
            let mut payload = plain.clone();
            payload[field] = value;
            payloads.push(payload);
        }
    }
    let read = |payload: Value| read_event::<E>(entry.event_type, entry.version, &payload.to_string()).ok();
    payloads.into_iter().filter_map(read).map(|event| (entry.event_type, event)).collect()
}

/// The values of an enum's schema, which with sentences are alternatives of constants, and the examples of a text; of a list, one of
/// each.
fn values(schema: &Value) -> Vec<Value> {
    let listed = ["enum", "examples"].into_iter().filter_map(|keyword| schema[keyword].as_array()).flatten().cloned();
    let alternatives = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema[keyword].as_array()).flatten();
    let constant = schema.get("const").cloned();
    let items = schema.get("items").into_iter().flat_map(values).map(|item| Value::Array(vec![item]));
    listed.chain(constant).chain(alternatives.flat_map(values)).chain(items).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines;
    use std::collections::BTreeSet;

    fn machine(of: &str, column: &str) -> &'static MachineEntry {
        machines().iter().find(|machine| machine.of == of && machine.column == column).unwrap()
    }

    #[test]
    fn a_figure_shows_every_move_and_no_other() {
        let expected = "stateDiagram-v2
    [*] --> draft: project.created
    draft --> active: project.activated
    draft --> cancelled: project.cancelled
    active --> on_hold: project.held
    active --> completed: project.completed
    active --> cancelled: project.cancelled
    on_hold --> active: project.activated
    on_hold --> cancelled: project.cancelled
    completed --> [*]
    cancelled --> [*]
";
        assert_eq!(machine("projects.project", "status").figure(), expected);
    }

    #[test]
    fn an_event_that_says_where_it_leads_is_tried_with_everything_that_it_can_say() {
        let leads = |of, from| -> Vec<&str> {
            let moves = machine(of, "status").moves.iter();
            moves.filter(|step| step.from == Some(from)).map(|step| step.to).collect()
        };
        assert_eq!(leads("crm.client", "prospect"), ["onboarding", "active", "former"]);
        assert_eq!(leads("crm.client", "former"), ["prospect"]);
        assert_eq!(leads("identity.tenant", "closed"), ["trialing", "active", "past_due", "suspended"]);
    }

    #[test]
    fn every_status_can_be_reached_and_has_a_name_of_its_own() {
        for machine in machines() {
            let mut reached: BTreeSet<&str> = BTreeSet::new();
            for _ in &machine.statuses {
                let known = |step: &&Move| step.from.is_none_or(|from| reached.contains(from));
                let next: Vec<&str> = machine.moves.iter().filter(known).map(|step| step.to).collect();
                reached.extend(next);
            }
            let names: BTreeSet<&str> = machine.statuses.iter().map(|status| status.name).collect();
            assert_eq!(names.len(), machine.statuses.len(), "{} {}", machine.of, machine.column);
            assert_eq!(reached, names, "{} {}", machine.of, machine.column);
        }
    }

    #[test]
    fn a_machine_begins_with_events_of_its_own_stream() {
        for machine in machines() {
            let begins = machine.moves.iter().filter(|step| step.from.is_none());
            let begins: Vec<&str> = begins.map(|step| step.event_type).collect();
            assert!(!begins.is_empty(), "{} {} never begins", machine.of, machine.column);
            for event_type in begins {
                assert_eq!(crate::by_event_type(event_type).map(|entry| entry.stream), Some(machine.stream));
            }
        }
    }
}
