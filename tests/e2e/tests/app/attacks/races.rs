//! Rows C and D: many at the same time.

use futures::future::join_all;
use harness::{Answer, TestApp, eventually, send};
use serde_json::json;
use std::collections::BTreeMap;
use uuid::Uuid;

fn counted(answers: &[Answer]) -> BTreeMap<(u16, String), usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry((answer.status, answer.code().to_owned())).or_default() += 1;
    }
    counted
}

#[actix_web::test]
async fn c_01_a_hundred_who_want_the_same_get_it_once() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    let body = json!({ "name": "Ada", "email": "ada@example.com" });
    let answers = join_all((0..100).map(|_| app.post("/v1/crm/clients", &owner, &body))).await;
    let counted = counted(&answers);
    assert_eq!(counted.get(&(201, String::new())), Some(&1), "{counted:?}");
    assert_eq!(counted.get(&(409, "crm.client.email.taken".to_owned())), Some(&99), "{counted:?}");
}

#[actix_web::test]
async fn c_02_c_03_one_key_does_one_thing_for_one_caller() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, other) = (app.owner(firm), Uuid::now_v7());
    app.join(firm, other, &["admin"]).await;
    let ask = |token: String, name: String| {
        let request = app.http.post(format!("{}/v1/crm/clients", app.commands)).bearer_auth(token);
        send(request.header("idempotency-key", "the-same").json(&json!({ "name": name })))
    };
    let answers = join_all((0..100).map(|n| ask(owner.clone(), format!("Client {n}")))).await;
    let counted = counted(&answers);
    assert_eq!(counted.get(&(201, String::new())), Some(&1), "{counted:?}");
    assert_eq!(counted.get(&(422, "idempotency-key-reused".to_owned())), Some(&99), "{counted:?}");
    let again = join_all((0..100).map(|_| ask(app.token(firm, other), "Another's".to_owned()))).await;
    let ids: std::collections::BTreeSet<Uuid> = again.iter().map(Answer::id).collect();
    assert_eq!(ids.len(), 1, "the key of another caller is another key, and its repeats are answered alike");
    app.project().await;
    assert_eq!(app.get("/v1/crm/clients", &owner).await.body["data"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn c_04_t_18_a_right_that_is_taken_away_is_gone_for_everybody_who_asks_afterwards() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let member = Uuid::now_v7();
    app.join(firm, member, &["member"]).await;
    let (owner, token) = (app.owner(firm), app.token(firm, member));
    assert_eq!(app.post("/v1/crm/clients", &token, &json!({ "name": "Ada" })).await.status, 201);
    let revoke = format!("/v1/identity/users/{member}/revoke-role");
    assert_eq!(app.post(&revoke, &owner, &json!({ "role": "member" })).await.status, 200);
    eventually(async || app.post("/v1/crm/clients", &token, &json!({ "name": "Bea" })).await.status == 403).await;
    let body = json!({ "name": "Eve" });
    let after = join_all((0..50).map(|_| app.post("/v1/crm/clients", &token, &body))).await;
    assert!(after.iter().all(|answer| answer.status == 403), "{after:?}");
}

#[actix_web::test]
async fn c_06_whoever_saw_another_version_changes_nothing() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    let id = app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.id();
    let ask = |name: String| {
        let request = app.http.post(format!("{}/v1/crm/clients/{id}/rename", app.commands)).bearer_auth(&owner);
        send(request.header("if-match", "\"1\"").json(&json!({ "name": name })))
    };
    let answers = join_all((0..50).map(|n| ask(format!("Name {n}")))).await;
    let counted = counted(&answers);
    assert_eq!(counted.get(&(200, String::new())), Some(&1), "{counted:?}");
    assert_eq!(counted.get(&(412, "version-mismatch".to_owned())), Some(&49), "{counted:?}");
}

#[actix_web::test]
async fn d_07_a_thousand_writers_of_one_record_neither_lose_nor_lock() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    let id = app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.id();
    let path = format!("/v1/crm/clients/{id}/rename");
    let mut done = 0;
    for round in 0..10 {
        let answers = join_all((0..100).map(|n| {
            let body = json!({ "name": format!("Name {round} {n}") });
            let (app, path, owner) = (&app, &path, &owner);
            async move { app.post(path, owner, &body).await }
        }));
        for answer in answers.await {
            assert!(matches!(answer.status, 200 | 409 | 503), "{answer:?}");
            done += i64::from(answer.status == 200);
        }
    }
    assert!(done > 0);
    app.project().await;
    let version = app.get(&format!("/v1/crm/clients/{id}"), &owner).await.body["version"].as_i64().unwrap();
    assert_eq!(version, done + 1, "each that was answered with success is an event, and none besides");
}
