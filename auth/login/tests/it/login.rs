//! Logging in through a certified provider, as a browser does.

use ::web::session::{CSRF_HEADER, SESSION_COOKIE};
use ::web::{Caller, SessionSettings};
use actix_web::App;
use actix_web::cookie::Cookie;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{LOCATION, ORIGIN};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web;
use harness::{APP, Firm, PUBLIC, Setup, TestApp, eventually};
use kernel::TenantId;
use login::{Provider, ProviderSettings};
use serde_json::{Value, json};
use std::time::Duration;
use testing::oidc_url;
use url::Url;
use uuid::Uuid;

const SESSIONS_MAX: usize = 3;
const ANOTHER_PROVIDER: &str = "https://another.example.com";

fn callback() -> String {
    format!("{PUBLIC}/v1/login/callback")
}

/// An app that people can log in to, and a firm that Ada, who owns it, is invited to.
async fn invited() -> (TestApp, Firm) {
    invited_for(Duration::from_secs(3_600)).await
}

/// The same, with sessions that last so long.
async fn invited_for(absolute: Duration) -> (TestApp, Firm) {
    let (client_id, client_secret) = registered().await;
    let provider = Provider::new(ProviderSettings {
        name: "certified".to_owned(),
        issuer: oidc_url(),
        client_id,
        client_secret: client_secret.into(),
    });
    let setup = Setup::default();
    let sessions = SessionSettings { absolute, per_person_max: SESSIONS_MAX, ..setup.sessions.clone() };
    let providers = vec![oidc_url(), ANOTHER_PROVIDER.to_owned()];
    let app = TestApp::start(Setup { sessions, providers, login: vec![provider.unwrap()], ..setup }).await;
    let firm = Firm::unheard_of();
    app.command(firm, "identity.user.invite", firm.owner, &invitation("ada@example.com")).await;
    let register = json!({ "name": "Engines", "owner_id": firm.owner });
    app.command(firm, "identity.tenant.register", firm.tenant, &register).await;
    (app, firm)
}

fn invitation(email: &str) -> Value {
    json!({ "email": email, "name": "Ada Lovelace", "roles": ["viewer"] })
}

/// A client of the provider that may send browsers to our callback (OpenID Connect Dynamic Client Registration 1.0).
async fn registered() -> (String, String) {
    let body =
        json!({ "redirect_uris": [callback()], "response_types": ["code"], "grant_types": ["authorization_code"] });
    let answer = reqwest::Client::new().post(format!("{}/reg", oidc_url())).json(&body).send().await.unwrap();
    let client: Value = answer.json().await.unwrap();
    (client["client_id"].as_str().unwrap().to_owned(), client["client_secret"].as_str().unwrap().to_owned())
}

/// What a browser does at the provider: follows redirects, fills in who it is, agrees. Answers where it is sent back to.
async fn at_the_provider(start: &str, who: &str) -> Url {
    let browser =
        reqwest::Client::builder().cookie_store(true).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut at = Url::parse(start).unwrap();
    for _ in 0..20 {
        if at.as_str().starts_with(&callback()) {
            return at;
        }
        let mut answer = browser.get(at.clone()).send().await.unwrap();
        if answer.status() == 200 {
            let page = answer.text().await.unwrap();
            let form = if page.contains(r#"value="login""#) {
                vec![("prompt", "login"), ("login", who), ("password", "any")]
            } else {
                vec![("prompt", "consent")]
            };
            answer = browser.post(at.clone()).form(&form).send().await.unwrap();
        }
        let location = answer.headers().get("location").and_then(|location| location.to_str().ok());
        at = at.join(location.unwrap_or_else(|| panic!("no way on from {at}: {}", answer.status()))).unwrap();
    }
    panic!("went round in circles, last at {at}");
}

/// The service as `server` mounts it, with one route that changes something.
macro_rules! service {
    ($app:expr) => {{
        let (verifier, login) = ($app.verifier.clone(), $app.login.clone());
        let change = async |caller: Caller| format!("{:?}", caller.principal);
        init_service(
            App::new()
                .app_data(verifier)
                .configure(|config| login::configure(config, login))
                .route("/change", web::post().to(change)),
        )
        .await
    }};
}

macro_rules! ask {
    ($service:expr, $request:expr) => {
        call_service(&$service, $request.to_request()).await
    };
}

fn set(response: &ServiceResponse<impl actix_web::body::MessageBody>, name: &str) -> Option<Cookie<'static>> {
    response.response().cookies().find(|cookie| cookie.name() == name).map(Cookie::into_owned)
}

/// The cookie that ties a login to this browser.
fn tie(response: &ServiceResponse<impl actix_web::body::MessageBody>) -> Cookie<'static> {
    let mut cookies = response.response().cookies().filter(|cookie| cookie.name().starts_with("__Host-ubos_login_"));
    cookies.find(|cookie| !cookie.value().is_empty()).expect("a cookie").into_owned()
}

/// The page that somebody sees.
macro_rules! page {
    ($response:expr) => {{
        let response = $response;
        let kind = response.headers().get("content-type").unwrap().to_str().unwrap().to_owned();
        assert_eq!(kind, "text/html; charset=utf-8");
        String::from_utf8(read_body(response).await.to_vec()).unwrap()
    }};
}

fn location<B>(response: &ServiceResponse<B>) -> &str {
    response.headers().get(LOCATION).unwrap().to_str().unwrap()
}

/// Begins a login; answers where the browser is sent and the cookie that ties it.
macro_rules! begin {
    ($service:expr, $firm:expr, $redirect_to:expr) => {{
        let path = format!("/v1/login/start?tenant={}&provider=certified&redirect_to={}", $firm.tenant, $redirect_to);
        let response = ask!($service, TestRequest::get().uri(&path));
        assert_eq!(response.status(), 303);
        (location(&response).to_owned(), tie(&response))
    }};
}

/// A whole login; answers the last response.
macro_rules! log_in {
    ($service:expr, $firm:expr, $who:expr) => {{
        let (start, tie) = begin!($service, $firm, "/clients");
        let back = at_the_provider(&start, $who).await;
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        (ask!($service, TestRequest::get().uri(&path).cookie(tie.clone())), path, tie)
    }};
}

#[actix_web::test]
async fn who_is_invited_comes_in_and_stays_until_logging_out() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let (response, _, _) = log_in!(service, firm, "ada@example.com");
    assert_eq!((response.status().as_u16(), location(&response)), (303, "https://app.example.com/clients"));
    let cookie = set(&response, SESSION_COOKIE).unwrap();
    assert!(cookie.http_only() == Some(true) && cookie.secure() == Some(true) && cookie.path() == Some("/"));
    assert_eq!(cookie.same_site(), Some(actix_web::cookie::SameSite::Lax));

    let current = ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie.clone()));
    let current: Value = serde_json::from_slice(&read_body(current).await).unwrap();
    assert_eq!((&current["user_id"], &current["tenant_id"]), (&json!(firm.owner), &json!(firm.tenant)));
    let token = current["csrf_token"].as_str().unwrap();

    // A change needs the page's origin and the session's token.
    let change = || TestRequest::post().uri("/change").cookie(cookie.clone());
    for (refused, request) in [
        ("without either", change()),
        ("without a token", change().insert_header((ORIGIN, APP))),
        ("without an origin", change().insert_header((CSRF_HEADER, token))),
        ("from nowhere", change().insert_header((ORIGIN, "null")).insert_header((CSRF_HEADER, token))),
        ("a twin", change().insert_header((ORIGIN, format!("{APP}.evil.example"))).insert_header((CSRF_HEADER, token))),
        ("an empty token", change().insert_header((ORIGIN, APP)).insert_header((CSRF_HEADER, ""))),
        ("another token", change().insert_header((ORIGIN, APP)).insert_header((CSRF_HEADER, "other"))),
    ] {
        assert_eq!(ask!(service, request).status(), 403, "{refused}");
    }
    let own = || change().insert_header((ORIGIN, APP)).insert_header((CSRF_HEADER, token));
    assert_eq!(ask!(service, own()).status(), 200);
    // A header that is meant is not made good by a cookie.
    assert_eq!(ask!(service, own().insert_header(("authorization", "Bearer none"))).status(), 401);
    // Of two cookies one is not ours.
    let twins = format!("{SESSION_COOKIE}=other; {SESSION_COOKIE}={}", cookie.value());
    assert_eq!(
        ask!(service, TestRequest::get().uri("/v1/login/session").insert_header(("cookie", twins))).status(),
        401
    );

    let out = TestRequest::post().uri("/v1/login/logout").cookie(cookie.clone());
    let out = ask!(service, out.insert_header((ORIGIN, APP)).insert_header((CSRF_HEADER, token)));
    assert_eq!(out.status(), 204);
    assert_eq!(set(&out, SESSION_COOKIE).unwrap().value(), "", "taken from the browser");
    assert_eq!(ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie)).status(), 401);
}

#[actix_web::test]
async fn a_session_is_out_when_it_is_ended_or_its_person_is() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let eve = Uuid::now_v7();
    app.command(firm, "identity.user.invite", eve, &invitation("eve@example.com")).await;
    let cookies = [
        set(&log_in!(service, firm, "eve@example.com").0, SESSION_COOKIE).unwrap(),
        set(&log_in!(service, firm, "eve@example.com").0, SESSION_COOKIE).unwrap(),
    ];
    let mut ids = vec![];
    for cookie in &cookies {
        let current = ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie.clone()));
        let current: Value = serde_json::from_slice(&read_body(current).await).unwrap();
        ids.push(current["id"].as_str().unwrap().parse::<Uuid>().unwrap());
    }
    let status = async |cookie: &Cookie<'static>| {
        ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie.clone())).status().as_u16()
    };
    let until_out = async |cookie: &Cookie<'static>| {
        eventually(async || status(cookie).await == 401).await;
    };
    app.command(firm, "identity.session.end", ids[0], &json!({ "reason": "lost laptop" })).await;
    until_out(&cookies[0]).await;
    assert_eq!(status(&cookies[1]).await, 200, "only that one");
    app.command(firm, "identity.user.suspend", eve, &json!({ "reason": "on leave" })).await;
    until_out(&cookies[1]).await;
    let (response, ..) = log_in!(service, firm, "eve@example.com");
    assert_eq!(response.status(), 403, "and no new one");
}

#[actix_web::test]
async fn s_06_one_session_too_many_ends_the_oldest() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let mut cookies = vec![];
    for _ in 0..=SESSIONS_MAX {
        cookies.push(set(&log_in!(service, firm, "ada@example.com").0, SESSION_COOKIE).unwrap());
    }
    let status = async |cookie: &Cookie<'static>| {
        ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie.clone())).status().as_u16()
    };
    let mut left = vec![];
    for cookie in &cookies {
        left.push(status(cookie).await);
    }
    assert_eq!(left, [401, 200, 200, 200]);
    // Whoever has logged out makes room, so that nobody else has to go.
    let current = ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookies[3].clone()));
    let current: Value = serde_json::from_slice(&read_body(current).await).unwrap();
    let out = TestRequest::post().uri("/v1/login/logout").cookie(cookies[3].clone()).insert_header((ORIGIN, APP));
    let token = current["csrf_token"].as_str().unwrap();
    assert_eq!(ask!(service, out.insert_header((CSRF_HEADER, token))).status(), 204);
    log_in!(service, firm, "ada@example.com");
    assert_eq!((status(&cookies[1]).await, status(&cookies[2]).await), (200, 200));
    // The log says so too, whatever becomes of Redis.
    let ended = "select count(*) from eventstore.events where event_type = 'session.ended' and payload ->> 'reason' = 'too many sessions'";
    let count: i64 = sqlx::query_scalar(ended).fetch_one(&app.database.superuser().await).await.unwrap();
    assert_eq!(count, 1);
}

#[actix_web::test]
async fn a_session_ends_however_much_it_is_used() {
    let (app, firm) = invited_for(Duration::from_secs(1)).await;
    let service = service!(app);
    let (response, ..) = log_in!(service, firm, "ada@example.com");
    let cookie = set(&response, SESSION_COOKIE).unwrap();
    let session = || TestRequest::get().uri("/v1/login/session").cookie(cookie.clone());
    eventually(async || ask!(service, session()).status() == 401).await;
}

#[actix_web::test]
async fn a_firm_that_names_its_providers_lets_nobody_in_through_another() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let limit = async |issuer: &str| {
        app.command(firm, "identity.tenant.limit_logins", firm.tenant, &json!({ "issuers": [issuer] })).await;
    };
    limit(ANOTHER_PROVIDER).await;
    let (response, ..) = log_in!(service, firm, "ada@example.com");
    assert!(response.status() == 403 && set(&response, SESSION_COOKIE).is_none());
    limit(&oidc_url()).await;
    let (response, ..) = log_in!(service, firm, "ada@example.com");
    assert_eq!(response.status(), 303);
}

#[actix_web::test]
async fn whoever_names_no_firm_comes_to_the_one_that_knows_them_or_chooses() {
    let (app, firm) = invited().await;
    let service = service!(app);
    // Nobody but this test knows this address, whose firms are found across all of them.
    let address = format!("{}@example.com", Uuid::now_v7());
    let start = || TestRequest::get().uri("/v1/login/start?provider=certified&redirect_to=/clients");
    let back = async || {
        let response = ask!(service, start());
        let tie = tie(&response);
        let back = at_the_provider(location(&response), &address).await;
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        (ask!(service, TestRequest::get().uri(&path).cookie(tie.clone())), tie)
    };
    assert_eq!(back().await.0.status(), 403, "no firm knows them");

    app.command(firm, "identity.user.invite", Uuid::now_v7(), &invitation(&address)).await;
    app.mailer.round().await.unwrap();
    let (response, _) = back().await;
    assert_eq!((response.status().as_u16(), location(&response)), (303, "https://app.example.com/clients"));
    assert!(set(&response, SESSION_COOKIE).is_some());

    // A second firm, whose name means something in HTML.
    let (other, user) = (Uuid::now_v7(), Uuid::now_v7());
    for (name, id, body) in [
        ("identity.user.invite", user, invitation(&address)),
        ("identity.tenant.register", other, json!({ "name": "<b>Other</b>", "owner_id": user })),
    ] {
        app.command(TenantId(other), name, id, &body).await;
    }
    app.mailer.round().await.unwrap();
    let (response, tie) = back().await;
    assert!(response.status() == 200 && set(&response, SESSION_COOKIE).is_none());
    let page = String::from_utf8(read_body(response).await.to_vec()).unwrap();
    assert!(page.contains("Engines") && page.contains("&lt;b&gt;Other&lt;/b&gt;") && !page.contains("<b>"), "{page}");
    let choice = page.split("name=\"choice\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let choose = |choice: &str, tenant: Uuid| {
        let form = [("choice", choice.to_owned()), ("tenant", tenant.to_string())];
        TestRequest::post().uri("/v1/login/choice").set_form(form)
    };
    assert_eq!(ask!(service, choose("other", other).cookie(tie.clone())).status(), 400);
    let response = ask!(service, choose(&choice, other).cookie(tie.clone()));
    assert_eq!((response.status().as_u16(), location(&response)), (303, "https://app.example.com/clients"));
    let cookie = set(&response, SESSION_COOKIE).unwrap();
    let current = ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie));
    let current: Value = serde_json::from_slice(&read_body(current).await).unwrap();
    assert_eq!(current["tenant_id"], json!(other));
    assert_eq!(ask!(service, choose(&choice, other).cookie(tie)).status(), 400, "once");
    // Not by another browser, and not to a firm that was not asked.
    for (tie, tenant) in [(None, other), (Some(()), Uuid::now_v7())] {
        let (response, own) = back().await;
        let page = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        let choice = page.split("name=\"choice\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let request = choose(&choice, tenant);
        let request = if tie.is_some() { request.cookie(own) } else { request };
        assert_eq!(ask!(service, request).status(), 400);
    }
}

#[actix_web::test]
async fn nobody_else_comes_in_and_nobody_learns_why() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let unverified = Uuid::now_v7();
    app.command(firm, "identity.user.invite", unverified, &invitation("unverified@example.com")).await;
    let revoked = Uuid::now_v7();
    app.command(firm, "identity.user.invite", revoked, &invitation("revoked@example.com")).await;
    app.command(firm, "identity.user.revoke_invitation", revoked, &json!({})).await;
    let mut answers = vec![];
    for who in ["stranger@example.com", "unverified@example.com", "revoked@example.com"] {
        let (response, ..) = log_in!(service, firm, who);
        assert_eq!(response.status(), 403, "{who}");
        assert!(set(&response, SESSION_COOKIE).is_none());
        answers.push(page!(response));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[actix_web::test]
async fn a_login_is_finished_once_by_the_browser_that_began_it() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let (response, path, tie) = log_in!(service, firm, "ada@example.com");
    assert_eq!(response.status(), 303);
    let refused = async |path: &str, tie: Option<&Cookie<'static>>, what: &str| {
        let request = TestRequest::get().uri(path);
        let request = tie.iter().fold(request, |request, tie| request.cookie((**tie).clone()));
        let response = ask!(service, request);
        assert!(set(&response, SESSION_COOKIE).is_none(), "{what}");
        assert_eq!(response.status(), 400, "{what}");
        let page = page!(response);
        assert!(page.contains(&format!("<a href=\"{APP}\">")), "{what} leads back: {page}");
    };
    refused(&path, Some(&tie), "the same once more").await;
    for wrong in ["", "?code=x", "?state=x&code=x", "?state=%00&code=x", "?state=", "?state=a&state=b"] {
        refused(&format!("/v1/login/callback{wrong}"), Some(&tie), wrong).await;
    }
    // Another browser gets the victim's link.
    let (start, _) = begin!(service, firm, "/");
    let back = at_the_provider(&start, "ada@example.com").await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    refused(&path, None, "without the cookie").await;
    let (start, mine) = begin!(service, firm, "/");
    let back = at_the_provider(&start, "ada@example.com").await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    let (_, other) = begin!(service, firm, "/");
    refused(&path, Some(&other), "with another login's cookie").await;
    refused(&path, Some(&mine), "taken back already").await;
    // The provider's code with another login's state: the verifier and the nonce are others.
    let (start, _) = begin!(service, firm, "/");
    let code = at_the_provider(&start, "ada@example.com").await;
    let code = code.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let (start, tie) = begin!(service, firm, "/");
    let state = Url::parse(&start).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    refused(&format!("/v1/login/callback?state={state}&code={code}"), Some(&tie), "another login's code").await;
    // An answer of another provider (RFC 9207), and one that says no.
    for (more, what) in [("code=x&iss=https%3A%2F%2Fevil.example", "another issuer"), ("error=access_denied", "a no")] {
        let (start, tie) = begin!(service, firm, "/");
        let state = Url::parse(&start).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        refused(&format!("/v1/login/callback?state={state}&{more}"), Some(&tie), what).await;
    }
}

#[actix_web::test]
async fn whoever_begins_badly_is_told_what_is_expected() {
    let (app, firm) = invited().await;
    let service = service!(app);
    let tenant = firm.tenant;
    for wrong in [
        "".to_owned(),
        "?provider=certified&tenant=no-id".to_owned(),
        "?provider=certified&tenant=".to_owned(),
        format!("?provider=none&tenant={tenant}"),
        format!("?provider=certified&tenant={tenant}&more=1"),
    ] {
        let response = ask!(service, TestRequest::get().uri(&format!("/v1/login/start{wrong}")));
        let status = response.status().as_u16();
        let problem: Value = serde_json::from_slice(&read_body(response).await).unwrap();
        assert_eq!((status, &problem["code"]), (400, &json!("invalid-parameter")), "{wrong}");
    }
    // Wherever a link wants to send people, they end up in the app.
    let (start, tie) = begin!(service, firm, "https%3A%2F%2Fevil.example");
    let back = at_the_provider(&start, "ada@example.com").await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    let response = ask!(service, TestRequest::get().uri(&path).cookie(tie));
    assert_eq!(location(&response), "https://app.example.com/");
}

#[actix_web::test]
async fn logins_that_begin_in_two_tabs_end_in_either_order() {
    let (app, firm) = invited().await;
    let service = service!(app);
    for order in [[0, 1], [1, 0]] {
        // Begun at the same time, so that neither knows of the other's cookie; the browser has both afterwards.
        let begun = [begin!(service, firm, "/first"), begin!(service, firm, "/second")];
        for tab in order {
            let back = at_the_provider(&begun[tab].0, "ada@example.com").await;
            let request = TestRequest::get().uri(&format!("{}?{}", back.path(), back.query().unwrap()));
            let request = begun.iter().fold(request, |request, (_, tie)| request.cookie(tie.clone()));
            let response = ask!(service, request);
            let expected = ["https://app.example.com/first", "https://app.example.com/second"][tab];
            assert_eq!((response.status().as_u16(), location(&response)), (303, expected), "{order:?}");
            assert!(set(&response, SESSION_COOKIE).is_some());
        }
    }
    // Logins that are begun and never finished do not make a browser's cookies too many.
    let many = (0..20).map(|n| Cookie::new(format!("__Host-ubos_login_{n}"), "x"));
    let start = TestRequest::get().uri("/v1/login/start?provider=certified");
    let response = ask!(service, many.fold(start, |request, cookie| request.cookie(cookie)));
    assert_eq!(response.response().cookies().filter(|cookie| cookie.value().is_empty()).count(), 13);
}

#[actix_web::test]
async fn whoever_says_no_or_comes_late_sees_a_page_that_leads_back() {
    let (app, firm) = invited().await;
    let service = service!(app);
    for (error, told) in [
        ("access_denied", "said no"),
        ("temporarily_unavailable", "at the moment"),
        ("login_required", "did not log you in"),
        ("%3Cscript%3E", "did not log you in"),
    ] {
        let (start, tie) = begin!(service, firm, "/clients");
        let state = Url::parse(&start).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let path = format!("/v1/login/callback?state={state}&error={error}&error_description=x");
        let page = page!(ask!(service, TestRequest::get().uri(&path).cookie(tie)));
        assert!(page.contains(told) && !page.contains("<script"), "{page}");
        let again = format!("/v1/login/start?provider=certified&amp;redirect_to=%2Fclients&amp;tenant={}", firm.tenant);
        assert!(page.contains(&again), "{page}");
    }
    let late = TestRequest::get().uri("/v1/login/callback?state=long-ago&code=x");
    let page = page!(ask!(service, late));
    assert!(page.contains("ten minutes") && page.contains(APP), "{page}");
    // A program that asks for it gets the problem.
    let program =
        TestRequest::get().uri("/v1/login/callback?state=x&code=x").insert_header(("accept", "application/json"));
    let problem: Value = serde_json::from_slice(&read_body(ask!(service, program)).await).unwrap();
    assert_eq!(problem["code"], json!("login-refused"));
}
