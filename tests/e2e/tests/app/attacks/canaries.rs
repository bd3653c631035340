//! A firm whose every text is a canary, beside one that asks for everything in every way it can: nothing that leaves the product
//! on the other firm's side holds a canary. Row T-02 and T-04 to T-07, for all operations.

use harness::{Answer, Firm, Operation, TestApp};
use metrics_exporter_prometheus::PrometheusHandle;
use redis::AsyncCommands;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use uuid::Uuid;

/// Every line that is logged by any test of this binary.
static LINES: LazyLock<Lines> = LazyLock::new(Lines::default);
static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap());

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn log_into_memory() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(install);
}

/// What was logged so far.
pub fn logged() -> String {
    String::from_utf8_lossy(&LINES.0.lock().unwrap()).into_owned()
}

fn install() {
    let lines = LINES.clone();
    // As verbose as anybody would let it be; sqlx shows statements only.
    let filter = tracing_subscriber::EnvFilter::new("debug,hyper=off,h2=off");
    let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(move || lines.clone());
    subscriber.try_init().unwrap();
}

/// Verbs after which a record takes no others.
const ENDING: [&str; 13] = [
    "archive",
    "retire",
    "block",
    "disband",
    "deactivate",
    "withdraw",
    "complete",
    "cancel",
    "suspend",
    "revoke",
    "revoke-invitation",
    "leave",
    "disable",
];

/// What stands in each place of a body: a text, an address, an id.
fn places(value: &mut Value, change: &mut impl FnMut(&str, &mut Value), at: &str) {
    match value {
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| places(value, change, &format!("{at}/{name}")));
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(n, value)| places(value, change, &format!("{at}/{n}")));
        }
        leaf => change(at, leaf),
    }
}

/// What a firm was filled with.
#[derive(Debug, Default)]
struct Filled {
    /// The first of each collection.
    made: BTreeMap<String, Uuid>,
    /// Where everything is that was made.
    locations: Vec<String>,
    /// What was not done.
    refused: Vec<String>,
}

/// Makes one of everything through the API, and does everything to it that can be done, each text a canary that its field takes.
async fn filled(app: &TestApp, firm: Firm, canary: &str) -> Filled {
    let Filled { mut made, mut locations, mut refused } = Filled::default();
    let all = app.orders();
    let creations = all.iter().filter(|operation| !operation.path.contains("{id}"));
    for operation in creations.chain(all.iter().filter(|operation| operation.path.contains("{id}"))) {
        let collection = operation.path.split('/').take(4).collect::<Vec<_>>().join("/");
        // What would take the owner's own rights comes never, and neither does what ends a record that others change.
        let verb = operation.path.rsplit('/').next().unwrap();
        if ["/v1/identity/tenants", "/v1/identity/sessions"].contains(&collection.as_str()) || ENDING.contains(&verb) {
            continue;
        }
        let id = made.get(&collection).copied().unwrap_or_else(Uuid::now_v7);
        let path = operation.path.replace("{id}", &id.to_string());
        let answer = fitted(app, firm, operation, &path, canary).await;
        if answer.status == 201 {
            locations.push(answer.headers["location"].to_str().unwrap().to_owned());
        }
        if answer.status == 201 && !made.contains_key(&collection) {
            made.insert(collection, answer.id());
        } else if !matches!(answer.status, 200 | 201) {
            refused.push(format!("{path}: {}", answer.text));
        }
    }
    let definition = json!({
        "name": canary, "runs_as": ["workflow.run.notify"], "trigger": { "event_type": "client.created" },
        "actions": [{ "type": "notify", "to": "owner", "subject": canary, "body": canary }],
    });
    let published =
        workflow_engine::publish(&app.bus, kernel::TenantId(firm.tenant), canary, &definition.to_string()).await;
    made.insert("/v1/workflow/definitions".to_owned(), published.unwrap().id.0);
    Filled { made, locations, refused }
}

/// Asks with canaries, and takes out those that their field does not take.
async fn fitted(app: &TestApp, firm: Firm, operation: &Operation, path: &str, canary: &str) -> Answer {
    let schema = &operation.description["requestBody"]["content"]["application/json"]["schema"];
    let plain = catalogue::example(schema, path);
    let mut body = plain.clone();
    places(
        &mut body,
        &mut |at, leaf| {
            if leaf.is_i64() {
                // A length that every rule about lengths takes.
                *leaf = json!(60);
            }
            if let Value::String(text) = leaf {
                if at == "/principal/id" {
                    *text = firm.owner.to_string();
                } else if text.contains('@') {
                    *text = format!("{canary}{}@example.com", at.len());
                } else if at.ends_with("/from") || at.ends_with("/to") {
                    *text = if at.ends_with("/from") { "09:00" } else { "17:00" }.to_owned();
                } else if at.ends_with("_at") {
                    *text = "2099-01-01T00:00:00Z".to_owned();
                } else if text.parse::<Uuid>().is_err() && at != "/principal/kind" {
                    *text = canary.to_owned();
                }
            }
        },
        "",
    );
    loop {
        let answer = app.post(path, &app.owner(firm), &body).await;
        let wrong = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
        let (Some(now), Some(before)) = (body.pointer_mut(&wrong), plain.pointer(&wrong)) else { return answer };
        if answer.status != 422 || now == before {
            return answer;
        }
        *now = before.clone();
    }
}

#[actix_web::test]
async fn a_location_leads_to_what_was_made_whatever_it_is() {
    let app = TestApp::new().await;
    let read: Vec<String> = app.questions().into_iter().map(|operation| operation.path).collect();
    for operation in app.orders().iter().filter(|operation| !operation.path.contains("{id}")) {
        let record = operation.path.split('/').take(4).collect::<Vec<_>>().join("/") + "/{id}";
        assert!(read.contains(&record), "{} makes what {record} does not show", operation.path);
    }
    let firm = app.register("Ours").await;
    let Filled { locations, refused, .. } = filled(&app, firm, "ours").await;
    assert!(locations.len() > 13, "one of everything: {locations:?}, but: {refused:#?}");
    app.project().await;
    for location in locations {
        let shown = app.get(&location, &app.owner(firm)).await;
        assert_eq!(shown.status, 200, "{location}: {}", shown.text);
        assert!(location.ends_with(&shown.id().to_string()), "{location}: {}", shown.text);
    }
}

/// What came back, beside what was asked for.
struct Seen {
    asked: String,
    told: String,
}

fn seen(asked: String, answer: &Answer) -> Seen {
    Seen { asked, told: format!("{} {:?} {}", answer.status, answer.headers, answer.text) }
}

#[actix_web::test]
async fn t_02_t_04_t_06_t_07_nothing_of_another_firm_is_anywhere() {
    log_into_memory();
    LazyLock::force(&METRICS);
    let app = TestApp::new().await;
    let canary = format!("cnry{}", &Uuid::now_v7().simple().to_string()[16..]);
    let (ours, theirs) = (app.register("Ours").await, app.register(&format!("Firm {canary}")).await);
    let Filled { made, refused, .. } = filled(&app, theirs, &canary).await;
    assert!(made.len() > 13, "one of everything: {made:?}, but: {refused:#?}");
    filled(&app, ours, "ours").await;
    app.session(theirs, theirs.owner).await;
    let foreign_key = app.post("/v1/crm/clients", "garbage", &json!({ "name": canary })).await;
    assert_eq!(foreign_key.status, 401);
    app.project().await;
    app.written_down().await;

    // What only they know: their ids, their cursors.
    let superuser = app.database.superuser().await;
    let sql = "select distinct aggregate_id from eventstore.events where tenant_id = $1
               union select event_id from eventstore.events where tenant_id = $1 union select $1";
    let ids: Vec<Uuid> = sqlx::query_scalar(sql).bind(theirs.tenant).fetch_all(&superuser).await.unwrap();
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let held: i64 =
        sqlx::query_scalar("select count(*) from eventstore.events where tenant_id = $1 and payload::text like $2")
            .bind(theirs.tenant)
            .bind(format!("%{canary}%"))
            .fetch_one(&superuser)
            .await
            .unwrap();
    assert!(held > 25, "their log is full of canaries: {held}");
    let (owner, their_owner) = (app.owner(ours), app.owner(theirs));
    let mut all = vec![];
    let mut shown = 0;
    for operation in app.questions() {
        let collection = operation.path.split('/').take(4).collect::<Vec<_>>().join("/");
        let ids_to_try = made.get(&collection).map(Uuid::to_string).into_iter().chain(ids.iter().take(3).cloned());
        if operation.path.contains("{position}") {
            let head: i64 =
                sqlx::query_scalar("select position from eventstore.head").fetch_one(&superuser).await.unwrap();
            for position in 1..=head {
                let path = format!("/v1/events/{position}");
                all.push(seen(path.clone(), &app.get(&path, &owner).await));
            }
        } else if operation.path.contains("{id}") {
            for id in ids_to_try {
                let path = operation.path.replace("{id}", &id);
                all.push(seen(path.clone(), &app.get(&path, &owner).await));
            }
        } else {
            // They see their own; that is how we know that there is something to see.
            let own = app.get(&format!("{}?limit=1", operation.path), &their_owner).await;
            shown += usize::from(own.text.contains(&canary));
            let cursor = own.body["next_cursor"].as_str().map(str::to_owned);
            let mut tried: Vec<String> = vec![String::new(), "limit=200".to_owned()];
            tried.extend(cursor.map(|cursor| format!("limit=1&cursor={cursor}")));
            for parameter in operation.description["parameters"].as_array().unwrap() {
                let name = parameter["name"].as_str().unwrap();
                match parameter["schema"]["format"].as_str() {
                    Some("uuid") => tried.extend(ids.iter().take(3).map(|id| format!("{name}={id}"))),
                    None if parameter["in"] == "query" && parameter["schema"]["enum"].is_null() => {
                        tried.push(format!("{name}={canary}"));
                    }
                    _ => {}
                }
            }
            for query in tried {
                let path = format!("{}?{query}", operation.path);
                all.push(seen(path.clone(), &app.get(&path, &owner).await));
            }
        }
    }
    assert!(shown > 10, "only {shown} lists show canaries to their own firm");
    for operation in app.orders() {
        let collection = operation.path.split('/').take(4).collect::<Vec<_>>().join("/");
        let id = made.get(&collection).map_or_else(|| ids[0].clone(), Uuid::to_string);
        let schema = &operation.description["requestBody"]["content"]["application/json"]["schema"];
        let mut body = catalogue::example(schema, &operation.path);
        // Their ids in every place of a body that takes one, also nested and in lists.
        let mut next = ids.iter().cycle();
        places(
            &mut body,
            &mut |_, leaf| {
                if leaf.as_str().is_some_and(|text| text.parse::<Uuid>().is_ok()) {
                    *leaf = json!(next.next());
                }
            },
            "",
        );
        let ends = ["close", "leave"].iter().any(|verb| operation.path.ends_with(verb));
        let path = operation.path.replace("{id}", &id);
        if operation.method == Method::POST && !ends {
            all.push(seen(format!("{path} {body}"), &app.post(&path, &owner, &body).await));
        }
    }
    app.project().await;
    app.written_down().await;
    for path in [
        "/v1/timeline/audit-entries?limit=200",
        "/v1/timeline/audit-entries/export",
        "/v1/timeline/audit-entries/export?format=csv",
    ] {
        all.push(seen(format!("{path} and all that we asked before: {}", ids.join(" ")), &app.get(path, &owner).await));
    }
    assert!(all.len() > 400, "{}", all.len());
    for Seen { asked, told } in &all {
        assert!(!told.starts_with('5'), "{asked}: {told}");
        // What was asked for may be repeated to who asked.
        assert!(asked.contains(&canary) || !told.contains(&canary), "{asked}: {told}");
        let foreign = ids.iter().find(|id| told.contains(*id) && !asked.contains(*id));
        assert_eq!(foreign, None, "{asked}: {told}");
    }

    let lines = logged();
    assert!(lines.contains("\"route\""), "lines were caught");
    let line = lines.lines().find(|line| line.contains(&canary));
    assert_eq!(line, None, "a line of the log");
    let metrics = METRICS.render();
    assert!(metrics.contains("http_requests_total"), "{metrics}");
    assert!(!metrics.contains(&canary), "{metrics}");
    assert_eq!(ids.iter().find(|id| metrics.contains(*id)), None, "a metric");
    let mut redis =
        redis::Client::open(testing::redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert!(!keys.is_empty(), "a session at least");
    for key in &keys {
        // Firm and user stand in the keys of their sessions, so that nobody's can be taken for another's; nothing they wrote does.
        assert!(!key.contains(&canary), "a key of Redis: {key}");
        let value: Option<String> = redis.get(key).await.unwrap_or_default();
        assert!(!value.is_some_and(|value| value.contains(&canary)), "a value of Redis: {key}");
    }
}
