//! Providers come in by themselves, or somebody who says that they do.

use crate::common::world;
use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service};
use futures::FutureExt;
use futures::future::BoxFuture;
use lab::{WEBHOOK_KEY, XERO_TENANT};
use ports::Place;
use providers::{Hears, sign};
use reactions::Outcome;
use serde_json::json;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

macro_rules! service {
    ($app:expr, $outside:expr) => {{
        let (verifier, desk) = ($app.verifier.clone(), $outside.desk(&$app));
        init_service(App::new().app_data(verifier).configure(|config| connect::configure(config, desk))).await
    }};
}

macro_rules! say {
    ($service:expr, $path:expr, $body:expr, $signature:expr) => {{
        let request = TestRequest::post().uri(&$path).insert_header(("x-xero-signature", $signature));
        call_service(&$service, request.set_payload($body.to_owned()).to_request()).await.status().as_u16()
    }};
}

fn message(ids: &[&str]) -> String {
    let event = |id: &&str| json!({ "resourceId": id, "tenantId": XERO_TENANT, "eventCategory": "INVOICE", "eventType": "UPDATE" });
    json!({ "events": ids.iter().map(event).collect::<Vec<_>>(), "firstEventSequence": 1, "lastEventSequence": 1 })
        .to_string()
}

fn door(at: Place) -> String {
    format!("/v1/webhooks/xero/{}", at.connection)
}

/// Notes what may have changed.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<String>>>);

impl Hears for Listener {
    fn of(&self) -> (&'static str, &'static str) {
        ("xero", "invoice")
    }

    fn changed<'a>(&'a self, _: Place, id: &'a str) -> BoxFuture<'a, Outcome> {
        self.0.lock().unwrap().push(id.to_owned());
        std::future::ready(Outcome::Done).boxed()
    }
}

#[actix_web::test]
async fn what_is_said_twice_is_asked_about_once_and_what_was_not_said_is_found() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let (service, listener) = (service!(app, outside), Listener::default());
    let body = message(&["a", "b", "a"]);
    let signature = sign(WEBHOOK_KEY, body.as_bytes());
    for _ in 0..3 {
        assert_eq!(say!(service, door(at), body, signature.as_str()), 200);
    }
    let providers = outside.providers(&app, vec![Arc::new(listener.clone())], |engine| engine);
    providers.round().await.unwrap();
    providers.round().await.unwrap();
    let mut heard = listener.0.lock().unwrap().clone();
    heard.sort_unstable();
    assert_eq!(heard, ["a", "b"]);
}

#[actix_web::test]
async fn a_forged_message_is_refused_and_an_unknown_connection_is_not_found() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let service = service!(app, outside);
    let body = message(&["a"]);
    let good = sign(WEBHOOK_KEY, body.as_bytes());
    assert_eq!(say!(service, door(at), body, sign("another key", body.as_bytes()).as_str()), 401);
    assert_eq!(say!(service, door(at), body, "nothing"), 401);
    assert_eq!(say!(service, door(at), message(&["b"]), good.as_str()), 401, "signed, but not these bytes");
    let greeting = json!({ "events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "x" }).to_string();
    assert_eq!(say!(service, door(at), greeting, sign(WEBHOOK_KEY, greeting.as_bytes()).as_str()), 200);
    assert_eq!(say!(service, door(at), greeting, good.as_str()), 401);
    let elsewhere = format!("/v1/webhooks/xero/{}", Uuid::now_v7());
    assert_eq!(say!(service, elsewhere, body, good.as_str()), 404);
    assert_eq!(say!(service, "/v1/webhooks/xero/none", body, good.as_str()), 404);
    assert_eq!(say!(service, format!("/v1/webhooks/stripe/{}", at.connection), body, good.as_str()), 404);
    // The connection is Xero's, whoever signs.
    assert_eq!(say!(service, format!("/v1/webhooks/docusign/{}", at.connection), body, good.as_str()), 404);
    let long = "x".repeat(70 << 10);
    assert_eq!(say!(service, door(at), long, sign(WEBHOOK_KEY, long.as_bytes()).as_str()), 413);
    let kept: i64 = sqlx::query_scalar("select count(*) from connect.inbox").fetch_one(&outside.worker).await.unwrap();
    assert_eq!(kept, 0);
}

#[actix_web::test]
async fn quickbooks_is_believed_by_its_own_signature_alone_in_both_of_its_shapes() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "quickbooks").await;
    let service = service!(app, outside);
    let door = format!("/v1/webhooks/quickbooks/{}", at.connection);
    let event = |id: &str| {
        json!([{ "specversion": "1.0", "id": id, "source": "intuit.lab", "type": "qbo.invoice.updated.v1",
                 "time": "2026-11-30T10:00:00.034359333Z", "intuitentityid": id,
                 "intuitaccountid": lab::QUICKBOOKS_REALM, "data": {} }])
        .to_string()
    };
    let older = json!({ "eventNotifications": [{ "realmId": lab::QUICKBOOKS_REALM, "dataChangeEvent": { "entities": [
        { "name": "Bill", "id": "14", "operation": "Delete", "lastUpdated": "2026-11-30T10:00:00.000Z" }] } }] })
    .to_string();
    let told = async |header: &'static str, body: String, key: &str| {
        let signed = sign(key, body.as_bytes());
        let request = TestRequest::post().uri(&door).insert_header((header, signed)).set_payload(body);
        call_service(&service, request.to_request()).await.status().as_u16()
    };
    for _ in 0..2 {
        assert_eq!(told("intuit-signature", event("130"), WEBHOOK_KEY).await, 200);
        assert_eq!(told("intuit-signature", older.clone(), WEBHOOK_KEY).await, 200);
    }
    assert_eq!(told("intuit-signature", event("131"), "another key").await, 401);
    assert_eq!(told("x-xero-signature", event("131"), WEBHOOK_KEY).await, 401);
    let kept: i64 = sqlx::query_scalar("select count(*) from connect.inbox").fetch_one(&outside.worker).await.unwrap();
    assert_eq!(kept, 2);
}
