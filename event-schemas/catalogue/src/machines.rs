//! Every status machine: what is published of it, and the moves that its figure shows.
//!
//! Nobody draws a figure. Every event is made in every shape that its schema's enums allow, and shown to every status; where
//! that leads elsewhere is a move.

use crate::{AnyEvent, example};
use kernel::{Archivable, Event, Machine, Retirable, Status, StatusEntry, read_event};
use serde_json::Value;
use std::sync::LazyLock;

use crm_events::ClientStatus;
use identity_events::{
    ApiKeyStatus, ErasureStatus, RoleStatus, ServiceAccountStatus, SessionStatus, SubscriberStatus, TeamStatus,
    TenantStatus, UserStatus,
};
use portal_events::{PortalSessionStatus, PortalUserStatus};
use projects_events::{MilestoneStatus, ProjectStatus, TaskStatus};
use scheduling_events::AppointmentStatus;

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
    after: Box<After>,
}

type After = dyn Fn(&str, &AnyEvent) -> Option<&'static str> + Send + Sync;

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

/// One line per machine is all that a new one needs here: the variant of [`AnyEvent`] whose events move it, whose it is, the
/// column that shows it, and its type.
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

machines! {
    Client: "crm.client" "status" = ClientStatus,
    Contact: "crm.contact" "archived" = Archivable,
    EventType: "scheduling.event_type" "retired" = Retirable,
    Appointment: "scheduling.appointment" "status" = AppointmentStatus,
    Tenant: "identity.tenant" "status" = TenantStatus,
    User: "identity.user" "status" = UserStatus,
    Role: "identity.role" "status" = RoleStatus,
    Team: "identity.team" "status" = TeamStatus,
    ServiceAccount: "identity.service_account" "status" = ServiceAccountStatus,
    ApiKey: "identity.api_key" "status" = ApiKeyStatus,
    Subscriber: "identity.subscriber" "status" = SubscriberStatus,
    Session: "identity.session" "status" = SessionStatus,
    Erasure: "identity.erasure" "status" = ErasureStatus,
    PortalUser: "portal.portal_user" "status" = PortalUserStatus,
    PortalSession: "portal.portal_session" "status" = PortalSessionStatus,
    FolderTemplate: "files.folder_template" "retired" = Retirable,
    Folder: "files.folder" "archived" = Archivable,
    ProjectTemplate: "projects.project_template" "retired" = Retirable,
    Project: "projects.project" "status" = ProjectStatus,
    Project: "projects.project" "archived" = Archivable,
    Project: "projects.milestone" "status" = MilestoneStatus,
    Project: "projects.task" "status" = TaskStatus,
}

impl MachineEntry {
    fn new<S: Machine<E>, E: Event>(
        of: &'static str,
        column: &'static str,
        its: impl Fn(&AnyEvent) -> Option<&E> + Send + Sync + 'static,
    ) -> Self {
        let after = move |status: &str, event: &AnyEvent| Some(S::named(status)?.after(its(event)?).as_str());
        Self {
            of,
            column,
            stream: E::STREAM,
            statuses: S::ALL.iter().map(|status| status.entry()).collect(),
            moves: moves::<S, E>(),
            after: Box::new(after),
        }
    }

    /// The status that it begins from.
    pub fn initial(&self) -> &'static str {
        self.statuses.first().map_or("", |status| status.name)
    }

    /// The status after the event; none if there is no such status, or it is no event of this stream.
    pub fn after(&self, status: &str, event: &AnyEvent) -> Option<&'static str> {
        (self.after)(status, event)
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

/// Every move there is, in the order of the statuses and of the events.
fn moves<S: Machine<E>, E: Event>() -> Vec<Move> {
    let events: Vec<(&'static str, E)> = E::CATALOGUE.iter().flat_map(|entry| shapes(entry)).collect();
    let mut moves = vec![];
    let mut add = |from: Option<S>, event_type, to: S| {
        let step = Move { from: from.map(Status::as_str), event_type, to: to.as_str() };
        if !moves.contains(&step) {
            moves.push(step);
        }
    };
    for (event_type, event) in events.iter().filter(|(event_type, _)| S::BEGINS.contains(event_type)) {
        add(None, event_type, S::default().after(event));
    }
    for status in S::ALL {
        for (event_type, event) in &events {
            let to = status.after(event);
            if to != *status {
                add(Some(*status), event_type, to);
            }
        }
    }
    moves
}

/// The event as its schema's example has it, and once more with every value of each of its enums.
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

/// The values of an enum's schema; with sentences they are alternatives of constants.
fn values(schema: &Value) -> Vec<Value> {
    let listed = schema["enum"].as_array().cloned().unwrap_or_default();
    let alternatives = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema[keyword].as_array()).flatten();
    let constant = schema.get("const").cloned();
    listed.into_iter().chain(constant).chain(alternatives.flat_map(values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
