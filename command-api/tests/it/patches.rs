//! A command that changes a record leaves what the body leaves out as it is, and removes what it says is `null`.

use crate::common::{Answer, Service, commands, send};
use event_store::CommandInfo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One command that changes what a record may lack.
struct Change {
    name: &'static str,
    /// Where the record is made, and with what.
    collection: &'static str,
    create: Value,
    action: &'static str,
    /// What the body cannot do without.
    needs: Value,
    /// The object in the body that has the fields; empty for the body itself.
    within: &'static str,
    fields: Vec<(&'static str, Value)>,
}

/// All of them; `hours` are those of the host that event types need.
fn changes(host: Uuid, hours: Uuid) -> Vec<Change> {
    let details = || vec![("email", json!("ada@engines.example")), ("phone", json!("+493012345678"))];
    let person = json!({ "name": "Ada" });
    let rules = || json!({ "name": "Call", "host_id": host, "availability_id": hours, "duration_minutes": 30 });
    vec![
        Change {
            name: "crm.client.change_contact_details",
            collection: "crm/clients",
            create: person.clone(),
            action: "change-contact-details",
            needs: json!({}),
            within: "",
            fields: details(),
        },
        Change {
            name: "crm.contact.change_contact_details",
            collection: "crm/contacts",
            create: person,
            action: "change-contact-details",
            needs: json!({}),
            within: "",
            fields: details(),
        },
        Change {
            name: "projects.project_template.revise",
            collection: "projects/project-templates",
            create: json!({ "key": "audit", "name": "Audit" }),
            action: "revise",
            needs: json!({ "name": "Audit" }),
            within: "",
            fields: vec![
                ("milestones", json!([{ "name": "Closed", "due_after_days": 7 }])),
                ("tasks", json!([{ "title": "Count" }])),
            ],
        },
        Change {
            name: "scheduling.event_type.revise",
            collection: "scheduling/event-types",
            create: json!({ "key": "call", "rules": rules() }),
            action: "revise",
            needs: json!({ "rules": rules() }),
            within: "rules",
            fields: vec![
                ("description", json!("A call.")),
                ("buffer_before_minutes", json!(5)),
                ("buffer_after_minutes", json!(10)),
                ("min_notice_minutes", json!(60)),
                ("max_days_ahead", json!(30)),
                ("requires_confirmation", json!(true)),
            ],
        },
    ]
}

/// What may be left out of a command without being something that the record may lack: what the command is about or why it
/// is sent. What makes a part changes none.
const OF_THE_COMMAND: &[&str] =
    &["comment", "compensates", "folder_id", "keep", "output", "overlap_hours", "payload", "reason", "renamed", "step"];
/// Changes that only UBOS itself sends; their own crates try them. And one that a client's contacts try with their claims.
const ELSEWHERE: &[&str] = &[
    "workflow.definition.revise",
    "crm.contact.link_to_client",
    "portal.portal_user.note_email_failed",
    "portal.portal_user.note_email_sent",
];

async fn post(service: &Service, path: &str, body: &Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    send(service.post(path).header("idempotency-key", key).body(body.to_string())).await
}

#[actix_web::test]
async fn what_is_left_out_stays_and_null_removes_in_every_command_that_changes_a_record() {
    let service = Service::start().await;
    let host = Uuid::now_v7();
    let hours = json!({ "host_id": host, "time_zone": "Europe/Berlin", "weekly": [] });
    let hours = post(&service, "/v1/scheduling/availabilities", &hours).await.id();
    for change in changes(host, hours) {
        let created = post(&service, &format!("/v1/{}", change.collection), &change.create).await;
        assert_eq!(created.status, 201, "{}: {created:?}", change.name);
        let path = format!("/v1/{}/{}/{}", change.collection, created.id(), change.action);
        let with = |fields: &[(&str, Value)]| {
            let mut body = change.needs.clone();
            let into = if change.within.is_empty() { &mut body } else { &mut body[change.within] };
            fields.iter().for_each(|(field, value)| into[*field] = value.clone());
            body
        };
        let mut version = 1;
        let mut expect = async |fields: &[(&str, Value)], changes: bool, why: &str| {
            version += i64::from(changes);
            let answer = post(&service, &path, &with(fields)).await;
            assert_eq!(answer.body["version"], version, "{} {fields:?}: {why}: {answer:?}", change.name);
        };
        expect(&change.fields, true, "everything is set").await;
        expect(&[], false, "nothing was said").await;
        for (field, value) in &change.fields {
            expect(&[(*field, value.clone())], false, "it is so, and the others stay").await;
        }
        for (field, value) in &change.fields {
            expect(&[(*field, Value::Null)], true, "null removes").await;
            expect(&[(*field, Value::Null)], false, "it is not there").await;
            expect(&[], false, "what is not there stays away").await;
            let others: Vec<_> = change.fields.iter().filter(|(other, _)| other != field).cloned().collect();
            expect(&others, false, "the others stayed").await;
            expect(&[(*field, value.clone())], true, "it is set again").await;
        }
        expect(&change.fields, false, "everything is as at first").await;
    }
}

#[test]
fn every_command_that_changes_what_a_record_may_lack_is_tried() {
    let tried = changes(Uuid::nil(), Uuid::nil());
    let mut untried = BTreeSet::new();
    let changes = |info: &&CommandInfo| {
        !info.entry.creates && info.entry.makes.is_empty() && !ELSEWHERE.contains(&info.entry.name)
    };
    for info in commands().iter().filter(changes) {
        let schema = Value::from((info.entry.schema)());
        let fields = tried.iter().find(|change| change.name == info.entry.name).map(|change| &change.fields);
        may_be_left_out(&schema, &mut |field| {
            let is_tried = fields.is_some_and(|fields| fields.iter().any(|(name, _)| *name == field));
            if !is_tried && !OF_THE_COMMAND.contains(&field) {
                untried.insert(format!("{}: {field}", info.entry.name));
            }
        });
    }
    assert!(untried.is_empty(), "{untried:#?}");
}

/// Every field of the body, and of objects in it, that need not be there. Lists are replaced as a whole.
fn may_be_left_out(schema: &Value, say: &mut impl FnMut(&str)) {
    for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
        if !schema["required"].as_array().is_some_and(|all| all.iter().any(|name| name == field)) {
            say(field);
        }
        may_be_left_out(inner, say);
    }
}
