//! What single folds do with histories that are more than one row and one column.

use catalogue::communications_events::{EmailStatus, MessageStatus};
use catalogue::projects_events::TaskStatus;
use catalogue::scheduling_events::AppointmentStatus;
use catalogue::{AnyEvent, Narrowed};
use chrono::{DateTime, Utc};
use kernel::{Actor, ClientId, Metadata, Recorded, RunId, TenantId};
use projections::communications::{MessageRow, OutgoingEmailRow, ThreadRow};
use projections::crm::{ClientRow, ContactRow};
use projections::files::FolderRow;
use projections::projects::TaskRow;
use projections::scheduling::AppointmentRow;
use projections::workflow::{ApprovalRow, ApprovalStatus, RunRow, RunStatus, RunStepRow, StepStatus, step_row_id};
use projections::{Event, Kind, ReadModel, Row, Tie};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const STREAM: Uuid = Uuid::from_u128(42);

fn at(sequence: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + sequence, 0).unwrap()
}

fn event(sequence: i64, stream: &str, event_type: &str, version: u32, payload: &Value) -> Event {
    let payload = AnyEvent::read(stream, event_type, version, &payload.to_string())
        .unwrap_or_else(|e| panic!("{event_type}: {e}"));
    let actor = Actor::System { name: "test".into() };
    Recorded {
        position: sequence * 10,
        event_id: Uuid::from_u128(sequence as u128),
        tenant_id: TenantId(Uuid::from_u128(1)),
        domain: stream.split('.').next().unwrap().to_owned(),
        aggregate_type: stream.to_owned(),
        aggregate_id: STREAM,
        sequence,
        event_type: event_type.to_owned(),
        event_version: version,
        payload,
        metadata: Metadata {
            actor,
            correlation_id: Uuid::from_u128(9),
            causation_id: None,
            command: "x.y.z".into(),
            traceparent: None,
            concerns: vec![],
            unit: None,
        },
        recorded_at: at(sequence),
    }
}

/// Every row of one table after a history of (event type, version, payload).
fn rows<R: ReadModel>(history: &[(&str, u32, Value)]) -> BTreeMap<Uuid, Row<R>> {
    let mut rows: BTreeMap<Uuid, Row<R>> = BTreeMap::new();
    for (sequence, (event_type, version, payload)) in (1..).zip(history) {
        let event = event(sequence, R::Event::STREAMS[0], event_type, *version, payload);
        for key in Row::<R>::keys(&event) {
            let after = Row::after(key, rows.remove(&key), &event).unwrap_or_else(|e| panic!("{event_type}: {e}"));
            rows.insert(key, after);
        }
    }
    rows
}

fn row<R: ReadModel>(history: &[(&str, u32, Value)]) -> Row<R> {
    rows(history).remove(&STREAM).expect("a row")
}

#[test]
fn a_client_of_the_first_version_is_an_organisation() {
    let row: Row<ClientRow> =
        row(&[("client.created", 1, json!({ "name": "Ada" })), ("client.tagged", 1, json!({ "tag": "vip" }))]);
    assert_eq!(serde_json::to_value(&row).unwrap()["kind"], "organisation");
    assert_eq!((row.version, row.created_at, row.updated_at), (2, at(1), at(2)));
}

#[test]
fn a_tag_that_is_put_on_twice_is_there_once() {
    let row: Row<ClientRow> = row(&[
        ("client.created", 1, json!({ "name": "Ada" })),
        ("client.tagged", 1, json!({ "tag": "vip" })),
        ("client.tagged", 1, json!({ "tag": "late" })),
        ("client.tagged", 1, json!({ "tag": "vip" })),
        ("client.untagged", 1, json!({ "tag": "late" })),
    ]);
    assert_eq!(json!(row.tags), json!(["vip"]));
}

#[test]
fn a_contact_belongs_to_its_primary_client_or_else_to_the_first() {
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let link = |client: Uuid, primary: bool| {
        ("contact.linked_to_client", 1, json!({ "client_id": client, "role": "CFO", "primary": primary }))
    };
    let created = ("contact.created", 1, json!({ "name": "Ada" }));
    let linked: Row<ContactRow> = row(&[created.clone(), link(one, false), link(two, true)]);
    assert_eq!(linked.client_id, Some(ClientId(two)));
    let left: Row<ContactRow> = row(&[
        created,
        link(one, false),
        link(two, true),
        ("contact.unlinked_from_client", 1, json!({ "client_id": two })),
    ]);
    assert_eq!((left.client_id, left.clients.len()), (Some(ClientId(one)), 1));
}

#[test]
fn an_event_without_its_row_is_an_error_and_names_itself() {
    let event = event(1, "crm.client", "client.renamed", 1, &json!({ "name": "Nobody" }));
    let error = Row::<ClientRow>::after(STREAM, None, &event).unwrap_err();
    assert!(error.to_string().contains("client.renamed"), "{error}");
}

#[test]
fn renaming_in_a_tree_finds_the_root_or_the_subfolder_or_fails() {
    let inner = Uuid::from_u128(7);
    let created = (
        "folder.created",
        1,
        json!({ "name": "Root", "subfolders": [{ "id": inner, "parent_id": STREAM, "name": "Inner" }] }),
    );
    let tree: Row<FolderRow> = row(&[
        created.clone(),
        ("folder.renamed", 1, json!({ "folder_id": STREAM, "name": "Top" })),
        ("folder.renamed", 1, json!({ "folder_id": inner, "name": "Inside" })),
    ]);
    assert_eq!((tree.name.text(), tree.subfolders[0].name.text()), ("Top", "Inside"));
    let unknown =
        event(2, "files.folder", "folder.renamed", 1, &json!({ "folder_id": Uuid::from_u128(8), "name": "X" }));
    assert!(Row::<FolderRow>::after(STREAM, Some(row(&[created])), &unknown).is_err());
}

#[test]
fn confirming_a_request_keeps_the_moment_it_was_asked_for() {
    let details = json!({
        "event_type_id": Uuid::from_u128(1), "event_type_key": "intro", "event_type_name": "Intro", "host_id": Uuid::from_u128(2),
        "starts_at": at(100), "ends_at": at(200), "blocked_from": at(90), "blocked_until": at(210),
        "time_zone": "Europe/Berlin", "client_name": "Acme", "invitee_name": "Ada", "invitee_email": "ada@example.com",
        "manage_path": "/m", "cancel_path": "/c",
    });
    let slot = |from: i64| json!({ "starts_at": at(from), "ends_at": at(from + 10), "blocked_from": at(from), "blocked_until": at(from + 10) });
    let appointment: Row<AppointmentRow> = row(&[
        ("appointment.requested", 1, details.clone()),
        ("appointment.booked", 1, details),
        ("appointment.reschedule_requested", 1, json!({ "reason": "ill" })),
        ("appointment.rescheduled", 1, json!({ "from": slot(100), "to": slot(300) })),
    ]);
    assert_eq!((appointment.created_at, appointment.status), (at(1), AppointmentStatus::Booked));
    assert_eq!((appointment.starts_at.utc(), appointment.reschedule_requested), (at(300), false));
}

#[test]
fn a_projects_tasks_are_rows_from_its_beginning_on() {
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let tasks: BTreeMap<Uuid, Row<TaskRow>> = rows(&[
        (
            "project.created",
            1,
            json!({ "name": "P", "starts_on": "2026-01-01", "milestones": [], "tasks": [{ "id": one, "title": "First" }] }),
        ),
        ("task.created", 1, json!({ "task": { "id": two, "title": "Second" } })),
        ("task.blocked", 1, json!({ "task_id": one, "reason": "rain" })),
        ("task.completed", 1, json!({ "task_id": one, "title": "First" })),
        ("task.started", 1, json!({ "task_id": two })),
    ]);
    assert_eq!((tasks[&one].status, tasks[&one].blocked_reason.clone()), (TaskStatus::Completed, None));
    assert_eq!((tasks[&two].status, tasks[&two].version, tasks[&two].created_at), (TaskStatus::InProgress, 5, at(2)));
}

/// A run of two steps up to its parking at the second.
fn parked_run() -> Vec<(&'static str, u32, Value)> {
    let trigger = json!({
        "kind": "event", "event_id": Uuid::from_u128(5), "event_type": "appointment.booked", "event_version": 1, "position": 3,
        "aggregate_type": "scheduling.appointment", "aggregate_id": Uuid::from_u128(6), "recorded_at": at(0),
        "correlation_id": Uuid::from_u128(9), "payload": {},
    });
    let failed = json!({ "step": "folder", "code": "files.folder.unknown_template", "message": "no such template" });
    let mut failure = failed.clone();
    failure["class"] = json!({ "kind": "terminal" });
    failure["began_at"] = json!(at(51));
    vec![
        (
            "run.started",
            1,
            json!({ "definition_id": Uuid::from_u128(4), "definition": "Onboarding", "definition_version": 1,
            "definition_hash": "h", "document": {}, "steps": ["client", "folder"], "compensates": false,
            "trigger": trigger, "depth": 0 }),
        ),
        ("step.succeeded", 1, succeeded("client", 50)),
        ("step.failed", 1, failure),
        ("run.parked", 1, failed),
    ]
}

fn succeeded(step: &str, began: i64) -> Value {
    json!({ "step": step, "began_at": at(began), "result": { "id": Uuid::from_u128(8) } })
}

fn step<'a>(steps: &'a BTreeMap<Uuid, Row<RunStepRow>>, path: &str) -> &'a Row<RunStepRow> {
    &steps[&step_row_id(RunId(STREAM), path)]
}

#[test]
fn a_parked_run_shows_where_and_why() {
    let history = parked_run();
    let run: Row<RunRow> = row(&history);
    assert_eq!((run.status, run.step_count), (RunStatus::Parked, 2));
    assert_eq!(run.parked_at.iter().map(|step| step.as_str()).collect::<Vec<_>>(), ["folder"]);
    assert_eq!(run.error_code.as_deref(), Some("files.folder.unknown_template"));
    let steps: BTreeMap<Uuid, Row<RunStepRow>> = rows(&history);
    let statuses = ["client", "folder"].map(|path| step(&steps, path).status);
    assert_eq!(statuses, [StepStatus::Succeeded, StepStatus::Failed]);
    assert_eq!(step(&steps, "client").started_at, Some(at(50)));
}

#[test]
fn a_resumed_run_forgets_its_error_and_succeeds() {
    let mut history = parked_run();
    history.push(("run.resumed", 1, json!({ "steps": ["folder"], "reason": "template is there" })));
    let resumed: Row<RunRow> = row(&history);
    assert_eq!((resumed.status, resumed.error.clone()), (RunStatus::Running, None));
    history.push(("step.succeeded", 1, succeeded("folder", 60)));
    history.push(("run.succeeded", 1, json!({})));
    let run: Row<RunRow> = row(&history);
    assert_eq!((run.status, run.completed_at), (RunStatus::Succeeded, Some(at(7))));
    let steps: BTreeMap<Uuid, Row<RunStepRow>> = rows(&history);
    let step = step(&steps, "folder");
    assert_eq!((step.status, step.attempts, step.error.clone()), (StepStatus::Succeeded, 2, None));
}

#[test]
fn a_run_that_waits_at_two_places_waits_until_both_are_over() {
    let waiting = |step: &str| json!({ "step": step, "began_at": at(1), "wait": { "signals": ["go"] } });
    let mut history = vec![parked_run()[0].clone()];
    history.push(("step.waiting", 1, waiting("each[0].ask")));
    history.push(("step.waiting", 1, waiting("each[1].ask")));
    history.push(("step.succeeded", 1, succeeded("each[0].ask", 1)));
    let run: Row<RunRow> = row(&history);
    assert_eq!((run.status, run.waiting_at.len()), (RunStatus::Waiting, 1));
    history.push(("step.succeeded", 1, succeeded("each[1].ask", 1)));
    assert_eq!(row::<RunRow>(&history).status, RunStatus::Running);
    let steps: BTreeMap<Uuid, Row<RunStepRow>> = rows(&history);
    assert_eq!(step(&steps, "each[1].ask").status, StepStatus::Succeeded);
    assert!(step(&steps, "client").place < step(&steps, "each[0].ask").place);
}

#[test]
fn what_is_taken_back_is_shown_until_it_is_done() {
    let mut history = parked_run();
    history.push(("run.cancelled", 1, json!({ "reason": "no more" })));
    let cancelled: Row<RunRow> = row(&history);
    assert_eq!((cancelled.status, cancelled.error.as_deref()), (RunStatus::Cancelled, Some("no more")));
    history.push(("run.compensation_started", 1, json!({ "reason": "no more" })));
    let back: Row<RunRow> = row(&history);
    assert_eq!((back.status, back.completed_at, back.parked_at.len()), (RunStatus::Compensating, None, 0));
    history.push(("step.succeeded", 1, succeeded("client.undo", 60)));
    history.push(("run.compensated", 1, json!({})));
    assert_eq!(row::<RunRow>(&history).status, RunStatus::Compensated);
    let steps: BTreeMap<Uuid, Row<RunStepRow>> = rows(&history);
    assert_eq!(step(&steps, "client.undo").status, StepStatus::Succeeded);
}

#[test]
fn a_choice_shows_what_was_left_out() {
    let mut history = vec![parked_run()[0].clone()];
    history.push(("step.chosen", 1, json!({ "step": "client", "case": "big" })));
    history.push(("step.left_out", 1, json!({ "steps": ["client.small"] })));
    let steps: BTreeMap<Uuid, Row<RunStepRow>> = rows(&history);
    assert_eq!(
        ["client", "client.small"].map(|path| step(&steps, path).status),
        [StepStatus::Succeeded, StepStatus::Skipped]
    );
}

#[test]
fn a_question_is_open_until_it_is_closed() {
    let user = |n: u128| json!({ "kind": "user", "id": Uuid::from_u128(n) });
    let terms = json!({ "approvers": ["crm.client.tag"], "quorum": 2 });
    let asked = json!({ "step": "folder", "began_at": at(1), "question": "Shall we?", "terms": terms });
    let mut history = vec![parked_run()[0].clone(), ("approval.requested", 1, asked)];
    history.push(("approval.granted", 1, json!({ "step": "folder", "by": user(1) })));
    let of = |history: &[(&'static str, u32, Value)]| {
        let rows: BTreeMap<Uuid, Row<ApprovalRow>> = rows(history);
        rows[&step_row_id(RunId(STREAM), "folder")].clone()
    };
    assert_eq!((of(&history).status, of(&history).granted_by.len()), (ApprovalStatus::Open, 1));
    assert_eq!(row::<RunRow>(&history).status, RunStatus::Waiting);
    let closed = |outcome: &str| ("approval.closed", 1, json!({ "step": "folder", "outcome": outcome }));
    for (outcome, status) in [("expired", ApprovalStatus::Expired), ("withdrawn", ApprovalStatus::Withdrawn)] {
        let history = [history.clone(), vec![closed(outcome)]].concat();
        assert_eq!(of(&history).status, status);
    }
    history.push(("approval.granted", 1, json!({ "step": "folder", "by": user(2) })));
    history.push(closed("approved"));
    history.push(("step.succeeded", 1, succeeded("folder", 1)));
    assert_eq!((of(&history).status, of(&history).closed_at), (ApprovalStatus::Approved, Some(at(5))));
}

#[test]
fn what_a_row_belongs_to_stands_in_its_columns() {
    let mut tied = 0;
    for (_, table, resource) in projections::resources() {
        for tie in resource.ties {
            let column = table.columns().iter().find(|column| column.name == tie.column());
            let is_list =
                matches!(tie, Tie::Clients(_) | Tie::ClientIds(_) | Tie::EngagementIds(_) | Tie::ProjectIds(_));
            let kind = if is_list { Kind::Json } else { Kind::Uuid };
            assert_eq!(column.map(|column| column.kind), Some(kind), "{}: {tie:?}", resource.path);
            let of_another = match tie {
                Tie::ClientOf { table, .. } => Some((table, "client_id")),
                Tie::EngagementOf { table, .. } | Tie::ShownEngagementOf { table, .. } => {
                    Some((table, "engagement_id"))
                }
                _ => None,
            };
            if matches!(tie, Tie::ShownEngagement(_) | Tie::ShownEngagementOf { .. }) {
                let shown = resource.ties.contains(&Tie::Client("shown_to_client_id"));
                assert!(shown, "{} is shown to no client: {tie:?}", resource.path);
            }
            if let Some((other, owner)) = of_another {
                let (group, name) = other.split_once('.').unwrap();
                let other =
                    projections::resources().find(|(_, other, _)| (other.group(), other.name()) == (group, name));
                let columns = other.unwrap().1.columns();
                assert!(group == table.group() && columns.iter().any(|column| column.name == owner), "{tie:?}");
            }
            tied += 1;
        }
    }
    assert!(tied > 15, "{tied}");
}

fn message(id: u128) -> Value {
    json!(Uuid::from_u128(id))
}

#[test]
fn a_message_that_was_taken_back_shows_nothing_of_what_it_said() {
    let posted = |id: u128| {
        let body = json!({
            "message_id": message(id), "kind": "internal", "participants": [], "body": "Hello",
            "posted_at": "2026-11-02T09:00:00Z",
        });
        ("message.posted", 1, body)
    };
    let opened = ("thread.opened", 1, json!({ "kind": "internal", "subject": "Papers", "participants": [] }));
    let history = [
        opened,
        posted(1),
        posted(2),
        ("message.edited", 1, json!({ "message_id": message(1), "body": "Hello, Ada" })),
        ("message.redacted", 1, json!({ "message_id": message(2), "reason": "wrong thread" })),
    ];
    let rows = rows::<MessageRow>(&history);
    let (one, two) = (&rows[&Uuid::from_u128(1)], &rows[&Uuid::from_u128(2)]);
    assert_eq!(one.body.as_ref().map(|body| body.text()), Some("Hello, Ada"));
    assert_eq!((one.edited_at, one.portal_client_id), (Some(at(4)), None));
    assert_eq!((two.body.is_none(), two.status), (true, MessageStatus::Redacted));
    let thread = row::<ThreadRow>(&history);
    assert_eq!((thread.message_count, thread.last_message_at), (2, Some(at(3))));
}

#[test]
fn what_became_of_an_attempt_is_gone_with_the_next_one() {
    let queued = json!({ "address": "ada@example.com", "subject": "Papers", "body": "Hello" });
    let failed = json!({ "attempt": 1, "code": "refused", "reason": "550 no such mailbox" });
    let mut history = vec![("email.queued", 1, queued), ("email.failed", 1, failed)];
    assert_eq!(row::<OutgoingEmailRow>(&history).code.as_ref().map(|code| code.as_str()), Some("refused"));
    history.push(("email.queued_again", 1, json!({ "attempt": 2 })));
    let again = row::<OutgoingEmailRow>(&history);
    assert_eq!((again.status, again.attempt, &again.code, &again.reason), (EmailStatus::Queued, 2, &None, &None));
    history.push(("email.sent", 1, json!({ "attempt": 2, "address": "ada@engines.example" })));
    let sent = row::<OutgoingEmailRow>(&history);
    assert_eq!((sent.status, sent.sent_at), (EmailStatus::Sent, Some(at(4))));
    assert_eq!(sent.address.as_ref().map(|address| address.text()), Some("ada@engines.example"));
}
