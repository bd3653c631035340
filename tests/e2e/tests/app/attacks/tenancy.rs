//! Rows T: another firm's things, and rights that nobody gave.

use harness::{APP, Firm, Session, TestApp, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

async fn client(app: &TestApp, firm: Firm, name: &str) -> Uuid {
    let body = json!({ "name": name, "email": "same@example.com" });
    let created = app.post("/v1/crm/clients", &app.owner(firm), &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.id()
}

/// What a problem tells but for what differs between any two requests.
fn told(problem: &Value, id: Uuid) -> String {
    let mut problem = problem.clone();
    problem["request_id"] = Value::Null;
    problem.to_string().replace(&id.to_string(), "{id}")
}

#[actix_web::test]
async fn t_01_no_operation_tells_another_firms_record_from_none() {
    let app = TestApp::new().await;
    let (ours, theirs) = (app.register("Ours").await, app.register("Theirs").await);
    client(&app, theirs, "Theirs").await;
    app.project().await;
    let superuser = app.database.superuser().await;
    let mut asked = 0;
    for operation in app.orders().into_iter().chain(app.questions()).filter(|operation| operation.path.contains("{id}"))
    {
        // A record of theirs of the very kind that the path is about, if they have one.
        let stream = operation.description["x-permission"].as_str().unwrap().rsplit_once('.').unwrap().0;
        let sql = "select aggregate_id from eventstore.streams where tenant_id = $1 and aggregate_type = $2 limit 1";
        let found: Option<Uuid> =
            sqlx::query_scalar(sql).bind(theirs.tenant).bind(stream).fetch_optional(&superuser).await.unwrap();
        let (foreign, missing) = (found.unwrap_or(theirs.owner), Uuid::now_v7());
        let ask = async |id: Uuid| {
            let path = operation.path.replace("{id}", &id.to_string());
            match operation.method == Method::GET {
                true => app.get(&path, &app.owner(ours)).await,
                false => app.post(&path, &app.owner(ours), &json!({})).await,
            }
        };
        let (theirs, none) = (ask(foreign).await, ask(missing).await);
        assert_eq!(theirs.status, none.status, "{}", operation.path);
        assert!(matches!(theirs.status, 404 | 422), "{}: {theirs:?}", operation.path);
        assert_eq!(told(&theirs.body, foreign), told(&none.body, missing), "{}", operation.path);
        asked += 1;
    }
    assert!(asked > 80, "{asked}");
}

#[actix_web::test]
async fn t_03_no_header_and_no_host_moves_anybody_into_another_firm() {
    let app = TestApp::new().await;
    let (ours, theirs) = (app.register("Ours").await, app.register("Theirs").await);
    let foreign = client(&app, theirs, "Theirs").await;
    app.project().await;
    let url = format!("{}/v1/crm/clients/{foreign}", app.queries);
    let tenant = theirs.tenant.to_string();
    for header in ["x-tenant-id", "x-tenant", "tenant", "x-forwarded-host", "x-original-url", "x-rewrite-url"] {
        let request = app.http.get(&url).bearer_auth(app.owner(ours)).header(header, &tenant);
        assert_eq!(send(request).await.status, 404, "{header}");
    }
    for path in [format!("/v1/crm/clients?tenant_id={tenant}"), format!("/v1/crm/clients?tenant={tenant}")] {
        assert_eq!(app.get(&path, &app.owner(ours)).await.status, 400, "{path}");
    }
    // A token for their firm of somebody who is ours opens nothing there.
    let confused = app.token(theirs, ours.owner);
    assert_eq!(app.get(&format!("/v1/crm/clients/{foreign}"), &confused).await.status, 403);
}

#[actix_web::test]
async fn t_08_a_value_that_another_firm_holds_is_free() {
    let app = TestApp::new().await;
    let (ours, theirs) = (app.register("Ours").await, app.register("Theirs").await);
    client(&app, theirs, "Theirs").await;
    client(&app, ours, "Ours").await;
    let again = json!({ "name": "Again", "email": "same@example.com" });
    let taken = app.post("/v1/crm/clients", &app.owner(ours), &again).await;
    assert_eq!((taken.status, taken.code()), (409, "crm.client.email.taken"), "within the firm it is not");
}

#[actix_web::test]
async fn t_10_the_token_of_a_firm_that_is_suspended_opens_nothing() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    assert_eq!(app.get("/v1/crm/clients", &owner).await.status, 200);
    app.command(firm, "identity.tenant.suspend", firm.tenant, &json!({ "reason": "unpaid" })).await;
    eventually(async || app.get("/v1/crm/clients", &owner).await.status == 403).await;
    assert_eq!(app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await.status, 403);
}

#[actix_web::test]
async fn t_11_no_field_is_set_that_the_command_does_not_name() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let owner = app.owner(firm);
    for field in [
        "tenant_id",
        "id",
        "version",
        "created_by",
        "created_at",
        "role",
        "roles",
        "is_admin",
        "status",
        "position",
        "event_type",
        "metadata",
        "actor",
        "permissions",
        "__proto__",
        "constructor",
    ] {
        let answer = app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada", field: "x" })).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid-input"), "{field}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], format!("/{field}"));
    }
    app.project().await;
    assert_eq!(app.get("/v1/crm/clients", &owner).await.body["data"], json!([]));
}

#[actix_web::test]
async fn t_15_a_role_that_only_looks_like_one_grants_nothing() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    for (n, role) in
        ["Owner", "OWNER", " owner", "owner ", "own\u{435}r", "admin\u{200b}", "*", "crm.*"].iter().enumerate()
    {
        let invite = json!({ "email": format!("u{n}@example.com"), "name": "A", "roles": [role] });
        let answer = app.post("/v1/identity/users", &app.owner(firm), &invite).await;
        assert!(matches!(answer.status, 409 | 422), "{role:?}: {answer:?}");
    }
    let text = json!({ "email": "t@example.com", "name": "A", "roles": "owner" });
    assert_eq!(app.post("/v1/identity/users", &app.owner(firm), &text).await.status, 422);
}

#[actix_web::test]
async fn t_16_nobody_promotes_themselves_and_the_last_owner_stays() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let admin = Uuid::now_v7();
    app.join(firm, admin, &["admin"]).await;
    let token = app.token(firm, admin);
    for (path, body, status) in [
        (format!("/v1/identity/tenants/{}/add-owner", firm.tenant), json!({ "user_id": admin }), 403),
        (
            format!("/v1/identity/tenants/{}/transfer-ownership", firm.tenant),
            json!({ "from_user_id": firm.owner, "to_user_id": admin }),
            403,
        ),
        (format!("/v1/identity/users/{admin}/assign-role"), json!({ "role": "owner" }), 409),
        ("/v1/identity/roles".to_owned(), json!({ "name": "boss", "description": "all", "patterns": ["*"] }), 409),
    ] {
        let answer = app.post(&path, &token, &body).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let leave = format!("/v1/identity/users/{}/leave", firm.owner);
    assert_eq!(app.post(&leave, &app.owner(firm), &json!({})).await.status, 409);
    let remove = format!("/v1/identity/tenants/{}/remove-owner", firm.tenant);
    let alone = app.post(&remove, &app.owner(firm), &json!({ "user_id": firm.owner })).await;
    assert_eq!(alone.status, 409, "{alone:?}");
}

#[actix_web::test]
async fn t_20_private_answers_are_for_their_asker_alone() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let id = client(&app, firm, "Ada").await;
    app.project().await;
    for path in [
        "/v1/crm/clients".to_owned(),
        format!("/v1/crm/clients/{id}"),
        "/v1/events/1".into(),
        "/v1/timeline/audit-entries".into(),
    ] {
        let answer = app.get(&path, &app.owner(firm)).await;
        let cached = answer.headers["cache-control"].to_str().unwrap();
        assert!(cached.contains("private") || cached.contains("no-store"), "{path}: {cached}");
        let varies = answer.headers.get("vary").map_or("", |vary| vary.to_str().unwrap()).to_lowercase();
        assert!(cached.contains("no-store") || varies.contains("authorization"), "{path}: {varies}");
        // A suffix that a cache would take for a file finds nothing.
        assert_ne!(app.get(&format!("{path}/x.css"), &app.owner(firm)).await.status, 200, "{path}");
        assert_ne!(app.get(&format!("{path};x.css"), &app.owner(firm)).await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn s_08_a_change_from_another_sites_page_is_refused() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let id = client(&app, firm, "Ada").await;
    let Session { cookie, csrf } = app.session(firm, firm.owner).await;
    let Session { csrf: other, .. } = app.session(firm, firm.owner).await;
    let url = format!("{}/v1/crm/clients/{id}/rename", app.commands);
    let ask = async |headers: &[(&str, &str)]| {
        let request = app.http.post(&url).header("cookie", &cookie).json(&json!({ "name": "Bea" }));
        send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    for headers in [
        vec![],
        vec![("origin", "null"), ("x-csrf-token", csrf.as_str())],
        vec![("origin", "https://evil.example"), ("x-csrf-token", &csrf)],
        vec![("origin", "https://app.example.com.evil.example"), ("x-csrf-token", &csrf)],
        vec![("origin", APP)],
        vec![("origin", APP), ("x-csrf-token", "")],
        vec![("origin", APP), ("x-csrf-token", &other)],
        vec![("x-csrf-token", &csrf)],
    ] {
        let answer = ask(&headers).await;
        assert_eq!((answer.status, answer.code()), (403, "csrf-refused"), "{headers:?}");
    }
    let twice = ask(&[("origin", APP), ("origin", APP), ("x-csrf-token", &csrf)]).await;
    assert_eq!((twice.status, twice.code()), (400, "invalid-header"));
    assert_eq!(ask(&[("origin", APP), ("x-csrf-token", &csrf)]).await.status, 200);
}

#[actix_web::test]
async fn s_02_a_cookie_that_is_none_of_ours_is_nobody() {
    let app = TestApp::new().await;
    let firm = app.register("Ours").await;
    let Session { cookie, .. } = app.session(firm, firm.owner).await;
    let value = cookie.split_once('=').unwrap().1;
    let url = format!("{}/v1/crm/clients", app.queries);
    let ask = async |cookie: String| send(app.http.get(&url).header("cookie", cookie)).await.status;
    assert_eq!(ask(cookie.clone()).await, 200);
    let name = "__Host-ubos_session";
    for wrong in [
        format!("{name}="),
        format!("{name}={}", &value[1..]),
        format!("{name}={value}x"),
        format!("{name}=*"),
        format!("{name}=%00"),
        format!("{name}={}", "a".repeat(7_000)),
        format!("{name}={}", firm.owner),
        format!("ubos_session={value}"),
        format!("{cookie}; {cookie}"),
    ] {
        assert_eq!(ask(wrong.clone()).await, 401, "{wrong}");
    }
}
