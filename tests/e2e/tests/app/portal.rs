//! How a portal user comes in: a link in a real email, over real HTTP, into a session that sees one client.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use futures::future::join_all;
use harness::{Answer, Firm, PORTAL, PUBLIC, Session, Setup, Shown, TestApp, eventually, send};
use reactions::{Filter, State, retry};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use web::SessionSettings;

const ADA: &str = "ada@acme.example";

/// A firm with two clients; Ada has a place in the portal of the first.
struct Portal {
    app: TestApp,
    firm: Firm,
    acme: Uuid,
    other: Uuid,
    ada: Uuid,
}

impl Portal {
    async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let (app, firm) = (TestApp::start(setup).await, Firm::unheard_of());
        let [acme, other, ada] = [(); 3].map(|()| Uuid::now_v7());
        let register = json!({ "name": "Analytical Engines", "owner_id": firm.owner });
        app.command(firm, "identity.tenant.register", firm.tenant, &register).await;
        for (client, name) in [(acme, "Acme"), (other, "Other")] {
            app.command(firm, "crm.client.create", client, &json!({ "name": name })).await;
            let (project, draft) = (Uuid::now_v7(), json!({ "name": "A draft", "client_id": client }));
            let body = json!({ "name": format!("Project of {name}"), "client_id": client });
            app.command(firm, "projects.project.create", project, &body).await;
            app.command(firm, "projects.project.add_task", project, &json!({ "title": "Count" })).await;
            app.command(firm, "projects.project.activate", project, &json!({})).await;
            // What has not begun is nobody's business outside.
            app.command(firm, "projects.project.create", Uuid::now_v7(), &draft).await;
        }
        let create = json!({ "client_id": acme, "name": "Ada", "email": ADA });
        app.command(firm, "portal.portal_user.create", ada, &create).await;
        app.command(firm, "portal.portal_user.grant_access", ada, &json!({ "scope": "projects" })).await;
        app.command(firm, "portal.portal_user.invite", ada, &json!({})).await;
        app.project().await;
        Self { app, firm, acme, other, ada }
    }

    /// Done by the system.
    async fn command(&self, name: &str, id: Uuid, body: &Value) {
        self.app.command(self.firm, name, id, body).await;
    }

    async fn ask(&self, tenant: Uuid, email: &str) -> Answer {
        let request = self.app.order("/v1/login/portal/link", Shown::Nothing);
        send(request.json(&json!({ "tenant": tenant, "email": email }))).await
    }

    /// As if a minute had passed.
    async fn later(&self) {
        let sql = "update login.portal_requests set asked_at = asked_at - interval '61 seconds'";
        sqlx::query(sql).execute(&self.app.database.superuser().await).await.unwrap();
    }

    /// Asks for a link, and takes it out of the email.
    async fn link(&self) -> String {
        self.later().await;
        let before = self.app.sink.emails().len();
        assert_eq!(self.ask(self.firm.tenant, ADA).await.status, 202);
        self.app.mailer.round().await.unwrap();
        let emails = self.app.sink.emails();
        // Beside it an invitation may have been sent.
        emails[before..].iter().find_map(|email| link_in(email)).expect("an email with a link")
    }

    async fn open(&self, method: Method, link: &str) -> Answer {
        send(self.app.http.request(method, format!("{}/v1/login/portal?link={link}", self.app.commands))).await
    }

    /// Opens the page; answers its cookie and what its form would send.
    async fn page(&self, link: &str) -> (String, Vec<(String, String)>) {
        let answer = self.open(Method::GET, link).await;
        assert_eq!(answer.status, 200);
        let cookie = answer.cookie("__Host-ubos_link").expect("a cookie");
        let fields = answer.text.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split('"').next().unwrap().to_owned())
        });
        (cookie, fields.collect())
    }

    async fn press(&self, cookie: &str, form: &[(String, String)]) -> Answer {
        send(self.app.order("/v1/login/portal", Shown::Nothing).header("cookie", cookie).form(form)).await
    }

    /// Comes in with a link; answers the status, and the session's cookie if there is one.
    async fn come_in(&self, link: &str) -> (u16, Option<String>) {
        let (cookie, form) = self.page(link).await;
        let answer = self.press(&cookie, &form).await;
        (answer.status, answer.cookie("__Host-ubos_portal"))
    }

    async fn session(&self) -> String {
        let (status, cookie) = self.come_in(&self.link().await).await;
        assert_eq!(status, 303);
        cookie.unwrap()
    }

    async fn get(&self, url: &str, path: &str, cookie: &str) -> (u16, Value) {
        send(self.app.http.get(format!("{url}{path}")).header("cookie", cookie)).await.told()
    }

    /// As a page of the portal asks.
    async fn post(&self, path: &str, cookie: &str, body: &Value) -> (u16, Value) {
        let (_, current) = self.get(&self.app.commands, "/v1/login/session", cookie).await;
        let csrf = current["csrf_token"].as_str().unwrap_or_default().to_owned();
        self.app.post(path, &Session { cookie: cookie.to_owned(), csrf }, body).await.told()
    }

    async fn until_out(&self, cookie: &str) {
        let app = &self.app;
        for (url, path) in [(&app.commands, "/v1/login/session"), (&app.queries, "/v1/projects/projects")] {
            eventually(async || self.get(url, path, cookie).await.0 == 401).await;
        }
    }
}

/// What the link in an email shows; emails are quoted-printable (RFC 2045 §6.7).
fn link_in(email: &str) -> Option<String> {
    let plain = email.replace("=\n", "").replace("=3D", "=");
    let rest = plain.split(&format!("{PUBLIC}/v1/login/portal?link=")).nth(1)?;
    Some(rest.split_whitespace().next()?.to_owned())
}

#[actix_web::test]
async fn whoever_has_the_mailbox_comes_in_and_sees_one_client() {
    let portal = Portal::new().await;
    portal.app.mailer.round().await.unwrap();
    let invitation = portal.app.sink.emails().pop().expect("an invitation");
    assert!(invitation.contains("Analytical Engines invites you") && invitation.contains(PORTAL), "{invitation}");
    assert_eq!(link_in(&invitation), None, "a link is good for minutes, an invitation for days");

    let link = portal.link().await;
    let response = portal.open(Method::GET, &link).await;
    assert_eq!((response.header("referrer-policy"), response.header("cache-control")), ("no-referrer", "no-store"));
    assert!(response.header("content-security-policy").contains("default-src 'none'"));
    let (cookie, form) = portal.page(&link).await;
    let response = portal.press(&cookie, &form).await;
    assert_eq!(response.status, 303);
    // M-06: the address that the browser ends at carries nothing.
    assert_eq!(response.header("location"), PORTAL);
    let flags: Vec<&str> =
        response.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let flags = flags.iter().find(|cookie| cookie.starts_with("__Host-ubos_portal=")).unwrap();
    for flag in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(flags.contains(flag), "{flag} is not in {flags}");
    }
    let session = response.cookie("__Host-ubos_portal").unwrap();
    let (_, current) = portal.get(&portal.app.commands, "/v1/login/session", &session).await;
    assert_eq!((&current["portal_user_id"], &current["tenant_id"]), (&json!(portal.ada), &json!(portal.firm.tenant)));

    portal.app.project().await;
    let names = async |path: &str| {
        let (status, list) = portal.get(&portal.app.queries, path, &session).await;
        assert_eq!(status, 200, "{path}: {list}");
        list["data"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("/v1/projects/projects").await, [json!("Project of Acme")]);
    assert_eq!(names("/v1/portal/portal-users").await, [json!("Ada")]);
    let (_, sessions) = portal.get(&portal.app.queries, "/v1/portal/portal-sessions", &session).await;
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1, "{sessions}");
    // The invitation was accepted by coming in.
    assert_eq!(
        portal.app.count("select count(*) from eventstore.events where event_type = 'portal_user.activated'").await,
        1
    );

    assert_eq!(portal.post("/v1/login/logout", &session, &json!({})).await.0, 204);
    portal.until_out(&session).await;
    assert_eq!(
        portal.app.count("select count(*) from eventstore.events where event_type = 'portal_session.ended'").await,
        1
    );
}

#[actix_web::test]
async fn m_01_a_link_lets_in_once_however_many_use_it_at_the_same_time() {
    let portal = Portal::new().await;
    let link = portal.link().await;
    let (cookie, form) = portal.page(&link).await;
    let all = join_all((0..100).map(|_| portal.press(&cookie, &form))).await;
    let mut statuses: Vec<u16> = all.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1..].iter().all(|status| *status == 410)), (303, true), "{statuses:?}");
    assert_eq!(portal.come_in(&link).await, (410, None));
    assert_eq!(
        portal.app.count("select count(*) from eventstore.events where event_type = 'portal_session.started'").await,
        1
    );
}

#[actix_web::test]
async fn m_02_a_link_that_has_expired_lets_nobody_in() {
    let portal = Portal::new().await;
    let link = portal.link().await;
    let minutes = "select (extract(epoch from expires_at - made_at) / 60)::bigint from login.magic_links";
    assert_eq!(portal.app.count(minutes).await, 15);
    let expire = "update login.magic_links set expires_at = now() - interval '1 second'";
    sqlx::query(expire).execute(&portal.app.database.superuser().await).await.unwrap();
    assert_eq!(portal.come_in(&link).await, (410, None));
}

#[actix_web::test]
async fn m_03_a_mail_scanner_uses_nothing_up() {
    let portal = Portal::new().await;
    let link = portal.link().await;
    for method in [Method::HEAD, Method::GET, Method::GET, Method::HEAD] {
        assert_eq!(portal.open(method, &link).await.status, 200);
    }
    assert_eq!(portal.come_in(&link).await.0, 303);
}

#[actix_web::test]
async fn m_04_a_link_is_worth_nothing_for_another_firm_or_person() {
    let portal = Portal::new().await;
    let eve = Uuid::now_v7();
    let create = json!({ "client_id": portal.other, "name": "Eve", "email": "eve@other.example" });
    portal.command("portal.portal_user.create", eve, &create).await;
    portal.command("portal.portal_user.invite", eve, &json!({})).await;
    let link = portal.link().await;
    let bytes = BASE64.decode(&link).unwrap();
    for (what, at, id) in [("another firm", 0, Uuid::now_v7()), ("another person", 16, eve)] {
        let mut forged = bytes.clone();
        forged[at..at + 16].copy_from_slice(id.as_bytes());
        assert_eq!(portal.come_in(&BASE64.encode(&forged)).await, (410, None), "{what}");
    }
    for wrong in ["", "x", &link[1..], "%3Cscript%3E", "a&link=b"] {
        let response = portal.open(Method::GET, wrong).await;
        assert_eq!(response.status, 410, "{wrong}");
        assert!(!response.text.contains("script"));
    }
    assert_eq!(portal.come_in(&link).await.0, 303, "the right one is as good as before");
}

#[actix_web::test]
async fn m_05_what_lets_somebody_in_stands_nowhere_but_in_the_email() {
    let portal = Portal::new().await;
    let link = portal.link().await;
    let secret = &BASE64.decode(&link).unwrap()[32..];
    assert_eq!(secret.len(), 32, "256 bits");
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let superuser = portal.app.database.superuser().await;
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
    assert_eq!(portal.come_in(&BASE64.encode(&guess)).await, (410, None));
}

#[actix_web::test]
async fn m_07_an_older_link_and_one_from_before_a_lock_are_void() {
    let portal = Portal::new().await;
    let (older, newer) = (portal.link().await, portal.link().await);
    assert_eq!(portal.come_in(&older).await, (410, None));
    assert_eq!(portal.come_in(&newer).await.0, 303);
    // Whoever was locked meanwhile does not come in with a link from before, although they may come in again.
    let before = portal.link().await;
    portal.command("portal.portal_user.lock", portal.ada, &json!({ "reason": "lost telephone" })).await;
    portal.command("portal.portal_user.unlock", portal.ada, &json!({})).await;
    assert_eq!(portal.come_in(&before).await, (410, None));
    let last = portal.link().await;
    portal.command("portal.portal_user.disable", portal.ada, &json!({})).await;
    assert_eq!(portal.come_in(&last).await, (410, None));
}

#[actix_web::test]
async fn m_07_an_invitation_that_was_taken_back_lets_nobody_in() {
    let portal = Portal::new().await;
    let link = portal.link().await;
    portal.command("portal.portal_user.revoke_invitation", portal.ada, &json!({})).await;
    assert_eq!(portal.come_in(&link).await, (410, None));
    // And nobody is written to any more.
    let before = portal.app.sink.emails().len();
    portal.later().await;
    assert_eq!(portal.ask(portal.firm.tenant, ADA).await.status, 202);
    portal.app.mailer.round().await.unwrap();
    assert_eq!(portal.app.sink.emails().len(), before);
}

#[actix_web::test]
async fn m_08_a_portal_session_stays_within_its_client() {
    let portal = Portal::new().await;
    let session = portal.session().await;
    for path in
        ["/v1/identity/users", "/v1/identity/sessions", "/v1/identity/tenants", "/v1/workflow/runs", "/v1/crm/clients"]
    {
        assert_eq!(portal.get(&portal.app.queries, path, &session).await.0, 403, "{path}");
    }
    let mine = format!("/v1/portal/portal-users/{}", portal.ada);
    for (path, body) in [
        (format!("{mine}/grant"), json!({ "pattern": "*" })),
        (format!("{mine}/grant-access"), json!({ "scope": "files" })),
        (format!("/v1/crm/clients/{}/rename", portal.acme), json!({ "name": "Mine" })),
        ("/v1/crm/clients".to_owned(), json!({ "name": "Mine" })),
        (
            "/v1/portal/portal-users".to_owned(),
            json!({ "client_id": portal.acme, "name": "E", "email": "e@e.example" }),
        ),
        (format!("/v1/identity/users/{}/grant", portal.ada), json!({})),
        (
            "/v1/identity/api-keys".to_owned(),
            json!({ "name": "K", "principal": { "kind": "portal_user", "id": portal.ada } }),
        ),
    ] {
        let (status, answer) = portal.post(&path, &session, &body).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    // What is granted is for the client alone, also when it is everything.
    portal.command("portal.portal_user.grant", portal.ada, &json!({ "pattern": "*" })).await;
    eventually(async || portal.get(&portal.app.queries, "/v1/crm/clients", &session).await.0 == 200).await;
    let (_, clients) = portal.get(&portal.app.queries, "/v1/crm/clients", &session).await;
    assert_eq!(clients["data"].as_array().unwrap().len(), 1, "{clients}");
    let other = format!("/v1/crm/clients/{}", portal.other);
    assert_eq!(portal.get(&portal.app.queries, &other, &session).await.0, 404);
    assert_eq!(portal.post(&format!("{other}/rename"), &session, &json!({ "name": "Mine" })).await.0, 404);
    assert_eq!(portal.get(&portal.app.queries, "/v1/identity/users", &session).await.0, 403);
}

#[actix_web::test]
async fn s_03_whoever_is_locked_or_whose_session_is_ended_is_out_at_once() {
    let portal = Portal::new().await;
    let (one, other) = (portal.session().await, portal.session().await);
    let (_, current) = portal.get(&portal.app.commands, "/v1/login/session", &one).await;
    let id: Uuid = current["id"].as_str().unwrap().parse().unwrap();
    portal.command("portal.portal_session.end", id, &json!({ "reason": "lost telephone" })).await;
    portal.until_out(&one).await;
    assert_eq!(portal.get(&portal.app.queries, "/v1/projects/projects", &other).await.0, 200, "only that one");
    portal.command("portal.portal_user.lock", portal.ada, &json!({ "reason": "on leave" })).await;
    portal.until_out(&other).await;
    portal.command("portal.portal_user.unlock", portal.ada, &json!({})).await;
    let third = portal.session().await;
    portal.command("identity.tenant.suspend", portal.firm.tenant, &json!({ "reason": "owes" })).await;
    portal.until_out(&third).await;
}

#[actix_web::test]
async fn s_06_one_portal_session_too_many_ends_the_oldest() {
    let setup = Setup::default();
    let sessions = SessionSettings { per_person_max: 2, ..setup.sessions.clone() };
    let portal = Portal::with(Setup { sessions, ..setup }).await;
    let [first, second, third] = [portal.session().await, portal.session().await, portal.session().await];
    portal.until_out(&first).await;
    for cookie in [second, third] {
        assert_eq!(portal.get(&portal.app.commands, "/v1/login/session", &cookie).await.0, 200);
    }
}

#[actix_web::test]
async fn s_07_one_kind_of_session_is_never_taken_for_the_other() {
    let portal = Portal::new().await;
    let session = portal.session().await;
    let staff = session.replace("__Host-ubos_portal", "__Host-ubos_session");
    for cookies in [staff.clone(), format!("{session}; {staff}"), format!("{session}; {session}")] {
        assert_eq!(portal.get(&portal.app.commands, "/v1/login/session", &cookies).await.0, 401, "{cookies}");
    }
}

#[actix_web::test]
async fn s_08_another_site_lets_nobody_in_as_somebody_else() {
    let portal = Portal::new().await;
    let link = portal.link().await;
    let (cookie, form) = portal.page(&link).await;
    let (other, _) = portal.page(&link).await;
    for wrong in ["", "__Host-ubos_link=", &other] {
        assert_eq!(portal.press(wrong, &form).await.status, 410, "{wrong}");
    }
    let request = portal.app.order("/v1/login/portal", Shown::Nothing).header("cookie", &cookie);
    assert_eq!(send(request.json(&json!({ "link": link, "page": "x" }))).await.status, 422);
    assert_eq!(portal.press(&cookie, &form).await.status, 303, "nothing of this has used it up");
}

#[actix_web::test]
async fn nobody_learns_who_has_a_place_in_a_portal() {
    let portal = Portal::new().await;
    let mut answers = vec![];
    for (tenant, email) in [
        (portal.firm.tenant, ADA),
        (portal.firm.tenant, "ADA@acme.example "),
        (portal.firm.tenant, "nobody@acme.example"),
        (Uuid::now_v7(), ADA),
    ] {
        let response = portal.ask(tenant, email).await;
        answers.push((response.status, response.text));
    }
    assert!(answers.iter().all(|answer| *answer == (202, "{}".to_owned())), "{answers:?}");
    portal.app.mailer.round().await.unwrap();
    let links = portal.app.sink.emails().iter().filter(|email| link_in(email).is_some()).count();
    assert_eq!(links, 1, "and only who has one is written to, once a minute");
    for (body, pointer) in
        [(json!({ "tenant": portal.firm.tenant, "email": "ada" }), "/email"), (json!({ "email": ADA }), "/tenant")]
    {
        let wrong = send(portal.app.order("/v1/login/portal/link", Shown::Nothing).json(&body)).await;
        assert_eq!(wrong.status, 422);
        let problem = wrong.body;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[actix_web::test]
async fn an_email_that_cannot_be_sent_now_is_sent_later_with_another_link() {
    let portal = Portal::new().await;
    portal.app.mailer.round().await.unwrap();
    portal.app.sink.answer("451 not now");
    assert_eq!(portal.ask(portal.firm.tenant, ADA).await.status, 202);
    portal.app.mailer.round().await.unwrap();
    assert_eq!(portal.app.sink.emails().len(), 1, "the invitation alone");
    portal.app.sink.answer("250 taken");
    let due = Filter { state: Some(State::Due), ..Filter::default() };
    assert_eq!(retry(&portal.app.database.worker().await, &due).await.unwrap(), 1);
    portal.app.mailer.round().await.unwrap();
    let link = link_in(portal.app.sink.emails().last().unwrap()).expect("a link");
    assert_eq!(portal.come_in(&link).await.0, 303);
}

#[actix_web::test]
async fn a_portal_user_talks_in_the_threads_of_the_client_and_sees_nothing_of_the_firms_own() {
    let portal = Portal::new().await;
    // More than the part of the portal gives: what is the firm's own stays so.
    portal.command("portal.portal_user.grant_access", portal.ada, &json!({ "scope": "messages" })).await;
    portal.command("portal.portal_user.grant", portal.ada, &json!({ "pattern": "communications.*" })).await;
    let threads = [(); 3].map(|()| Uuid::now_v7());
    for (id, kind, client) in [
        (threads[0], "client", portal.acme),
        (threads[1], "internal", portal.acme),
        (threads[2], "client", portal.other),
    ] {
        let open = json!({ "kind": kind, "subject": kind, "client_id": client });
        portal.command("communications.thread.open", id, &open).await;
        portal.command("communications.thread.post_message", id, &json!({ "body": format!("In {kind}") })).await;
    }
    let about = json!({ "kind": "client", "id": portal.acme });
    let note = json!({ "about": about, "body": "Pays late" });
    portal.command("communications.note.add", Uuid::now_v7(), &note).await;
    let session = portal.session().await;
    portal.app.project().await;
    let listed = async |path: &str, field: &str| {
        let (status, list) = portal.get(&portal.app.queries, path, &session).await;
        assert_eq!(status, 200, "{path}: {list}");
        list["data"].as_array().unwrap().iter().map(|row| row[field].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed("/v1/communications/threads", "id").await, [json!(threads[0])]);
    assert_eq!(listed("/v1/communications/messages", "body").await, [json!("In client")]);
    for path in ["/v1/communications/notes", "/v1/communications/emails"] {
        let (status, list) = portal.get(&portal.app.queries, path, &session).await;
        assert!(status == 403 || list["data"] == json!([]), "{path}: {status} {list}");
    }
    let (status, _) =
        portal.get(&portal.app.queries, &format!("/v1/communications/threads/{}", threads[1]), &session).await;
    assert_eq!(status, 404);

    let post = async |thread: Uuid| {
        let path = format!("/v1/communications/threads/{thread}/post-message");
        portal.post(&path, &session, &json!({ "body": "Hello" })).await
    };
    let (status, answer) = post(threads[0]).await;
    assert_eq!(status, 200, "{answer}");
    for thread in &threads[1..] {
        let (status, answer) = post(*thread).await;
        assert!(matches!(status, 403 | 404 | 409), "{status} {answer}");
    }
    let add = json!({ "about": about, "body": "Mine" });
    assert!(portal.post("/v1/communications/notes", &session, &add).await.0 >= 400);
    let send = json!({ "to": { "kind": "address", "email": "eve@example.com" }, "subject": "x", "body": "x", "client_id": portal.acme });
    assert!(portal.post("/v1/communications/emails", &session, &send).await.0 >= 400);
    portal.app.project().await;
    assert_eq!(listed("/v1/communications/messages", "author_kind").await.first(), Some(&json!("portal_user")));
}

impl Portal {
    /// Opens parts of the portal to Ada.
    async fn open_parts(&self, parts: &[&str]) {
        for part in parts {
            self.command("portal.portal_user.grant_access", self.ada, &json!({ "scope": part })).await;
        }
    }

    /// What a list shows.
    async fn rows(&self, path: &str, cookie: &str) -> Vec<Value> {
        let (status, list) = self.get(&self.app.queries, path, cookie).await;
        assert_eq!(status, 200, "{path}: {list}");
        list["data"].as_array().unwrap().clone()
    }
}

#[actix_web::test]
async fn a_portal_user_does_what_the_client_is_asked_and_nobody_elses() {
    let portal = Portal::new().await;
    portal.open_parts(&["tasks"]).await;
    let [mine, others] = [Uuid::now_v7(), Uuid::now_v7()];
    for (id, client) in [(mine, portal.acme), (others, portal.other)] {
        let assign = json!({ "client_id": client, "title": "Send the receipts" });
        portal.command("portal.client_task.assign", id, &assign).await;
    }
    let session = portal.session().await;
    portal.app.project().await;
    let seen = portal.rows("/v1/portal/client-tasks", &session).await;
    assert_eq!((seen.len(), &seen[0]["id"]), (1, &json!(mine)));
    let submit = async |id: Uuid| {
        portal.post(&format!("/v1/portal/client-tasks/{id}/submit"), &session, &json!({ "note": "all there" })).await.0
    };
    assert_eq!((submit(mine).await, submit(others).await), (200, 404));
    // What is the firm's to say is not in the part.
    let accept = portal.post(&format!("/v1/portal/client-tasks/{mine}/accept"), &session, &json!({})).await;
    assert_eq!(accept.0, 403);
    portal.command("portal.client_task.return", mine, &json!({ "reason": "March is missing" })).await;
    portal.app.project().await;
    let seen = portal.rows("/v1/portal/client-tasks", &session).await;
    assert_eq!((&seen[0]["status"], &seen[0]["return_reason"]), (&json!("returned"), &json!("March is missing")));
}

#[actix_web::test]
async fn a_portal_user_decides_for_the_client_and_nobody_of_the_firm_does() {
    let portal = Portal::new().await;
    portal.open_parts(&["approvals"]).await;
    let [mine, others] = [Uuid::now_v7(), Uuid::now_v7()];
    let subject = json!({ "kind": "milestone", "id": Uuid::now_v7(), "title": "Design" });
    for (id, client) in [(mine, portal.acme), (others, portal.other)] {
        let request = json!({ "client_id": client, "subject": subject });
        portal.command("portal.client_approval.request", id, &request).await;
    }
    let session = portal.session().await;
    portal.app.project().await;
    let seen = portal.rows("/v1/portal/client-approvals", &session).await;
    assert_eq!((seen.len(), &seen[0]["id"]), (1, &json!(mine)));
    portal.app.join(portal.firm, portal.firm.owner, &[]).await;
    let token = portal.app.owner(portal.firm);
    let path = |id: Uuid| format!("/v1/portal/client-approvals/{id}/approve");
    let (status, problem) = portal.app.post(&path(mine), &token, &json!({})).await.told();
    assert_eq!((status, &problem["code"]), (409, &json!("portal.client_approval.client_only")), "{problem}");
    let approve = async |id: Uuid| portal.post(&path(id), &session, &json!({})).await.0;
    assert_eq!((approve(mine).await, approve(others).await), (200, 404));
    portal.app.project().await;
    let seen = portal.rows("/v1/portal/client-approvals", &session).await;
    assert_eq!((&seen[0]["status"], &seen[0]["decided_by"]), (&json!("approved"), &json!(portal.ada)));
}

#[actix_web::test]
async fn what_a_project_costs_is_no_part_of_the_portal() {
    let portal = Portal::new().await;
    portal.open_parts(&["tasks", "approvals", "files"]).await;
    let session = portal.session().await;
    portal.app.project().await;
    for path in ["/v1/projects/budgets", "/v1/projects/time-entries", "/v1/scheduling/appointments"] {
        assert_eq!(portal.get(&portal.app.queries, path, &session).await.0, 403, "{path}");
    }
    let project = portal.rows("/v1/projects/projects", &session).await.remove(0);
    let fields = project.as_object().unwrap();
    assert!(fields.keys().all(|field| !field.contains("rate") && !field.contains("budget")), "{fields:?}");
}

#[actix_web::test]
async fn what_colleagues_note_and_what_has_not_begun_is_not_shown_outside() {
    let portal = Portal::new().await;
    let session = portal.session().await;
    portal.app.project().await;
    let project = portal.rows("/v1/projects/projects", &session).await.remove(0);
    let id: Uuid = project["id"].as_str().unwrap().parse().unwrap();
    let task = portal.rows("/v1/projects/tasks", &session).await.remove(0);
    let reason = json!({ "task_id": task["id"], "reason": "the client does not pay" });
    portal.command("projects.project.block_task", id, &reason).await;
    portal.command("projects.project.hold", id, &json!({ "reason": "the client does not pay" })).await;
    portal.app.project().await;
    let task = portal.rows("/v1/projects/tasks", &session).await.remove(0);
    assert_eq!((&task["status"], &task["blocked_reason"]), (&json!("blocked"), &Value::Null));
    let project = portal.rows("/v1/projects/projects", &session).await;
    assert_eq!((project.len(), &project[0]["status"], &project[0]["reason"]), (1, &json!("on_hold"), &Value::Null));
    portal.app.join(portal.firm, portal.firm.owner, &[]).await;
    let token = portal.app.owner(portal.firm);
    let (_, seen) = portal.app.get(&format!("/v1/projects/projects/{id}"), &token).await.told();
    assert_eq!(seen["reason"], json!("the client does not pay"));
    let (_, drafts) = portal.app.get("/v1/projects/projects?status=draft", &token).await.told();
    for draft in drafts["data"].as_array().unwrap() {
        let path = format!("/v1/projects/projects/{}", draft["id"].as_str().unwrap());
        assert_eq!(portal.get(&portal.app.queries, &path, &session).await.0, 404);
    }
}
