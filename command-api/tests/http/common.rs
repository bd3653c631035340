//! Command-api on a real log, with a key that signs tokens.

use ::web::{
    Admission, AdmissionSettings, BodyLimits, Draining, Front, Verifier, VerifierSettings, not_found_handler, observe,
};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer, middleware::from_fn};
use command_api::{Api, configure};
use credentials::NoDirectory;
use event_store::{CommandBus, CommandInfo, Store, StoreOptions};
use kernel::{Aggregate, Mounts};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testing::{Issuer, TestDatabase, key_set};
use uuid::Uuid;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The stable code of a problem, and proof that it is one.
    pub fn code(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["request_id"], self.headers["request-id"].to_str().ok().unwrap_or_default(), "{self:?}");
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The id of what was created.
    pub fn id(&self) -> Uuid {
        self.body["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id in {self:?}"))
    }
}

/// A service, and an owner's token for one firm.
pub struct Service {
    pub port: u16,
    pub token: String,
    issuer: Issuer,
    http: Client,
    /// Its log.
    pub database: TestDatabase,
    /// Set when it is asked to stop.
    pub draining: Draining,
    /// Who is in work and who waits.
    pub admission: Admission,
}

impl Service {
    pub async fn start() -> Self {
        Self::bounded(AdmissionSettings { in_flight_max: 64, waiting_max: 64, wait_max: Duration::from_secs(5) }).await
    }

    pub async fn bounded(bounds: AdmissionSettings) -> Self {
        runtime::install_crypto();
        let database = TestDatabase::create().await;
        let mut bus = CommandBus::new(Store::start(database.command().await, StoreOptions::default()));
        registry::mount_all(&mut bus);
        let issuer = Issuer::new("test");
        let keys = key_set(&[issuer.jwk()]);
        let settings = VerifierSettings {
            jwks: keys.display().to_string(),
            refresh: Duration::from_secs(300),
            issuer: "https://id.example".into(),
            audience: "ubos".into(),
            leeway_seconds: 5,
        };
        let verifier = Data::new(Verifier::start(settings, Arc::new(NoDirectory)).await.expect("the keys are read"));
        let limits = BodyLimits { bytes_max: 1_048_576, time_max: Duration::from_millis(500) };
        let admission = Admission::new("command-api", bounds);
        let api = Data::new(Api::new(bus, limits, admission.clone()));
        let front = Data::new(Front::default());
        let draining = front.draining.clone();
        let server = HttpServer::new(move || {
            let api = api.clone();
            App::new()
                .wrap(from_fn(observe))
                .app_data(verifier.clone())
                .app_data(front.clone())
                .configure(|config| configure(config, api))
                .default_service(web::route().to(not_found_handler))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a free port");
        let port = server.addrs()[0].port();
        actix_web::rt::spawn(server.run());
        let mut service =
            Self { port, token: String::new(), issuer, http: Client::new(), database, draining, admission };
        service.token = service.sign(&claims(Uuid::now_v7(), "owner"));
        service
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.issuer.sign(claims)
    }

    /// A request that lacks nothing but a body.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.bare(path).bearer_auth(&self.token).header("content-type", "application/json")
    }

    /// A request without a token.
    pub fn bare(&self, path: &str) -> RequestBuilder {
        self.http.post(self.url(path))
    }

    /// A question, which this service does not take.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path)).bearer_auth(&self.token)
    }

    /// Creates a client and answers its id.
    pub async fn client(&self, name: &str) -> Uuid {
        let body = json!({ "name": name }).to_string();
        let created =
            send(self.post("/v1/crm/clients").header("idempotency-key", Uuid::now_v7().to_string()).body(body)).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.id()
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Claims of somebody with one role.
pub fn claims(tenant: Uuid, role: &str) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({ "iss": "https://id.example", "aud": "ubos", "sub": Uuid::now_v7(), "tenant": tenant, "roles": [role], "exp": now + 600 })
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a whole answer");
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

/// Every command of the catalogue.
pub fn commands() -> Vec<CommandInfo> {
    struct All(Vec<CommandInfo>);
    impl Mounts for All {
        fn mount<A: Aggregate>(&mut self) {
            self.0.extend(CommandBus::commands_of::<A>());
        }
    }
    let mut all = All(vec![]);
    registry::mount_all(&mut all);
    all.0
}
