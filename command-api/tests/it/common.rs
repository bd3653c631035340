//! An app, and an owner of a firm of whom nothing is known but a token.

use event_store::{CommandBus, CommandInfo};
use harness::{Setup, Shown, TestApp};
use kernel::{Aggregate, Mounts};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;
use web::AdmissionSettings;

pub use harness::{Answer, send};

/// The app, and what is shown to it.
pub struct Service {
    pub app: TestApp,
    pub token: String,
}

impl Service {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn bounded(admission: AdmissionSettings) -> Self {
        Self::with(Setup { admission, ..Setup::default() }).await
    }

    pub async fn with(setup: Setup) -> Self {
        let app = TestApp::start(Setup { roles_in_tokens: true, ..setup }).await;
        let token = app.sign(&claims(Uuid::now_v7(), "owner"));
        Self { app, token }
    }

    /// A request that lacks nothing but a body.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.app.order(path, &self.token).header("content-type", "application/json")
    }

    /// A request without a token.
    pub fn bare(&self, path: &str) -> RequestBuilder {
        self.app.order(path, Shown::Nothing)
    }

    /// Creates a client and answers its id.
    pub async fn client(&self, name: &str) -> Uuid {
        let created = self.app.post("/v1/crm/clients", &self.token, &json!({ "name": name })).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.id()
    }

    /// Where connections go.
    pub fn address(&self) -> &str {
        self.app.commands.trim_start_matches("http://")
    }
}

/// Claims of somebody with one role.
pub fn claims(tenant: Uuid, role: &str) -> Value {
    testing::claims(tenant, Uuid::now_v7(), &[role])
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
