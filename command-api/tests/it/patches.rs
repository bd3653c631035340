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

/// What has to be there for the records that are changed.
#[derive(Default)]
struct There {
    host: Uuid,
    /// Those of the host, which event types need.
    hours: Uuid,
    client: Uuid,
    contact: Uuid,
    project: Uuid,
    /// One of the project.
    task: Uuid,
    vendor: Uuid,
}

/// All of them.
fn changes(there: &There) -> Vec<Change> {
    let There { host, hours, client, contact, project, task, vendor } = *there;
    let details = || vec![("email", json!("ada@engines.example")), ("phone", json!("+493012345678"))];
    let person = || json!({ "name": "Ada" });
    let euros = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    let deal = || json!({ "name": "A machine", "client_id": client, "pipeline": "sales" });
    let engagement = || json!({ "name": "A machine", "client_id": client, "starts_on": "2027-01-01" });
    let address = json!({ "line1": "Marylebone Road 12", "city": "London", "country": "GB" });
    let line = json!({ "description": "Paper", "net": euros(10_000), "tax": euros(1_900) });
    let rules = || json!({ "name": "Call", "host_id": host, "availability_id": hours, "duration_minutes": 30 });
    let plain = |name, collection, action, create, fields| Change {
        name,
        collection,
        create,
        action,
        needs: json!({}),
        within: "",
        fields,
    };
    vec![
        plain("crm.client.change_contact_details", "crm/clients", "change-contact-details", person(), details()),
        plain(
            "crm.client.describe",
            "crm/clients",
            "describe",
            person(),
            vec![
                ("website", json!("https://engines.example/")),
                ("industry", json!("Machines")),
                ("notes", json!("They calculate.")),
            ],
        ),
        plain("crm.contact.change_contact_details", "crm/contacts", "change-contact-details", person(), details()),
        plain("crm.contact.change_title", "crm/contacts", "change-title", person(), vec![("title", json!("Countess"))]),
        plain("crm.deal.change_contact", "crm/deals", "change-contact", deal(), vec![("contact_id", json!(contact))]),
        plain(
            "crm.deal.change_expected_close",
            "crm/deals",
            "change-expected-close",
            deal(),
            vec![("expected_close_on", json!("2027-03-31"))],
        ),
        // Removed it is what the stage says.
        plain(
            "crm.deal.change_probability",
            "crm/deals",
            "change-probability",
            deal(),
            vec![("probability", json!(75))],
        ),
        plain("crm.deal.change_value", "crm/deals", "change-value", deal(), vec![("value", euros(500_000))]),
        plain(
            "crm.engagement.change_term",
            "crm/engagements",
            "change-term",
            engagement(),
            vec![("ends_on", json!("2027-12-31"))],
        ),
        plain(
            "crm.engagement.change_value",
            "crm/engagements",
            "change-value",
            engagement(),
            vec![("value", euros(500_000))],
        ),
        plain(
            "portal.client_task.revise",
            "portal/client-tasks",
            "revise",
            json!({ "client_id": client, "title": "Count" }),
            vec![("description", json!("Everything.")), ("due_on", json!("2027-03-31"))],
        ),
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
        plain(
            "projects.time_entry.change",
            "projects/time-entries",
            "change",
            json!({ "project_id": project, "user_id": host, "date": "2026-01-05", "minutes": 60 }),
            vec![("task_id", json!(task)), ("description", json!("Counted.")), ("hourly_rate", euros(12_000))],
        ),
        // Before the firm says within how many days it pays: a bill without a day by which it is due would have one then.
        plain(
            "revenue.bill.correct",
            "revenue/bills",
            "correct",
            json!({ "reference": "2027-14", "total": euros(11_900) }),
            vec![
                ("vendor_id", json!(vendor)),
                ("issued_on", json!("2027-01-14")),
                ("due_on", json!("2027-02-14")),
                ("lines", json!([line])),
                ("file_id", json!(Uuid::now_v7())),
                ("note", json!("It came by letter.")),
            ],
        ),
        plain(
            "revenue.payables_settings.change",
            "revenue/payables-settings",
            "change",
            json!({}),
            vec![("pay_within_days", json!(30))],
        ),
        plain(
            "revenue.vendor.change_defaults",
            "revenue/vendors",
            "change-defaults",
            person(),
            vec![("currency", json!("EUR")), ("account_code", json!("6815")), ("tax_code", json!("9"))],
        ),
        plain(
            "revenue.vendor.change_details",
            "revenue/vendors",
            "change-details",
            person(),
            [details(), vec![("vat_id", json!("DE123456789")), ("address", address)]].concat(),
        ),
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
        Change {
            name: "scheduling.event_type.revise",
            collection: "scheduling/event-types",
            create: json!({ "key": "visit", "rules": rules() }),
            action: "revise",
            needs: json!({ "rules": rules() }),
            within: "",
            fields: vec![("reminder_minutes", json!([60, 1_440]))],
        },
    ]
}

/// What may be left out of a command without being something that the record may lack: what the command is about or why it
/// is sent. What makes a part changes none.
const OF_THE_COMMAND: &[&str] =
    &["comment", "compensates", "folder_id", "keep", "output", "overlap_hours", "payload", "reason", "renamed", "step"];
/// Fields of commands.
type Fields = &'static [(&'static str, &'static [&'static str])];
/// What a record always has, so that there is nothing to remove: left out it stays. `null` says no more than leaving it out, or
/// is refused: a pipeline has at least one stage.
const ALWAYS_THERE: Fields = &[
    ("crm.engagement.change_term", &["starts_on"]),
    ("crm.pipeline.revise", &["stages"]),
    ("portal.client_task.revise", &["title"]),
    ("projects.time_entry.change", &["billable", "date", "minutes"]),
    ("revenue.approval_policy.change", &["name", "rules", "separation_of_duties"]),
    ("revenue.bill.correct", &["reference", "total"]),
    ("revenue.invoice.change_line", &["description", "measure", "quantity", "tax_rate", "unit_price"]),
    ("revenue.payables_settings.change", &["reference_rule"]),
];
/// Parts of a value that a command says anew as a whole, in place of the one before: an address, an offer, a budget. What is left
/// out is none, or what it usually is, as it is with `null`.
const OF_A_WHOLE: Fields = &[
    ("agreements.proposal.change", &["contact_id", "deal_id", "engagement_id", "lines", "rounding"]),
    ("agreements.template.publish", &["fields"]),
    ("crm.client.change_address", &["line2", "postal_code", "region"]),
    ("files.file_request.change_due_date", &["due_on"]),
    ("projects.project.describe", &["description"]),
    ("projects.project.describe_task", &["description"]),
    ("projects.project.set_budget", &["amount", "minutes"]),
    ("projects.project.set_rates", &["hourly_rate", "user_rates"]),
    ("projects.project.set_unbilled_threshold", &["amount", "minutes"]),
    (
        "revenue.billing_profile.change",
        &["email", "language", "line2", "payment_terms_days", "postal_code", "reference", "region", "vat_id"],
    ),
    (
        "revenue.billing_settings.change_seller",
        &[
            "bic",
            "contact_email",
            "contact_name",
            "contact_phone",
            "iban",
            "line2",
            "postal_code",
            "region",
            "registration_number",
            "tax_number",
            "vat_id",
        ],
    ),
    (
        "revenue.billing_settings.change_terms",
        &["default_tax_rate", "rounding", "sales_account", "separation_of_duties", "untaxed_code"],
    ),
    (
        "revenue.invoice_plan.change_terms",
        &["amount", "ends_on", "every_months", "hourly_rate", "starts_on", "tax_rate"],
    ),
    ("revenue.vendor.change_bank_account", &["iban"]),
    // Of the address; that as a whole is tried.
    ("revenue.vendor.change_details", &["line2", "postal_code", "region"]),
];
/// What somebody does, and not what a record is: when, through what, of whom, how much of it. What is left out is usual.
const OF_WHAT_IS_DONE: Fields = &[
    ("agreements.contract.complete", &["document", "signed_at"]),
    ("agreements.contract.decline", &["recipient_id"]),
    ("agreements.contract.record_signature", &["signed_at"]),
    ("agreements.proposal.accept", &["options"]),
    ("connections.api_call.record_answered", &["values"]),
    ("connections.api_call.settle", &["note"]),
    ("connections.connection.record_auth_failed", &["detail"]),
    ("connections.connection.record_degraded", &["detail"]),
    ("crm.deal.move_stage", &["pipeline"]),
    ("files.file.complete_upload", &["etags"]),
    ("files.file.move", &["subfolder_id"]),
    ("portal.client_task.submit", &["note"]),
    ("portal.portal_user.grant", &["engagement_id"]),
    ("portal.portal_user.revoke_grant", &["engagement_id"]),
    ("projects.project.spend_time", &["amount", "hourly_rate"]),
    ("projects.project.take_time_back", &["amount"]),
    ("projects.project.unbill_time", &["amount", "hourly_rate"]),
    ("revenue.bill.code", &["account_code", "lines", "project_id", "tax_code", "vendor_id"]),
    ("revenue.bill.mark_pushed", &["connection_id"]),
    ("revenue.bill.note_ledger_rejection", &["connection_id"]),
    ("revenue.bill.reverse_payment", &["reversed_on"]),
    ("revenue.credit_note.apply", &["amount"]),
    ("revenue.credit_note.issue", &["issued_on", "series"]),
    ("revenue.credit_note.record_paper", &["xml_file_id"]),
    ("revenue.invoice.issue", &["due_on", "issued_on", "series"]),
    ("revenue.invoice.record_paper", &["xml_file_id"]),
    ("revenue.payment.allocate", &["amount"]),
];
/// Changes that only UBOS itself sends; their own crates try them. And one that a client's contacts try with their claims.
const ELSEWHERE: &[&str] = &[
    "workflow.definition.revise",
    "crm.contact.link_to_client",
    "revenue.bill_file.record_problem",
    "revenue.bill_file.record_read",
    "portal.portal_user.note_email_failed",
    "portal.portal_user.note_email_sent",
];

async fn post(service: &Service, path: &str, body: &Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    send(service.post(path).header("idempotency-key", key).body(body.to_string())).await
}

/// Makes what the records need.
async fn there(service: &Service) -> There {
    let made = async |path: &str, body: Value| {
        let answer = post(service, &format!("/v1/{path}"), &body).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        answer.id()
    };
    let host = Uuid::now_v7();
    let hours = json!({ "host_id": host, "time_zone": "Europe/Berlin", "weekly": [] });
    let stages = json!([{ "key": "talk", "name": "Talk", "probability": 10 }]);
    made("crm/pipelines", json!({ "key": "sales", "name": "Sales", "stages": stages })).await;
    let there = There {
        host,
        hours: made("scheduling/availabilities", hours).await,
        client: service.client("Analytical Engines").await,
        contact: made("crm/contacts", json!({ "name": "Charles" })).await,
        project: made("projects/projects", json!({ "name": "Audit" })).await,
        task: Uuid::now_v7(),
        vendor: made("revenue/vendors", json!({ "name": "Paper Mill" })).await,
    };
    let path = format!("/v1/projects/projects/{}/add-task", there.project);
    let added = post(service, &path, &json!({ "task_id": there.task, "title": "Count" })).await;
    assert_eq!(added.status, 200, "{added:?}");
    there
}

#[actix_web::test]
async fn what_is_left_out_stays_and_null_removes_in_every_command_that_changes_a_record() {
    let service = Service::start().await;
    for change in changes(&there(&service).await) {
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
    let tried = changes(&There::default()).into_iter().flat_map(|change| {
        let name = change.name;
        change.fields.into_iter().map(move |(field, _)| format!("{name}: {field}"))
    });
    let tried: BTreeSet<String> = tried.collect();
    let others = [ALWAYS_THERE, OF_A_WHOLE, OF_WHAT_IS_DONE].into_iter().flatten();
    let others: BTreeSet<String> =
        others.flat_map(|(name, fields)| fields.iter().map(move |field| format!("{name}: {field}"))).collect();
    let mut all = BTreeSet::new();
    let changes = |info: &&CommandInfo| {
        !info.entry.creates && info.entry.makes.is_empty() && !ELSEWHERE.contains(&info.entry.name)
    };
    for info in commands().iter().filter(changes) {
        let schema = Value::from((info.entry.schema)());
        may_be_left_out(&schema, &mut |field| {
            if !OF_THE_COMMAND.contains(&field) {
                all.insert(format!("{}: {field}", info.entry.name));
            }
        });
    }
    let untried: Vec<_> = all.iter().filter(|field| !tried.contains(*field) && !others.contains(*field)).collect();
    assert!(untried.is_empty(), "{untried:#?}");
    let needless: Vec<_> = others.iter().filter(|field| !all.contains(*field) || tried.contains(*field)).collect();
    assert!(needless.is_empty(), "nobody has to be told of {needless:#?}");
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
