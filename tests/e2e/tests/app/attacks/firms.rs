//! Both services over HTTP on one database, and firms with people in them.

use ::web::{
    Admission, AdmissionSettings, BodyLimits, SessionSettings, Sessions, Verifier, VerifierSettings, not_found_handler,
    observe,
};
use access::{LogDirectory, Witness};
use actix_web::middleware::from_fn;
use actix_web::test::TestRequest;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use credentials::Refusals;
use event_store::{CommandBus, Executed, Log, Request, Store, StoreOptions};
use kernel::{Actor, Principal, SessionId, TenantId, UserId};
use projections::{Applied, Target};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testing::{Issuer, TestDatabase, key_set, redis_url};
use uuid::Uuid;

/// The only origin whose pages may ask for changes.
pub const APP: &str = "https://app.example.com";

/// Where people of the installation log in.
pub const PROVIDERS: [&str; 2] = ["https://login.example.com", "https://other.example.com"];

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The stable code of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The id of what was created.
    pub fn id(&self) -> Uuid {
        self.json()["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id in {self:?}"))
    }
}

/// A firm and its owner.
#[derive(Debug, Clone, Copy)]
pub struct Firm {
    pub tenant: Uuid,
    pub owner: Uuid,
}

/// The services.
pub struct Firms {
    pub database: TestDatabase,
    pub bus: CommandBus,
    pub sessions: Sessions,
    pub refusals: Refusals,
    pub verifier: Data<Verifier>,
    pub commands: String,
    pub queries: String,
    pub http: reqwest::Client,
    issuer: Issuer,
    log: Log,
}

impl Firms {
    pub async fn start() -> Self {
        runtime::install_crypto();
        let database = TestDatabase::create().await;
        let providers = PROVIDERS.iter().map(|issuer| issuer.parse().unwrap()).collect();
        let options = StoreOptions { providers: Some(providers), ..StoreOptions::default() };
        let mut bus = CommandBus::new(Store::start(database.command().await, options));
        registry::mount_all(&mut bus);
        let issuer = Issuer::new("k");
        let keys = key_set(&[issuer.jwk()]);
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
            portal_idle: Duration::from_secs(600),
            portal_absolute: Duration::from_secs(3_600),
            per_person_max: 10,
            origins: vec![APP.to_owned()],
        };
        let sessions = Sessions::connect(&redis_url(), settings).await.unwrap();
        let bounds = AdmissionSettings { in_flight_max: 64, waiting_max: 256, wait_max: Duration::from_secs(5) };
        let limits = BodyLimits { bytes_max: 1_048_576, time_max: Duration::from_secs(5) };
        let (pool, admission) = (database.query().await, Admission::new("query-api", bounds.clone()));
        let queries = Data::new(query_api::Api::new(pool, Duration::from_secs(2), admission));
        let (seen, shared) = (verifier.clone(), Data::new(sessions.clone()));
        let queries = serve(seen, shared, move |config| query_api::configure(config, queries.clone()));
        let commands = command_api::Api::new(bus.clone(), limits, Admission::new("command-api", bounds));
        let commands = commands.with_records_at(&queries);
        let refusals = commands.refusals().clone();
        let commands = Data::new(commands);
        let (seen, shared) = (verifier.clone(), Data::new(sessions.clone()));
        let commands = serve(seen, shared, move |config| command_api::configure(config, commands.clone()));
        Self {
            log: Log::new(database.worker().await),
            http: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            database,
            bus,
            sessions,
            refusals,
            verifier,
            commands,
            queries,
            issuer,
        }
    }

    /// A registered firm with an owner who has accepted.
    pub async fn register(&self, name: &str) -> Firm {
        let firm = Firm { tenant: Uuid::now_v7(), owner: Uuid::now_v7() };
        self.join(firm, firm.owner, &[]).await;
        let register = json!({ "name": name, "owner_id": firm.owner });
        self.by_system(firm, "identity.tenant.register", firm.tenant, &register).await;
        firm
    }

    /// A user of the firm who has accepted.
    pub async fn join(&self, firm: Firm, user: Uuid, roles: &[&str]) {
        let invite = json!({ "email": format!("{user}@example.com"), "name": "A", "roles": roles });
        self.by_system(firm, "identity.user.invite", user, &invite).await;
        let (state, _) = self.bus.store().load::<identity::User>(TenantId(firm.tenant), user).await.unwrap();
        let accept = json!({ "invitation_id": state.invitation().unwrap() });
        self.by_system(firm, "identity.user.accept_invitation", user, &accept).await;
    }

    /// Done by the system.
    pub async fn by_system(&self, firm: Firm, name: &str, id: Uuid, body: &Value) -> Executed {
        let info = *self.bus.command(name).unwrap();
        let request = Request::new(TenantId(firm.tenant), Actor::System { name: "test".to_owned() });
        let done = self.bus.execute(&info, Some(id), body.to_string(), request).await;
        done.unwrap_or_else(|error| panic!("{name} {body}: {error}"))
    }

    /// A token of a user.
    pub fn token(&self, firm: Firm, user: Uuid) -> String {
        let expires = chrono::Utc::now().timestamp() + 600;
        self.issuer.sign(&json!({ "iss": "https://id.example", "aud": "ubos", "sub": user, "tenant": firm.tenant,
                                  "roles": [], "exp": expires }))
    }

    pub fn owner(&self, firm: Firm) -> String {
        self.token(firm, firm.owner)
    }

    /// A session of a user: the cookie, and the token for changes.
    pub async fn session(&self, firm: Firm, user: Uuid) -> (String, String) {
        let id = Uuid::now_v7();
        let ends_at = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let start = json!({ "user_id": user, "issuer": "https://login.example.com", "ends_at": ends_at });
        self.by_system(firm, "identity.session.start", id, &start).await;
        self.kept_session(firm, user, id).await
    }

    /// A session that stands in Redis, whatever the log says.
    pub async fn kept_session(&self, firm: Firm, user: Uuid, id: Uuid) -> (String, String) {
        let (id, person) = (SessionId(id), Principal::User { id: UserId(user) });
        let (cookie, _) = self.sessions.start(id, TenantId(firm.tenant), person).await.unwrap();
        let request = TestRequest::default().cookie(cookie.clone()).to_http_request();
        let shown = ::web::session::shown(&request).unwrap();
        let session = self.sessions.find(&shown).await.unwrap().unwrap();
        (format!("{}={}", cookie.name(), cookie.value()), session.csrf_token)
    }

    /// A command over HTTP.
    pub async fn post(&self, path: &str, bearer: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", self.commands)).bearer_auth(bearer);
        send(request.header("idempotency-key", Uuid::now_v7().to_string()).json(body)).await
    }

    /// A question over HTTP.
    pub async fn get(&self, path: &str, bearer: &str) -> Answer {
        send(self.http.get(format!("{}{path}", self.queries)).bearer_auth(bearer)).await
    }

    /// Writes down what was refused so far and which keys were used.
    pub async fn written_down(&self) {
        let pool = self.database.command().await;
        Witness::start(pool, Some(self.refusals.clone()), self.verifier.keys_in_use().clone()).stop().await;
    }

    /// Applies the whole log to the read models.
    pub async fn projected(&self) {
        let pool = self.database.worker().await;
        for group in projections::groups() {
            let target = Target::live(group);
            let mut at = target.position(&mut pool.acquire().await.unwrap()).await.unwrap().unwrap();
            loop {
                let events: Vec<_> = self.log.read(at, 1_000).await.unwrap().into_iter().map(Arc::new).collect();
                if events.is_empty() {
                    break;
                }
                match target.apply(&pool, &events).await.unwrap() {
                    Applied::At(position) | Applied::Elsewhere(position) => at = position,
                }
            }
        }
    }

    /// Waits until something is so in every process.
    pub async fn settled(&self, so: impl AsyncFn() -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !so().await {
            assert!(std::time::Instant::now() < deadline, "never so");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Serves as `server` does; answers the base URL.
fn serve(
    verifier: Data<Verifier>,
    sessions: Data<Sessions>,
    routes: impl Fn(&mut web::ServiceConfig) + Send + Clone + 'static,
) -> String {
    let server = HttpServer::new(move || {
        let routes = routes.clone();
        App::new()
            .wrap(from_fn(observe))
            .app_data(verifier.clone())
            .app_data(sessions.clone())
            .configure(move |config| routes(config))
            .default_service(web::to(not_found_handler))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    actix_web::rt::spawn(server.run());
    url
}

pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// An operation of one of the two APIs, as its document describes it.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    /// With `{id}` and `{position}` in it.
    pub path: String,
    pub description: Value,
}

/// Every operation that a document describes.
pub fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().clone();
    let each = paths.into_iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().clone();
        methods.into_iter().map(move |(method, description)| {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            Operation { method, path: path.clone(), description: written_out(document, &description, 0) }
        })
    });
    each.collect()
}

/// The value with what it refers to in place of the references, as far as anybody looks.
fn written_out(document: &Value, value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(fields) => match fields.get("$ref").and_then(Value::as_str) {
            Some(_) if depth > 8 => json!({}),
            Some(reference) => written_out(document, document.pointer(&reference[1..]).unwrap(), depth + 1),
            None => fields.iter().map(|(name, value)| (name.clone(), written_out(document, value, depth))).collect(),
        },
        Value::Array(items) => items.iter().map(|value| written_out(document, value, depth)).collect(),
        other => other.clone(),
    }
}

/// Every command of every context.
pub fn commands(firms: &Firms) -> Vec<Operation> {
    let commands: Vec<_> = firms.bus.commands().copied().collect();
    operations(&command_api::openapi(&commands, |_| {}))
}

/// Every question.
pub fn queries() -> Vec<Operation> {
    operations(&query_api::openapi())
}
