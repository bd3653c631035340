//! Endpoints over HTTP, as somebody of a firm adds and looks at them.

use harness::TestApp;
use serde_json::{Value, json};
use uuid::Uuid;
use webhooks::SigningKey;

const PATH: &str = "/v1/connections/webhook-endpoints";

fn endpoint() -> Value {
    json!({ "url": "https://hooks.example/ubos", "events": ["crm.>"], "order": "per_record" })
}

#[actix_web::test]
async fn whoever_adds_an_endpoint_is_shown_its_secret_and_lists_show_none() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let owner = app.owner(firm);
    let key = Uuid::now_v7().to_string();
    let add = async || {
        let asked = app.order(PATH, owner.as_str()).header("idempotency-key", key.as_str()).json(&endpoint());
        harness::send(asked).await
    };
    let (first, again) = (add().await, add().await);
    let id = first.id();
    let (status, told) = first.told();
    assert_eq!(status, 201, "{told}");
    let secret = told["secret"]["key"].as_str().unwrap().to_owned();
    assert!(SigningKey::read(&secret).is_some(), "{secret}");
    assert_eq!(again.told().1["secret"]["key"], secret.as_str(), "a repeat is told the same");
    let rotated = app.post(&format!("{PATH}/{id}/rotate-secret"), owner.as_str(), &json!({})).await;
    let (status, told) = rotated.told();
    assert_eq!(status, 200, "{told}");
    assert_ne!(told["secret"]["key"], secret.as_str());
    app.project().await;
    let (status, row) = app.get(&format!("{PATH}/{id}"), owner.as_str()).await.told();
    assert_eq!(
        (status, &row["status"], &row["delivery_order"]),
        (200, &json!("active"), &json!("per_record")),
        "{row}"
    );
    assert!(!row.to_string().contains("whsec_"), "{row}");
    // Whoever sends has not heard of it yet.
    let (status, _) = app.get(&format!("{PATH}/{id}/deliveries"), owner.as_str()).await.told();
    assert_eq!(status, 404);
}

#[actix_web::test]
async fn who_may_not_read_what_is_sent_adds_no_endpoint() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let member = Uuid::now_v7();
    app.join(firm, member, &["member"]).await;
    let refused = app.post(PATH, app.token(firm, member).as_str(), &endpoint()).await;
    assert_eq!(refused.told().0, 403);
}

#[actix_web::test]
async fn an_address_that_leads_inside_is_refused() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    for url in [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "ftp://hooks.example/",
        "https://a:b@hooks.example/",
    ] {
        let asked = app.post(PATH, app.owner(firm).as_str(), &json!({ "url": url })).await;
        assert_eq!(asked.told().0, 422, "{url}");
    }
}
