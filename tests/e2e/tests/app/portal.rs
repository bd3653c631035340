//! How a portal user comes in: a link in a real email, over real HTTP, into a session that sees one client.

use access::LogDirectory;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use email::{Links, Mailer};
use event_store::{CommandBus, Log, Request, Store, StoreOptions};
use futures::future::join_all;
use kernel::{Actor, TenantId};
use login::{Addresses, Login};
use projections::Target;
use reactions::{Filter, State, retry};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::{Issuer, SmtpSink, TestDatabase, key_set, redis_url};
use uuid::Uuid;
use web::{Admission, AdmissionSettings, BodyLimits, SessionSettings, Sessions, Verifier, VerifierSettings, session};

const PORTAL: &str = "https://portal.example.com";
const ADA: &str = "ada@acme.example";

/// A firm with two clients; Ada has a place in the portal of the first.
struct World {
    bus: CommandBus,
    tenant: Uuid,
    acme: Uuid,
    other: Uuid,
    ada: Uuid,
    mailer: Mailer,
    sink: SmtpSink,
    http: Client,
    commands: String,
    queries: String,
    database: TestDatabase,
}

/// Serves on a port of its own, with a real listener.
fn serve(verifier: &Data<Verifier>, routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let verifier = verifier.clone();
    let server = HttpServer::new(move || {
        let routes = routes.clone();
        App::new().wrap(from_fn(web::observe)).app_data(verifier.clone()).configure(move |config| routes(config))
    });
    actix_web::rt::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
    url
}

impl World {
    async fn new() -> Self {
        Self::with_limits(20, Duration::from_secs(600)).await
    }

    async fn with_limits(per_person_max: usize, portal_absolute: Duration) -> Self {
        let database = TestDatabase::create().await;
        let mut bus = CommandBus::new(Store::start(database.command().await, StoreOptions::default()));
        registry::mount_all(&mut bus);
        // The file goes when this does.
        let keys = key_set(&[Issuer::new("k").jwk()]);
        let settings = VerifierSettings {
            jwks: keys.display().to_string(),
            refresh: Duration::from_secs(300),
            issuer: "https://id.example".into(),
            audience: "ubos".into(),
            leeway_seconds: 5,
        };
        let directory = Arc::new(LogDirectory::start(database.query().await));
        let verifier = Data::new(Verifier::start(settings, directory).await.unwrap());
        let settings = SessionSettings {
            idle: Duration::from_secs(600),
            absolute: Duration::from_secs(3_600),
            portal_idle: Duration::from_secs(300),
            portal_absolute,
            per_person_max,
            origins: vec![PORTAL.to_owned()],
        };
        let sessions = Sessions::connect(&redis_url(), settings).await.unwrap();
        let sink = SmtpSink::start().await;
        let bounds = AdmissionSettings { in_flight_max: 8, waiting_max: 64, wait_max: Duration::from_secs(5) };
        let limits = BodyLimits { bytes_max: 1_048_576, time_max: Duration::from_secs(5) };
        // Its own address matters to emails only, whose links the tests take apart.
        let public_url = "https://ubos.example".to_owned();
        let addresses = Addresses {
            public_url: public_url.clone(),
            app_url: "https://app.example.com".to_owned(),
            portal_url: PORTAL.to_owned(),
        };
        let links = Links {
            public_url,
            provider: None,
            app_url: "https://app.example.com".to_owned(),
            portal_url: PORTAL.to_owned(),
        };
        let login = Data::new(Login::new(bus.clone(), database.command().await, sessions.clone(), vec![], addresses));
        let api = Data::new(command_api::Api::new(bus.clone(), limits, Admission::new("command-api", bounds.clone())));
        let commands = serve(&verifier, move |config| {
            login::configure(config, login.clone());
            command_api::configure(config, api.clone());
        });
        let patience = Duration::from_millis(300);
        let admission = Admission::new("query-api", bounds);
        let api = Data::new(query_api::Api::new(database.query().await, patience, admission));
        let sessions = Data::new(sessions);
        let queries = serve(&verifier, move |config| {
            config.app_data(sessions.clone());
            query_api::configure(config, api.clone());
        });
        let (worker, store) = (database.worker().await, bus.store().clone());
        let world = Self {
            bus,
            tenant: Uuid::now_v7(),
            acme: Uuid::now_v7(),
            other: Uuid::now_v7(),
            ada: Uuid::now_v7(),
            mailer: Mailer::new(Log::new(worker), store, &sink.url(), "UBOS <no-reply@ubos.example>", links).unwrap(),
            sink,
            http: Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            commands,
            queries,
            database,
        };
        let register = json!({ "name": "Analytical Engines", "owner_id": Uuid::now_v7() });
        world.command("identity.tenant.register", world.tenant, &register).await;
        for (client, name) in [(world.acme, "Acme"), (world.other, "Other")] {
            world.command("crm.client.create", client, &json!({ "name": name })).await;
            let project = json!({ "name": format!("Project of {name}"), "client_id": client });
            world.command("projects.project.create", Uuid::now_v7(), &project).await;
        }
        let create = json!({ "client_id": world.acme, "name": "Ada", "email": ADA });
        world.command("portal.portal_user.create", world.ada, &create).await;
        world.command("portal.portal_user.grant_access", world.ada, &json!({ "scope": "projects" })).await;
        world.command("portal.portal_user.invite", world.ada, &json!({})).await;
        world.project().await;
        world
    }

    /// Done by the system.
    async fn command(&self, name: &str, id: Uuid, body: &Value) {
        let info = *self.bus.command(name).unwrap();
        let request = Request::new(TenantId(self.tenant), Actor::System { name: "test".to_owned() });
        self.bus.execute(&info, Some(id), body.to_string(), request).await.unwrap();
    }

    /// Brings the read models up to the end of the log.
    async fn project(&self) {
        let pool = self.database.worker().await;
        let log = Log::new(pool.clone());
        for group in projections::groups() {
            let target = Target::live(group);
            loop {
                let at = target.position(&mut pool.acquire().await.unwrap()).await.unwrap().unwrap();
                let events: Vec<_> = log.read(at, 500).await.unwrap().into_iter().map(Arc::new).collect();
                if events.is_empty() {
                    break;
                }
                target.apply(&pool, &events).await.unwrap();
            }
        }
    }

    async fn ask(&self, tenant: Uuid, email: &str) -> Response {
        let body = json!({ "tenant": tenant, "email": email });
        self.http.post(format!("{}/v1/login/portal/link", self.commands)).json(&body).send().await.unwrap()
    }

    /// As if a minute had passed.
    async fn later(&self) {
        let sql = "update login.portal_requests set asked_at = asked_at - interval '61 seconds'";
        sqlx::query(sql).execute(&self.database.superuser().await).await.unwrap();
    }

    /// Asks for a link, and takes it out of the email.
    async fn link(&self) -> String {
        self.later().await;
        let before = self.sink.emails().len();
        assert_eq!(self.ask(self.tenant, ADA).await.status(), 202);
        self.mailer.round().await.unwrap();
        let emails = self.sink.emails();
        // Beside it an invitation may have been sent.
        emails[before..].iter().find_map(|email| link_in(email)).expect("an email with a link")
    }

    async fn open(&self, method: Method, link: &str) -> Response {
        self.http.request(method, format!("{}/v1/login/portal?link={link}", self.commands)).send().await.unwrap()
    }

    /// Opens the page; answers its cookie and what its form would send.
    async fn page(&self, link: &str) -> (String, Vec<(String, String)>) {
        let response = self.open(Method::GET, link).await;
        assert_eq!(response.status(), 200);
        let cookie = set(&response, "__Host-ubos_link").expect("a cookie");
        let page = response.text().await.unwrap();
        let fields = page.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split('"').next().unwrap().to_owned())
        });
        (cookie, fields.collect())
    }

    async fn press(&self, cookie: &str, form: &[(String, String)]) -> Response {
        let request = self.http.post(format!("{}/v1/login/portal", self.commands));
        request.header("cookie", cookie).form(form).send().await.unwrap()
    }

    /// Comes in with a link; answers the status, and the session's cookie if there is one.
    async fn come_in(&self, link: &str) -> (StatusCode, Option<String>) {
        let (cookie, form) = self.page(link).await;
        let response = self.press(&cookie, &form).await;
        (response.status(), set(&response, "__Host-ubos_portal"))
    }

    async fn session(&self) -> String {
        let (status, cookie) = self.come_in(&self.link().await).await;
        assert_eq!(status, 303);
        cookie.unwrap()
    }

    async fn get(&self, url: &str, path: &str, cookie: &str) -> (u16, Value) {
        let response = self.http.get(format!("{url}{path}")).header("cookie", cookie).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    /// As a page of the portal asks.
    async fn post(&self, path: &str, cookie: &str, body: &Value) -> (u16, Value) {
        let (_, current) = self.get(&self.commands, "/v1/login/session", cookie).await;
        let request = self.http.post(format!("{}{path}", self.commands)).header("cookie", cookie);
        let request = request.header("origin", PORTAL).header("idempotency-key", Uuid::now_v7().to_string());
        let request = request.header(session::CSRF_HEADER, current["csrf_token"].as_str().unwrap_or_default());
        let response = request.json(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn until_out(&self, cookie: &str) {
        let begun = Instant::now();
        for url in [&self.commands, &self.queries] {
            let path = if *url == self.commands { "/v1/login/session" } else { "/v1/projects/projects" };
            while self.get(url, path, cookie).await.0 != 401 {
                assert!(begun.elapsed() < Duration::from_secs(10), "still in");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.superuser().await).await.unwrap()
    }
}

/// `name=value` of a cookie that a response sets.
fn set(response: &Response, name: &str) -> Option<String> {
    let cookies = response.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let found = cookies.rev().find(|cookie| cookie.starts_with(&format!("{name}=")))?;
    Some(found.split(';').next()?.to_owned())
}

/// What the link in an email shows; emails are quoted-printable (RFC 2045 §6.7).
fn link_in(email: &str) -> Option<String> {
    let plain = email.replace("=\n", "").replace("=3D", "=");
    let rest = plain.split("https://ubos.example/v1/login/portal?link=").nth(1)?;
    Some(rest.split_whitespace().next()?.to_owned())
}

#[actix_web::test]
async fn whoever_has_the_mailbox_comes_in_and_sees_one_client() {
    let world = World::new().await;
    world.mailer.round().await.unwrap();
    let invitation = world.sink.emails().pop().expect("an invitation");
    assert!(invitation.contains("Analytical Engines invites you") && invitation.contains(PORTAL), "{invitation}");
    assert_eq!(link_in(&invitation), None, "a link is good for minutes, an invitation for days");

    let link = world.link().await;
    let response = world.open(Method::GET, &link).await;
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((header("referrer-policy"), header("cache-control")), ("no-referrer".into(), "no-store".into()));
    assert!(header("content-security-policy").contains("default-src 'none'"));
    let (cookie, form) = world.page(&link).await;
    let response = world.press(&cookie, &form).await;
    assert_eq!(response.status(), 303);
    // M-06: the address that the browser ends at carries nothing.
    assert_eq!(response.headers()["location"], PORTAL);
    let flags: Vec<&str> =
        response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let portal = flags.iter().find(|cookie| cookie.starts_with("__Host-ubos_portal=")).unwrap();
    for flag in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(portal.contains(flag), "{flag} is not in {portal}");
    }
    let session = set(&response, "__Host-ubos_portal").unwrap();
    let (_, current) = world.get(&world.commands, "/v1/login/session", &session).await;
    assert_eq!((&current["portal_user_id"], &current["tenant_id"]), (&json!(world.ada), &json!(world.tenant)));

    world.project().await;
    let names = async |path: &str| {
        let (status, list) = world.get(&world.queries, path, &session).await;
        assert_eq!(status, 200, "{path}: {list}");
        list["data"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("/v1/projects/projects").await, [json!("Project of Acme")]);
    assert_eq!(names("/v1/portal/portal-users").await, [json!("Ada")]);
    let (_, sessions) = world.get(&world.queries, "/v1/portal/portal-sessions", &session).await;
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1, "{sessions}");
    // The invitation was accepted by coming in.
    assert_eq!(
        world.count("select count(*) from eventstore.events where event_type = 'portal_user.activated'").await,
        1
    );

    assert_eq!(world.post("/v1/login/logout", &session, &json!({})).await.0, 204);
    world.until_out(&session).await;
    assert_eq!(
        world.count("select count(*) from eventstore.events where event_type = 'portal_session.ended'").await,
        1
    );
}

#[actix_web::test]
async fn m_01_a_link_lets_in_once_however_many_use_it_at_the_same_time() {
    let world = World::new().await;
    let link = world.link().await;
    let (cookie, form) = world.page(&link).await;
    let all = join_all((0..100).map(|_| world.press(&cookie, &form))).await;
    let mut statuses: Vec<u16> = all.iter().map(|response| response.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1..].iter().all(|status| *status == 410)), (303, true), "{statuses:?}");
    assert_eq!(world.come_in(&link).await, (StatusCode::GONE, None));
    assert_eq!(
        world.count("select count(*) from eventstore.events where event_type = 'portal_session.started'").await,
        1
    );
}

#[actix_web::test]
async fn m_02_a_link_that_has_expired_lets_nobody_in() {
    let world = World::new().await;
    let link = world.link().await;
    let minutes = "select (extract(epoch from expires_at - made_at) / 60)::bigint from login.magic_links";
    assert_eq!(world.count(minutes).await, 15);
    let expire = "update login.magic_links set expires_at = now() - interval '1 second'";
    sqlx::query(expire).execute(&world.database.superuser().await).await.unwrap();
    assert_eq!(world.come_in(&link).await, (StatusCode::GONE, None));
}

#[actix_web::test]
async fn m_03_a_mail_scanner_uses_nothing_up() {
    let world = World::new().await;
    let link = world.link().await;
    for method in [Method::HEAD, Method::GET, Method::GET, Method::HEAD] {
        assert_eq!(world.open(method, &link).await.status(), 200);
    }
    assert_eq!(world.come_in(&link).await.0, 303);
}

#[actix_web::test]
async fn m_04_a_link_is_worth_nothing_for_another_firm_or_person() {
    let world = World::new().await;
    let eve = Uuid::now_v7();
    let create = json!({ "client_id": world.other, "name": "Eve", "email": "eve@other.example" });
    world.command("portal.portal_user.create", eve, &create).await;
    world.command("portal.portal_user.invite", eve, &json!({})).await;
    let link = world.link().await;
    let bytes = BASE64.decode(&link).unwrap();
    for (what, at, id) in [("another firm", 0, Uuid::now_v7()), ("another person", 16, eve)] {
        let mut forged = bytes.clone();
        forged[at..at + 16].copy_from_slice(id.as_bytes());
        assert_eq!(world.come_in(&BASE64.encode(&forged)).await, (StatusCode::GONE, None), "{what}");
    }
    for wrong in ["", "x", &link[1..], "%3Cscript%3E", "a&link=b"] {
        let response = world.open(Method::GET, wrong).await;
        assert_eq!(response.status(), 410, "{wrong}");
        assert!(!response.text().await.unwrap().contains("script"));
    }
    assert_eq!(world.come_in(&link).await.0, 303, "the right one is as good as before");
}

#[actix_web::test]
async fn m_05_what_lets_somebody_in_stands_nowhere_but_in_the_email() {
    let world = World::new().await;
    let link = world.link().await;
    let secret = &BASE64.decode(&link).unwrap()[32..];
    assert_eq!(secret.len(), 32, "256 bits");
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let superuser = world.database.superuser().await;
    for (table, others) in [
        ("login.magic_links", vec![]),
        ("login.portal_requests", vec![ADA]),
        ("login.portal_addresses", vec![ADA]),
        ("reactions.jobs", vec![ADA]),
        ("eventstore.events", vec![]),
    ] {
        let rows: Vec<String> = sqlx::query_scalar(&format!("select row_to_json(t)::text from {table} t"))
            .fetch_all(&superuser)
            .await
            .unwrap();
        assert!(!rows.is_empty(), "{table}");
        for hidden in [link.as_str(), &link[43..], &hex].into_iter().chain(others) {
            assert!(!rows.iter().any(|row| row.contains(hidden)), "{table} holds {hidden}");
        }
    }
    // Another try with the same page is no other guess: each needs the email.
    let mut guess = BASE64.decode(&link).unwrap();
    guess[63] ^= 1;
    assert_eq!(world.come_in(&BASE64.encode(&guess)).await, (StatusCode::GONE, None));
}

#[actix_web::test]
async fn m_07_an_older_link_and_one_from_before_a_lock_are_void() {
    let world = World::new().await;
    let (older, newer) = (world.link().await, world.link().await);
    assert_eq!(world.come_in(&older).await, (StatusCode::GONE, None));
    assert_eq!(world.come_in(&newer).await.0, 303);
    // Whoever was locked meanwhile does not come in with a link from before, although they may come in again.
    let before = world.link().await;
    world.command("portal.portal_user.lock", world.ada, &json!({ "reason": "lost telephone" })).await;
    world.command("portal.portal_user.unlock", world.ada, &json!({})).await;
    assert_eq!(world.come_in(&before).await, (StatusCode::GONE, None));
    let last = world.link().await;
    world.command("portal.portal_user.disable", world.ada, &json!({})).await;
    assert_eq!(world.come_in(&last).await, (StatusCode::GONE, None));
}

#[actix_web::test]
async fn m_07_an_invitation_that_was_taken_back_lets_nobody_in() {
    let world = World::new().await;
    let link = world.link().await;
    world.command("portal.portal_user.revoke_invitation", world.ada, &json!({})).await;
    assert_eq!(world.come_in(&link).await, (StatusCode::GONE, None));
    // And nobody is written to any more.
    let before = world.sink.emails().len();
    world.later().await;
    assert_eq!(world.ask(world.tenant, ADA).await.status(), 202);
    world.mailer.round().await.unwrap();
    assert_eq!(world.sink.emails().len(), before);
}

#[actix_web::test]
async fn m_08_a_portal_session_stays_within_its_client() {
    let world = World::new().await;
    let session = world.session().await;
    for path in
        ["/v1/identity/users", "/v1/identity/sessions", "/v1/identity/tenants", "/v1/workflow/runs", "/v1/crm/clients"]
    {
        assert_eq!(world.get(&world.queries, path, &session).await.0, 403, "{path}");
    }
    let mine = format!("/v1/portal/portal-users/{}", world.ada);
    for (path, body) in [
        (format!("{mine}/grant"), json!({ "pattern": "*" })),
        (format!("{mine}/grant-access"), json!({ "scope": "files" })),
        (format!("/v1/crm/clients/{}/rename", world.acme), json!({ "name": "Mine" })),
        ("/v1/crm/clients".to_owned(), json!({ "name": "Mine" })),
        ("/v1/portal/portal-users".to_owned(), json!({ "client_id": world.acme, "name": "E", "email": "e@e.example" })),
        (format!("/v1/identity/users/{}/grant", world.ada), json!({})),
        (
            "/v1/identity/api-keys".to_owned(),
            json!({ "name": "K", "principal": { "kind": "portal_user", "id": world.ada } }),
        ),
    ] {
        let (status, answer) = world.post(&path, &session, &body).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    // What is granted is for the client alone, also when it is everything.
    world.command("portal.portal_user.grant", world.ada, &json!({ "pattern": "*" })).await;
    let begun = Instant::now();
    while world.get(&world.queries, "/v1/crm/clients", &session).await.0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the grant is never there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, clients) = world.get(&world.queries, "/v1/crm/clients", &session).await;
    assert_eq!(clients["data"].as_array().unwrap().len(), 1, "{clients}");
    let other = format!("/v1/crm/clients/{}", world.other);
    assert_eq!(world.get(&world.queries, &other, &session).await.0, 404);
    assert_eq!(world.post(&format!("{other}/rename"), &session, &json!({ "name": "Mine" })).await.0, 404);
    assert_eq!(world.get(&world.queries, "/v1/identity/users", &session).await.0, 403);
}

#[actix_web::test]
async fn s_03_whoever_is_locked_or_whose_session_is_ended_is_out_at_once() {
    let world = World::new().await;
    let (one, other) = (world.session().await, world.session().await);
    let (_, current) = world.get(&world.commands, "/v1/login/session", &one).await;
    let id: Uuid = current["id"].as_str().unwrap().parse().unwrap();
    world.command("portal.portal_session.end", id, &json!({ "reason": "lost telephone" })).await;
    world.until_out(&one).await;
    assert_eq!(world.get(&world.queries, "/v1/projects/projects", &other).await.0, 200, "only that one");
    world.command("portal.portal_user.lock", world.ada, &json!({ "reason": "on leave" })).await;
    world.until_out(&other).await;
    world.command("portal.portal_user.unlock", world.ada, &json!({})).await;
    let third = world.session().await;
    world.command("identity.tenant.suspend", world.tenant, &json!({ "reason": "owes" })).await;
    world.until_out(&third).await;
}

#[actix_web::test]
async fn s_06_one_portal_session_too_many_ends_the_oldest() {
    let world = World::with_limits(2, Duration::from_secs(600)).await;
    let [first, second, third] = [world.session().await, world.session().await, world.session().await];
    world.until_out(&first).await;
    for cookie in [second, third] {
        assert_eq!(world.get(&world.commands, "/v1/login/session", &cookie).await.0, 200);
    }
}

#[actix_web::test]
async fn s_07_one_kind_of_session_is_never_taken_for_the_other() {
    let world = World::new().await;
    let session = world.session().await;
    let staff = session.replace("__Host-ubos_portal", "__Host-ubos_session");
    for cookies in [staff.clone(), format!("{session}; {staff}"), format!("{session}; {session}")] {
        assert_eq!(world.get(&world.commands, "/v1/login/session", &cookies).await.0, 401, "{cookies}");
    }
}

#[actix_web::test]
async fn s_08_another_site_lets_nobody_in_as_somebody_else() {
    let world = World::new().await;
    let link = world.link().await;
    let (cookie, form) = world.page(&link).await;
    let (other, _) = world.page(&link).await;
    for wrong in ["", "__Host-ubos_link=", &other] {
        assert_eq!(world.press(wrong, &form).await.status(), 410, "{wrong}");
    }
    let response = world.http.post(format!("{}/v1/login/portal", world.commands)).header("cookie", &cookie);
    assert_eq!(response.json(&json!({ "link": link, "page": "x" })).send().await.unwrap().status(), 422);
    assert_eq!(world.press(&cookie, &form).await.status(), 303, "nothing of this has used it up");
}

#[actix_web::test]
async fn nobody_learns_who_has_a_place_in_a_portal() {
    let world = World::new().await;
    let mut answers = vec![];
    for (tenant, email) in [
        (world.tenant, ADA),
        (world.tenant, "ADA@acme.example "),
        (world.tenant, "nobody@acme.example"),
        (Uuid::now_v7(), ADA),
    ] {
        let response = world.ask(tenant, email).await;
        answers.push((response.status(), response.text().await.unwrap()));
    }
    assert!(answers.iter().all(|answer| *answer == (StatusCode::ACCEPTED, "{}".to_owned())), "{answers:?}");
    world.mailer.round().await.unwrap();
    let links = world.sink.emails().iter().filter(|email| link_in(email).is_some()).count();
    assert_eq!(links, 1, "and only who has one is written to, once a minute");
    for (body, pointer) in
        [(json!({ "tenant": world.tenant, "email": "ada" }), "/email"), (json!({ "email": ADA }), "/tenant")]
    {
        let wrong =
            world.http.post(format!("{}/v1/login/portal/link", world.commands)).json(&body).send().await.unwrap();
        assert_eq!(wrong.status(), 422);
        let problem: Value = wrong.json().await.unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[actix_web::test]
async fn an_email_that_cannot_be_sent_now_is_sent_later_with_another_link() {
    let world = World::new().await;
    world.mailer.round().await.unwrap();
    world.sink.answer("451 not now");
    assert_eq!(world.ask(world.tenant, ADA).await.status(), 202);
    world.mailer.round().await.unwrap();
    assert_eq!(world.sink.emails().len(), 1, "the invitation alone");
    world.sink.answer("250 taken");
    let due = Filter { state: Some(State::Due), ..Filter::default() };
    assert_eq!(retry(&world.database.worker().await, &due).await.unwrap(), 1);
    world.mailer.round().await.unwrap();
    let link = link_in(world.sink.emails().last().unwrap()).expect("a link");
    assert_eq!(world.come_in(&link).await.0, 303);
}
