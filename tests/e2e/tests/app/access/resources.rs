//! Rights for single resources and for one's own: every operation of both APIs, on what they reach and on what they do not.

use super::*;
use harness::{Firm, Shown};
use kernel::Money;
use std::collections::HashMap;

/// A client with what belongs to it.
struct Holding {
    client: Uuid,
    /// By collection: `projects/tasks`.
    ids: HashMap<String, Uuid>,
}

/// A client of a firm with one of each thing that work for it begins with, done by the system.
async fn holding(app: &TestApp, firm: Firm, name: &str) -> Holding {
    let command = async |name: &str, id: Uuid, body: &Value| app.command(firm, name, id, body).await;
    let [client, contact, project, folder, person, deal, engagement] = [(); 7].map(|()| Uuid::now_v7());
    let of = json!({ "name": name, "client_id": client });
    command("crm.client.create", client, &json!({ "name": name })).await;
    command("crm.contact.create", contact, &json!({ "name": name })).await;
    let link = json!({ "client_id": client, "role": "Director" });
    command("crm.contact.link_to_client", contact, &link).await;
    let key = format!("p{}", Uuid::now_v7().simple());
    let stages = json!([{ "key": "talk", "name": "Talk", "probability": 10 }]);
    let pipeline = json!({ "key": key, "name": "Sales", "stages": stages });
    command("crm.pipeline.define", Uuid::now_v7(), &pipeline).await;
    let worth = json!({ "minor": 1_000, "currency": "EUR" });
    let create = json!({ "name": name, "client_id": client, "pipeline": key, "value": worth });
    command("crm.deal.create", deal, &create).await;
    command("crm.engagement.create", engagement, &of).await;
    command("projects.project.create", project, &of).await;
    command("projects.project.add_milestone", project, &json!({ "name": "Half way" })).await;
    command("projects.project.add_task", project, &json!({ "title": "Count" })).await;
    // Portal users see what has begun.
    command("projects.project.activate", project, &json!({})).await;
    command("files.folder.create", folder, &of).await;
    let create = json!({ "name": name, "client_id": client, "email": format!("{person}@example.com") });
    command("portal.portal_user.create", person, &create).await;
    let [proposal, contract] = [(); 2].map(|()| Uuid::now_v7());
    let line = json!({ "description": "Work", "quantity": "1", "unit_price": { "minor": 1, "currency": "EUR" },
                       "tax": { "category": "exempt" } });
    let offer = json!({ "title": name, "body": { "kind": "written", "markdown": name }, "currency": "EUR", "lines": [line],
                        "valid_until": "2999-12-31" });
    command("agreements.proposal.create", proposal, &json!({ "client_id": client, "offer": offer })).await;
    command("agreements.proposal.send", proposal, &json!({})).await;
    let signer = json!({ "name": name, "email": "ada@acme.example", "role": "signer" });
    let create = json!({ "client_id": client, "title": name, "body": name, "recipients": [signer] });
    command("agreements.contract.create", contract, &create).await;
    command("agreements.contract.send_for_signature", contract, &json!({})).await;
    app.project().await;
    let ids = [
        ("crm/clients", client),
        ("crm/contacts", contact),
        ("crm/deals", deal),
        ("crm/engagements", engagement),
        ("projects/projects", project),
        ("projects/tasks", part_of(app, "projects.tasks", "project_id", project).await),
        ("projects/milestones", part_of(app, "projects.milestones", "project_id", project).await),
        ("files/folders", folder),
        ("portal/portal-users", person),
        ("agreements/proposals", proposal),
        ("agreements/proposal-lines", part_of(app, "agreements.proposal_lines", "proposal_id", proposal).await),
        ("agreements/contracts", contract),
        (
            "agreements/contract-recipients",
            part_of(app, "agreements.contract_recipients", "contract_id", contract).await,
        ),
    ];
    Holding { client, ids: ids.map(|(collection, id)| (collection.to_owned(), id)).into() }
}

/// What a firm needs before it invoices anybody, done by the system.
async fn billing(app: &TestApp, firm: Firm) {
    let command = async |name: &str, body: &Value| app.command(firm, name, Uuid::now_v7(), body).await;
    let terms = json!({ "currency": "EUR", "rounding": "per_document", "payment_terms_days": 14, "invoice_series": "invoices",
                        "credit_note_series": "credits", "default_tax_rate": "vat" });
    let seller = json!({ "legal_name": "Engines Ltd", "address": address(), "vat_id": "DE123456789" });
    command("revenue.billing_settings.establish", &json!({ "seller": seller, "terms": terms })).await;
    let rate = json!({ "key": "vat", "name": "VAT", "tax": { "category": "standard", "rate": "20" } });
    command("revenue.tax_rate.define", &rate).await;
    for (key, prefix) in [("invoices", "R"), ("credits", "G")] {
        let series = json!({ "key": key, "name": key, "prefix": prefix, "digits": 4, "first": 1 });
        command("revenue.invoice_series.define", &series).await;
    }
}

fn address() -> Value {
    json!({ "line1": "Weg 1", "city": "Berlin", "postal_code": "10115", "country": "DE" })
}

/// A client of a firm that invoices, with one of everything that belongs to a client, done by the system.
async fn full_holding(app: &TestApp, firm: Firm, name: &str) -> Holding {
    let Holding { client, mut ids } = holding(app, firm, name).await;
    for more in [talk(app, firm, client).await, asked(app, firm, client).await, money(app, firm, client).await] {
        ids.extend(more.into_iter().map(|(collection, id)| (collection.to_owned(), id)));
    }
    let project = ids["projects/projects"];
    // What a project costs is told under the project's own id.
    ids.insert("projects/budgets".to_owned(), project);
    let time = Uuid::now_v7();
    let log = json!({ "project_id": project, "user_id": Uuid::now_v7(), "minutes": 30 });
    app.command(firm, "projects.time_entry.log", time, &log).await;
    ids.insert("projects/time-entries".to_owned(), time);
    app.project().await;
    Holding { client, ids }
}

/// What is said to a client and about it.
async fn talk(app: &TestApp, firm: Firm, client: Uuid) -> Vec<(&'static str, Uuid)> {
    let command = async |name: &str, id: Uuid, body: &Value| app.command(firm, name, id, body).await;
    let [thread, message, note, email, follow_up, comment, pin] = [(); 7].map(|()| Uuid::now_v7());
    let about = json!({ "kind": "client", "id": client });
    let open = json!({ "kind": "client", "subject": "Receipts", "client_id": client });
    command("communications.thread.open", thread, &open).await;
    let post = json!({ "message_id": message, "body": "Where are they?" });
    command("communications.thread.post_message", thread, &post).await;
    command("communications.note.add", note, &json!({ "about": about, "body": "Pays late" })).await;
    let to = json!({ "kind": "address", "email": "ada@acme.example" });
    let send = json!({ "to": to, "subject": "Receipts", "body": "Where are they?", "client_id": client });
    command("communications.email.send", email, &send).await;
    let schedule =
        json!({ "about": about, "assignee_id": Uuid::now_v7(), "title": "Call", "due_at": "2999-12-31T12:00:00Z" });
    command("timeline.follow_up.schedule", follow_up, &schedule).await;
    let entry = json!({ "entry_id": Uuid::now_v7(), "client_id": client, "body": "At last" });
    command("timeline.comment.write", comment, &entry).await;
    let place = json!({ "entry_id": Uuid::now_v7(), "client_id": client });
    command("timeline.pin.place", pin, &place).await;
    vec![
        ("communications/threads", thread),
        ("communications/messages", message),
        ("communications/notes", note),
        ("communications/emails", email),
        ("timeline/follow-ups", follow_up),
        ("timeline/comments", comment),
        ("timeline/pins", pin),
    ]
}

/// What a client is asked for, and a file of its.
async fn asked(app: &TestApp, firm: Firm, client: Uuid) -> Vec<(&'static str, Uuid)> {
    let command = async |name: &str, id: Uuid, body: &Value| app.command(firm, name, id, body).await;
    let [task, approval, file, upload, request] = [(); 5].map(|()| Uuid::now_v7());
    let assign = json!({ "client_id": client, "title": "Send the receipts" });
    command("portal.client_task.assign", task, &assign).await;
    let subject = json!({ "kind": "milestone", "id": Uuid::now_v7(), "title": "Design" });
    command("portal.client_approval.request", approval, &json!({ "client_id": client, "subject": subject })).await;
    let begin = json!({ "name": "receipts.txt", "size": 3, "content_type": "text/plain", "sha256": "0".repeat(64),
                        "client_id": client, "upload_id": upload });
    command("files.file.begin_upload", file, &begin).await;
    for step in ["files.file.complete_upload", "files.file.accept_upload"] {
        command(step, file, &json!({ "upload_id": upload })).await;
    }
    let create = json!({ "title": "Receipts", "client_id": client, "items": [{ "name": "March" }] });
    command("files.file_request.create", request, &create).await;
    // Who is asked sees it.
    command("files.file_request.send", request, &json!({})).await;
    app.project().await;
    vec![
        ("portal/client-tasks", task),
        ("portal/client-approvals", approval),
        ("files/files", file),
        ("files/file-versions", part_of(app, "files.file_versions", "file_id", file).await),
        ("files/file-requests", request),
        ("files/request-items", part_of(app, "files.request_items", "file_request_id", request).await),
    ]
}

/// What a client owes, and what it has paid.
async fn money(app: &TestApp, firm: Firm, client: Uuid) -> Vec<(&'static str, Uuid)> {
    let command = async |name: &str, id: Uuid, body: &Value| app.command(firm, name, id, body).await;
    let [profile, plan, entry, invoice, payment, credit_note] = [(); 6].map(|()| Uuid::now_v7());
    let eur = |minor: i64| json!({ "minor": minor, "currency": "EUR" });
    let buyer = json!({ "legal_name": "Acme GmbH", "address": address() });
    let create = json!({ "client_id": client, "buyer": buyer });
    command("revenue.billing_profile.create", profile, &create).await;
    let terms = json!({ "kind": "milestone", "currency": "EUR" });
    let create = json!({ "name": "Work", "client_id": client, "terms": terms });
    command("revenue.invoice_plan.create", plan, &create).await;
    let add = json!({ "plan_entry_id": entry, "name": "Half way", "amount": eur(500) });
    command("revenue.invoice_plan.add_entry", plan, &add).await;
    let line = json!({ "description": "Work", "unit_price": eur(1_000) });
    command("revenue.invoice.draft", invoice, &json!({ "client_id": client, "lines": [line] })).await;
    // It is the client's from the day on which it is issued, and so is what takes it back.
    for step in ["revenue.invoice.submit_for_approval", "revenue.invoice.approve", "revenue.invoice.issue"] {
        command(step, invoice, &json!({})).await;
    }
    let receive = json!({ "client_id": client, "amount": eur(300) });
    command("revenue.payment.receive", payment, &receive).await;
    let draft = json!({ "invoice_id": invoice, "reason": "returned" });
    command("revenue.credit_note.draft", credit_note, &draft).await;
    command("revenue.credit_note.issue", credit_note, &json!({})).await;
    app.project().await;
    vec![
        ("revenue/billing-profiles", profile),
        ("revenue/invoice-plans", plan),
        ("revenue/plan-entries", entry),
        ("revenue/invoices", invoice),
        ("revenue/invoice-lines", part_of(app, "revenue.invoice_lines", "invoice_id", invoice).await),
        ("revenue/payments", payment),
        ("revenue/credit-notes", credit_note),
    ]
}

/// The only row of a table that is a part of this record.
async fn part_of(app: &TestApp, table: &str, column: &str, id: Uuid) -> Uuid {
    let sql = format!("select id from {table} where {column} = $1");
    sqlx::query_scalar(&sql).bind(id).fetch_one(&app.database.worker().await).await.unwrap()
}

/// `crm/clients` of `/v1/crm/clients/{id}/rename`.
fn collection(template: &str) -> String {
    template.split('/').skip(2).take(2).collect::<Vec<_>>().join("/")
}

/// The document's example, about this client.
fn about(body: &Value, client: Uuid) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        if let Some(named) = fields.get_mut("client_id") {
            *named = json!(client);
            // Which client a project or an engagement is of, no other context can know.
            fields.remove("project_id");
            fields.remove("engagement_id");
            if let Some(offer) = fields.get_mut("offer").and_then(Value::as_object_mut) {
                offer.remove("engagement_id");
            }
            if let Some(subject) = fields.get_mut("about") {
                *subject = json!({ "kind": "client", "id": client });
            }
        }
        if let Some(pattern) = fields.get_mut("pattern") {
            *pattern = json!("projects.*");
        }
    }
    body
}

/// Every operation on what belongs to `own` and on what does not, by a caller whose rights, all of them, are for that client.
/// `besides` are permissions that the caller has for something else, `alone` are collections of which the caller sees nothing
/// though they are about clients.
async fn only_reaches(app: &TestApp, firm: Firm, shown: Shown<'_>, own: &Holding, besides: &[&str], alone: &[&str]) {
    let elsewhere = Firm::unheard_of();
    billing(app, elsewhere).await;
    let (other, foreign) = (full_holding(app, firm, "Other").await, full_holding(app, elsewhere, "Foreign").await);
    let (mut to_command, to_query) = operations(app);
    // A contact that is unlinked belongs to nobody any more.
    to_command.sort_by_key(|operation| operation.permission == "crm.contact.unlink_from_client");
    let mut wrong = vec![];
    let mut expect = |what: &str, (status, body): (u16, Value), expected: &[u16]| {
        let open = !matches!(status, 401 | 403 | 404) && status < 500;
        if if expected.is_empty() { !open } else { !expected.contains(&status) } {
            wrong.push(format!("{what}: {status} instead of {expected:?}: {body}"));
        }
    };
    // What is refused comes first, while everything is there.
    for o in &to_query {
        let (collection, what) = (collection(&o.path), o.permission.as_str());
        if besides.contains(&what) {
            continue;
        }
        let tied = own.ids.contains_key(&collection) && !alone.contains(&collection.as_str());
        let tied = tied || what == "timeline.activity_event.read";
        if !o.path.contains("{id}") {
            let (status, body) = app.ask(&o.method, &o.of_nothing(), shown, json!({})).await;
            let rows: Vec<String> = body["data"].as_array().into_iter().flatten().map(Value::to_string).collect();
            expect(what, (status, body), &[if tied { 200 } else { 403 }]);
            assert!(!tied || !rows.is_empty(), "{what} shows nothing");
            for hidden in other.ids.values().chain(foreign.ids.values()) {
                let leaks = rows.iter().any(|row| row.contains(&hidden.to_string()));
                assert!(!leaks, "{what} shows what is not granted: {rows:?}");
            }
            continue;
        }
        let at = |id: Uuid| o.path.replace("{id}", &id.to_string());
        // Where a file's bytes are is told by a redirect.
        let found = if o.path.ends_with("/download") { 303 } else { 200 };
        for (holding, status) in [(own, found), (&other, 404), (&foreign, 404)] {
            if let Some(id) = holding.ids.get(&collection) {
                let answer = app.ask(&o.method, &at(*id), shown, json!({})).await;
                expect(what, answer, &[if tied { status } else { 403 }]);
            }
        }
        let nothing = app.ask(&o.method, &o.of_nothing(), shown, json!({})).await;
        expect(what, nothing, &[if tied { 404 } else { 403 }]);
    }
    for o in &to_command {
        let (collection, what) = (collection(&o.path), o.permission.as_str());
        let at = |id: Uuid| o.path.replace("{id}", &id.to_string());
        for (holding, is_own) in [(&other, false), (&foreign, false), (own, true)] {
            let (body, mine) = (about(&o.body, holding.client), about(&o.body, own.client));
            if !o.path.contains("{id}") {
                let named = body.get("client_id").is_some();
                let expected: &[u16] = if is_own && named { &[] } else { &[403] };
                expect(what, app.ask(&o.method, &o.of_nothing(), shown, body).await, expected);
            } else if let Some(id) = holding.ids.get(&collection) {
                // What is made a project's or an engagement's too needs a right for that as well.
                let others = ["/project_id", "/engagement_id", "/offer/engagement_id"];
                let names_another = others.iter().any(|at| mine.pointer(at).is_some_and(|id| !id.is_null()));
                // Whoever may take rights from somebody may take those for one engagement.
                let takes = what.ends_with(".revoke_grant");
                let expected: &[u16] = if is_own && (takes || !names_another) { &[] } else { &[404] };
                expect(what, app.ask(&o.method, &at(*id), shown, mine).await, expected);
            }
        }
        if o.path.contains("{id}") && !besides.contains(&what) {
            expect(what, app.ask(&o.method, &o.of_nothing(), shown, o.body.clone()).await, &[404]);
            let owner = app.ask(&o.method, &at(firm.owner), shown, o.body.clone()).await;
            expect(what, owner, &[404]);
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

#[actix_web::test]
async fn t_01_a_grant_reaches_its_client_and_nothing_else() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    billing(&app, firm).await;
    let (own, grantee) = (full_holding(&app, firm, "Own").await, Uuid::now_v7());
    app.join(firm, grantee, &[]).await;
    let grant = json!({ "pattern": "*", "resource": { "kind": "client", "id": own.client } });
    app.grant(firm, grantee, &grant, "crm.client.read").await;
    let token = app.token(firm, grantee);
    // Of every user's own, and of the sessions of the client's people.
    let besides = [
        "identity.user.read",
        "identity.session.audit",
        "communications.notification.inspect",
        "communications.notification_preferences.read",
        "portal.portal_session.audit",
    ];
    only_reaches(&app, firm, (&token).into(), &own, &besides, &[]).await;

    // Taken away, it is gone in every process.
    app.command(firm, "identity.user.revoke_grant", grantee, &grant).await;
    eventually(async || app.ask(&Method::GET, "/v1/crm/clients", &token, json!({})).await.0 == 403).await;
}

#[actix_web::test]
async fn what_happens_to_a_client_or_project_is_on_its_timeline_and_shown_to_whoever_has_rights_for_it() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (own, other, grantee) = (holding(&app, firm, "Own").await, holding(&app, firm, "Other").await, Uuid::now_v7());
    app.join(firm, grantee, &[]).await;
    let grant = json!({ "pattern": "*", "resource": { "kind": "client", "id": own.client } });
    app.grant(firm, grantee, &grant, "crm.client.read").await;
    for holding in [&own, &other] {
        let task = json!({ "task_id": holding.ids["projects/tasks"] });
        app.command(firm, "projects.project.complete_task", holding.ids["projects/projects"], &task).await;
        let unlink = json!({ "client_id": holding.client });
        app.command(firm, "crm.contact.unlink_from_client", holding.ids["crm/contacts"], &unlink).await;
    }
    app.project().await;
    let owner = app.owner(firm);
    let types = |rows: &Value| -> Vec<String> {
        rows["data"].as_array().unwrap().iter().map(|row| row["event_type"].as_str().unwrap().to_owned()).collect()
    };
    let of = |what: &str, id: Uuid| format!("/v1/timeline/activity-events?{what}={id}&limit=100");
    let (_, rows) = app.ask(&Method::GET, &of("client_id", own.client), &owner, json!({})).await;
    let expected = [
        "client.created",
        "contact.linked_to_client",
        "contact.unlinked_from_client",
        "deal.created",
        "engagement.created",
        "folder.created",
        "portal_user.created",
        "project.created",
        "project.activated",
        "milestone.created",
        "task.created",
        "task.completed",
        "user.granted",
    ];
    for event_type in expected {
        assert!(types(&rows).contains(&event_type.to_owned()), "{event_type} is not among {:?}", types(&rows));
    }
    assert!(!types(&rows).contains(&"contact.created".to_owned()), "it was nobody's then");
    let project = own.ids["projects/projects"];
    let (_, rows) = app.ask(&Method::GET, &of("project_id", project), &owner, json!({})).await;
    let mut of_project = types(&rows);
    of_project.sort();
    let expected_of_project =
        ["milestone.created", "project.activated", "project.created", "task.completed", "task.created"];
    assert_eq!(of_project, expected_of_project);

    // By their positions: what is about the client, and nothing else.
    let (token, superuser) = (app.token(firm, grantee), app.database.superuser().await);
    let sql = "select position, event_type, metadata -> 'concerns' from eventstore.events where tenant_id = $1";
    let events: Vec<(i64, String, Option<Value>)> =
        sqlx::query_as(sql).bind(firm.tenant).fetch_all(&superuser).await.unwrap();
    let mut seen = 0;
    for (position, event_type, concerns) in events {
        let is_own = concerns.is_some_and(|concerns| concerns.to_string().contains(&own.client.to_string()));
        // What began as a draft is told to whoever reads all of it.
        let is_own = is_own && !event_type.starts_with("proposal.") && !event_type.starts_with("contract.");
        let path = format!("/v1/events/{position}");
        let (status, body) = app.ask(&Method::GET, &path, &token, json!({})).await;
        assert_eq!(status, if is_own { 200 } else { 404 }, "{event_type}: {body}");
        seen += usize::from(is_own);
    }
    assert_eq!(seen, expected.len());
}

#[actix_web::test]
async fn a_grant_for_an_engagement_reaches_that_and_nothing_else_of_its_client() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (own, grantee) = (holding(&app, firm, "Own").await, Uuid::now_v7());
    let (mine, another) = (own.ids["crm/engagements"], Uuid::now_v7());
    let create = json!({ "name": "Another", "client_id": own.client });
    app.command(firm, "crm.engagement.create", another, &create).await;
    app.project().await;
    app.join(firm, grantee, &[]).await;
    let grant = json!({ "pattern": "*", "resource": { "kind": "engagement", "id": mine } });
    app.grant(firm, grantee, &grant, "crm.engagement.read").await;
    let token = app.token(firm, grantee);
    let (status, list) = app.ask(&Method::GET, "/v1/crm/engagements", &token, json!({})).await;
    let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!((status, ids), (200, vec![&json!(mine)]));
    for (id, expected) in [(mine, 200), (another, 404)] {
        assert_eq!(app.ask(&Method::GET, &format!("/v1/crm/engagements/{id}"), &token, json!({})).await.0, expected);
        let hold = format!("/v1/crm/engagements/{id}/hold");
        assert_eq!(app.ask(&Method::POST, &hold, &token, json!({})).await.0, expected);
    }
    let client = format!("/v1/crm/clients/{}", own.client);
    assert!(matches!(app.ask(&Method::GET, &client, &token, json!({})).await.0, 403 | 404));
    let create = app.ask(&Method::POST, "/v1/crm/engagements", &token, create).await;
    assert_eq!(create.0, 403, "whose rights are for one engagement begins no other");
    app.project().await;
    let timeline = format!("/v1/timeline/activity-events?engagement_id={mine}");
    let (_, rows) = app.ask(&Method::GET, &timeline, &token, json!({})).await;
    let mut types: Vec<&Value> = rows["data"].as_array().unwrap().iter().map(|row| &row["event_type"]).collect();
    types.sort_by_key(|event_type| event_type.to_string());
    assert_eq!(types, ["engagement.created", "engagement.held", "user.granted"]);
}

/// One of everything that may be an engagement's, of this one, done by the system.
async fn work(app: &TestApp, firm: Firm, client: Uuid, engagement: Uuid) -> HashMap<String, Uuid> {
    let command = async |name: &str, id: Uuid, body: &Value| app.command(firm, name, id, body).await;
    let [project, time, proposal, draft, contract, plan, invoice, thread, message, note, follow_up] =
        [(); 11].map(|()| Uuid::now_v7());
    let of = json!({ "name": "Work", "client_id": client, "engagement_id": engagement });
    command("projects.project.create", project, &of).await;
    command("projects.project.add_milestone", project, &json!({ "name": "Half way" })).await;
    command("projects.project.add_task", project, &json!({ "title": "Count" })).await;
    command("projects.project.activate", project, &json!({})).await;
    let log = json!({ "project_id": project, "user_id": Uuid::now_v7(), "minutes": 30 });
    command("projects.time_entry.log", time, &log).await;
    let line = json!({ "description": "Work", "quantity": "1", "unit_price": { "minor": 1, "currency": "EUR" },
                       "tax": { "category": "exempt" } });
    let offer = json!({ "title": "Work", "body": { "kind": "written", "markdown": "Work" }, "currency": "EUR",
                        "lines": [line], "valid_until": "2999-12-31", "engagement_id": engagement });
    for proposal in [proposal, draft] {
        command("agreements.proposal.create", proposal, &json!({ "client_id": client, "offer": offer })).await;
    }
    command("agreements.proposal.send", proposal, &json!({})).await;
    let signer = json!({ "name": "Ada", "email": "ada@acme.example", "role": "signer" });
    let create = json!({ "client_id": client, "engagement_id": engagement, "title": "Work", "body": "Work",
                         "recipients": [signer] });
    command("agreements.contract.create", contract, &create).await;
    command("agreements.contract.send_for_signature", contract, &json!({})).await;
    let create = json!({ "name": "Work", "client_id": client, "engagement_id": engagement,
                         "terms": { "kind": "milestone", "currency": "EUR" } });
    command("revenue.invoice_plan.create", plan, &create).await;
    let line = json!({ "description": "Work", "unit_price": { "minor": 1_000, "currency": "EUR" } });
    let create = json!({ "client_id": client, "engagement_id": engagement, "lines": [line] });
    command("revenue.invoice.draft", invoice, &create).await;
    for step in ["revenue.invoice.submit_for_approval", "revenue.invoice.approve", "revenue.invoice.issue"] {
        command(step, invoice, &json!({})).await;
    }
    let open = json!({ "kind": "client", "subject": "Work", "client_id": client, "engagement_id": engagement });
    command("communications.thread.open", thread, &open).await;
    let post = json!({ "message_id": message, "body": "How is it?" });
    command("communications.thread.post_message", thread, &post).await;
    let about = json!({ "kind": "engagement", "id": engagement });
    command("communications.note.add", note, &json!({ "about": about, "body": "Goes well" })).await;
    let schedule =
        json!({ "about": about, "assignee_id": Uuid::now_v7(), "title": "Call", "due_at": "2999-12-31T12:00:00Z" });
    command("timeline.follow_up.schedule", follow_up, &schedule).await;
    app.project().await;
    let ids = [
        ("crm/engagements", engagement),
        ("projects/projects", project),
        ("projects/tasks", part_of(app, "projects.tasks", "project_id", project).await),
        ("projects/milestones", part_of(app, "projects.milestones", "project_id", project).await),
        ("projects/budgets", project),
        ("projects/time-entries", time),
        ("agreements/proposals", proposal),
        ("agreements/proposal-lines", part_of(app, "agreements.proposal_lines", "proposal_id", proposal).await),
        ("agreements/contracts", contract),
        (
            "agreements/contract-recipients",
            part_of(app, "agreements.contract_recipients", "contract_id", contract).await,
        ),
        ("revenue/invoice-plans", plan),
        ("revenue/invoices", invoice),
        ("revenue/invoice-lines", part_of(app, "revenue.invoice_lines", "invoice_id", invoice).await),
        ("communications/threads", thread),
        ("communications/messages", message),
        ("communications/notes", note),
        ("timeline/follow-ups", follow_up),
    ];
    ids.map(|(collection, id)| (collection.to_owned(), id)).into()
}

/// Lists and records of a caller whose rights are for one engagement: exactly its own, and none of those in `alone`.
async fn sees_exactly(
    app: &TestApp,
    shown: Shown<'_>,
    mine: &HashMap<String, Uuid>,
    other: &HashMap<String, Uuid>,
    alone: &[&str],
) {
    for (collection, id) in mine {
        let list = app.ask(&Method::GET, &format!("/v1/{collection}"), shown, json!({})).await;
        if alone.contains(&collection.as_str()) {
            assert_eq!(list.0, 403, "{collection}: {}", list.1);
            continue;
        }
        let (status, list) = list;
        assert_eq!(status, 200, "{collection}: {list}");
        let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [&json!(id)], "{collection}");
        for (id, expected) in [(id, 200), (&other[collection], 404)] {
            let (status, body) = app.ask(&Method::GET, &format!("/v1/{collection}/{id}"), shown, json!({})).await;
            assert_eq!(status, expected, "{collection}: {body}");
        }
    }
}

#[actix_web::test]
async fn rights_for_an_engagement_reach_exactly_what_belongs_to_it() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    billing(&app, firm).await;
    let client = full_holding(&app, firm, "Own").await.client;
    let [engagement, another, grantee, person] = [(); 4].map(|()| Uuid::now_v7());
    for id in [engagement, another] {
        app.command(firm, "crm.engagement.create", id, &json!({ "name": "Work", "client_id": client })).await;
    }
    let (mine, other) = (work(&app, firm, client, engagement).await, work(&app, firm, client, another).await);

    app.join(firm, grantee, &[]).await;
    let grant = json!({ "pattern": "*", "resource": { "kind": "engagement", "id": engagement } });
    app.grant(firm, grantee, &grant, "crm.engagement.read").await;
    let token = app.token(firm, grantee);
    sees_exactly(&app, (&token).into(), &mine, &other, &[]).await;
    // Nothing of it is put where the caller may not go.
    let link = format!("/v1/projects/projects/{}/link-to-engagement", mine["projects/projects"]);
    assert_eq!(app.ask(&Method::POST, &link, &token, json!({ "engagement_id": another })).await.0, 404);

    // A person of the client, let in for one engagement alone.
    app.let_into_portal(firm, person, client, "eve@own.example", "crm.client.read").await;
    let grant = json!({ "pattern": "*", "engagement_id": engagement });
    app.command(firm, "portal.portal_user.grant", person, &grant).await;
    app.project().await;
    let session = app.portal_session(firm, person, client).await;
    let alone = ["communications/notes", "timeline/follow-ups"];
    eventually(async || app.ask(&Method::GET, "/v1/crm/engagements", &session, json!({})).await.0 == 200).await;
    sees_exactly(&app, (&session).into(), &mine, &other, &alone).await;

    for (ids, expected) in [(&mine, 200), (&other, 404)] {
        let rename = format!("/v1/projects/projects/{}/rename", ids["projects/projects"]);
        assert_eq!(app.ask(&Method::POST, &rename, &token, json!({ "name": "Mine" })).await.0, expected);
        let post = format!("/v1/communications/threads/{}/post-message", ids["communications/threads"]);
        assert_eq!(app.ask(&Method::POST, &post, &token, json!({ "body": "Well" })).await.0, expected);
    }

    // What is the firm's own is so in the log, too.
    let about = json!({ "about": { "kind": "engagement", "id": engagement }, "body": "Pays late" });
    let noted = app.command(firm, "communications.note.add", Uuid::now_v7(), &about).await;
    let event = format!("/v1/events/{}", noted.position);
    assert_eq!(app.ask(&Method::GET, &event, &token, json!({})).await.0, 200);
    assert_eq!(app.ask(&Method::GET, &event, &session, json!({})).await.0, 404);
}

#[actix_web::test]
async fn figures_of_deals_count_what_the_caller_may_read_and_nothing_else() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (own, grantee) = (holding(&app, firm, "Own").await, Uuid::now_v7());
    let stages = json!([{ "key": "talk", "name": "Talk", "probability": 33 }]);
    let define = json!({ "key": "sales", "name": "Sales", "stages": stages });
    app.command(firm, "crm.pipeline.define", Uuid::now_v7(), &define).await;
    let deal = async |client: Uuid, minor: Option<i64>, currency: &str, then: Option<(&str, Value)>| {
        let id = Uuid::now_v7();
        let value = minor.map(|minor| json!({ "minor": minor, "currency": currency }));
        let create = json!({ "name": "Audit", "client_id": client, "pipeline": "sales", "value": value });
        app.command(firm, "crm.deal.create", id, &create).await;
        if let Some((command, body)) = then {
            app.command(firm, command, id, &body).await;
        }
        id
    };
    let other = holding(&app, firm, "Other").await;
    let largest = Money::MINOR_MAX;
    for _ in 0..3 {
        deal(own.client, Some(largest), "EUR", None).await;
    }
    deal(own.client, Some(50), "KWD", None).await;
    deal(own.client, None, "EUR", None).await;
    deal(own.client, Some(700), "EUR", Some(("crm.deal.win", json!({})))).await;
    let lost = deal(own.client, Some(900), "EUR", Some(("crm.deal.lose", json!({ "reason": "too dear" })))).await;
    app.command(firm, "crm.deal.archive", lost, &json!({})).await;
    deal(other.client, Some(5), "EUR", None).await;
    app.project().await;
    app.join(firm, grantee, &[]).await;
    let grant = json!({ "pattern": "crm.deal.read", "resource": { "kind": "client", "id": own.client } });
    app.grant(firm, grantee, &grant, "crm.deal.read").await;
    let token = app.token(firm, grantee);
    let figure = |status: &str, currency: Value, count: i64, value: i64, weighted: i64| {
        json!({ "pipeline": "sales", "stage": "talk", "status": status, "currency": currency, "count": count,
                "value_minor": value, "weighted_minor": weighted })
    };
    let of = "/v1/crm/deals/figures?pipeline=sales";
    let (status, figures) = app.ask(&Method::GET, of, &token, json!({})).await;
    assert_eq!(status, 200, "{figures}");
    // 33 % of 50 is 16.5, and half a unit goes up.
    let weighted = (i128::from(largest) * 3 * 33 + 50) / 100;
    let expected = [
        figure("open", json!("EUR"), 3, 3 * largest, i64::try_from(weighted).unwrap()),
        figure("open", json!("KWD"), 1, 50, 17),
        figure("open", json!(null), 1, 0, 0),
        figure("won", json!("EUR"), 1, 700, 700),
    ];
    assert_eq!(figures["data"], json!(expected));
    let (_, all) = app.ask(&Method::GET, &format!("{of}&status=open&archived=any"), &app.owner(firm), json!({})).await;
    assert_eq!(all["data"][0]["count"], 4, "whoever may read all of them counts the other client's too");
    let (_, lost) = app.ask(&Method::GET, &format!("{of}&archived=true"), &token, json!({})).await;
    assert_eq!(lost["data"], json!([figure("lost", json!("EUR"), 1, 900, 0)]));
    let (status, wrong) = app.ask(&Method::GET, &format!("{of}&stagee=talk"), &token, json!({})).await;
    assert_eq!((status, &wrong["errors"][0]["parameters"]["nearest"]), (400, &json!("stage")));
    assert_eq!(app.ask(&Method::GET, "/v1/crm/deals/figures?limit=1", &token, json!({})).await.0, 400);
}

#[actix_web::test]
async fn m_08_a_portal_user_reaches_their_client_and_nothing_else() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    billing(&app, firm).await;
    let own = full_holding(&app, firm, "Own").await;
    // Somebody else at the same client, who is not locked out when all is tried.
    let person = Uuid::now_v7();
    app.let_into_portal(firm, person, own.client, "ada@own.example", "*").await;
    let session = app.portal_session(firm, person, own.client).await;
    // What the firm keeps for itself, whatever was granted.
    let alone =
        ["communications/notes", "communications/emails", "timeline/follow-ups", "timeline/comments", "timeline/pins"];
    only_reaches(&app, firm, (&session).into(), &own, &["portal.portal_session.audit"], &alone).await;
}

#[actix_web::test]
async fn t_16_nobody_grants_more_than_they_hold() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (own, other) = (holding(&app, firm, "Own").await, holding(&app, firm, "Other").await);
    let (people, eve) = (Uuid::now_v7(), Uuid::now_v7());
    let define = json!({ "name": "people", "description": "Looks after people", "patterns": ["identity.*"] });
    app.command(firm, "identity.role.define", Uuid::now_v7(), &define).await;
    app.join(firm, people, &["people"]).await;
    app.join(firm, eve, &[]).await;
    let grant =
        |pattern: &str, client: Uuid| json!({ "pattern": pattern, "resource": { "kind": "client", "id": client } });
    // Until that is known, everything that follows would be refused.
    app.grant(firm, people, &grant("projects.*", own.client), "projects.project.read").await;
    let token = app.token(firm, people);
    let give = async |to: Uuid, pattern: &str, client: Uuid| {
        let path = format!("/v1/identity/users/{to}/grant");
        let (status, body) = app.ask(&Method::POST, &path, &token, grant(pattern, client)).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let beyond = (409, "identity.user.grant_exceeds_your_permissions".to_owned());
    for (to, pattern, client) in [
        (eve, "*", own.client),
        (people, "*", own.client),
        (people, "crm.*", own.client),
        (people, "projects.*", other.client),
        (eve, "projects.project.read", other.client),
    ] {
        assert_eq!(give(to, pattern, client).await, beyond, "{pattern}");
    }
    assert_eq!(give(eve, "projects.project.read", own.client).await, (200, String::new()));
}

#[actix_web::test]
async fn own_reaches_what_is_the_callers_own_and_nothing_else() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (own, other) = (holding(&app, firm, "Own").await, holding(&app, firm, "Other").await);
    let define = json!({ "name": "own", "description": "Their own", "patterns": ["*:own"] });
    app.command(firm, "identity.role.define", Uuid::now_v7(), &define).await;
    let (ada, eve) = (Uuid::now_v7(), Uuid::now_v7());
    for (user, holding) in [(ada, &own), (eve, &other)] {
        app.join(firm, user, &["own"]).await;
        app.command(firm, "crm.client.assign_owner", holding.client, &json!({ "owner_id": user })).await;
        let assign = json!({ "task_id": holding.ids["projects/tasks"], "assignee_id": user });
        app.command(firm, "projects.project.assign_task", holding.ids["projects/projects"], &assign).await;
    }
    app.project().await;
    let token = app.token(firm, ada);
    for (collection, mine) in
        [("crm/clients", own.client), ("projects/tasks", own.ids["projects/tasks"]), ("identity/users", ada)]
    {
        let (status, list) = app.ask(&Method::GET, &format!("/v1/{collection}"), &token, json!({})).await;
        let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        assert_eq!((status, ids), (200, vec![&json!(mine)]), "{collection}");
    }
    for (holding, expected) in [(&own, 200), (&other, 404)] {
        let rename = format!("/v1/crm/clients/{}/rename", holding.client);
        assert_eq!(app.ask(&Method::POST, &rename, &token, json!({ "name": "Mine" })).await.0, expected);
        let complete = format!("/v1/projects/projects/{}/complete-task", holding.ids["projects/projects"]);
        let task = json!({ "task_id": holding.ids["projects/tasks"] });
        assert_eq!(app.ask(&Method::POST, &complete, &token, task).await.0, expected);
        let project = format!("/v1/projects/projects/{}/rename", holding.ids["projects/projects"]);
        let renamed = app.ask(&Method::POST, &project, &token, json!({ "name": "Mine" })).await;
        assert_eq!(renamed.0, 404, "a project is nobody's own, whoever does its tasks");
    }
    // What is nobody's own, or begins as nobody's, is out of reach.
    let (to_command, to_query) = operations(&app);
    for o in &to_command {
        let (status, body) = app.ask(&o.method, &o.of_nothing(), &token, o.body.clone()).await;
        assert_eq!(status, if o.path.contains("{id}") { 404 } else { 403 }, "{}: {body}", o.permission);
    }
    for o in to_query.iter().filter(|o| o.path.contains("{id}")) {
        let (status, body) = app.ask(&o.method, &o.of_nothing(), &token, json!({})).await;
        assert!(matches!(status, 403 | 404), "{}: {status} {body}", o.permission);
    }
}
