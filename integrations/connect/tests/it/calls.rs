//! Calls to a provider's own API, as workflows make them, against the lab: each once, or on the record that nobody knows.

use crate::common::world;
use connect::{ApiCalls, Providers};
use harness::{Firm, Outside, TestApp, eventually};
use lab::{Fault, What};
use ports::Place;
use providers::Direct;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

struct Caller {
    app: TestApp,
    firm: Firm,
    outside: Outside,
    at: Place,
    work: Providers,
}

impl Caller {
    async fn new(provider: &str) -> Self {
        let (app, firm, outside) = world().await;
        let at = outside.connected(&app, firm, provider).await;
        let direct: Vec<Arc<dyn Direct>> = vec![
            Arc::new(outside.xero.clone()),
            Arc::new(outside.quickbooks.clone()),
            Arc::new(outside.docusign.clone()),
        ];
        let calls = ApiCalls { store: app.bus.store().clone(), direct };
        let work = outside.providers(&app, vec![], |engine| engine.with(calls));
        work.round().await.unwrap();
        Self { app, firm, outside, at, work }
    }

    /// Has a call made; answers the record's id.
    async fn ask(&self, method: &str, path: &str, body: &Value, keep: Value) -> Uuid {
        let id = Uuid::now_v7();
        let request = json!({ "connection_id": self.at.connection, "method": method, "path": [path],
                              "body": body.to_string(), "keep": keep });
        self.app.command(self.firm, "connections.api_call.request", id, &request).await;
        id
    }

    async fn happened(&self, event_type: &str, id: Uuid) -> i64 {
        let sql = format!(
            "select count(*) from eventstore.events where event_type = '{event_type}' and aggregate_id = '{id}'"
        );
        self.app.count(&sql).await
    }

    /// What the record says that was answered.
    async fn answered(&self, id: Uuid) -> Value {
        sqlx::query_scalar(
            "select payload::jsonb from eventstore.events where event_type = 'api_call.answered' and aggregate_id = $1",
        )
        .bind(id)
        .fetch_one(&self.outside.worker)
        .await
        .unwrap()
    }

    async fn until(&self, event_type: &str, id: Uuid) {
        eventually(async || {
            self.work.round().await.unwrap();
            // Nobody waits for the next try.
            reactions::retry(&self.outside.worker, &reactions::Filter::default()).await.unwrap();
            self.happened(event_type, id).await == 1
        })
        .await;
    }
}

fn contact() -> Value {
    json!({ "Contacts": [{ "Name": "Engines" }] })
}

fn kept() -> Value {
    json!([{ "name": "contact", "at": "/Contacts/0/ContactID" }])
}

#[actix_web::test]
async fn what_was_wanted_of_the_answer_is_on_the_record() {
    let caller = Caller::new("xero").await;
    let id = caller.ask("put", "Contacts", &contact(), kept()).await;
    caller.until("api_call.answered", id).await;
    let answered = caller.answered(id).await;
    assert!(answered.to_string().contains("contact"), "{answered}");
    assert_eq!(caller.outside.lab.contacts()[0]["Name"], "Engines");
    caller.work.round().await.unwrap();
    assert_eq!(caller.outside.lab.contacts().len(), 1);
    assert_eq!(caller.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_provider_that_knows_keys_is_asked_again_and_does_it_once() {
    let caller = Caller::new("xero").await;
    caller.outside.lab.fault(Fault::at("xero", "PUT", "/Contacts", What::AnswerLost));
    let id = caller.ask("put", "Contacts", &contact(), kept()).await;
    caller.until("api_call.answered", id).await;
    assert_eq!(caller.outside.lab.contacts().len(), 1);
    assert_eq!(caller.happened("api_call.outcome_unknown", id).await, 0);
}

#[actix_web::test]
async fn quickbooks_is_asked_again_under_the_same_key_and_does_it_once() {
    let caller = Caller::new("quickbooks").await;
    caller.outside.lab.fault(Fault::at("quickbooks", "POST", "/customer", What::AnswerLost));
    let keep = json!([{ "name": "customer", "at": "/Customer/Id" }]);
    let id = caller.ask("post", "customer", &json!({ "DisplayName": "Engines" }), keep).await;
    caller.until("api_call.answered", id).await;
    assert_eq!(caller.outside.lab.quickbooks("Customer").len(), 1);
    assert!(caller.answered(id).await.to_string().contains("customer"));
    assert_eq!(caller.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn of_a_provider_that_knows_none_the_record_says_that_nobody_knows_and_nothing_is_sent_again() {
    let caller = Caller::new("docusign").await;
    caller.outside.lab.fault(Fault::at("docusign", "POST", "/envelopes", What::AnswerLost));
    let body = json!({ "emailSubject": "Hello", "status": "created" });
    let id = caller.ask("post", "envelopes", &body, json!([])).await;
    caller.until("api_call.outcome_unknown", id).await;
    for _ in 0..3 {
        caller.work.round().await.unwrap();
    }
    assert!(caller.outside.lab.envelopes().len() <= 1);
    assert_eq!(caller.happened("api_call.answered", id).await, 0);
}

#[actix_web::test]
async fn a_refusal_is_an_answer_and_a_limit_means_later() {
    let caller = Caller::new("xero").await;
    let status = |status, retry_after| What::Status { status, retry_after, limit: None, code: None };
    caller.outside.lab.fault(Fault::at("xero", "PUT", "/Contacts", status(404, None)));
    let refused = caller.ask("put", "Contacts", &contact(), kept()).await;
    caller.until("api_call.answered", refused).await;
    assert_eq!(caller.answered(refused).await["status"], 404);
    caller.outside.lab.fault(Fault::at("xero", "PUT", "/Contacts", status(429, Some(1))));
    let later = caller.ask("put", "Contacts", &contact(), kept()).await;
    caller.until("api_call.answered", later).await;
    assert_eq!(caller.outside.lab.contacts().len(), 1);
}

#[actix_web::test]
async fn a_call_through_a_grant_that_was_taken_away_is_made_when_somebody_agrees_again() {
    let caller = Caller::new("xero").await;
    caller.outside.lab.revoke("xero");
    let id = caller.ask("put", "Contacts", &contact(), kept()).await;
    caller.work.round().await.unwrap();
    assert_eq!((caller.outside.lab.contacts().len(), caller.happened("api_call.failed", id).await), (0, 0));
    caller.outside.agreed(&caller.app, caller.at, "xero").await;
    caller.until("api_call.answered", id).await;
}
