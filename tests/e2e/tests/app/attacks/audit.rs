//! Who was refused what is on the audit trail, and stays there.

use harness::{APP, Answer, Firm, Session, TestApp, eventually, send};
use serde_json::{Value, json};
use uuid::Uuid;

/// What the trail says, newest first.
async fn entries(app: &TestApp, firm: Firm, query: &str) -> Vec<Value> {
    let answer = app.get(&format!("/v1/timeline/audit-entries?{query}"), &app.owner(firm)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().unwrap().clone()
}

async fn client(app: &TestApp, firm: Firm) -> Uuid {
    let created = app.post("/v1/crm/clients", &app.owner(firm), &json!({ "name": "Ada" })).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.id()
}

#[actix_web::test]
async fn l_06_every_refused_change_is_on_the_trail_with_who_what_why_and_which_request() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (viewer, suspended, admin) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    app.join(firm, viewer, &["viewer"]).await;
    app.join(firm, suspended, &["admin"]).await;
    app.join(firm, admin, &["admin"]).await;
    app.command(firm, "identity.user.suspend", suspended, &json!({ "reason": "on leave" })).await;
    let id = client(&app, firm).await;
    let rename = format!("/v1/crm/clients/{id}/rename");
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": firm.owner }, "scopes": ["*.read"] });
    let issued = app.post("/v1/identity/api-keys", &app.owner(firm), &issue).await;
    let (key, secret) = (issued.id(), issued.body["secret"].as_str().unwrap().to_owned());
    let issued = app.post("/v1/identity/api-keys", &app.owner(firm), &issue).await;
    let (revoked, revoked_secret) = (issued.id(), issued.body["secret"].as_str().unwrap().to_owned());
    let revoke = format!("/v1/identity/api-keys/{revoked}/revoke");
    assert_eq!(app.post(&revoke, &app.owner(firm), &json!({ "reason": "leaked" })).await.status, 200);
    eventually(async || app.get("/v1/crm/clients", &revoked_secret).await.status == 401).await;
    let Session { cookie, .. } = app.session(firm, firm.owner).await;
    let by_form = app.http.post(format!("{}{rename}", app.commands)).header("cookie", cookie).header("origin", APP);

    let new_name = json!({ "name": "Eve" });
    let asked: [(Answer, u16, &str, Uuid, &str); 6] = [
        (app.post(&rename, &app.token(firm, viewer), &new_name).await, 403, "forbidden", viewer, "crm.client.rename"),
        (
            app.post(&rename, &app.token(firm, suspended), &new_name).await,
            403,
            "forbidden",
            suspended,
            "crm.client.rename",
        ),
        (app.post(&rename, &secret, &new_name).await, 403, "forbidden", firm.owner, "crm.client.rename"),
        (app.post(&rename, &revoked_secret, &new_name).await, 401, "unauthenticated", firm.owner, "crm.client.rename"),
        (send(by_form.json(&new_name)).await, 403, "csrf-refused", firm.owner, "crm.client.rename"),
        // Whoever gives more than they have is refused by the domain, which is about rights all the same.
        (
            app.post(
                "/v1/identity/roles",
                &app.token(firm, admin),
                &json!({ "name": "boss", "description": "all", "patterns": ["*"] }),
            )
            .await,
            409,
            "identity.role.patterns_exceed_your_permissions",
            admin,
            "identity.role.define",
        ),
    ];
    // None of these is somebody refused a right: what does not exist, what nobody can be named for, what the state forbids.
    assert_eq!(
        app.post(&format!("/v1/crm/clients/{}/rename", Uuid::now_v7()), &app.owner(firm), &new_name).await.status,
        404
    );
    assert_eq!(app.post(&rename, "garbage", &new_name).await.status, 401);
    let wrong_secret = credentials::ShownKey::mint("ubk", kernel::TenantId(firm.tenant), key).0;
    assert_eq!(app.post(&rename, &wrong_secret, &new_name).await.status, 401);

    app.written_down().await;
    app.project().await;
    let denied = entries(&app, firm, "outcome=denied").await;
    for (answer, status, reason, actor, permission) in &asked {
        assert_eq!((answer.status, answer.code()), (*status, *reason), "{answer:?}");
        let request = answer.headers["request-id"].to_str().unwrap();
        let entry = denied.iter().find(|entry| entry["correlation_id"] == request);
        let entry = entry.unwrap_or_else(|| panic!("{request} is not in {denied:#?}"));
        assert_eq!((&entry["reason"], &entry["actor"]), (&json!(reason), &json!(actor)), "{entry}");
        assert_eq!((&entry["permission"], &entry["outcome"]), (&json!(permission), &json!("denied")), "{entry}");
        assert_eq!((&entry["count"], &entry["client_address"]), (&json!(1), &json!("127.0.0.1")), "{entry}");
        let target = if *permission == "crm.client.rename" { json!([id]) } else { json!([]) };
        assert_eq!(entry["aggregate_ids"], target, "{entry}");
    }
    assert_eq!(denied.len(), asked.len(), "and nothing else: {denied:#?}");
    let of_key = entries(&app, firm, &format!("outcome=denied&api_key_id={revoked}")).await;
    assert_eq!((of_key.len(), &of_key[0]["detail"]), (1, &json!("it was revoked")));

    // Beside them stands what was done, under the permission that it needed.
    let made = entries(&app, firm, &format!("outcome=accepted&aggregate_id={id}")).await;
    assert_eq!((made.len(), &made[0]["permission"]), (1, &json!("crm.client.create")));
    assert_eq!((&made[0]["actor"], &made[0]["event_type"]), (&json!(firm.owner), &json!("client.created")));
    let both = entries(&app, firm, &format!("aggregate_id={id}")).await;
    assert_eq!(both.len(), 1 + asked.len() - 1, "{both:#?}");
}

#[actix_web::test]
async fn the_trail_is_paged_filtered_and_taken_out_whole() {
    let app = TestApp::new().await;
    let firm = app.register("=Engines").await;
    let viewer = Uuid::now_v7();
    app.join(firm, viewer, &["viewer"]).await;
    let id = client(&app, firm).await;
    for verb in ["rename", "block", "tag", "untag", "unblock"] {
        let answer = app.post(&format!("/v1/crm/clients/{id}/{verb}"), &app.token(firm, viewer), &json!({})).await;
        assert_eq!(answer.status, 403, "{verb}: {answer:?}");
    }
    app.written_down().await;
    app.project().await;
    let all = entries(&app, firm, "limit=200").await;
    let ids = |entries: &[Value]| entries.iter().map(|entry| entry["id"].clone()).collect::<Vec<_>>();
    let (mut paged, mut path) = (vec![], "/v1/timeline/audit-entries?limit=3".to_owned());
    loop {
        let answer = app.get(&path, &app.owner(firm)).await;
        paged.extend(ids(answer.body["data"].as_array().unwrap()));
        let Some(link) = answer.headers.get("link") else { break };
        path = link.to_str().unwrap().trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(paged, ids(&all), "every entry once, in order");
    let times: Vec<&str> = all.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let renamed = entries(&app, firm, "permission=crm.client.rename").await;
    assert_eq!((renamed.len(), &renamed[0]["outcome"]), (1, &json!("denied")));
    assert_eq!(entries(&app, firm, &format!("actor={viewer}&outcome=denied")).await.len(), 5);
    assert_eq!(entries(&app, firm, "at_before=2020-01-01T00:00:00Z").await, Vec::<Value>::new());

    let file = app.get("/v1/timeline/audit-entries/export", &app.owner(firm)).await;
    assert_eq!((file.status, &file.headers["content-type"]), (200, &"application/x-ndjson".parse().unwrap()));
    let mut lines: Vec<Value> = file.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.reverse();
    assert_eq!(lines, all, "the file holds the same, oldest first");
    let csv = app.get("/v1/timeline/audit-entries/export?format=csv&outcome=denied", &app.owner(firm)).await;
    assert_eq!(csv.text.lines().count(), 6, "{}", csv.text);

    // Whoever may look at the work need not see who tried what.
    for path in ["/v1/timeline/audit-entries", "/v1/timeline/audit-entries/export"] {
        assert_eq!(app.get(path, &app.token(firm, viewer)).await.status, 403, "{path}");
    }
    for wrong in ["colour=red", "outcome=maybe", "limit=1&limit=2", "limit=0", "cursor=x", "at_from=today"] {
        let answer = app.get(&format!("/v1/timeline/audit-entries?{wrong}"), &app.owner(firm)).await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
    for wrong in ["format=xml", "format=csv&format=csv", "limit=5", "cursor=x"] {
        let answer = app.get(&format!("/v1/timeline/audit-entries/export?{wrong}"), &app.owner(firm)).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid-parameter"), "{wrong}");
    }
}

#[actix_web::test]
async fn a_flood_of_refusals_is_a_few_rows_and_loses_no_count() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let viewer = Uuid::now_v7();
    app.join(firm, viewer, &["viewer"]).await;
    let token = app.token(firm, viewer);
    for _ in 0..300 {
        let path = format!("/v1/crm/clients/{}/rename", Uuid::now_v7());
        assert_eq!(app.post(&path, &token, &json!({ "name": "Eve" })).await.status, 403);
    }
    app.written_down().await;
    let denied = entries(&app, firm, "outcome=denied").await;
    assert_eq!((denied.len(), &denied[0]["count"]), (1, &json!(300)));
    assert_eq!(denied[0]["aggregate_ids"].as_array().unwrap().len(), 10);
}

#[actix_web::test]
async fn nobody_changes_the_trail() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let viewer = Uuid::now_v7();
    app.join(firm, viewer, &["viewer"]).await;
    app.post("/v1/crm/clients", &app.token(firm, viewer), &json!({ "name": "Eve" })).await;
    app.written_down().await;
    for pool in [app.database.command().await, app.database.query().await, app.database.worker().await] {
        for sql in ["update audit.refusals set count = 2", "delete from audit.refusals", "truncate audit.refusals"] {
            assert!(sqlx::query(sql).execute(&pool).await.is_err(), "{sql}");
        }
    }
    // The owner may, and the trigger refuses.
    let owner = app.database.owner().await;
    for sql in ["update audit.refusals set count = 2", "delete from audit.refusals", "truncate audit.refusals"] {
        let error = sqlx::query(sql).execute(&owner).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
    let forgotten: i64 = sqlx::query_scalar("select audit.forget_refusals()").fetch_one(&owner).await.unwrap();
    assert_eq!(forgotten, 0, "what is young stays");
    assert_eq!(entries(&app, firm, "outcome=denied").await.len(), 1);
}

#[actix_web::test]
async fn the_last_use_of_a_key_is_shown_with_it() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let owner = app.owner(firm);
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": firm.owner } });
    let issued = app.post("/v1/identity/api-keys", &owner, &issue).await;
    let (id, secret) = (issued.id(), issued.body["secret"].as_str().unwrap().to_owned());
    app.project().await;
    let path = format!("/v1/identity/api-keys/{id}");
    assert_eq!(app.get(&path, &owner).await.body["last_used_at"], Value::Null);
    let before = chrono::Utc::now() - chrono::TimeDelta::seconds(1);
    eventually(async || app.get("/v1/crm/clients", &secret).await.status == 200).await;
    app.written_down().await;
    for shown in
        [app.get(&path, &owner).await.body, app.get("/v1/identity/api-keys", &owner).await.body["data"][0].clone()]
    {
        let used: chrono::DateTime<chrono::Utc> = shown["last_used_at"].as_str().unwrap().parse().unwrap();
        assert!(used >= before && used <= chrono::Utc::now(), "{shown}");
    }
}

#[actix_web::test]
async fn t_30_nobody_publishes_a_definition_over_http_that_may_more_than_they_may() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (viewer, publisher) = (Uuid::now_v7(), Uuid::now_v7());
    app.join(firm, viewer, &["viewer"]).await;
    let role =
        json!({ "name": "automation", "description": "Workflows", "patterns": ["workflow.*", "crm.client.tag"] });
    let defined = app.post("/v1/identity/roles", &app.owner(firm), &role).await;
    assert_eq!(defined.status, 201, "{defined:?}");
    app.join(firm, publisher, &["automation"]).await;
    let scopes = json!({ "name": "CI", "principal": { "kind": "user", "id": firm.owner }, "scopes": ["workflow.*"] });
    let issued = app.post("/v1/identity/api-keys", &app.owner(firm), &scopes).await;
    let key = issued.body["secret"].as_str().unwrap().to_owned();
    let publish = async |bearer: &str, runs_as: Value| {
        let body = json!({ "name": "Mine", "runs_as": runs_as, "trigger_event_type": "client.created", "hash": "00",
                           "document": { "runs_as": runs_as } });
        app.post("/v1/workflow/definitions", bearer, &body).await
    };
    let (viewer, publisher, owner) = (app.token(firm, viewer), app.token(firm, publisher), app.owner(firm));
    let beyond = "workflow.definition.patterns_exceed_your_permissions";
    for (bearer, runs_as, code) in [
        (&viewer, json!([]), "forbidden"),
        (&publisher, json!(["*"]), beyond),
        (&publisher, json!(["crm.client.tag", "crm.client.block"]), beyond),
        (&key, json!(["crm.client.tag"]), beyond),
        // What they may give is still to be checked by what reads definitions.
        (&publisher, json!(["crm.client.tag"]), "workflow.definition.not_validated"),
        (&owner, json!(["*"]), "workflow.definition.not_validated"),
    ] {
        let refused = publish(bearer, runs_as.clone()).await;
        assert_eq!(refused.code(), code, "{runs_as}: {refused:?}");
    }
    let wrong = publish(&owner, json!(["crm.client.tag", "no pattern"])).await;
    assert_eq!((wrong.status, &wrong.body["errors"][0]["pointer"]), (422, &json!("/runs_as/1")), "{wrong:?}");
    app.written_down().await;
    let denied = entries(&app, firm, "outcome=denied").await;
    let reasons: Vec<&str> = denied.iter().filter_map(|entry| entry["reason"].as_str()).collect();
    assert!(reasons.contains(&beyond) && reasons.contains(&"forbidden"), "{denied:#?}");
    assert!(denied.iter().all(|entry| entry["permission"] == "workflow.definition.publish"), "{denied:#?}");
}
