//! A client is asked for files, hands them in, and the firm says whether they will do.

use crate::desk::{Desk, PDF};
use serde_json::{Value, json};
use uuid::Uuid;

#[actix_web::test]
async fn a_client_hands_in_what_it_is_asked_for() {
    let desk = Desk::new().await;
    let (app, firm) = (&desk.app, desk.firm);
    let client = app.command(firm, "crm.client.create", Uuid::now_v7(), &json!({ "name": "Ada" })).await.id;
    let person = Uuid::now_v7();
    app.let_into_portal(firm, person, client, "ada@example.com", "files.*").await;
    let items = json!([{ "name": "Passport" }, { "name": "CV", "optional": true }]);
    let body = json!({ "title": "Onboarding", "client_id": client, "items": items });
    let request = desk.post("/v1/files/file-requests", &body).await;
    assert_eq!(request.status, 201, "{}", request.body);
    let path = format!("/v1/files/file-requests/{}", request.id());
    app.project().await;
    let session = app.portal_session(firm, person, client).await;
    assert_eq!(app.get(&path, &session).await.status, 404, "it is a draft");
    assert_eq!(app.get("/v1/files/request-items", &session).await.body["data"], json!([]));
    assert_eq!(desk.post(&format!("{path}/send"), &json!({})).await.status, 200);
    app.project().await;
    assert_eq!(app.get(&path, &session).await.body["status"], "sent");
    let items = app.get("/v1/files/request-items?sort=created_at", &session).await.body["data"].clone();
    let item = |name: &str| items.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap()["id"].clone();

    let file = desk.file("passport.pdf", "application/pdf", PDF, &json!({ "client_id": client })).await;
    let submit = json!({ "request_item_id": item("Passport"), "file_id": file.file });
    let answer = app.post(&format!("{path}/submit-item"), &session, &submit).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.project().await;
    assert_eq!(desk.get(&path).await.body["status"], "completed");

    let reject = json!({ "request_item_id": item("Passport"), "reason": "blurred" });
    assert_eq!(desk.post(&format!("{path}/reject-item"), &reject).await.status, 200);
    app.project().await;
    let shown: Value = app.get("/v1/files/request-items?status=rejected", &session).await.body["data"][0].clone();
    assert_eq!((&shown["reason"], &shown["file_id"]), (&json!("blurred"), &json!(file.file)));
    assert_eq!(desk.get(&path).await.body["status"], "partially_completed");
    let again = app.post(&format!("{path}/submit-item"), &session, &submit).await;
    assert_eq!(again.status, 200);
    app.project().await;
    assert_eq!(desk.get(&path).await.body["status"], "completed");

    // Somebody of the firm says that it will do, and the client sees it.
    let accept = json!({ "request_item_id": item("Passport") });
    for _ in 0..2 {
        assert_eq!(desk.post(&format!("{path}/accept-item"), &accept).await.status, 200);
    }
    app.project().await;
    let accepted = app.get("/v1/files/request-items?status=accepted", &session).await.body["data"].clone();
    assert_eq!(accepted.as_array().unwrap().iter().map(|item| &item["name"]).collect::<Vec<_>>(), ["Passport"]);
}
