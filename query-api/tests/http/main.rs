//! The query API over HTTP, on a real PostgreSQL and with real tokens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../../projections/tests/common/mod.rs"]
mod common;

use actix_web::dev::ServiceResponse;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use actix_web::{App, http::StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use common::{World, client, crm, renamed, tagged, tenant};
use credentials::NoDirectory;
use crm_events::{ClientEvent, ClientKind, ClientStatus};
use query_api::{Api, configure};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::key_set;
use uuid::Uuid;
use web::{Admission, AdmissionSettings, Verifier, VerifierSettings};

/// An issuer of tokens and a verifier that trusts it.
struct Issuer {
    issuer: testing::Issuer,
    verifier: Data<Verifier>,
}

impl Issuer {
    async fn new() -> Self {
        let issuer = testing::Issuer::new("k");
        let keys = key_set(&[issuer.jwk()]);
        let settings = VerifierSettings {
            jwks: keys.display().to_string(),
            refresh: Duration::from_secs(300),
            issuer: "https://id.example".into(),
            audience: "ubos".into(),
            leeway_seconds: 5,
        };
        let verifier = Data::new(Verifier::start(settings, Arc::new(NoDirectory)).await.unwrap());
        Self { issuer, verifier }
    }

    fn token(&self, firm: u128, roles: &[&str]) -> String {
        let expires = chrono::Utc::now().timestamp() + 600;
        self.issuer.sign(&json!({ "iss": "https://id.example", "aud": "ubos", "sub": Uuid::from_u128(7),
                                  "tenant": tenant(firm), "roles": roles, "exp": expires }))
    }
}

fn admission() -> Admission {
    let bounds = AdmissionSettings { in_flight_max: 8, waiting_max: 64, wait_max: Duration::from_secs(5) };
    Admission::new("query-api", bounds)
}

/// The service on one database, as `server` mounts it.
macro_rules! service {
    ($world:expr, $issuer:expr) => {{
        let api = Data::new(Api::new($world.database.query().await, Duration::from_millis(300), admission()));
        let app = App::new()
            .wrap(from_fn(web::observe))
            .app_data($issuer.verifier.clone())
            .configure(|config| configure(config, api))
            .default_service(actix_web::web::route().to(web::not_found_handler));
        init_service(app).await
    }};
}

mod lists;

fn get(path: &str, token: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {token}")))
}

fn header<'r, B>(response: &'r ServiceResponse<B>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn json_of(response: ServiceResponse<impl actix_web::body::MessageBody>) -> (StatusCode, Value) {
    let status = response.status();
    let body = read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Clients of two firms, some alike.
async fn world() -> World {
    let mut world = World::new().await;
    for n in 0..23u128 {
        let id = Uuid::from_u128(1_000 + n);
        let name = format!("Client {:02}", n / 2);
        let kind = if n % 3 == 0 { ClientKind::Individual } else { ClientKind::Organisation };
        let email = Some(format!("c{n}@example.com").parse::<kernel::Email>().unwrap().into());
        let name = name.parse::<kernel::Name>().unwrap().into();
        world.event(
            tenant(1),
            id,
            ClientEvent::Created { name, kind, details: kernel::ContactDetails { email, phone: None } },
        );
        if n % 2 == 0 {
            world.event(
                tenant(1),
                id,
                ClientEvent::StatusChanged { from: ClientStatus::Prospect, to: ClientStatus::Active },
            );
        }
    }
    world.event(tenant(2), Uuid::from_u128(2_000), client("Foreign"));
    world.write().await;
    world.catch_up(crm(), 1_000).await;
    world
}

#[actix_web::test]
async fn a_record_has_the_fields_of_its_row_type_and_its_version_as_entity_tag() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let response = call_service(&app, get(&path, &token).to_request()).await;
    let etag = header(&response, "etag").to_owned();
    assert!(etag.starts_with("\"2-"), "the version that commands check: {etag}");
    assert!(response.headers().contains_key("request-id"));
    let (status, body) = json_of(response).await;
    assert_eq!(status, 200);
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    let expected = [
        "id",
        "version",
        "created_at",
        "updated_at",
        "name",
        "kind",
        "email",
        "phone",
        "status",
        "owner_id",
        "tags",
        "blocked_reason",
    ];
    assert_eq!(fields, expected);
    assert_eq!(
        (&body["status"], &body["email"], &body["version"]),
        (&json!("active"), &json!("c0@example.com"), &json!(2))
    );

    let (weak, list) = (format!("W/{etag}"), format!("\"1\", {etag}"));
    for (tag, status) in
        [(etag.as_str(), 304), (weak.as_str(), 304), (list.as_str(), 304), ("*", 304), ("\"1\"", 200), ("\"2\"", 200)]
    {
        let request = get(&path, &token).insert_header(("if-none-match", tag)).to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), status, "{tag}");
        assert_eq!(header(&response, "etag"), etag);
        assert_eq!(read_body(response).await.is_empty(), status == 304);
    }
    let garbled = call_service(&app, get(&path, &token).insert_header(("if-none-match", "2")).to_request()).await;
    assert_eq!(garbled.status(), 400);
}

#[actix_web::test]
async fn every_row_of_every_table_is_of_its_schema_and_the_same_alone_and_in_a_list() {
    let (world, _) = World::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let issuer = Issuer::new().await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["owner"]);
    for (_, table, resource) in projections::resources() {
        let schema = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&Value::from(table.schema()))
            .unwrap();
        let archived = if table.away().is_some() { "?archived=any" } else { "" };
        let list = call_service(&app, get(&format!("/v1/{}{archived}", resource.path), &token).to_request()).await;
        let list = String::from_utf8(read_body(list).await.to_vec()).unwrap();
        let rows = serde_json::from_str::<Value>(&list).unwrap()["data"].as_array().unwrap().clone();
        assert!(!rows.is_empty(), "{}: {list}", resource.path);
        for row in rows {
            let errors: Vec<String> = schema.iter_errors(&row).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {row}: {errors:?}", resource.path);
            let fields: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
            let columns = table.columns().iter().map(|column| column.name.as_str());
            let columns: Vec<&str> = columns.chain(table.beside().iter().map(|beside| beside.name)).collect();
            assert_eq!(fields, columns, "{}", resource.path);
            let path = format!("/v1/{}/{}", resource.path, row["id"].as_str().unwrap());
            let alone = read_body(call_service(&app, get(&path, &token).to_request()).await).await;
            let alone = std::str::from_utf8(&alone).unwrap();
            assert!(list.contains(alone), "{alone} is not in {list}");
        }
    }
}

#[actix_web::test]
async fn what_is_shown_otherwise_has_another_tag_though_the_version_is_the_same() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let etag = header(&call_service(&app, get(&path, &token).to_request()).await, "etag").to_owned();
    // As an erasure does it, which is no event of the client.
    let erased = "update crm.clients set name = '', email = null where id = $1";
    sqlx::query(erased).bind(Uuid::from_u128(1_000)).execute(&world.worker).await.unwrap();
    let request = get(&path, &token).insert_header(("if-none-match", etag.as_str())).to_request();
    let response = call_service(&app, request).await;
    assert_eq!(response.status(), 200, "nobody goes on showing what was erased");
    assert_ne!(header(&response, "etag"), etag);
    let (_, body) = json_of(response).await;
    assert_eq!((&body["name"], &body["version"]), (&json!(""), &json!(2)));
}

#[actix_web::test]
async fn the_tag_of_a_part_has_the_version_of_the_whole_that_commands_check() {
    let (world, _) = World::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let issuer = Issuer::new().await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["owner"]);
    let mut parts = vec![];
    for (_, table, resource) in projections::resources() {
        let Some(projections::PartOf { column, table: whole }) = table.part_of() else { continue };
        parts.push(resource.path);
        let (_, rows) =
            json_of(call_service(&app, get(&format!("/v1/{}", resource.path), &token).to_request()).await).await;
        for row in rows["data"].as_array().unwrap() {
            let of = |path: String| call_service(&app, get(&path, &token).to_request());
            let part = of(format!("/v1/{}/{}", resource.path, row["id"].as_str().unwrap())).await;
            let whole = of(format!("/v1/{}/{}", whole.replace('.', "/"), row[column].as_str().unwrap())).await;
            let version = |tag: &str| tag.trim_start_matches('"').split('-').next().unwrap().to_owned();
            assert_eq!((part.status(), whole.status()), (StatusCode::OK, StatusCode::OK), "{row}");
            assert_eq!(version(header(&part, "etag")), version(header(&whole, "etag")), "{row}");
        }
    }
    assert_eq!(parts, ["projects/tasks", "projects/milestones", "workflow/run-steps", "workflow/approvals"]);
}

#[actix_web::test]
async fn a_row_reads_as_its_type_writes_it() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let body = read_body(call_service(&app, get(&path, &issuer.token(1, &["viewer"])).to_request()).await).await;
    let body = std::str::from_utf8(&body).unwrap();
    let row = projections::Row::<projections::crm::ClientRow>::read(body).unwrap();
    assert_eq!(body, serde_json::to_string(&row).unwrap());
}

#[actix_web::test]
async fn unknown_foreign_and_malformed_ids_are_all_not_found() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["owner"]);
    let foreign = Uuid::from_u128(2_000).to_string();
    let unknown = Uuid::from_u128(77).to_string();
    for id in [foreign.as_str(), unknown.as_str(), "1", "' or 1=1 --", "%00", "%F0%9F%98%80"] {
        let path = format!("/v1/crm/clients/{}", id.replace(' ', "%20"));
        let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (404, Some("not-found")), "{id}");
    }
    // The firm it belongs to sees it.
    let path = format!("/v1/crm/clients/{foreign}");
    let own = issuer.token(2, &["viewer"]);
    assert_eq!(call_service(&app, get(&path, &own).to_request()).await.status(), 200);
}

#[actix_web::test]
async fn an_event_is_shown_to_its_firm_and_to_nobody_else() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let event = world.read(0, 1).await.remove(0);
    let path = format!("/v1/events/{}", event.position);
    let (own, other) = (event.tenant_id.0.as_u128(), event.tenant_id.0.as_u128() + 1);
    let (status, body) =
        json_of(call_service(&app, get(&path, &issuer.token(own, &["viewer"])).to_request()).await).await;
    assert_eq!((status.as_u16(), body["id"].as_str()), (200, Some(event.event_id.to_string().as_str())));
    assert_eq!(body["event_type"], event.event_type);
    for (path, tenant) in
        [(path.as_str(), other), ("/v1/events/999999", own), ("/v1/events/0", own), ("/v1/events/x", own)]
    {
        let response = call_service(&app, get(path, &issuer.token(tenant, &["owner"])).to_request()).await;
        assert_eq!(response.status(), 404, "{path} as {tenant}");
    }
}

#[actix_web::test]
async fn without_token_permission_or_path_there_is_a_problem() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let response = call_service(&app, TestRequest::get().uri("/v1/crm/clients").to_request()).await;
    assert_eq!((response.status().as_u16(), header(&response, "www-authenticate")), (401, "Bearer"));
    let (status, body) =
        json_of(call_service(&app, get("/v1/crm/clients", &issuer.token(1, &[])).to_request()).await).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (403, Some("forbidden")));
    for path in ["/v1/crm/unicorns", "/v1/crm", "/v1/pg_catalog/pg_class", "/v2/crm/clients", "/v1/crm/clients/a/b"] {
        assert_eq!(call_service(&app, get(path, &token).to_request()).await.status(), 404, "{path}");
    }
    let request =
        TestRequest::post().uri("/v1/crm/clients").insert_header(("authorization", format!("Bearer {token}")));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, "GET, HEAD"));
}

#[actix_web::test]
async fn min_position_waits_for_the_read_model_and_says_how_far_it_is_behind() {
    let (mut world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let id = Uuid::from_u128(1_000);
    world.event(tenant(1), id, renamed("Written just now"));
    world.event(tenant(1), id, tagged("new"));
    let head = world.write().await;
    let path = format!("/v1/crm/clients/{id}");

    let started = Instant::now();
    let request = get(&path, &token).insert_header(("min-position", head.to_string())).to_request();
    let response = call_service(&app, request).await;
    assert!(started.elapsed() >= Duration::from_millis(300), "waits as long as it may");
    assert_eq!(header(&response, "retry-after"), "1");
    let (status, body) = json_of(response).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (503, Some("projection-behind")), "{body}");
    assert_eq!((body["behind"].as_i64(), body["position"].as_i64()), (Some(2), Some(head - 2)));

    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.catch_up(crm(), 1_000).await;
    };
    let request = get(&path, &token).insert_header(("min-position", head.to_string())).to_request();
    let (response, ()) = tokio::join!(call_service(&app, request), later);
    let (status, body) = json_of(response).await;
    assert_eq!((status.as_u16(), body["name"].as_str()), (200, Some("Written just now")));

    // Beyond the log's end there is nothing to wait for: whoever was answered such a position knows another log.
    let request = get(&path, &token).insert_header(("min-position", (head + 1).to_string())).to_request();
    let (status, body) = json_of(call_service(&app, request).await).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (409, Some("position-unknown")), "{body}");
    assert_eq!((body["position"].as_i64(), body["retryable"].as_bool()), (Some(head), Some(false)));

    let started = Instant::now();
    let request = get("/v1/crm/clients", &token).insert_header(("min-position", "1")).to_request();
    assert_eq!(call_service(&app, request).await.status(), 200);
    assert!(started.elapsed() < Duration::from_millis(250), "what is there already is not waited for");
    for wrong in ["-1", "soon", "1.5", "99999999999999999999"] {
        let request = get(&path, &token).insert_header(("min-position", wrong)).to_request();
        let (status, body) = json_of(call_service(&app, request).await).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (400, Some("invalid-header")), "{wrong}");
    }
}

#[actix_web::test]
async fn d_05_nobody_waits_for_a_position_that_no_event_has() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let patience = Duration::from_secs(3_600);
    let api = Data::new(Api::new(world.database.query().await, patience, admission()));
    let app = App::new().wrap(from_fn(web::observe)).app_data(issuer.verifier.clone());
    let app = init_service(app.configure(|config| configure(config, api))).await;
    let token = issuer.token(1, &["viewer"]);
    let request = get("/v1/crm/clients", &token).insert_header(("min-position", i64::MAX.to_string())).to_request();
    let answer = tokio::time::timeout(Duration::from_secs(30), call_service(&app, request)).await;
    let (status, body) = json_of(answer.expect("it is answered at once")).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (409, Some("position-unknown")), "{body}");
}

#[actix_web::test]
async fn t_06_on_one_connection_under_churn_no_firm_sees_another_firms_rows() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let pool = PgPoolOptions::new().max_connections(1).connect(&world.database.url("ubos_query")).await.unwrap();
    let api = Data::new(Api::new(pool.clone(), Duration::from_millis(300), admission()));
    let app = App::new().app_data(issuer.verifier.clone()).configure(|config| configure(config, api));
    let app = init_service(app).await;
    let tokens = [issuer.token(1, &["viewer"]), issuer.token(2, &["viewer"])];
    let mut cut = 0;
    for round in 0..400u64 {
        let firm = (round % 2) as usize;
        let path = match round % 3 {
            0 => "/v1/crm/clients?limit=200".to_owned(),
            1 => format!("/v1/crm/clients/{}", Uuid::from_u128(1_000)),
            _ => format!("/v1/crm/clients/{}", Uuid::from_u128(2_000)),
        };
        let answer = call_service(&app, get(&path, &tokens[firm]).to_request());
        // Every fifth client hangs up, each after another number of steps.
        if round % 5 == 4 {
            let (mut answer, mut pending) = (Box::pin(answer), true);
            for _ in 0..round % 11 {
                pending = pending && futures::poll!(&mut answer).is_pending();
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
            cut += i32::from(pending);
            continue;
        }
        let (status, body) = json_of(answer.await).await;
        match round % 3 {
            0 => assert_eq!(body["data"].as_array().unwrap().len(), [23, 1][firm], "{body}"),
            1 => assert_eq!(status, [200, 404][firm]),
            _ => assert_eq!(status, [404, 200][firm]),
        }
        let setting: Option<String> = sqlx::query_scalar("select nullif(current_setting('ubos.tenant_id', true), '')")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(setting, None, "the tenant outlived its statement");
    }
    assert!(cut > 5, "only {cut} requests were cut off");
}

#[actix_web::test]
async fn everybody_sees_who_they_are_and_what_they_may_do() {
    let (world, issuer) = (World::new().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let (status, body) = json_of(call_service(&app, get("/v1/identity/me", &token).to_request()).await).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["principal"]["kind"], &body["api_key"]), (&json!("user"), &Value::Null));
    assert_eq!(body["tenant"], json!({ "id": tenant(1), "name": null }), "the firm is not registered");
    assert_eq!(body["roles"], json!(["viewer"]), "as the token says");
    let permissions: Vec<&str> = body["permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert!(permissions.contains(&"crm.client.read") && permissions.is_sorted(), "{permissions:?}");
    assert!(!permissions.contains(&"timeline.audit_entry.inspect"));
    let request = TestRequest::get().uri("/v1/identity/me").to_request();
    assert_eq!(call_service(&app, request).await.status(), 401);
}

#[test]
fn the_document_describes_every_read_table() {
    let document = query_api::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let list = &document["paths"]["/v1/crm/clients"]["get"];
    assert_eq!((&list["operationId"], &list["x-permission"]), (&json!("crm.client.list"), &json!("crm.client.read")));
    let names: Vec<&str> = list["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    for name in ["limit", "cursor", "sort", "status", "created_at_from", "Min-Position"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let status = list["parameters"].as_array().unwrap().iter().find(|p| p["name"] == "status").unwrap();
    assert_eq!((&status["schema"]["maxItems"], &status["explode"]), (&json!(100), &json!(false)));
    assert_eq!(status["schema"]["items"]["enum"], json!(["prospect", "onboarding", "active", "dormant", "former"]));
    let paths = document["paths"].as_object().unwrap().len();
    // A list and a record for every table, one event of the log, who one is, and the audit trail as a list and as a file.
    assert_eq!(paths, projections::resources().count() * 2 + 4);
    let mut ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path["get"]["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}
