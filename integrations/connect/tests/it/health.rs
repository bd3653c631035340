//! How connections are, as a page is told: with one request, and by the caller's rights.

use crate::common::{status, world};
use connections_events::ConnectionStatus;
use event_store::RawEvent;
use harness::{Firm, Outside, TestApp, eventually};
use lab::{Fault as LabFault, What};
use ports::{Book, Fault, Ledger, Place};
use reactions::{Job, Lane, Outcome, Reaction};
use serde_json::{Value, json};
use uuid::Uuid;
use xero::Xero;

const ALL: &str = "/v1/connections/health";

async fn ask(outside: &Outside, at: Place) -> Result<(), Fault> {
    outside.xero.find(at, Book::Sales, "none", "").await.map(drop)
}

fn answers(status: u16, retry_after: Option<u32>) -> What {
    What::Status { status, retry_after, limit: None, code: None }
}

/// What the firm's owner is told of one connection.
async fn told(app: &TestApp, firm: Firm, at: Place) -> Value {
    app.project().await;
    let path = format!("/v1/connections/connections/{}/health", at.connection);
    let (status, told) = app.get(&path, &app.owner(firm)).await.told();
    assert_eq!(status, 200, "{told}");
    told
}

async fn happened(app: &TestApp, event_type: &str, at: Place) -> i64 {
    let id = at.connection;
    app.count(&format!(
        "select count(*) from eventstore.events where event_type = '{event_type}' and aggregate_id = '{id}'"
    ))
    .await
}

/// Asks Xero something because the connection was renamed.
struct Asks(Xero, Place);

impl Reaction for Asks {
    const NAME: &'static str = "test.asks_xero";
    const ON: &'static [&'static str] = &["connection.renamed"];

    fn lanes(&self, _: &RawEvent) -> Vec<Lane> {
        vec![Lane::of("a lane that names no connection")]
    }

    async fn perform(&self, _: &Job) -> Outcome {
        self.0.find(self.1, Book::Sales, "none", "").await.map_or_else(Outcome::from, |_| Outcome::Done)
    }
}

#[actix_web::test]
async fn a_page_is_told_of_all_connections_with_one_request() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let prepared = Uuid::now_v7();
    let create = json!({ "provider": "docusign", "name": "Contracts" });
    app.command(firm, "connections.connection.create", prepared, &create).await;
    let providers = outside.providers(&app, vec![], |engine| engine);
    providers.round().await.unwrap();
    ask(&outside, at).await.unwrap();
    app.project().await;
    let (status, all) = app.get(ALL, &app.owner(firm)).await.told();
    assert_eq!((status, &all["withheld"]), (200, &json!([])), "{all}");
    let [xero, docusign] = all["connections"].as_array().unwrap().as_slice() else { panic!("{all}") };
    assert_eq!((&xero["id"], &xero["state"]), (&json!(at.connection), &json!("connected")));
    for moment in ["state_since", "authorised_at", "last_success_at", "access_until", "refreshed_at"] {
        assert!(xero[moment].is_string(), "{moment}: {xero}");
    }
    assert_eq!(
        (&xero["error"], &xero["authorise_path"], &xero["lag_seconds"]),
        (&json!(null), &json!(null), &json!(0))
    );
    let sync = &xero["syncs"][0];
    assert_eq!((&sync["name"], &sync["failures"]), (&json!("changes"), &json!(0)), "{xero}");
    assert!(sync["cursor_age_seconds"].as_i64().is_some_and(|age| age < 600), "{xero}");
    assert_eq!(xero["budgets"][0]["name"], "minute", "{xero}");
    let nothing = json!({ "jobs": 0, "parked": 0, "oldest_at": null, "runs": 0, "invoices": [], "bills": [] });
    assert_eq!(xero["waiting"], nothing);
    assert_eq!((&docusign["id"], &docusign["state"]), (&json!(prepared), &json!("pending")));
    assert_eq!(docusign["authorise_path"], format!("/v1/connect/start?connection={prepared}"));
    // One by its id is told the same.
    let one = told(&app, firm, at).await;
    assert_eq!(
        (&one["id"], &one["syncs"][0]["cursor_at"], &one["withheld"]),
        (&xero["id"], &sync["cursor_at"], &json!([]))
    );
}

#[actix_web::test]
async fn only_whoever_may_read_connections_is_told_and_of_what_waits_no_more_than_they_may_read() {
    let (app, firm, outside) = world().await;
    let patterns =
        json!({ "name": "looks_after", "description": "Looks after connections.", "patterns": ["connections.*"] });
    app.command(firm, "identity.role.define", Uuid::now_v7(), &patterns).await;
    let (technician, guest) = (Uuid::now_v7(), Uuid::now_v7());
    app.join(firm, technician, &["looks_after"]).await;
    app.join(firm, guest, &[]).await;
    let at = outside.connected(&app, firm, "xero").await;
    app.project().await;
    let path = format!("/v1/connections/connections/{}/health", at.connection);
    eventually(async || app.get(&path, &app.token(firm, technician)).await.told().0 == 200).await;
    let (_, some) = app.get(&path, &app.token(firm, technician)).await.told();
    assert_eq!(some["withheld"], json!(["runs", "invoices", "bills"]), "{some}");
    assert_eq!(some["waiting"], json!({ "jobs": 0, "parked": 0, "oldest_at": null }));
    for path in [ALL, path.as_str()] {
        let (status, body) = app.get(path, &app.token(firm, guest)).await.told();
        assert_eq!((status, body["code"].as_str()), (403, Some("forbidden")), "{body}");
        let (status, body) = app.get(&format!("{path}?verbose=1"), &app.owner(firm)).await.told();
        assert_eq!((status, body["code"].as_str()), (400, Some("invalid-parameter")), "{body}");
    }
    let rivals = app.register("Rivals").await;
    for nobodys in [path, "/v1/connections/connections/nonsense/health".to_owned()] {
        let (status, body) = app.get(&nobodys, &app.owner(rivals)).await.told();
        assert_eq!((status, body["code"].as_str()), (404, Some("not-found")), "{body}");
    }
    let (_, none) = app.get(ALL, &app.owner(rivals)).await.told();
    assert_eq!(none["connections"], json!([]));
}

#[actix_web::test]
async fn a_token_that_still_works_clears_no_trouble_of_a_grant_that_cannot_be_replaced() {
    let (app, firm, outside) = world().await;
    // It ends so soon that it is to be replaced at every use, and is good until then.
    outside.lab.tokens_last(60);
    let at = outside.connected(&app, firm, "xero").await;
    outside.lab.tokens_last(1_800);
    let providers = outside.providers(&app, vec![], |engine| engine);
    outside.lab.fault(LabFault::at("xero", "POST", "/token", answers(503, None)).times(1_000));
    for _ in 0..4 {
        ask(&outside, at).await.unwrap();
    }
    providers.round().await.unwrap();
    ask(&outside, at).await.unwrap();
    providers.round().await.unwrap();
    assert_eq!(status(&app, at).await, ConnectionStatus::Degraded);
    let told_of = told(&app, firm, at).await;
    assert!(told_of["refresh_failures"].as_i64().is_some_and(|failures| failures >= 4), "{told_of}");
    assert_eq!(
        (&told_of["error"]["class"], &told_of["error"]["needs_somebody"]),
        (&json!("unreachable"), &json!(false))
    );
    outside.lab.mend();
    ask(&outside, at).await.unwrap();
    providers.round().await.unwrap();
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
    let told_of = told(&app, firm, at).await;
    assert_eq!((&told_of["refresh_failures"], &told_of["error"]), (&json!(0), &json!(null)));
    assert_eq!(
        (happened(&app, "connection.degraded", at).await, happened(&app, "connection.recovered", at).await),
        (1, 1)
    );
}

#[actix_web::test]
async fn whoever_agrees_again_is_told_that_it_works_again_and_what_waited_is_told_until_then() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let xero = outside.xero.clone();
    let providers = outside.providers(&app, vec![], |engine| engine.with(Asks(xero, at)));
    providers.round().await.unwrap();
    outside.lab.revoke("xero");
    for name in ["a", "b"] {
        app.command(firm, "connections.connection.rename", at.connection.0, &json!({ "name": name })).await;
    }
    for _ in 0..2 {
        providers.round().await.unwrap();
    }
    let broken = told(&app, firm, at).await;
    assert_eq!(
        (&broken["state"], &broken["error"]["class"]),
        (&json!("auth_error"), &json!("grant_refused")),
        "{broken}"
    );
    assert_eq!((&broken["waiting"]["jobs"], &broken["waiting"]["parked"]), (&json!(2), &json!(0)));
    assert!(broken["waiting"]["oldest_at"].is_string() && broken["next_attempt_at"].is_string(), "{broken}");
    assert!(broken["authorise_path"].as_str().is_some_and(|path| path.ends_with(&at.connection.to_string())));
    outside.agreed(&app, at, "xero").await;
    assert_eq!(happened(&app, "connection.recovered", at).await, 1);
    eventually(async || {
        providers.round().await.unwrap();
        told(&app, firm, at).await["waiting"]["jobs"] == 0
    })
    .await;
    let mended = told(&app, firm, at).await;
    assert_eq!((&mended["state"], &mended["error"]), (&json!("connected"), &json!(null)), "{mended}");
}

#[actix_web::test]
async fn what_a_provider_puts_off_waits_for_its_connection_too() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let xero = outside.xero.clone();
    let providers = outside.providers(&app, vec![], |engine| engine.with(Asks(xero, at)));
    providers.round().await.unwrap();
    outside.lab.fault(LabFault::at("xero", "GET", "/Invoices", answers(429, Some(3_600))));
    app.command(firm, "connections.connection.rename", at.connection.0, &json!({ "name": "a" })).await;
    providers.round().await.unwrap();
    let put_off = told(&app, firm, at).await;
    assert_eq!((&put_off["state"], &put_off["waiting"]["jobs"]), (&json!("connected"), &json!(1)), "{put_off}");
}

#[actix_web::test]
async fn everything_is_looked_at_again_from_the_day_on_that_somebody_names() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let providers = outside.providers(&app, vec![], |engine| engine);
    providers.round().await.unwrap();
    let swept = |sql: &str| format!("select count(*) from connect.links where sweep_from {sql}");
    assert_eq!(app.count(&swept("> now() - interval '1 hour'")).await, 1);
    let path = format!("/v1/connections/connections/{}/resync", at.connection);
    let answer = app.post(&path, &app.owner(firm), &json!({ "since": "2026-01-01" })).await;
    assert_eq!(answer.told().0, 200);
    providers.round().await.unwrap();
    assert_eq!(app.count(&swept("= '2026-01-01T00:00:00Z' and swept_at is null")).await, 1);
    let before = outside.lab.said().len();
    providers.round().await.unwrap();
    assert!(outside.lab.said().len() > before, "the provider was asked again");
    assert_eq!(app.count(&swept("> now() - interval '1 hour'")).await, 1);
}
