//! Logging in through a certified provider, as a browser does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ::web::session::{CSRF_HEADER, SESSION_COOKIE};
use ::web::{Caller, SessionSettings, Sessions, Verifier, VerifierSettings};
use access::LogDirectory;
use actix_web::App;
use actix_web::cookie::Cookie;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{LOCATION, ORIGIN};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Data};
use event_store::{CommandBus, Request, Store, StoreOptions};
use kernel::{Actor, TenantId};
use login::{Addresses, Login, Provider, ProviderSettings};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testing::{Issuer, TestDatabase, key_set, oidc_url, redis_url};
use url::Url;
use uuid::Uuid;

const APP: &str = "https://app.example.com";
const SESSIONS_MAX: usize = 3;
const CALLBACK: &str = "http://127.0.0.1:9/v1/login/callback";

/// A firm that Ada is invited to, and a service that she can log in to.
struct World {
    bus: CommandBus,
    tenant: Uuid,
    ada: Uuid,
    verifier: Data<Verifier>,
    login: Data<Login>,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        Self::with_sessions_of(Duration::from_secs(3_600)).await
    }

    async fn with_sessions_of(absolute: Duration) -> Self {
        let database = TestDatabase::create().await;
        let mut bus = CommandBus::new(Store::start(database.command().await, StoreOptions::default()));
        registry::mount_all(&mut bus);
        let keys = key_set(&[Issuer::new("k").jwk()]);
        let settings = VerifierSettings {
            jwks: keys.display().to_string(),
            refresh: Duration::from_secs(300),
            issuer: "https://id.example".into(),
            audience: "ubos".into(),
            leeway_seconds: 5,
        };
        let directory = Arc::new(LogDirectory::start(database.query().await));
        let settings_of_sessions = SessionSettings {
            idle: Duration::from_secs(600),
            absolute,
            portal_idle: Duration::from_secs(600),
            portal_absolute: absolute,
            per_person_max: SESSIONS_MAX,
            origins: vec![APP.to_owned()],
        };
        let sessions = Sessions::connect(&redis_url(), settings_of_sessions).await.unwrap();
        let (client_id, client_secret) = registered().await;
        let provider = Provider::new(ProviderSettings {
            name: "certified".to_owned(),
            issuer: oidc_url(),
            client_id,
            client_secret: client_secret.into(),
        });
        let here = CALLBACK.strip_suffix("/v1/login/callback").unwrap().to_owned();
        let addresses = Addresses { public_url: here, app_url: APP.to_owned(), portal_url: APP.to_owned() };
        let pool = database.command().await;
        let login = Login::new(bus.clone(), pool, sessions, vec![provider.unwrap()], addresses);
        let world = Self {
            bus,
            tenant: Uuid::now_v7(),
            ada: Uuid::now_v7(),
            verifier: Data::new(Verifier::start(settings, directory).await.unwrap()),
            login: Data::new(login),
            database,
        };
        world.command("identity.user.invite", world.ada, &invitation("ada@example.com")).await;
        let register = json!({ "name": "Engines", "owner_id": world.ada });
        world.command("identity.tenant.register", world.tenant, &register).await;
        world
    }

    /// Done by the system.
    async fn command(&self, name: &str, id: Uuid, body: &Value) {
        let info = *self.bus.command(name).unwrap();
        let request = Request::new(TenantId(self.tenant), Actor::System { name: "test".to_owned() });
        self.bus.execute(&info, Some(id), body.to_string(), request).await.unwrap();
    }
}

fn invitation(email: &str) -> Value {
    json!({ "email": email, "name": "Ada Lovelace", "roles": ["viewer"] })
}

/// A client of the provider that may send browsers to our callback (OpenID Connect Dynamic Client Registration 1.0).
async fn registered() -> (String, String) {
    let body =
        json!({ "redirect_uris": [CALLBACK], "response_types": ["code"], "grant_types": ["authorization_code"] });
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
        if at.as_str().starts_with(CALLBACK) {
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
    ($world:expr) => {{
        let (verifier, login) = ($world.verifier.clone(), $world.login.clone());
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
    ($service:expr, $world:expr, $redirect_to:expr) => {{
        let path = format!("/v1/login/start?tenant={}&provider=certified&redirect_to={}", $world.tenant, $redirect_to);
        let response = ask!($service, TestRequest::get().uri(&path));
        assert_eq!(response.status(), 303);
        (location(&response).to_owned(), tie(&response))
    }};
}

/// A whole login; answers the last response.
macro_rules! log_in {
    ($service:expr, $world:expr, $who:expr) => {{
        let (start, tie) = begin!($service, $world, "/clients");
        let back = at_the_provider(&start, $who).await;
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        (ask!($service, TestRequest::get().uri(&path).cookie(tie.clone())), path, tie)
    }};
}

#[actix_web::test]
async fn who_is_invited_comes_in_and_stays_until_logging_out() {
    let world = World::new().await;
    let service = service!(world);
    let (response, _, _) = log_in!(service, world, "ada@example.com");
    assert_eq!((response.status().as_u16(), location(&response)), (303, "https://app.example.com/clients"));
    let cookie = set(&response, SESSION_COOKIE).unwrap();
    assert!(cookie.http_only() == Some(true) && cookie.secure() == Some(true) && cookie.path() == Some("/"));
    assert_eq!(cookie.same_site(), Some(actix_web::cookie::SameSite::Lax));

    let current = ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie.clone()));
    let current: Value = serde_json::from_slice(&read_body(current).await).unwrap();
    assert_eq!((&current["user_id"], &current["tenant_id"]), (&json!(world.ada), &json!(world.tenant)));
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
    let world = World::new().await;
    let service = service!(world);
    let eve = Uuid::now_v7();
    world.command("identity.user.invite", eve, &invitation("eve@example.com")).await;
    let cookies = [
        set(&log_in!(service, world, "eve@example.com").0, SESSION_COOKIE).unwrap(),
        set(&log_in!(service, world, "eve@example.com").0, SESSION_COOKIE).unwrap(),
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
        let begun = std::time::Instant::now();
        while status(cookie).await != 401 {
            assert!(begun.elapsed() < Duration::from_secs(10), "still in");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    world.command("identity.session.end", ids[0], &json!({ "reason": "lost laptop" })).await;
    until_out(&cookies[0]).await;
    assert_eq!(status(&cookies[1]).await, 200, "only that one");
    world.command("identity.user.suspend", eve, &json!({ "reason": "on leave" })).await;
    until_out(&cookies[1]).await;
    let (response, ..) = log_in!(service, world, "eve@example.com");
    assert_eq!(response.status(), 403, "and no new one");
}

#[actix_web::test]
async fn s_06_one_session_too_many_ends_the_oldest() {
    let world = World::new().await;
    let service = service!(world);
    let mut cookies = vec![];
    for _ in 0..=SESSIONS_MAX {
        cookies.push(set(&log_in!(service, world, "ada@example.com").0, SESSION_COOKIE).unwrap());
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
    log_in!(service, world, "ada@example.com");
    assert_eq!((status(&cookies[1]).await, status(&cookies[2]).await), (200, 200));
    // The log says so too, whatever becomes of Redis.
    let ended = "select count(*) from eventstore.events where event_type = 'session.ended' and payload ->> 'reason' = 'too many sessions'";
    let count: i64 = sqlx::query_scalar(ended).fetch_one(&world.database.superuser().await).await.unwrap();
    assert_eq!(count, 1);
}

#[actix_web::test]
async fn a_session_ends_however_much_it_is_used() {
    let world = World::with_sessions_of(Duration::from_secs(1)).await;
    let service = service!(world);
    let (response, ..) = log_in!(service, world, "ada@example.com");
    let cookie = set(&response, SESSION_COOKIE).unwrap();
    let begun = std::time::Instant::now();
    while ask!(service, TestRequest::get().uri("/v1/login/session").cookie(cookie.clone())).status() != 401 {
        assert!(begun.elapsed() < Duration::from_secs(10), "still in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_firm_that_names_its_providers_lets_nobody_in_through_another() {
    let world = World::new().await;
    let service = service!(world);
    let limit = async |issuer: &str| {
        world.command("identity.tenant.limit_logins", world.tenant, &json!({ "issuers": [issuer] })).await;
    };
    limit("https://another.example.com").await;
    let (response, ..) = log_in!(service, world, "ada@example.com");
    assert!(response.status() == 403 && set(&response, SESSION_COOKIE).is_none());
    limit(&oidc_url()).await;
    let (response, ..) = log_in!(service, world, "ada@example.com");
    assert_eq!(response.status(), 303);
}

#[actix_web::test]
async fn whoever_names_no_firm_comes_to_the_one_that_knows_them_or_chooses() {
    let world = World::new().await;
    let service = service!(world);
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
    let links = email::Links {
        public_url: APP.to_owned(),
        provider: None,
        app_url: APP.to_owned(),
        portal_url: APP.to_owned(),
    };
    let worker = world.database.worker().await;
    let (log, store) = (event_store::Log::new(worker), world.bus.store().clone());
    let mailer = email::Mailer::new(log, store, "smtp://127.0.0.1:9", "no-reply@ubos.example", links).unwrap();
    assert_eq!(back().await.0.status(), 403, "no firm knows them");

    world.command("identity.user.invite", Uuid::now_v7(), &invitation(&address)).await;
    mailer.round().await.unwrap();
    let (response, _) = back().await;
    assert_eq!((response.status().as_u16(), location(&response)), (303, "https://app.example.com/clients"));
    assert!(set(&response, SESSION_COOKIE).is_some());

    // A second firm, whose name means something in HTML.
    let (other, user) = (Uuid::now_v7(), Uuid::now_v7());
    for (name, id, body) in [
        ("identity.user.invite", user, invitation(&address)),
        ("identity.tenant.register", other, json!({ "name": "<b>Other</b>", "owner_id": user })),
    ] {
        let info = *world.bus.command(name).unwrap();
        let request = Request::new(TenantId(other), Actor::System { name: "test".to_owned() });
        world.bus.execute(&info, Some(id), body.to_string(), request).await.unwrap();
    }
    mailer.round().await.unwrap();
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
    let world = World::new().await;
    let service = service!(world);
    let unverified = Uuid::now_v7();
    world.command("identity.user.invite", unverified, &invitation("unverified@example.com")).await;
    let revoked = Uuid::now_v7();
    world.command("identity.user.invite", revoked, &invitation("revoked@example.com")).await;
    world.command("identity.user.revoke_invitation", revoked, &json!({})).await;
    let mut answers = vec![];
    for who in ["stranger@example.com", "unverified@example.com", "revoked@example.com"] {
        let (response, ..) = log_in!(service, world, who);
        assert_eq!(response.status(), 403, "{who}");
        assert!(set(&response, SESSION_COOKIE).is_none());
        answers.push(page!(response));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[actix_web::test]
async fn a_login_is_finished_once_by_the_browser_that_began_it() {
    let world = World::new().await;
    let service = service!(world);
    let (response, path, tie) = log_in!(service, world, "ada@example.com");
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
    let (start, _) = begin!(service, world, "/");
    let back = at_the_provider(&start, "ada@example.com").await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    refused(&path, None, "without the cookie").await;
    let (start, mine) = begin!(service, world, "/");
    let back = at_the_provider(&start, "ada@example.com").await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    let (_, other) = begin!(service, world, "/");
    refused(&path, Some(&other), "with another login's cookie").await;
    refused(&path, Some(&mine), "taken back already").await;
    // The provider's code with another login's state: the verifier and the nonce are others.
    let (start, _) = begin!(service, world, "/");
    let code = at_the_provider(&start, "ada@example.com").await;
    let code = code.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let (start, tie) = begin!(service, world, "/");
    let state = Url::parse(&start).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    refused(&format!("/v1/login/callback?state={state}&code={code}"), Some(&tie), "another login's code").await;
    // An answer of another provider (RFC 9207), and one that says no.
    for (more, what) in [("code=x&iss=https%3A%2F%2Fevil.example", "another issuer"), ("error=access_denied", "a no")] {
        let (start, tie) = begin!(service, world, "/");
        let state = Url::parse(&start).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        refused(&format!("/v1/login/callback?state={state}&{more}"), Some(&tie), what).await;
    }
}

#[actix_web::test]
async fn whoever_begins_badly_is_told_what_is_expected() {
    let world = World::new().await;
    let service = service!(world);
    let tenant = world.tenant;
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
    let (start, tie) = begin!(service, world, "https%3A%2F%2Fevil.example");
    let back = at_the_provider(&start, "ada@example.com").await;
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    let response = ask!(service, TestRequest::get().uri(&path).cookie(tie));
    assert_eq!(location(&response), "https://app.example.com/");
}

#[actix_web::test]
async fn logins_that_begin_in_two_tabs_end_in_either_order() {
    let world = World::new().await;
    let service = service!(world);
    for order in [[0, 1], [1, 0]] {
        // Begun at the same time, so that neither knows of the other's cookie; the browser has both afterwards.
        let begun = [begin!(service, world, "/first"), begin!(service, world, "/second")];
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
    let world = World::new().await;
    let service = service!(world);
    for (error, told) in [
        ("access_denied", "said no"),
        ("temporarily_unavailable", "at the moment"),
        ("login_required", "did not log you in"),
        ("%3Cscript%3E", "did not log you in"),
    ] {
        let (start, tie) = begin!(service, world, "/clients");
        let state = Url::parse(&start).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let path = format!("/v1/login/callback?state={state}&error={error}&error_description=x");
        let page = page!(ask!(service, TestRequest::get().uri(&path).cookie(tie)));
        assert!(page.contains(told) && !page.contains("<script"), "{page}");
        let again =
            format!("/v1/login/start?provider=certified&amp;redirect_to=%2Fclients&amp;tenant={}", world.tenant);
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
