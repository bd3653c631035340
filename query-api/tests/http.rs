//! The query API over HTTP, on a real PostgreSQL and with real tokens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../projections/tests/common/mod.rs"]
mod common;

use actix_web::dev::ServiceResponse;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use actix_web::{App, http::StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use common::{World, client, crm, renamed, tagged, tenant};
use crm_events::{ClientEvent, ClientKind, ClientStatus};
use query_api::{Api, configure};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::key_set;
use uuid::Uuid;
use web::{Admission, AdmissionSettings, NoDirectory, Verifier, VerifierSettings};

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
        world.event(tenant(1), id, ClientEvent::Created { name, kind, email, phone: None });
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
    assert_eq!(parts, ["projects/tasks", "projects/milestones", "workflow/run-steps"]);
}

#[actix_web::test]
async fn a_row_reads_as_its_type_writes_it() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let body = read_body(call_service(&app, get(&path, &issuer.token(1, &["viewer"])).to_request()).await).await;
    let row: projections::crm::ClientRow = serde_json::from_slice(&body).unwrap();
    assert_eq!(std::str::from_utf8(&body).unwrap(), serde_json::to_string(&row).unwrap());
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
async fn every_order_is_paged_through_without_gap_or_repeat() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for sort in ["", "name", "-name", "created_at", "-created_at", "name,-created_at", "-name,updated_at"] {
        let mut path = format!("/v1/crm/clients?limit=4&kind=organisation&sort={sort}").replace("&sort=&", "&");
        if sort.is_empty() {
            path = "/v1/crm/clients?limit=4&kind=organisation".to_owned();
        }
        let (mut ids, mut names) = (vec![], vec![]);
        loop {
            let response = call_service(&app, get(&path, &token).to_request()).await;
            let link = response.headers().get("link").map(|l| l.to_str().unwrap().to_owned());
            let (status, body) = json_of(response).await;
            assert_eq!(status, 200, "{sort}: {body}");
            for row in body["data"].as_array().unwrap() {
                ids.push(row["id"].as_str().unwrap().to_owned());
                names.push(row["name"].as_str().unwrap().to_owned());
            }
            assert_eq!(body["has_more"].as_bool().unwrap(), link.is_some());
            assert_eq!(body["next_cursor"].is_string(), link.is_some());
            let Some(link) = link else { break };
            path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        assert_eq!(ids.len(), 15, "{sort}");
        let mut ordered = names.clone();
        ordered.sort();
        if sort.starts_with("-name") {
            ordered.reverse();
        }
        if sort.contains("name") {
            assert_eq!(names, ordered, "{sort}");
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 15, "{sort}: every client once");
    }
}

#[actix_web::test]
async fn filters_select_and_only_within_the_firm() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for (query, expected) in [
        ("", 23),
        ("status=active", 12),
        ("status=active&kind=individual", 4),
        ("name=Client%2003", 2),
        ("name=cLIENT%2003", 2),
        ("name=client%2003&name=client%2004&name=nobody", 4),
        ("status=active,former", 12),
        ("status=former&status=active", 12),
        (
            "id=00000000-0000-0000-0000-0000000003e8,00000000-0000-0000-0000-0000000003e9&id=00000000-0000-0000-0000-0000000007d0",
            2,
        ),
        ("email=C3@Example.com", 1),
        ("created_at_from=2020-01-01T00:00:00Z", 23),
        ("created_at_before=2020-01-01T00:00:00Z", 0),
        ("name=Foreign", 0),
        ("owner_id=00000000-0000-0000-0000-000000000001", 0),
        ("name=%27%3B%20drop%20table%20crm.clients%3B%20--", 0),
    ] {
        let path = format!("/v1/crm/clients?limit=200&{query}");
        let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[actix_web::test]
async fn t_04_a_parameter_that_means_nothing_is_refused_by_name() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let page = call_service(&app, get("/v1/crm/clients?limit=2&sort=name", &token).to_request()).await;
    let cursor = json_of(page).await.1["next_cursor"].as_str().unwrap().to_owned();
    let forged = BASE64.encode(json!({ "of": "x", "after": ["a", "b"] }).to_string());
    for (query, parameter, code) in [
        ("colour=red".to_owned(), "colour", "invalid-parameter"),
        ("phone=%2B491234567".to_owned(), "phone", "invalid-parameter"),
        ("limit=0".to_owned(), "limit", "invalid-parameter"),
        ("limit=201".to_owned(), "limit", "invalid-parameter"),
        ("limit=ten".to_owned(), "limit", "invalid-parameter"),
        ("sort=email".to_owned(), "sort", "invalid-parameter"),
        ("sort=name,name".to_owned(), "sort", "invalid-parameter"),
        ("sort=name,".to_owned(), "sort", "invalid-parameter"),
        ("status=sleeping".to_owned(), "status", "invalid-parameter"),
        ("status=active,sleeping".to_owned(), "status", "invalid-parameter"),
        ("status=".to_owned(), "status", "invalid-parameter"),
        ("limit=1&limit=2".to_owned(), "limit", "invalid-parameter"),
        (
            "created_at_before=2020-01-01T00:00:00Z&created_at_before=2021-01-01T00:00:00Z".to_owned(),
            "created_at_before",
            "invalid-parameter",
        ),
        ("archived=any".to_owned(), "archived", "invalid-parameter"),
        ("email=nobody".to_owned(), "email", "invalid-parameter"),
        (format!("id={}", vec!["00000000-0000-0000-0000-000000000001"; 101].join(",")), "id", "invalid-parameter"),
        ("archived=false".to_owned(), "archived", "invalid-parameter"),
        ("owner_id=me".to_owned(), "owner_id", "invalid-parameter"),
        ("created_at_from=today".to_owned(), "created_at_from", "invalid-parameter"),
        ("created_at=2020-01-01T00:00:00Z".to_owned(), "created_at", "invalid-parameter"),
        ("name=%00".to_owned(), "name", "invalid-parameter"),
        ("cursor=garbage".to_owned(), "cursor", "invalid-cursor"),
        (format!("cursor={forged}"), "cursor", "invalid-cursor"),
        (format!("cursor={cursor}&sort=-name"), "cursor", "invalid-cursor"),
        (format!("cursor={cursor}&sort=name&status=active"), "cursor", "invalid-cursor"),
    ] {
        let path = format!("/v1/crm/clients?{query}");
        let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
        let got = (status.as_u16(), body["code"].as_str(), body["parameter"].as_str());
        assert_eq!(got, (400, Some(code), Some(parameter)), "{query}: {body}");
    }
    let path = format!("/v1/crm/clients?cursor={cursor}&sort=name");
    assert_eq!(
        call_service(&app, get(&path, &issuer.token(2, &["viewer"])).to_request()).await.status(),
        400,
        "another firm's"
    );
    assert_eq!(call_service(&app, get(&path, &token).to_request()).await.status(), 200);
    let path = format!("/v1/crm/clients/{}?expand=owner", Uuid::from_u128(1_000));
    let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
    assert_eq!((status.as_u16(), body["parameter"].as_str()), (400, Some("expand")));
}

#[actix_web::test]
async fn a_cursor_with_a_value_of_the_wrong_type_is_refused() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let page = call_service(&app, get("/v1/crm/clients?limit=2", &token).to_request()).await;
    let cursor = json_of(page).await.1["next_cursor"].as_str().unwrap().to_owned();
    let mut content: Value = serde_json::from_slice(&BASE64.decode(cursor).unwrap()).unwrap();
    content["after"][0] = json!("yesterday");
    let path = format!("/v1/crm/clients?cursor={}", BASE64.encode(content.to_string()));
    let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (400, Some("invalid-cursor")));
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
async fn names_are_in_the_order_that_people_expect_on_every_page() {
    let (mut world, issuer) = (World::new().await, Issuer::new().await);
    let expected =
        ["10 Downing", "Abel", "Ångström", "apple", "Apple", "Étoile", "Project 2", "project 10", "zebra", "Zoë"];
    let mut shuffled = expected;
    shuffled.sort_unstable();
    for (n, name) in (1u128..).zip(shuffled) {
        world.event(tenant(1), Uuid::from_u128(n), client(name));
    }
    world.write().await;
    world.catch_up(crm(), 100).await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for descending in [false, true] {
        let (mut names, mut cursor) = (vec![], String::new());
        loop {
            let sort = if descending { "-name" } else { "name" };
            let path = format!("/v1/crm/clients?limit=3&sort={sort}{cursor}");
            let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
            assert_eq!(status, 200, "{body}");
            names.extend(body["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
            let Some(next) = body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if descending {
            names.reverse();
        }
        assert_eq!(names, expected);
    }
    for (asked, found) in
        [("ÉTOILE", 1), ("e\u{301}toile", 1), ("etoile", 0), ("APPLE", 2), ("A\u{30a}ngstro\u{308}m", 1)]
    {
        let asked: String = asked.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/v1/crm/clients?name={asked}");
        let (_, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
        assert_eq!(body["data"].as_array().unwrap().len(), found, "{asked}: {body}");
    }
}

#[actix_web::test]
async fn what_was_put_away_is_in_lists_for_whoever_asks_for_it() {
    let (mut world, issuer) = (World::new().await, Issuer::new().await);
    let created = |n: u128| {
        let task = json!({ "id": Uuid::from_u128(n), "title": "Write" });
        let milestone = json!({ "id": Uuid::from_u128(n + 100), "name": "Done" });
        json!({ "name": "x", "starts_on": "2026-01-01", "tasks": [task], "milestones": [milestone] })
    };
    for n in [1u128, 2] {
        world.stored(tenant(1), "projects.project", Uuid::from_u128(n), "project.created", 1, created(n + 10));
    }
    world.stored(tenant(1), "projects.project", Uuid::from_u128(2), "project.archived", 1, json!({}));
    world.write().await;
    world.catch_up(projections::group("projects").unwrap(), 100).await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for list in ["projects/projects", "projects/tasks", "projects/milestones"] {
        for (query, expected) in [("", 1), ("archived=false", 1), ("archived=true", 1), ("archived=any", 2)] {
            let (_, body) =
                json_of(call_service(&app, get(&format!("/v1/{list}?{query}"), &token).to_request()).await).await;
            assert_eq!(body["data"].as_array().unwrap().len(), expected, "{list} {query}: {body}");
        }
        for wrong in ["archived=yes", "archived=", "archived=true&archived=false"] {
            let (status, body) =
                json_of(call_service(&app, get(&format!("/v1/{list}?{wrong}"), &token).to_request()).await).await;
            assert_eq!((status.as_u16(), &body["parameter"]), (400, &json!("archived")), "{wrong}");
        }
    }
    let (status, _) = json_of(
        call_service(&app, get(&format!("/v1/projects/projects/{}", Uuid::from_u128(2)), &token).to_request()).await,
    )
    .await;
    assert_eq!(status, 200, "the record itself is there");
}

#[actix_web::test]
async fn every_list_shows_what_was_put_away_only_to_whoever_asks_for_it() {
    let (world, _) = World::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let issuer = Issuer::new().await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["owner"]);
    let mut put_away = 0;
    for (_, _, resource) in projections::resources().filter(|(_, table, _)| table.away().is_some()) {
        let mut ids = vec![];
        for archived in ["any", "true", "false"] {
            let path = format!("/v1/{}?archived={archived}&limit=200", resource.path);
            let (_, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
            let of = body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
            ids.push(of.collect::<Vec<_>>());
        }
        let [any, only, without] = ids.as_slice() else { unreachable!() };
        put_away += only.len();
        let mut both = [only.as_slice(), without].concat();
        both.sort();
        let mut any = any.clone();
        any.sort();
        assert_eq!(any, both, "{}", resource.path);
        let (_, body) =
            json_of(call_service(&app, get(&format!("/v1/{}?limit=200", resource.path), &token).to_request()).await)
                .await;
        assert_eq!(body["data"].as_array().unwrap().len(), without.len(), "{}", resource.path);
    }
    assert!(put_away > 0);
}

#[actix_web::test]
async fn contacts_and_folders_that_are_archived_come_back_into_the_lists_with_their_restoring() {
    let (mut world, issuer) = (World::new().await, Issuer::new().await);
    let streams = [
        ("crm.contact", "contact", json!({ "name": "Ada", "email": null, "phone": null }), "crm/contacts"),
        (
            "files.folder",
            "folder",
            json!({ "name": "Ada", "client_id": null, "project_id": null, "template": null, "subfolders": [] }),
            "files/folders",
        ),
    ];
    let id = |list: &str, n: u128| Uuid::from_u128(n + 10 * list.len() as u128);
    for (aggregate, stem, created, list) in &streams {
        for n in [1u128, 2, 3] {
            world.stored(tenant(1), aggregate, id(list, n), &format!("{stem}.created"), 1, created.clone());
        }
        for n in [2u128, 3] {
            world.stored(tenant(1), aggregate, id(list, n), &format!("{stem}.archived"), 1, json!({}));
        }
        world.stored(tenant(1), aggregate, id(list, 3), &format!("{stem}.restored"), 1, json!({}));
    }
    world.write().await;
    for group in ["crm", "files"] {
        world.catch_up(projections::group(group).unwrap(), 100).await;
    }
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for (_, _, _, list) in &streams {
        for (query, expected) in [("", vec![1u128, 3]), ("archived=true", vec![2]), ("archived=any", vec![1, 2, 3])] {
            let path = format!("/v1/{list}?sort=created_at&{query}");
            let (_, body) =
                json_of(call_service(&app, get(path.trim_end_matches('&'), &token).to_request()).await).await;
            let mut ids: Vec<Value> = body["data"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
            ids.sort_by_key(Value::to_string);
            assert_eq!(ids, expected.iter().map(|n| json!(id(list, *n))).collect::<Vec<_>>(), "{path}");
        }
    }
}

#[actix_web::test]
async fn everything_that_is_wrong_with_a_query_is_told_at_once() {
    let (world, issuer) = (world().await, Issuer::new().await);
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    let wrong = async |path: &str| {
        let (status, body) = json_of(call_service(&app, get(path, &token).to_request()).await).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (400, Some("invalid-parameter")), "{path}: {body}");
        assert_eq!(body["parameter"], body["errors"][0]["parameter"], "{body}");
        let errors = body["errors"].as_array().unwrap().clone();
        errors.into_iter().map(|error| {
            assert_eq!(error["pointer"], "", "{error}");
            let text = |name: &str| error[name].as_str().unwrap().to_owned();
            (text("parameter"), text("code"), error["parameters"].clone())
        })
    };
    let list = "/v1/crm/clients?limit=0&sort=nmae,-name,name&status=active,actve&owner_id=me&email=ada\
                &created_at_from=0000-01-01T00:00:00Z&created_at_before=today&statsu=active&cursor=x&limit_=1";
    let of_status =
        json!({ "options": ["prospect", "onboarding", "active", "dormant", "former"], "nearest": "active" });
    let expected = [
        ("limit", "out_of_range", json!({ "min": 1, "max": 200 })),
        ("sort", "not_one_of", json!({ "options": ["name", "created_at", "updated_at"], "nearest": "name" })),
        ("sort", "duplicate", json!({})),
        ("email", "not_an_email", json!({})),
        ("status", "not_one_of", of_status),
        ("owner_id", "not_an_id", json!({})),
    ];
    let found: Vec<_> = wrong(list).await.collect();
    let expected: Vec<_> = expected.map(|(name, code, of)| (name.to_owned(), code.to_owned(), of)).into();
    assert_eq!(found[..6], expected, "{found:?}");
    let rest: Vec<(&str, &str)> = found[6..].iter().map(|(name, code, _)| (name.as_str(), code.as_str())).collect();
    assert_eq!(rest[1..], [("created_at_before", "not_a_time"), ("limit_", "unknown"), ("statsu", "unknown")]);
    assert_eq!((found[8].2["nearest"].as_str(), found[9].2["nearest"].as_str()), (Some("limit"), Some("status")));
    assert_eq!(rest[0].0, "created_at_from");

    let many = vec![Uuid::nil().to_string(); 101].join(",");
    let found: Vec<_> = wrong(&format!("/v1/crm/clients?id={many}&limit=x")).await.collect();
    assert_eq!((found[0].1.as_str(), found[1].1.as_str()), ("not_a_number", "too_many"), "{found:?}");
    assert_eq!(found[1].2, json!({ "max": 100 }));

    let found: Vec<_> = wrong(&format!("/v1/crm/clients/{}?expand=a&fields=b", Uuid::from_u128(1_000))).await.collect();
    assert_eq!(found.len(), 2);
    assert_eq!(wrong("/v1/identity/me?expand=a&fields=b").await.count(), 2);
    assert_eq!(wrong("/v1/events/1?expand=a&fields=b").await.count(), 2);
    let all: Vec<String> = (0..300).map(|n| format!("p{n}=1")).collect();
    assert_eq!(wrong(&format!("/v1/crm/clients?{}", all.join("&"))).await.count(), 100);
}

#[actix_web::test]
async fn clients_are_found_by_their_tags() {
    let (mut world, issuer) = (World::new().await, Issuer::new().await);
    for (n, tags) in [(1u128, &["vip", "tax"][..]), (2, &["tax"]), (3, &[])] {
        world.event(tenant(1), Uuid::from_u128(n), client("x"));
        tags.iter().for_each(|tag| world.event(tenant(1), Uuid::from_u128(n), tagged(tag)));
    }
    world.write().await;
    world.catch_up(crm(), 100).await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for (query, expected) in
        [("tag=tax", 2), ("tag=vip", 1), ("tag=vip,other", 1), ("tag=vip&tag=tax", 2), ("tag=ta", 0)]
    {
        let (_, body) =
            json_of(call_service(&app, get(&format!("/v1/crm/clients?{query}"), &token).to_request()).await).await;
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{query}: {body}");
    }
}

#[actix_web::test]
async fn a_range_includes_its_beginning_and_not_its_end() {
    let (mut world, issuer) = (World::new().await, Issuer::new().await);
    for (n, day) in [(1u128, "2026-01-01"), (2, "2026-01-02"), (3, "2026-01-03")] {
        let created = json!({ "name": "x", "starts_on": day, "tasks": [], "milestones": [] });
        world.stored(tenant(1), "projects.project", Uuid::from_u128(n), "project.created", 1, created);
    }
    world.write().await;
    world.catch_up(projections::group("projects").unwrap(), 100).await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["viewer"]);
    for (query, expected) in [
        ("starts_on_from=2026-01-02", 2),
        ("starts_on_before=2026-01-02", 1),
        ("starts_on_from=2026-01-02&starts_on_before=2026-01-03", 1),
        ("starts_on_from=2026-01-02&starts_on_before=2026-01-02", 0),
    ] {
        let path = format!("/v1/projects/projects?{query}");
        let (_, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
        assert_eq!(body["data"].as_array().unwrap().len(), expected, "{query}: {body}");
    }
}

#[actix_web::test]
async fn every_range_of_every_list_includes_its_beginning_and_not_its_end() {
    let (world, _) = World::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let issuer = Issuer::new().await;
    let app = service!(world, issuer);
    let token = issuer.token(1, &["owner"]);
    let mut asked = vec![];
    for (_, table, resource) in projections::resources() {
        let archived = if table.away().is_some() { "&archived=any" } else { "" };
        let ids = async |query: String| {
            let path = format!("/v1/{}?limit=200{archived}{query}", resource.path);
            let (status, body) = json_of(call_service(&app, get(&path, &token).to_request()).await).await;
            assert_eq!(status, 200, "{path}: {body}");
            body["data"].as_array().unwrap().clone()
        };
        let rows = ids(String::new()).await;
        for column in resource.filter.iter().filter(|name| name.ends_with("_at") || name.ends_with("_on")) {
            let Some(row) = rows.iter().find(|row| row[column].is_string()) else { continue };
            let at = row[column].as_str().unwrap();
            let shows = |rows: &[Value]| rows.iter().any(|found| found["id"] == row["id"]);
            assert!(shows(&ids(format!("&{column}_from={at}")).await), "{}: {column}", resource.path);
            assert!(!shows(&ids(format!("&{column}_before={at}")).await), "{}: {column}", resource.path);
            asked.push(format!("{}.{column}", resource.path));
        }
    }
    for column in ["scheduling/appointments.starts_at", "projects/tasks.due_on", "workflow/runs.started_at"] {
        assert!(asked.iter().any(|asked| asked == column), "{column}: {asked:?}");
    }
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
