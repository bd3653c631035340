//! Row T: what somebody gives who does not have it, and what is let in again that had ended.

use event_store::{CommandBus, Request, Store, StoreOptions};
use futures::future::join_all;
use harness::{Answer, Firm, PROVIDERS, Session, TestApp, eventually, send};
use identity::{Tenant, User};
use kernel::{Actor, Permissions, Principal, Role, TenantId, UserId};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// A key that was asked for, as it was shown.
async fn key(app: &TestApp, by: &str, scopes: &[&str], expires_at: Option<&str>, principal: Value) -> Answer {
    let mut body = json!({ "name": "Key", "principal": principal, "scopes": scopes });
    if let Some(end) = expires_at {
        body["expires_at"] = json!(end);
    }
    app.post("/v1/identity/api-keys", by, &body).await
}

fn secret(answer: &Answer) -> String {
    answer.body["secret"].as_str().unwrap_or_else(|| panic!("no secret in {answer:?}")).to_owned()
}

fn refused(answer: &Answer, code: &str) {
    assert!(answer.text.contains(code) && matches!(answer.status, 403 | 409 | 422), "{code} instead of {answer:?}");
    assert!(answer.body["secret"].is_null(), "{answer:?}");
}

fn later(hours: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::hours(hours)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[actix_web::test]
async fn t_22_a_key_gives_no_more_than_it_has() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    let oneself = json!({ "kind": "user", "id": firm.owner });
    let program = json!({ "kind": "service_account", "id":
        app.post("/v1/identity/service-accounts", &owner, &json!({ "name": "Sync", "roles": ["admin"] })).await.id() });
    let full = key(&app, &owner, &[], None, oneself.clone()).await;
    let of_program = key(&app, &owner, &[], None, program.clone()).await;
    let issuing = ["identity.api_key.*", "crm.client.read"];
    let small = secret(&key(&app, &owner, &issuing, None, oneself.clone()).await);
    let small_program = secret(&key(&app, &owner, &issuing, None, program.clone()).await);
    let (soon, late) = (later(1), later(2));
    let ending = secret(&key(&app, &owner, &[], Some(&soon), oneself.clone()).await);

    for by in [&small, &small_program] {
        for whom in [&oneself, &program] {
            for scopes in
                [&[][..], &["*"], &["identity.*"], &["crm.client.*"], &["crm.client.read", "files.folder.read"]]
            {
                refused(&key(&app, by, scopes, None, whom.clone()).await, "identity.api_key.");
            }
        }
        // Nor does a rotation show a secret that opens more, or that lasts longer.
        for found in [&full, &of_program] {
            let rotate = format!("/v1/identity/api-keys/{}/rotate", found.id());
            refused(&app.post(&rotate, by, &json!({ "overlap_hours": 1 })).await, "identity.api_key.");
        }
    }
    let within = key(&app, &small, &["crm.client.read"], None, oneself.clone()).await;
    assert_eq!(app.get("/v1/crm/clients", &secret(&within)).await.status, 200, "{within:?}");
    assert_eq!(app.get("/v1/files/folders", &secret(&within)).await.status, 403);

    refused(&key(&app, &ending, &[], None, oneself.clone()).await, "identity.api_key.expires_after_your_key");
    refused(&key(&app, &ending, &["*"], Some(&late), oneself.clone()).await, "identity.api_key.expires_after_your_key");
    let rotate = format!("/v1/identity/api-keys/{}/rotate", full.id());
    refused(&app.post(&rotate, &ending, &json!({})).await, "identity.api_key.expires_after_your_key");
    assert_eq!(key(&app, &ending, &[], Some(&soon), oneself.clone()).await.status, 201, "as long as itself");

    // Neither does it give by a role, a right, a membership, an invitation, a subscriber or a firm's ownership.
    let (eve, client) = (Uuid::now_v7(), app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.id());
    app.join(firm, eve, &["viewer"]).await;
    let team = app.post("/v1/identity/teams", &owner, &json!({ "name": "Tax" })).await.id();
    let right = json!({ "pattern": "projects.*", "resource": { "kind": "client", "id": client } });
    assert_eq!(app.post(&format!("/v1/identity/teams/{team}/grant"), &owner, &right).await.status, 200);
    let staff = secret(&key(&app, &owner, &["identity.*", "portal.*"], None, oneself.clone()).await);
    let person = json!({ "client_id": client, "name": "Bea", "email": "bea@example.com" });
    let person = app.post("/v1/portal/portal-users", &owner, &person).await.id();
    for (path, body) in [
        (format!("identity/users/{eve}/assign-role"), json!({ "role": "admin" })),
        (format!("identity/users/{eve}/grant"), right.clone()),
        ("identity/users".to_owned(), json!({ "name": "F", "email": "f@example.com", "roles": ["member"] })),
        ("identity/service-accounts".to_owned(), json!({ "name": "Other", "roles": ["member"] })),
        ("identity/roles".to_owned(), json!({ "name": "all", "description": "All", "patterns": ["*"] })),
        (format!("identity/teams/{team}/grant"), json!({ "pattern": "files.*", "resource": right["resource"] })),
        (format!("identity/teams/{team}/add-member"), json!({ "user_id": eve })),
        ("identity/subscribers".to_owned(), json!({ "name": "Reader" })),
        (format!("identity/tenants/{}/add-owner", firm.tenant), json!({ "user_id": eve })),
        (
            format!("identity/tenants/{}/transfer-ownership", firm.tenant),
            json!({ "from_user_id": firm.owner, "to_user_id": eve }),
        ),
        (format!("portal/portal-users/{person}/grant-access"), json!({ "scope": "projects" })),
        (format!("portal/portal-users/{person}/grant"), json!({ "pattern": "crm.*" })),
    ] {
        for by in [&staff, &ending] {
            let answer = app.post(&format!("/v1/{path}"), by, &body).await;
            assert!(
                ["exceed_your", "exceeds_your", "owners_only"].iter().any(|code| answer.text.contains(code)),
                "{path}: {answer:?}"
            );
        }
    }
}

#[actix_web::test]
async fn t_23_to_end_a_denial_is_to_give() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, eve, bob) = (app.owner(firm), Uuid::now_v7(), Uuid::now_v7());
    let define = |name: &str, patterns: &[&str]| json!({ "name": name, "description": "x", "patterns": patterns });
    let kept = app.post("/v1/identity/roles", &owner, &define("kept", &["!identity.tenant.*", "!files.*"])).await.id();
    for user in [eve, bob] {
        app.join(firm, user, &["admin", "kept"]).await;
    }
    let by_eve = app.token(firm, eve);
    assert_eq!(
        app.post(&format!("/v1/identity/tenants/{}/rename", firm.tenant), &by_eve, &json!({ "name": "Mine" }))
            .await
            .status,
        403
    );
    for user in [eve, bob] {
        let revoke = format!("/v1/identity/users/{user}/revoke-role");
        let answer = app.post(&revoke, &by_eve, &json!({ "role": "kept" })).await;
        refused(&answer, "identity.user.role_exceeds_your_permissions");
    }
    for patterns in [&[][..], &["!files.*"], &["!identity.tenant.close", "!files.*"], &["crm.*", "!files.*"]] {
        let change = json!({ "description": "less", "patterns": patterns });
        let answer = app.post(&format!("/v1/identity/roles/{kept}/change"), &by_eve, &change).await;
        refused(&answer, "identity.role.patterns_exceed_your_permissions");
    }
    let answer = app.post(&format!("/v1/identity/roles/{kept}/withdraw"), &by_eve, &json!({})).await;
    refused(&answer, "identity.role.patterns_exceed_your_permissions");
    // A program, too, that is denied something.
    let sync = json!({ "name": "Sync", "roles": ["admin", "kept"] });
    let sync = app.post("/v1/identity/service-accounts", &owner, &sync).await.id();
    let revoke = format!("/v1/identity/service-accounts/{sync}/revoke-role");
    refused(
        &app.post(&revoke, &by_eve, &json!({ "role": "kept" })).await,
        "identity.service_account.role_exceeds_your_permissions",
    );

    // To take, and to deny more, works; so does everything for who may do what is denied.
    let change = json!({ "description": "more", "patterns": ["!identity.tenant.*", "!files.*", "!workflow.*"] });
    assert_eq!(app.post(&format!("/v1/identity/roles/{kept}/change"), &by_eve, &change).await.status, 200);
    let revoke = format!("/v1/identity/users/{bob}/revoke-role");
    assert_eq!(app.post(&revoke, &by_eve, &json!({ "role": "admin" })).await.status, 200);
    for user in [eve, bob] {
        let revoke = format!("/v1/identity/users/{user}/revoke-role");
        assert_eq!(app.post(&revoke, &owner, &json!({ "role": "kept" })).await.status, 200);
    }
}

#[actix_web::test]
async fn t_24_an_owner_is_not_got_rid_of_by_who_is_none() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, admin) = (app.owner(firm), Uuid::now_v7());
    app.join(firm, admin, &["admin"]).await;
    let by_admin = app.token(firm, admin);
    let of_owner = format!("/v1/identity/users/{}", firm.owner);
    let why = json!({ "reason": "because" });
    for (path, body, code) in [
        (
            "/v1/identity/erasures".to_owned(),
            json!({ "subject_id": firm.owner, "reason": "x" }),
            "identity.erasure.owner",
        ),
        (format!("{of_owner}/suspend"), why.clone(), "identity.user.owner"),
        (format!("{of_owner}/deactivate"), why.clone(), "identity.user.owner"),
        (format!("{of_owner}/leave"), json!({}), ""),
    ] {
        for by in [&by_admin, &owner] {
            refused(&app.post(&path, by, &body).await, code);
        }
    }
    // What lets an owner in is an owner's to take.
    let login = json!({ "issuer": "https://login.example.com", "subject": "ada" });
    app.command(firm, "identity.user.link_login", firm.owner, &login).await;
    refused(&app.post(&format!("{of_owner}/unlink-login"), &by_admin, &login).await, "identity.user.owners_only");
    let session = Uuid::now_v7();
    let start = json!({ "user_id": firm.owner, "issuer": "https://login.example.com", "ends_at": later(1) });
    app.command(firm, "identity.session.start", session, &start).await;
    let end = format!("/v1/identity/sessions/{session}/end");
    refused(&app.post(&end, &by_admin, &why).await, "identity.session.not_your_own");
    assert_eq!(app.post(&end, &owner, &why).await.status, 200);
    // Somebody else is erased by who may.
    let body = json!({ "subject_id": admin, "reason": "x" });
    assert_eq!(app.post("/v1/identity/erasures", &owner, &body).await.status, 201);
}

/// Two processes that decide at the same moment, over and over: the owner hands the firm over to somebody who goes, is kept out
/// or is erased.
#[actix_web::test]
async fn t_24_a_firm_is_never_without_an_owner_whoever_goes_at_the_same_moment() {
    let app = TestApp::new().await;
    let mut other = CommandBus::new(Store::start(app.database.command().await, StoreOptions::default()));
    registry::mount_all(&mut other);
    let buses = [app.bus.clone(), other];
    let ask = async |bus: usize, firm: Firm, by: Uuid, name: &str, id: Uuid, body: &Value| {
        let info = *buses[bus].command(name).unwrap();
        let mut request = Request::new(TenantId(firm.tenant), Actor::User { id: UserId(by) });
        request.permissions = Some(Arc::new(Permissions::of(&[Role::Owner])));
        buses[bus].execute(&info, Some(id), body.to_string(), request).await.is_ok()
    };
    let reason = json!({ "reason": "now" });
    let mut done = [0, 0];
    for round in 0..24 {
        let firm = app.register("Ours").await;
        let next = Uuid::now_v7();
        app.join(firm, next, &["admin"]).await;
        let transfer = json!({ "from_user_id": firm.owner, "to_user_id": next });
        let (goes, by, id, body) = match round % 4 {
            0 => ("identity.user.leave", next, next, json!({})),
            1 => ("identity.user.suspend", firm.owner, next, reason.clone()),
            2 => ("identity.user.deactivate", firm.owner, next, reason.clone()),
            _ => ("identity.erasure.request", firm.owner, Uuid::now_v7(), json!({ "subject_id": next, "reason": "x" })),
        };
        let hand_over =
            ask(round / 4 % 2, firm, firm.owner, "identity.tenant.transfer_ownership", firm.tenant, &transfer);
        let (handed_over, went) = futures::join!(hand_over, ask(1 - round / 4 % 2, firm, by, goes, id, &body));
        done[0] += usize::from(handed_over);
        done[1] += usize::from(went);
        let tenant = TenantId(firm.tenant);
        let (of, _) = app.bus.store().load::<Tenant>(tenant, firm.tenant).await.unwrap();
        let (user, _) = app.bus.store().load::<User>(tenant, next).await.unwrap();
        assert!(
            of.is_owner(UserId(firm.owner)) || of.is_owner(UserId(next)) && user.is_active(),
            "{goes}: nobody owns it"
        );
        if goes == "identity.erasure.request" {
            // An erasure that was ordered first leaves the user there until it is done.
            assert!(handed_over || went);
        } else {
            assert!(handed_over != went, "{goes}: one of the two, {handed_over} and {went}");
        }
    }
    assert!(done[0] > 0, "the firm was never handed over: {done:?}");
}

#[actix_web::test]
async fn t_25_what_ended_with_somebody_who_went_stays_ended() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, eve) = (app.owner(firm), Uuid::now_v7());
    app.join(firm, eve, &["admin"]).await;
    let client = app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.id();
    let team = app.post("/v1/identity/teams", &owner, &json!({ "name": "Tax" })).await.id();
    let right = json!({ "pattern": "crm.*", "resource": { "kind": "client", "id": client } });
    for (path, body) in [
        (format!("teams/{team}/grant"), right.clone()),
        (format!("teams/{team}/add-member"), json!({ "user_id": eve })),
        (format!("users/{eve}/grant"), right.clone()),
    ] {
        assert_eq!(app.post(&format!("/v1/identity/{path}"), &owner, &body).await.status, 200, "{path}");
    }
    let mine = key(&app, &app.token(firm, eve), &[], None, json!({ "kind": "user", "id": eve })).await;
    let Session { cookie, .. } = app.session(firm, eve).await;
    let url = format!("{}/v1/crm/clients", app.queries);
    let by_cookie = async || send(app.http.get(&url).header("cookie", &cookie)).await.status;
    assert_eq!((app.get("/v1/crm/clients", &secret(&mine)).await.status, by_cookie().await), (200, 200));

    let of_eve = format!("/v1/identity/users/{eve}");
    assert_eq!(app.post(&format!("{of_eve}/deactivate"), &owner, &json!({ "reason": "gone" })).await.status, 200);
    assert_eq!(app.post(&format!("{of_eve}/reinvite"), &owner, &json!({})).await.status, 200);
    let (user, _) = app.bus.store().load::<User>(TenantId(firm.tenant), eve).await.unwrap();
    let accept = json!({ "invitation_id": user.invitation().unwrap() });
    app.command(firm, "identity.user.accept_invitation", eve, &accept).await;
    let token = app.token(firm, eve);
    app.project().await;
    eventually(async || app.get("/v1/crm/clients", &token).await.status == 403).await;
    eventually(async || app.get(&format!("/v1/identity/users/{eve}"), &token).await.status == 200).await;
    assert_eq!(app.get("/v1/crm/clients", &token).await.status, 403, "no role, right or membership is left");
    assert_eq!(app.get("/v1/crm/clients", &secret(&mine)).await.status, 401, "nor the key");
    assert_eq!(by_cookie().await, 401, "nor the session");
    let rotate = format!("/v1/identity/api-keys/{}/rotate", mine.id());
    refused(&app.post(&rotate, &token, &json!({})).await, "forbidden");
    let shown = app.get(&format!("/v1/identity/users/{eve}"), &owner).await.body;
    assert_eq!((&shown["roles"], &shown["grants"]), (&json!([]), &json!([])));

    // Taken in once more, everything is new.
    let add = format!("/v1/identity/teams/{team}/add-member");
    assert_eq!(app.post(&add, &owner, &json!({ "user_id": eve })).await.status, 200);
    eventually(async || app.get("/v1/crm/clients", &token).await.status == 200).await;
}

#[actix_web::test]
async fn t_26_a_role_under_a_name_that_is_free_again_is_nobodys() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, eve) = (app.owner(firm), Uuid::now_v7());
    let define = |patterns: &[&str]| json!({ "name": "partner", "description": "x", "patterns": patterns });
    let old = app.post("/v1/identity/roles", &owner, &define(&["crm.client.read"])).await.id();
    app.join(firm, eve, &["partner"]).await;
    let account = json!({ "name": "Sync", "roles": ["partner"] });
    let account = app.post("/v1/identity/service-accounts", &owner, &account).await.id();
    let program = secret(&key(&app, &owner, &[], None, json!({ "kind": "service_account", "id": account })).await);
    let token = app.token(firm, eve);
    for by in [&token, &program] {
        assert_eq!(app.get("/v1/crm/clients", by).await.status, 200);
    }
    assert_eq!(app.post(&format!("/v1/identity/roles/{old}/withdraw"), &owner, &json!({})).await.status, 200);
    let new = app.post("/v1/identity/roles", &owner, &define(&["*"])).await;
    assert_eq!(new.status, 201);
    for by in [&token, &program] {
        eventually(async || app.get("/v1/crm/clients", by).await.status == 403).await;
        assert_eq!(app.post("/v1/crm/clients", by, &json!({ "name": "Eve" })).await.status, 403);
    }
    // Whoever is to have the new one gets it.
    let assign = json!({ "role": "partner" });
    assert_eq!(app.post(&format!("/v1/identity/users/{eve}/assign-role"), &owner, &assign).await.status, 200);
    eventually(async || app.get("/v1/crm/clients", &token).await.status == 200).await;
    assert_eq!(app.get("/v1/crm/clients", &program).await.status, 403);
}

#[actix_web::test]
async fn t_27_a_right_is_taken_from_whoever_is_kept_out_too() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    let client = app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.id();
    let right = json!({ "pattern": "crm.*", "resource": { "kind": "client", "id": client } });
    let post = async |path: &str, body: Value| {
        let answer = app.post(&format!("/v1/{path}"), &owner, &body).await;
        assert!(answer.status == 200, "{path}: {answer:?}");
    };
    let why = || json!({ "reason": "because" });

    for keep_out in ["suspend", "deactivate"] {
        let eve = Uuid::now_v7();
        app.join(firm, eve, &["viewer"]).await;
        post(&format!("identity/users/{eve}/grant"), right.clone()).await;
        post(&format!("identity/users/{eve}/{keep_out}"), why()).await;
        post(&format!("identity/users/{eve}/revoke-role"), json!({ "role": "viewer" })).await;
        post(&format!("identity/users/{eve}/revoke-grant"), right.clone()).await;
        post(&format!("identity/users/{eve}/suspend"), why()).await;
        post(&format!("identity/users/{eve}/deactivate"), why()).await;
    }
    let account = json!({ "name": "Sync", "roles": ["admin"] });
    let account = app.post("/v1/identity/service-accounts", &owner, &account).await.id();
    post(&format!("identity/service-accounts/{account}/disable"), json!({})).await;
    post(&format!("identity/service-accounts/{account}/revoke-role"), json!({ "role": "admin" })).await;

    for keep_out in ["lock", "disable"] {
        let person = json!({ "client_id": client, "name": "Bea", "email": format!("{keep_out}@example.com") });
        let person = app.post("/v1/portal/portal-users", &owner, &person).await.id();
        let of = format!("portal/portal-users/{person}");
        post(&format!("{of}/grant-access"), json!({ "scope": "projects" })).await;
        post(&format!("{of}/grant"), json!({ "pattern": "crm.*" })).await;
        post(&format!("{of}/invite"), json!({})).await;
        post(&format!("{of}/{keep_out}"), if keep_out == "lock" { why() } else { json!({}) }).await;
        post(&format!("{of}/revoke-access"), json!({ "scope": "projects" })).await;
        post(&format!("{of}/revoke-grant"), json!({ "pattern": "crm.*" })).await;
        post(&format!("{of}/revoke-invitation"), json!({})).await;
        post(&format!("{of}/lock"), why()).await;
        post(&format!("{of}/disable"), json!({})).await;
    }
    let team = app.post("/v1/identity/teams", &owner, &json!({ "name": "Tax" })).await.id();
    post(&format!("identity/teams/{team}/add-member"), json!({ "user_id": firm.owner })).await;
    post(&format!("identity/teams/{team}/grant"), right.clone()).await;
    post(&format!("identity/teams/{team}/disband"), json!({})).await;
    post(&format!("identity/teams/{team}/remove-member"), json!({ "user_id": firm.owner })).await;
    post(&format!("identity/teams/{team}/revoke-grant"), right.clone()).await;
}

#[actix_web::test]
async fn t_28_an_event_shows_no_more_than_its_list_and_no_secret() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, viewer) = (app.owner(firm), Uuid::now_v7());
    app.join(firm, viewer, &["viewer"]).await;
    let by_viewer = app.token(firm, viewer);
    app.session(firm, firm.owner).await;
    let issued = key(&app, &owner, &[], None, json!({ "kind": "user", "id": firm.owner })).await;
    app.post(&format!("/v1/identity/api-keys/{}/rotate", issued.id()), &owner, &json!({})).await;
    let reader = app.post("/v1/identity/subscribers", &owner, &json!({ "name": "Ledger" })).await;
    assert_eq!(reader.status, 201, "{reader:?}");
    let superuser = app.database.superuser().await;
    let sql = "select position, aggregate_type, event_type, payload::text from eventstore.events where tenant_id = $1";
    let events: Vec<(i64, String, String, String)> =
        sqlx::query_as(sql).bind(firm.tenant).fetch_all(&superuser).await.unwrap();
    let hashes = events.iter().filter(|(.., payload)| payload.contains("secret_hash")).count();
    assert!(hashes >= 3, "{events:?}");
    for (position, stream, event_type, _) in events {
        let path = format!("/v1/events/{position}");
        let (seen, shown) = (app.get(&path, &by_viewer).await, app.get(&path, &owner).await);
        assert_eq!(shown.status, 200, "{event_type}: {shown:?}");
        assert!(!shown.text.contains("hash"), "{event_type} shows what a secret hashes to: {}", shown.text);
        let collection = projections::resources().find(|(_, table, _)| table.streams().contains(&stream.as_str()));
        let listed = app.get(&format!("/v1/{}", collection.unwrap().2.path), &by_viewer).await;
        let whole = listed.status == 200 && stream != "identity.session";
        assert_eq!(seen.status, if whole { 200 } else { 404 }, "{event_type}: {seen:?}");
    }
}

#[actix_web::test]
async fn t_29_a_closed_firm_is_opened_again_by_its_owner_and_by_nobody_else() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, admin) = (app.owner(firm), Uuid::now_v7());
    app.join(firm, admin, &["admin"]).await;
    let of_firm = format!("/v1/identity/tenants/{}", firm.tenant);
    assert_eq!(app.post(&format!("{of_firm}/close"), &owner, &json!({})).await.status, 200);
    eventually(async || app.get("/v1/crm/clients", &owner).await.status == 403).await;
    assert_eq!(app.post(&format!("{of_firm}/reopen"), &app.token(firm, admin), &json!({})).await.status, 403);
    assert_eq!(app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.status, 403, "nothing else");
    let reopened = app.post(&format!("{of_firm}/reopen"), &owner, &json!({})).await;
    assert_eq!(reopened.status, 200, "{reopened:?}");
    eventually(async || app.get("/v1/crm/clients", &app.token(firm, admin)).await.status == 200).await;
}

#[actix_web::test]
async fn t_31_logins_are_limited_to_providers_that_there_are_and_lock_no_owner_out() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let (owner, admin) = (app.owner(firm), Uuid::now_v7());
    app.join(firm, admin, &["admin"]).await;
    let login = json!({ "issuer": PROVIDERS[0], "subject": "ada" });
    app.command(firm, "identity.user.link_login", firm.owner, &login).await;
    let path = format!("/v1/identity/tenants/{}/limit-logins", firm.tenant);
    for by in [&owner, &app.token(firm, admin)] {
        let limit = async |issuers: &[&str]| app.post(&path, by, &json!({ "issuers": issuers })).await;
        for made_up in ["https://nowhere.example.com", "https://login.example.com/", "https://login.example.com:8443"] {
            for issuers in [&[made_up][..], &[PROVIDERS[0], made_up]] {
                let answer = limit(issuers).await;
                refused(&answer, "identity.tenant.provider_unknown");
                assert_eq!(answer.status, 422, "{answer:?}");
                assert_eq!(answer.body["errors"][0]["pointer"], "/issuers", "{answer:?}");
            }
        }
        refused(&limit(&[PROVIDERS[1]]).await, "identity.tenant.owner_locked_out");
        for good in [&[PROVIDERS[0]][..], &PROVIDERS[..], &[]] {
            assert_eq!(limit(good).await.status, 200, "{good:?}");
        }
    }
}

#[actix_web::test]
async fn s_13_a_session_that_the_log_never_began_opens_nothing() {
    let app = TestApp::new().await;
    let (ours, theirs) = (app.register("Ours").await, app.register("Theirs").await);
    let url = format!("{}/v1/crm/clients", app.queries);
    let ask = async |cookie: &str| send(app.http.get(&url).header("cookie", cookie)).await.status;
    let Session { cookie: good, .. } = app.session(ours, ours.owner).await;
    assert_eq!(ask(&good).await, 200);
    let begun = Uuid::now_v7();
    let start = json!({ "user_id": theirs.owner, "issuer": "https://login.example.com", "ends_at": later(1) });
    app.command(theirs, "identity.session.start", begun, &start).await;
    let made_up = [Uuid::now_v7(), Uuid::new_v4(), Uuid::nil(), ours.owner, ours.tenant, begun];
    let answers = join_all(made_up.into_iter().map(async |id| {
        let principal = Principal::User { id: UserId(ours.owner) };
        let Session { cookie, .. } = app.kept_session(ours, principal, id).await;
        ask(&cookie).await
    }));
    assert!(answers.await.iter().all(|status| *status == 401), "only what our own log began");
}
