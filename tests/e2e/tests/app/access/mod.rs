//! Every operation of both APIs, asked for by everybody who could: who may is answered, who may not is refused.

use credentials::ShownKey;
use futures::future::join_all;
use harness::{Operation, Shown, TestApp, eventually, send};
use kernel::{OF_EVERY_USER, Permissions, Role, TenantId};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Every operation that needs a permission: commands, and questions.
fn operations(app: &TestApp) -> (Vec<Operation>, Vec<Operation>) {
    let guarded = |all: Vec<Operation>| all.into_iter().filter(|o| !o.permission.is_empty()).collect();
    (guarded(app.orders()), guarded(app.questions()))
}

mod days;
mod me;
mod resources;

const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Viewer];

#[actix_web::test]
async fn t_14_every_operation_is_for_who_may_and_for_nobody_else() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let (to_command, to_query) = operations(&app);
    assert!(to_command.len() > 60 && to_query.len() > 30, "{} and {}", to_command.len(), to_query.len());

    // Who comes in, and with which patterns.
    let mut callers: Vec<(String, String, Option<Role>)> = vec![];
    for role in ROLES {
        let user = if role == Role::Owner { firm.owner } else { Uuid::now_v7() };
        if role != Role::Owner {
            app.join(firm, user, &[role.name()]).await;
            let program = Uuid::now_v7();
            let account = json!({ "name": format!("Program {}", role.name()), "roles": [role.name()] });
            app.command(firm, "identity.service_account.create", program, &account).await;
            let issue = json!({ "name": "Key", "principal": { "kind": "service_account", "id": program } });
            let owner = app.owner(firm);
            let (status, issued) = app.ask(&Method::POST, "/v1/identity/api-keys", &owner, &issue).await;
            assert_eq!(status, 201, "{issued}");
            let key = issued["secret"].as_str().unwrap().to_owned();
            callers.push((format!("a program with {}", role.name()), key, Some(role)));
        }
        callers.push((format!("a user with {}", role.name()), app.token(firm, user), Some(role)));
    }
    let nobody = Uuid::now_v7();
    app.join(firm, nobody, &[]).await;
    callers.push(("a user without roles".to_owned(), app.token(firm, nobody), None));
    let suspended = Uuid::now_v7();
    app.join(firm, suspended, &["admin"]).await;
    app.command(firm, "identity.user.suspend", suspended, &json!({ "reason": "on leave" })).await;

    let mut wrong = vec![];
    let mut asked = |who: &str, permission: &str, (status, body): (u16, Value), expected: &[u16]| {
        let refused = matches!(status, 401 | 403);
        let so = if expected.is_empty() { !refused && status < 500 } else { expected.contains(&status) };
        if !so {
            wrong.push(format!("{permission} asked by {who}: {status} instead of {expected:?}: {body}"));
        }
    };
    for operation @ Operation { method, permission, .. } in to_command.iter().chain(&to_query) {
        let path = operation.of_nothing();
        for (who, bearer, role) in &callers {
            let may = role.is_some_and(|role| Permissions::of(&[role]).allow(permission));
            let answer = app.ask(method, &path, bearer, json!({})).await;
            let own = who.starts_with("a user") && OF_EVERY_USER.contains(&format!("{permission}:own").as_str());
            asked(who, permission, answer, if may || own { &[] } else { &[403] });
        }
    }
    // Whoever does not come in waits for a fresh look at the log, so all of them ask at once.
    let key = format!("ubk_{}", "A".repeat(75));
    let unknown = ShownKey::mint("ubk", TenantId(firm.tenant), Uuid::now_v7()).0;
    let forged = "eyJhbGciOiJub25lIn0.e30.".to_owned();
    for (who, bearer, expected) in [
        ("a suspended admin", Some(app.token(firm, suspended)), 403),
        ("a stranger", Some(app.token(firm, Uuid::now_v7())), 403),
        ("nobody", None, 401),
        ("a forged token", Some(forged), 401),
        ("a mistyped key", Some(key), 401),
        ("a key that was never issued", Some(unknown), 401),
    ] {
        let all = to_command.iter().chain(&to_query);
        let all = all.map(async |o| app.ask(&o.method, &o.of_nothing(), bearer.as_deref(), json!({})).await);
        for answer in join_all(all).await {
            asked(who, "an operation", answer, &[expected]);
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

#[actix_web::test]
async fn a_key_opens_until_it_is_rotated_away_or_revoked() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let owner = app.owner(firm);
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": firm.owner }, "scopes": ["crm.*"] });
    let (status, issued) = app.ask(&Method::POST, "/v1/identity/api-keys", &owner, &issue).await;
    assert_eq!(status, 201, "{issued}");
    let (id, first) = (issued["id"].as_str().unwrap(), issued["secret"].as_str().unwrap());

    // Within its scopes it does what its principal may, on both services.
    let (status, created) = app.ask(&Method::POST, "/v1/crm/clients", first, json!({ "name": "Ada" })).await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(app.ask(&Method::GET, "/v1/crm/clients", first, json!({})).await.0, 200);
    assert_eq!(app.ask(&Method::GET, "/v1/files/folders", first, json!({})).await.0, 403, "beyond its scopes");

    let rotate = format!("/v1/identity/api-keys/{id}/rotate");
    let (status, rotated) = app.ask(&Method::POST, &rotate, &owner, json!({ "overlap_hours": 1 })).await;
    assert_eq!(status, 200, "{rotated}");
    let second = rotated["secret"].as_str().unwrap();
    eventually(async || app.ask(&Method::GET, "/v1/crm/clients", second, json!({})).await.0 == 200).await;
    assert_eq!(app.ask(&Method::GET, "/v1/crm/clients", first, json!({})).await.0, 200, "both for a while");

    let (status, _) = app.ask(&Method::POST, &rotate, &owner, json!({ "overlap_hours": 0 })).await;
    assert_eq!(status, 200);
    eventually(async || app.ask(&Method::GET, "/v1/crm/clients", second, json!({})).await.0 == 401).await;
    let revoke = format!("/v1/identity/api-keys/{id}/revoke");
    assert_eq!(app.ask(&Method::POST, &revoke, &owner, json!({ "reason": "leaked" })).await.0, 200);
    for secret in [first, second] {
        eventually(async || app.ask(&Method::GET, "/v1/crm/clients", secret, json!({})).await.0 == 401).await;
    }
}

#[actix_web::test]
async fn whoever_repeats_is_shown_no_secret_again() {
    let app = TestApp::new().await;
    let firm = app.register("Engines").await;
    let owner = app.owner(firm);
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": firm.owner } });
    let ask =
        async || send(app.order("/v1/identity/api-keys", &owner).header("idempotency-key", "once").json(&issue)).await;
    let first = ask().await;
    assert_eq!((first.status, first.header("cache-control")), (201, "no-store"));
    let first = first.body;
    let second = ask().await;
    assert_eq!((second.status, &second.body["id"], second.body.get("secret")), (201, &first["id"], None));
    // What the log holds is of no use to whoever reads it.
    let events = app
        .bus
        .store()
        .load::<identity::ApiKey>(TenantId(firm.tenant), first["id"].as_str().unwrap().parse().unwrap())
        .await
        .unwrap();
    assert!(!format!("{events:?}").contains(first["secret"].as_str().unwrap()));
}
