//! What is answered: records, events, and who does not see them.

use crate::world;
use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use harness::{History, Setup, Shown, crm, renamed, send, tagged, tenant};
use query_api::{Api, configure};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use std::time::{Duration, Instant};
use uuid::Uuid;
use web::{Admission, AdmissionSettings};

#[actix_web::test]
async fn a_record_has_the_fields_of_its_row_type_and_its_version_as_entity_tag() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let response = app.get(&path, &token).await;
    let etag = response.header("etag").to_owned();
    assert!(etag.starts_with("\"2-"), "the version that commands check: {etag}");
    assert!(response.headers.contains_key("request-id"));
    let (status, body) = response.told();
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
        "addresses",
        "website",
        "industry",
        "notes",
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
        let response = send(app.question(&path, &token).header("if-none-match", tag)).await;
        assert_eq!(response.status, status, "{tag}");
        assert_eq!(response.header("etag"), etag);
        assert_eq!(response.text.is_empty(), status == 304);
    }
    let garbled = send(app.question(&path, &token).header("if-none-match", "2")).await;
    assert_eq!(garbled.status, 400);
}

#[actix_web::test]
async fn every_row_of_every_table_is_of_its_schema_and_the_same_alone_and_in_a_list() {
    let (world, _) = History::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["owner"]);
    for (_, table, resource) in projections::resources() {
        let schema = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&Value::from(table.schema()))
            .unwrap();
        let archived = if table.away().is_some() { "?archived=any" } else { "" };
        let list = app.get(&format!("/v1/{}{archived}", resource.path), &token).await;
        let list = list.text;
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
            let alone = app.get(&path, &token).await.text;
            assert!(list.contains(&alone), "{alone} is not in {list}");
        }
    }
}

#[actix_web::test]
async fn what_is_shown_otherwise_has_another_tag_though_the_version_is_the_same() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let etag = app.get(&path, &token).await.header("etag").to_owned();
    // As an erasure does it, which is no event of the client.
    let erased = "update crm.clients set name = '', email = null where id = $1";
    sqlx::query(erased).bind(Uuid::from_u128(1_000)).execute(&world.worker).await.unwrap();
    let response = send(app.question(&path, &token).header("if-none-match", etag.as_str())).await;
    assert_eq!(response.status, 200, "nobody goes on showing what was erased");
    assert_ne!(response.header("etag"), etag);
    let (_, body) = response.told();
    assert_eq!((&body["name"], &body["version"]), (&json!(""), &json!(2)));
}

/// Where the rows of `projects.projects` are read.
fn path_of(whole: &str) -> &'static str {
    let is_it = |group: &projections::Group, table: &dyn projections::Table| {
        format!("{}.{}", group.name, table.name()) == whole
    };
    projections::resources().find(|(group, table, _)| is_it(group, *table)).unwrap().2.path
}

#[actix_web::test]
async fn the_tag_of_a_part_has_the_version_of_the_whole_that_commands_check() {
    let (world, _) = History::of_golden_events().await;
    for group in projections::groups() {
        world.catch_up(group, 100).await;
    }
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["owner"]);
    let mut parts = vec![];
    for (_, table, resource) in projections::resources() {
        let Some(projections::PartOf { column, table: whole }) = table.part_of() else { continue };
        parts.push(resource.path);
        let (_, rows) = app.get(&format!("/v1/{}", resource.path), &token).await.told();
        for row in rows["data"].as_array().unwrap() {
            let of = async |path: String| app.get(&path, &token).await;
            let part = of(format!("/v1/{}/{}", resource.path, row["id"].as_str().unwrap())).await;
            let whole = of(format!("/v1/{}/{}", path_of(whole), row[column].as_str().unwrap())).await;
            let version = |tag: &str| tag.trim_start_matches('"').split('-').next().unwrap().to_owned();
            assert_eq!((part.status, whole.status), (200, 200), "{row}");
            assert_eq!(version(part.header("etag")), version(whole.header("etag")), "{row}");
        }
    }
    assert!(parts.contains(&"projects/tasks") && parts.contains(&"revenue/invoice-lines"), "{parts:?}");
}

#[actix_web::test]
async fn a_row_reads_as_its_type_writes_it() {
    let world = world().await;
    let app = world.app().await;
    let path = format!("/v1/crm/clients/{}", Uuid::from_u128(1_000));
    let body = app.get(&path, &app.token_with(tenant(1), &["viewer"])).await.text;
    let row = projections::Row::<projections::crm::ClientRow>::read(&body).unwrap();
    assert_eq!(body, serde_json::to_string(&row).unwrap());
}

#[actix_web::test]
async fn unknown_foreign_and_malformed_ids_are_all_not_found() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["owner"]);
    let foreign = Uuid::from_u128(2_000).to_string();
    let unknown = Uuid::from_u128(77).to_string();
    for id in [foreign.as_str(), unknown.as_str(), "1", "' or 1=1 --", "%00", "%F0%9F%98%80"] {
        let path = format!("/v1/crm/clients/{}", id.replace(' ', "%20"));
        let (status, body) = app.get(&path, &token).await.told();
        assert_eq!((status, body["code"].as_str()), (404, Some("not-found")), "{id}");
    }
    // The firm it belongs to sees it.
    let path = format!("/v1/crm/clients/{foreign}");
    let own = app.token_with(tenant(2), &["viewer"]);
    assert_eq!(app.get(&path, &own).await.status, 200);
}

#[actix_web::test]
async fn an_event_is_shown_to_its_firm_and_to_nobody_else() {
    let world = world().await;
    let app = world.app().await;
    let event = world.read(0, 1).await.remove(0);
    let path = format!("/v1/events/{}", event.position);
    let (own, other) = (event.tenant_id.0.as_u128(), event.tenant_id.0.as_u128() + 1);
    let (status, body) = app.get(&path, &app.token_with(tenant(own), &["viewer"])).await.told();
    assert_eq!((status, body["id"].as_str()), (200, Some(event.event_id.to_string().as_str())));
    assert_eq!(body["event_type"], event.event_type);
    for (path, firm) in
        [(path.as_str(), other), ("/v1/events/999999", own), ("/v1/events/0", own), ("/v1/events/x", own)]
    {
        let response = app.get(path, &app.token_with(tenant(firm), &["owner"])).await;
        assert_eq!(response.status, 404, "{path} as {firm}");
    }
}

#[actix_web::test]
async fn without_token_permission_or_path_there_is_a_problem() {
    let world = world().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let response = app.get("/v1/crm/clients", Shown::Nothing).await;
    assert_eq!((response.status, response.header("www-authenticate")), (401, "Bearer"));
    let (status, body) = app.get("/v1/crm/clients", &app.token_with(tenant(1), &[])).await.told();
    assert_eq!((status, body["code"].as_str()), (403, Some("forbidden")));
    for path in ["/v1/crm/unicorns", "/v1/crm", "/v1/pg_catalog/pg_class", "/v2/crm/clients", "/v1/crm/clients/a/b"] {
        assert_eq!(app.get(path, &token).await.status, 404, "{path}");
    }
    let request = app.http.post(format!("{}/v1/crm/clients", app.queries)).bearer_auth(&token);
    let response = send(request).await;
    assert_eq!((response.status, response.header("allow")), (405, "GET, HEAD"));
}

#[actix_web::test]
async fn min_position_waits_for_the_read_model_and_says_how_far_it_is_behind() {
    let mut world = world().await;
    let app = world.app_with(Setup { patience: Duration::from_millis(300), ..Setup::default() }).await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let id = Uuid::from_u128(1_000);
    world.event(tenant(1), id, renamed("Written just now"));
    world.event(tenant(1), id, tagged("new"));
    let head = world.write().await;
    let path = format!("/v1/crm/clients/{id}");

    let started = Instant::now();
    let response = send(app.question(&path, &token).header("min-position", head.to_string())).await;
    assert!(started.elapsed() >= Duration::from_millis(300), "waits as long as it may");
    assert_eq!(response.header("retry-after"), "1");
    let (status, body) = response.told();
    assert_eq!((status, body["code"].as_str()), (503, Some("projection-behind")), "{body}");
    assert_eq!((body["behind"].as_i64(), body["position"].as_i64()), (Some(2), Some(head - 2)));

    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.catch_up(crm(), 1_000).await;
    };
    let request = app.question(&path, &token).header("min-position", head.to_string());
    let (response, ()) = tokio::join!(send(request), later);
    let (status, body) = response.told();
    assert_eq!((status, body["name"].as_str()), (200, Some("Written just now")));

    // Beyond the log's end there is nothing to wait for: whoever was answered such a position knows another log.
    let request = app.question(&path, &token).header("min-position", (head + 1).to_string());
    let (status, body) = send(request).await.told();
    assert_eq!((status, body["code"].as_str()), (409, Some("position-unknown")), "{body}");
    assert_eq!((body["position"].as_i64(), body["retryable"].as_bool()), (Some(head), Some(false)));

    let started = Instant::now();
    let request = app.question("/v1/crm/clients", &token).header("min-position", "1");
    assert_eq!(send(request).await.status, 200);
    assert!(started.elapsed() < Duration::from_millis(250), "what is there already is not waited for");
    for wrong in ["-1", "soon", "1.5", "99999999999999999999"] {
        let request = app.question(&path, &token).header("min-position", wrong);
        let (status, body) = send(request).await.told();
        assert_eq!((status, body["code"].as_str()), (400, Some("invalid-header")), "{wrong}");
    }
}

#[actix_web::test]
async fn d_05_nobody_waits_for_a_position_that_no_event_has() {
    let world = world().await;
    let app = world.app_with(Setup { patience: Duration::from_secs(3_600), ..Setup::default() }).await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let request = app.question("/v1/crm/clients", &token).header("min-position", i64::MAX.to_string());
    let answer = tokio::time::timeout(Duration::from_secs(30), send(request)).await;
    let (status, body) = answer.expect("it is answered at once").told();
    assert_eq!((status, body["code"].as_str()), (409, Some("position-unknown")), "{body}");
}

#[actix_web::test]
async fn t_06_on_one_connection_under_churn_no_firm_sees_another_firms_rows() {
    let world = world().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&world.database.url("ubos_query")).await.unwrap();
    let app = world.app().await;
    let tokens = [app.token_with(tenant(1), &["viewer"]), app.token_with(tenant(2), &["viewer"])];
    // Past HTTP, so that a request that is cut off is gone at that step.
    let bounds = AdmissionSettings { in_flight_max: 8, waiting_max: 64, wait_max: Duration::from_secs(5) };
    let api = Api::new(pool.clone(), Duration::from_millis(300), Admission::new("query-api", bounds));
    let verifier = app.verifier.clone();
    let service = App::new().app_data(verifier).configure(|config| configure(config, Data::new(api)));
    let service = init_service(service).await;
    let mut cut = 0;
    for round in 0..400u64 {
        let firm = (round % 2) as usize;
        let path = match round % 3 {
            0 => "/v1/crm/clients?limit=200".to_owned(),
            1 => format!("/v1/crm/clients/{}", Uuid::from_u128(1_000)),
            _ => format!("/v1/crm/clients/{}", Uuid::from_u128(2_000)),
        };
        let request =
            TestRequest::get().uri(&path).insert_header(("authorization", format!("Bearer {}", tokens[firm])));
        let answer = call_service(&service, request.to_request());
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
        let answer = answer.await;
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
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
    let world = History::new().await;
    let app = world.app().await;
    let token = app.token_with(tenant(1), &["viewer"]);
    let (status, body) = app.get("/v1/identity/me", &token).await.told();
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["principal"]["kind"], &body["api_key"]), (&json!("user"), &Value::Null));
    assert_eq!(body["tenant"], json!({ "id": tenant(1), "name": null }), "the firm is not registered");
    assert_eq!(body["roles"], json!(["viewer"]), "as the token says");
    let permissions: Vec<&str> = body["permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    assert!(permissions.contains(&"crm.client.read") && permissions.is_sorted(), "{permissions:?}");
    assert!(!permissions.contains(&"timeline.audit_entry.inspect"));
    assert_eq!(app.get("/v1/identity/me", Shown::Nothing).await.status, 401);
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
    // A list and a record for every table, and the questions: one event of the log, who one is, the audit trail as a list and as a
    // file, what deals come to, everything about a client, free times, where a file is fetched, how connections are, what clients owe,
    // the trial balance and the figures of a first page.
    assert_eq!(paths, projections::resources().count() * 2 + 12);
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
