//! Everything about a client in one answer: whose rights count, and when it is put together anew.

use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use harness::{Firm, TestApp};
use query_api::{Api, Cache, configure};
use redis::AsyncCommands;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use vault::{LocalKeys, Vault};
use web::{Admission, AdmissionSettings};

/// A client with something of everything.
async fn client(app: &TestApp, firm: Firm, name: &str) -> Uuid {
    let [client, contact, project, folder] = [(); 4].map(|()| Uuid::now_v7());
    app.command(firm, "crm.client.create", client, &json!({ "name": name })).await;
    app.command(firm, "crm.contact.create", contact, &json!({ "name": format!("Contact of {name}") })).await;
    let link = json!({ "client_id": client, "role": "Director" });
    app.command(firm, "crm.contact.link_to_client", contact, &link).await;
    let of = json!({ "name": format!("Work for {name}"), "client_id": client });
    app.command(firm, "crm.engagement.create", Uuid::now_v7(), &of).await;
    app.command(firm, "projects.project.create", project, &of).await;
    for title in ["To do", "Done"] {
        app.command(firm, "projects.project.add_task", project, &json!({ "title": format!("{title} for {name}") }))
            .await;
    }
    app.command(firm, "files.folder.create", folder, &of).await;
    let line = json!({ "description": "Work", "quantity": "1", "unit_price": { "minor": 1, "currency": "EUR" },
                       "tax": { "category": "exempt" } });
    let offer = json!({ "title": format!("Audit of {name}"), "body": { "kind": "written", "markdown": name },
                        "currency": "EUR", "lines": [line], "valid_until": "2999-12-31" });
    let create = json!({ "client_id": client, "offer": offer });
    app.command(firm, "agreements.proposal.create", Uuid::now_v7(), &create).await;
    let thread = Uuid::now_v7();
    let open = json!({ "kind": "client", "subject": format!("Receipts of {name}"), "client_id": client });
    app.command(firm, "communications.thread.open", thread, &open).await;
    app.command(firm, "communications.thread.post_message", thread, &json!({ "body": "Where are they?" })).await;
    let schedule = json!({ "about": { "kind": "client", "id": client }, "assignee_id": Uuid::now_v7(),
                           "title": format!("Call {name}"), "due_at": "2999-12-31T12:00:00Z" });
    app.command(firm, "timeline.follow_up.schedule", Uuid::now_v7(), &schedule).await;
    client
}

fn names(part: &Value, field: &str) -> Vec<String> {
    part["data"].as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn a_profile_has_what_is_the_clients_and_leaves_out_what_the_caller_may_not_read() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (acme, other) = (client(&app, firm, "Acme").await, client(&app, firm, "Other").await);
    // Somebody who speaks for another client in the first place speaks for this one too.
    let both = Uuid::now_v7();
    app.command(firm, "crm.contact.create", both, &json!({ "name": "Both" })).await;
    for (client_id, primary) in [(other, true), (acme, false)] {
        let link = json!({ "client_id": client_id, "role": "Adviser", "primary": primary });
        app.command(firm, "crm.contact.link_to_client", both, &link).await;
    }
    app.project().await;
    let done = "select id, project_id from projects.tasks where title = 'Done for Acme'";
    let (task, project): (Uuid, Uuid) = sqlx::query_as(done).fetch_one(&app.database.worker().await).await.unwrap();
    app.command(firm, "projects.project.complete_task", project, &json!({ "task_id": task })).await;
    app.project().await;

    let path = format!("/v1/crm/clients/{acme}/profile");
    let (status, profile) = app.get(&path, &app.owner(firm)).await.told();
    assert_eq!(status, 200, "{profile}");
    assert_eq!((&profile["client"]["name"], &profile["withheld"]), (&json!("Acme"), &json!([])));
    let mut contacts = names(&profile["contacts"], "name");
    contacts.sort();
    assert_eq!(contacts, ["Both", "Contact of Acme"]);
    assert_eq!(names(&profile["engagements"], "name"), ["Work for Acme"]);
    assert_eq!(names(&profile["projects"], "name"), ["Work for Acme"]);
    assert_eq!(names(&profile["open_tasks"], "title"), ["To do for Acme"]);
    assert_eq!(names(&profile["folders"], "name"), ["Work for Acme"]);
    assert_eq!(profile["deals"], json!({ "data": [], "has_more": false }));
    assert_eq!(names(&profile["proposals"], "title"), ["Audit of Acme"], "a draft is in the firm's own view");
    assert_eq!(names(&profile["threads"], "subject"), ["Receipts of Acme"]);
    assert_eq!(names(&profile["messages"], "body"), ["Where are they?"]);
    assert_eq!(names(&profile["follow_ups"], "title"), ["Call Acme"]);
    assert_eq!(profile["invoices"], json!({ "data": [], "has_more": false }));
    assert_eq!(profile["balance"], json!({ "data": [] }));
    let happened = names(&profile["timeline"], "event_type");
    assert_eq!(happened[0], "task.completed");
    assert!(happened.contains(&"client.created".to_owned()), "{happened:?}");
    assert!(!profile.to_string().contains("for Other"), "{profile}");

    // Whose rights are for some parts is told which are left out, and for another client there is no such client.
    let partly = Uuid::now_v7();
    app.join(firm, partly, &[]).await;
    for pattern in ["crm.client.read", "projects.*"] {
        let grant = json!({ "pattern": pattern, "resource": { "kind": "client", "id": acme } });
        app.grant(firm, partly, &grant, pattern.replace('*', "project.read").as_str()).await;
    }
    let token = app.token(firm, partly);
    let (_, profile) = app.get(&path, &token).await.told();
    let withheld = profile["withheld"].as_array().unwrap();
    for part in ["contacts", "deals", "proposals", "invoices", "messages", "follow_ups", "files", "timeline", "balance"]
    {
        assert!(withheld.contains(&json!(part)) && profile.get(part).is_none(), "{part}: {withheld:?}");
    }
    assert!(!withheld.contains(&json!("projects")), "{withheld:?}");
    assert!(profile.get("contacts").is_none() && profile.get("timeline").is_none(), "{profile}");
    assert_eq!(names(&profile["open_tasks"], "title"), ["To do for Acme"]);
    for unknown in [other.to_string(), Uuid::now_v7().to_string(), "1".to_owned()] {
        assert_eq!(app.get(&format!("/v1/crm/clients/{unknown}/profile"), &token).await.status, 404, "{unknown}");
    }
    let nobody = Uuid::now_v7();
    app.join(firm, nobody, &[]).await;
    assert_eq!(app.get(&path, &app.token(firm, nobody)).await.status, 403);
    let (status, body) = app.get(&format!("{path}?limit=1"), &token).await.told();
    assert_eq!((status, body["code"].as_str()), (400, Some("invalid-parameter")));
}

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn keys() -> Arc<LocalKeys> {
    Arc::new(LocalKeys::new(&KEY.to_owned().into(), &[]).unwrap())
}

#[actix_web::test]
async fn a_profile_is_kept_sealed_until_something_concerns_the_client_and_read_anew_without_redis() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (acme, other) = (client(&app, firm, "Acme").await, client(&app, firm, "Other").await);
    app.project().await;
    let maker = Vault::start(app.database.command().await, keys());
    maker.sealing(firm.tenant).await.unwrap();
    let bounds = || AdmissionSettings { in_flight_max: 8, waiting_max: 64, wait_max: Duration::from_secs(5) };
    let query = app.database.query().await;
    let opener = Vault::start(query.clone(), keys());
    let redis = redis::Client::open(testing::redis_url()).unwrap();
    let (token, path) = (app.owner(firm), format!("/v1/crm/clients/{acme}/profile"));
    let named = async |cache: Cache, position: Option<i64>| {
        let api = Api::new(query.clone(), Duration::from_secs(5), Admission::new("query-api", bounds()));
        let api = Data::new(api.unsealing(Some(opener.clone())).keeping(Some(cache)));
        let service = App::new().app_data(app.verifier.clone()).configure(|config| configure(config, api));
        let service = init_service(service).await;
        let request = TestRequest::get().uri(&path).insert_header(("authorization", format!("Bearer {token}")));
        let request =
            position.into_iter().fold(request, |request, at| request.insert_header(("min-position", at.to_string())));
        let answer = call_service(&service, request.to_request()).await;
        assert_eq!(answer.status(), 200);
        let profile: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
        profile["client"]["name"].as_str().unwrap().to_owned()
    };
    let kept = || Cache::new(redis.clone()).unwrap();
    let owner = app.database.worker().await;
    // What no event says, so that what is kept and what is read can be told apart.
    let call = async |name: &str| {
        sqlx::query("update crm.clients set name = $2 where id = $1")
            .bind(acme)
            .bind(name)
            .execute(&owner)
            .await
            .unwrap();
    };
    assert_eq!(named(kept(), None).await, "Acme");
    call("Underneath").await;
    assert_eq!(named(kept(), None).await, "Acme", "kept");
    app.command(firm, "crm.client.rename", other, &json!({ "name": "Another" })).await;
    app.project().await;
    assert_eq!(named(kept(), None).await, "Acme", "what happens to another client is nothing to it");

    // Redis holds nothing that anybody could read, nor anything that could be put there by somebody else.
    let mut inside = redis.get_multiplexed_async_connection().await.unwrap();
    let found: Vec<String> = inside.keys(format!("ubos:answer:{}:*", firm.tenant)).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let sealed: Vec<u8> = inside.get(&found[0]).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("Acme"));
    let lives: i64 = inside.ttl(&found[0]).await.unwrap();
    assert!((1..=30).contains(&lives), "{lives}");

    let renamed = app.command(firm, "crm.client.rename", acme, &json!({ "name": "Acme & Sons" })).await;
    app.project().await;
    assert_eq!(named(kept(), Some(renamed.position)).await, "Acme & Sons", "whoever renamed it sees it");
    call("Underneath").await;
    assert_eq!(named(kept(), None).await, "Acme & Sons", "kept anew");
    // Whatever somebody puts there does not open.
    let found: Vec<String> = inside.keys(format!("ubos:answer:{}:*", firm.tenant)).await.unwrap();
    for key in &found {
        let () = inside.set(key, &sealed[..sealed.len() - 1]).await.unwrap();
    }
    assert_eq!(named(kept(), None).await, "Underneath");
    // A task of one of its projects is the client's too.
    let project: Uuid = sqlx::query_scalar("select id from projects.projects where client_id = $1")
        .bind(acme)
        .fetch_one(&owner)
        .await
        .unwrap();
    call("Deeper").await;
    assert_eq!(named(kept(), None).await, "Underneath");
    app.command(firm, "projects.project.add_task", project, &json!({ "title": "More" })).await;
    app.project().await;
    assert_eq!(named(kept(), None).await, "Deeper");
    // A comment changes what is shown of an entry, whoever's timeline it was said on.
    call("Commented").await;
    assert_eq!(named(kept(), None).await, "Deeper");
    let said = json!({ "entry_id": Uuid::now_v7(), "body": "Well done." });
    app.command(firm, "timeline.comment.write", Uuid::now_v7(), &said).await;
    app.project().await;
    assert_eq!(named(kept(), None).await, "Commented", "a comment may be on what the profile shows");
    // Where nobody answers, everything is read.
    call("Nowhere").await;
    let nowhere = redis::Client::open("redis://127.0.0.1:1/").unwrap();
    assert_eq!(named(Cache::new(nowhere).unwrap(), None).await, "Nowhere");
}
