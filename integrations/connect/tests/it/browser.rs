//! Somebody of the firm connects it with a provider, as a browser does.

use crate::common::{status, world};
use actix_web::App;
use actix_web::http::header::LOCATION;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use connections_events::ConnectionStatus;
use harness::{Firm, Session, TestApp};
use kernel::ConnectionId;
use ports::Place;
use serde_json::json;
use std::collections::HashMap;
use url::Url;
use uuid::Uuid;

/// The service as `server` mounts it.
macro_rules! service {
    ($app:expr, $outside:expr) => {{
        let (verifier, sessions, desk) =
            ($app.verifier.clone(), Data::new($app.sessions.clone()), $outside.desk(&$app));
        init_service(
            App::new().app_data(verifier).app_data(sessions).configure(|config| connect::configure(config, desk)),
        )
        .await
    }};
}

/// What a browser with this session is answered: status, where to, and the page.
macro_rules! get {
    ($service:expr, $session:expr, $path:expr) => {{
        let session: Option<&Session> = $session;
        let mut request = TestRequest::get().uri(&$path).insert_header(("accept", "text/html"));
        if let Some(session) = session {
            request = request.insert_header(("cookie", session.cookie.as_str()));
        }
        let response = call_service(&$service, request.to_request()).await;
        let location = response.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        (status, location, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }};
}

async fn created(app: &TestApp, firm: Firm) -> Place {
    created_at(app, firm, "xero").await
}

async fn created_at(app: &TestApp, firm: Firm, provider: &str) -> Place {
    let connection = Uuid::now_v7();
    let create = json!({ "provider": provider, "name": "Our books" });
    app.command(firm, "connections.connection.create", connection, &create).await;
    Place { tenant: firm.into(), connection: ConnectionId(connection) }
}

fn start(at: Place) -> String {
    format!("/v1/connect/start?connection={}&redirect_to=/settings", at.connection)
}

/// Somebody presses a button on the provider's page; answers the path that the browser is sent back to.
async fn at_the_provider(page: &str, answer: &str) -> String {
    let page = Url::parse(page).unwrap();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let shown = http.get(page.clone()).send().await.unwrap();
    assert_eq!(shown.status(), 200, "the provider's page");
    let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!(asked["code_challenge_method"], "S256");
    let form = [
        ("redirect_uri", asked["redirect_uri"].as_str()),
        ("state", &asked["state"]),
        ("code_challenge", &asked["code_challenge"]),
        ("answer", answer),
    ];
    let sent = http.post(page.join("consent").unwrap()).form(&form).send().await.unwrap();
    let back = Url::parse(sent.headers()["location"].to_str().unwrap()).unwrap();
    format!("{}?{}", back.path(), back.query().unwrap())
}

#[actix_web::test]
async fn somebody_of_the_firm_agrees_at_the_provider_and_the_connection_works() {
    let (app, firm, outside) = world().await;
    let (at, service) = (created(&app, firm).await, service!(app, outside));
    let session = app.session(firm, firm.owner).await;
    let (code, location, _) = get!(service, Some(&session), start(at));
    assert_eq!(code, 303);
    assert_eq!(status(&app, at).await, ConnectionStatus::Pending);
    let back = at_the_provider(&location.unwrap(), "allow").await;
    let (code, location, page) = get!(service, Some(&session), back);
    assert_eq!((code, location.as_deref()), (303, Some("https://app.example.com/settings")), "{page}");
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
    let access = outside.links.access(at, None).await.unwrap();
    assert_eq!((access.account_id.as_str(), access.generation), (lab::XERO_TENANT, 1));
    // Nothing that is kept is what was given.
    let secrets: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as("select access_sealed, refresh_sealed from connect.links")
        .fetch_all(&outside.worker)
        .await
        .unwrap();
    let token = secrecy::ExposeSecret::expose_secret(&access.token).as_bytes();
    assert!(
        secrets
            .iter()
            .all(|(access, refresh)| [access, refresh].iter().all(|s| !s.windows(token.len()).any(|w| w == token)))
    );
    // A code is worth something once.
    let (code, _, page) = get!(service, Some(&session), back);
    assert_eq!(code, 400, "{page}");
    assert!(page.contains("finished already"), "{page}");
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
}

#[actix_web::test]
async fn only_the_session_that_went_comes_back() {
    let (app, firm, outside) = world().await;
    let (at, service) = (created(&app, firm).await, service!(app, outside));
    let session = app.session(firm, firm.owner).await;
    let (_, location, _) = get!(service, Some(&session), start(at));
    let back = at_the_provider(&location.unwrap(), "allow").await;
    let other = app.session(firm, firm.owner).await;
    let (code, _, page) = get!(service, Some(&other), back);
    assert_eq!(code, 400, "{page}");
    let (code, _, page) = get!(service, None, back);
    assert_eq!(code, 401, "{page}");
    assert_eq!(status(&app, at).await, ConnectionStatus::Pending);
    assert!(outside.links.access(at, None).await.is_err());
}

#[actix_web::test]
async fn who_says_no_at_the_provider_reads_so_and_can_try_again() {
    let (app, firm, outside) = world().await;
    let (at, service) = (created(&app, firm).await, service!(app, outside));
    let session = app.session(firm, firm.owner).await;
    let (_, location, _) = get!(service, Some(&session), start(at));
    let back = at_the_provider(&location.unwrap(), "deny").await;
    let (code, _, page) = get!(service, Some(&session), back);
    assert_eq!(code, 400);
    assert!(page.contains("said no") && page.contains("Try again"), "{page}");
    assert_eq!(status(&app, at).await, ConnectionStatus::Pending);
}

#[actix_web::test]
async fn who_may_not_connect_is_not_sent_to_the_provider() {
    let (app, firm, outside) = world().await;
    let (at, service) = (created(&app, firm).await, service!(app, outside));
    let member = Uuid::now_v7();
    app.join(firm, member, &["member"]).await;
    let session = app.session(firm, member).await;
    let (code, location, page) = get!(service, Some(&session), start(at));
    assert_eq!((code, location), (403, None), "{page}");
    let (code, ..) = get!(service, None, start(at));
    assert_eq!(code, 401);
    let owner = app.session(firm, firm.owner).await;
    let nowhere = Place { connection: ConnectionId(Uuid::now_v7()), ..at };
    let (code, ..) = get!(service, Some(&owner), start(nowhere));
    assert_eq!(code, 404);
    let (code, ..) = get!(service, Some(&owner), "/v1/connect/start?connection=none");
    assert_eq!(code, 400);
    // Another firm's connection is none of theirs.
    let others = app.register("Rivals").await;
    let session = app.session(others, others.owner).await;
    let (code, ..) = get!(service, Some(&session), start(at));
    assert_eq!(code, 404);
}

#[actix_web::test]
async fn who_agrees_again_keeps_the_connection_and_a_second_one_for_the_account_is_refused() {
    let (app, firm, outside) = world().await;
    let (at, service) = (outside.connected(&app, firm, "xero").await, service!(app, outside));
    let session = app.session(firm, firm.owner).await;
    let (_, location, _) = get!(service, Some(&session), start(at));
    let back = at_the_provider(&location.unwrap(), "allow").await;
    let (code, _, page) = get!(service, Some(&session), back);
    assert_eq!(code, 303, "{page}");
    assert_eq!(outside.links.access(at, None).await.unwrap().generation, 2);

    let second = created(&app, firm).await;
    let (_, location, _) = get!(service, Some(&session), start(second));
    let back = at_the_provider(&location.unwrap(), "allow").await;
    let (code, _, page) = get!(service, Some(&session), back);
    assert_eq!(code, 409, "{page}");
    assert!(page.contains("Another connection of the firm"), "{page}");
    assert!(outside.links.access(second, None).await.is_err(), "nothing of it is kept");
    assert_eq!(status(&app, second).await, ConnectionStatus::Pending);
}

#[actix_web::test]
async fn quickbooks_names_the_company_in_the_address_and_the_grant_has_to_reach_it() {
    let (app, firm, outside) = world().await;
    let (at, service) = (created_at(&app, firm, "quickbooks").await, service!(app, outside));
    let session = app.session(firm, firm.owner).await;
    let (_, location, _) = get!(service, Some(&session), start(at));
    let back = at_the_provider(&location.unwrap(), "allow").await;
    assert!(back.contains(lab::QUICKBOOKS_REALM), "{back}");
    for other in ["4711", "../xero", ""] {
        let (_, location, _) = get!(service, Some(&session), start(at));
        let back = at_the_provider(&location.unwrap(), "allow").await;
        let (code, _, page) = get!(service, Some(&session), back.replace(lab::QUICKBOOKS_REALM, other));
        assert_eq!(code, 400, "{other}: {page}");
        assert_eq!(status(&app, at).await, ConnectionStatus::Pending);
    }
    let (code, _, page) = get!(service, Some(&session), back);
    assert_eq!(code, 303, "{page}");
    let access = outside.links.access(at, None).await.unwrap();
    assert_eq!(access.account_id, lab::QUICKBOOKS_REALM);
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
}
