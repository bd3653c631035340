//! Grants are refreshed by one, and end; what waited for them goes on.

use crate::common::{status, world};
use connections_events::ConnectionStatus;
use event_store::RawEvent;
use harness::{Outside, TestApp, eventually};
use kernel::ConnectionId;
use lab::{Fault as LabFault, What};
use ports::{Book, Fault, Ledger, Place};
use providers::{Budget, Rules};
use reactions::{Job, Lane, Outcome, Reaction};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;
use xero::Xero;

async fn ask(outside: &Outside, at: Place) -> Result<(), Fault> {
    outside.xero.find(at, Book::Sales, "none", "").await.map(drop)
}

#[actix_web::test]
async fn two_processes_refresh_a_grant_once() {
    let (app, firm, outside) = world().await;
    outside.lab.tokens_last(5);
    let at = outside.connected(&app, firm, "xero").await;
    outside.lab.tokens_last(1_800);
    let other = Outside::beside(&app, outside.lab.clone()).await;
    let asked = (0..10).map(|n| if n % 2 == 0 { outside.links.access(at, None) } else { other.links.access(at, None) });
    for access in futures::future::join_all(asked).await {
        assert_eq!(access.unwrap().generation, 2);
    }
    assert_eq!(outside.lab.refreshes("xero"), 1);
}

#[actix_web::test]
async fn a_token_that_the_provider_takes_no_more_is_replaced_and_the_call_made_again() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let status_of = |status| What::Status { status, retry_after: None, limit: None, code: None };
    outside.lab.fault(LabFault::at("xero", "GET", "/Invoices", status_of(401)));
    ask(&outside, at).await.unwrap();
    assert_eq!(outside.lab.refreshes("xero"), 1);
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
}

#[actix_web::test]
async fn a_revoked_grant_is_on_the_record_until_somebody_agrees_again() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let providers = outside.providers(&app, vec![], |engine| engine);
    providers.round().await.unwrap();
    outside.lab.revoke("xero");
    assert_eq!(ask(&outside, at).await, Err(Fault::Blocked(at.connection)));
    providers.round().await.unwrap();
    assert_eq!(status(&app, at).await, ConnectionStatus::AuthError);
    // Nothing is sent any more.
    let said = outside.lab.said().len();
    assert_eq!(ask(&outside, at).await, Err(Fault::Blocked(at.connection)));
    assert_eq!(outside.lab.said().len(), said);
    outside.agreed(&app, at, "xero").await;
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
    ask(&outside, at).await.unwrap();
}

#[actix_web::test]
async fn a_paused_connection_sends_nothing_and_one_that_was_given_up_has_no_secrets() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let providers = outside.providers(&app, vec![], |engine| engine);
    let nothing = json!({});
    app.command(firm, "connections.connection.pause", at.connection.0, &nothing).await;
    providers.round().await.unwrap();
    assert_eq!(ask(&outside, at).await, Err(Fault::Blocked(at.connection)));
    app.command(firm, "connections.connection.resume", at.connection.0, &nothing).await;
    providers.round().await.unwrap();
    ask(&outside, at).await.unwrap();
    app.command(firm, "connections.connection.disconnect", at.connection.0, &nothing).await;
    providers.round().await.unwrap();
    assert_eq!(ask(&outside, at).await, Err(Fault::Blocked(at.connection)));
    let kept: i64 = sqlx::query_scalar("select count(*) from connect.links").fetch_one(&outside.worker).await.unwrap();
    assert_eq!(kept, 0);
    assert!(outside.lab.said().iter().all(|said| said.status != 500));
    // With its id, later.
    outside.agreed(&app, at, "xero").await;
    providers.round().await.unwrap();
    ask(&outside, at).await.unwrap();
}

#[actix_web::test]
async fn a_provider_that_is_away_makes_a_degraded_connection_that_recovers_by_itself() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let providers = outside.providers(&app, vec![], |engine| engine);
    let away = What::Status { status: 503, retry_after: Some(7), limit: None, code: None };
    outside.lab.fault(LabFault::at("xero", "GET", "/Invoices", away).times(3));
    for _ in 0..3 {
        let asked = ask(&outside, at).await;
        assert!(matches!(asked, Err(Fault::Later(Some(after), _)) if after == Duration::from_secs(7)), "{asked:?}");
    }
    app.project().await;
    outside.lab.mend();
    let noted: i64 = sqlx::query_scalar("select count(*) from connect.links where health = 'degraded'")
        .fetch_one(&outside.worker)
        .await
        .unwrap();
    assert_eq!(noted, 1);
    ask(&outside, at).await.unwrap();
    providers.round().await.unwrap();
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
}

#[actix_web::test]
async fn a_budget_is_one_for_all_processes_and_says_when_there_is_more() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let rules =
        || Rules { budgets: vec![Budget { name: "minute", span: Duration::from_secs(60), most: 3 }], at_once: 9 };
    let [one, other] =
        [(); 2].map(|()| Xero::with_rules(outside.links.clone(), rules(), Duration::from_secs(900)).unwrap());
    let asked = (0..6)
        .map(|n| if n % 2 == 0 { one.find(at, Book::Sales, "n", "") } else { other.find(at, Book::Sales, "n", "") });
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    let later = |answer: &&Result<_, Fault>| matches!(answer, Err(Fault::Later(Some(wait), _)) if *wait <= Duration::from_secs(60));
    assert_eq!(answers.iter().filter(later).count(), 3);
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
}

/// Asks Xero something because a client was renamed, and waits if it cannot.
struct Asks(Xero, Place);

impl Reaction for Asks {
    const NAME: &'static str = "test.asks";
    const ON: &'static [&'static str] = &["connection.renamed"];

    fn lanes(&self, _: &RawEvent) -> Vec<Lane> {
        vec![Lane::of(self.1.connection)]
    }

    async fn perform(&self, _: &Job) -> Outcome {
        self.0.find(self.1, Book::Sales, "none", "").await.map_or_else(Outcome::from, |_| Outcome::Done)
    }
}

async fn jobs(app: &TestApp, state: &str) -> i64 {
    app.count(&format!("select count(*) from reactions.jobs where reaction = 'test.asks' and state = '{state}'")).await
}

#[actix_web::test]
async fn what_waits_for_a_grant_costs_no_attempts_and_goes_on_when_somebody_agrees_again() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let xero = outside.xero.clone();
    let providers = outside.providers(&app, vec![], |engine| engine.with(Asks(xero, at)));
    providers.round().await.unwrap();
    outside.lab.revoke("xero");
    for name in ["a", "b", "c"] {
        app.command(firm, "connections.connection.rename", at.connection.0, &json!({ "name": name })).await;
    }
    providers.round().await.unwrap();
    let attempts =
        app.count("select coalesce(max(attempts), 0)::bigint from reactions.jobs where reaction = 'test.asks'").await;
    assert_eq!((attempts, jobs(&app, "due").await), (0, 3));
    outside.agreed(&app, at, "xero").await;
    eventually(async || {
        providers.round().await.unwrap();
        jobs(&app, "done").await == 3
    })
    .await;
}

#[actix_web::test]
async fn another_firm_does_not_use_a_connection() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, "xero").await;
    let others = app.register("Rivals").await;
    let theirs = Place { tenant: others.into(), ..at };
    assert_eq!(ask(&outside, theirs).await, Err(Fault::Blocked(at.connection)));
    let other = Place { connection: ConnectionId(Uuid::now_v7()), ..at };
    assert!(outside.links.access(other, None).await.is_err());
}
