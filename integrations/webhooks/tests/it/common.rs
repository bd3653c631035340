//! What these tests begin with.

use crate::receiver::Receiver;
use anyhow::Result;
use connections::WebhookEndpoint;
use connections::webhook_endpoint::WebhookEndpointCommand as C;
use connections_events::{WebhookEndpointStatus, WebhookOrder};
use event_store::{Executed, Log, Request, Store, StoreOptions, Tell};
use futures::future::BoxFuture;
use identity::team::TeamCommand;
use identity::tenant::TenantCommand;
use identity::{Team, Tenant};
use kernel::{Actor, EventScope, Permissions, Principal, TenantId, UserId};
use sqlx::PgPool;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;
use vault::{LocalKeys, Vault};
use webhooks::{Allowed, Everybody, Guard, Names, Options, Owners, Patience, Schedule, Secrets, Webhooks};

/// A key for tests: 32 bytes in base64.
const KEK: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Every name leads to this machine.
#[derive(Debug)]
struct Here;

impl Names for Here {
    fn addresses<'n>(&'n self, _: &'n str) -> BoxFuture<'n, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Ok(vec![Ipv4Addr::LOCALHOST.into()])))
    }
}

/// A guard that lets through what goes to this machine.
pub fn open() -> Guard {
    let allowed = Allowed { networks: vec!["127.0.0.0/8".parse().unwrap()], http: true, ports: vec![] };
    Guard::with_names(allowed, Here)
}

/// One that knows the same names, and lets nothing through.
pub fn shut() -> Guard {
    Guard::with_names(Allowed { http: true, ..Allowed::default() }, Here)
}

/// Tries again at once, so that nobody waits.
pub fn quick() -> Options {
    let soon = Duration::from_millis(20);
    Options {
        schedule: Schedule { event: vec![soon; 4], endpoint: vec![soon], ..Schedule::default() },
        patience: Patience { connect: Duration::from_secs(1), answer: Duration::from_millis(500) },
        ..Options::default()
    }
}

/// Tries nothing again before a test says that it is later: a receiver that takes nothing is due for ever otherwise.
pub fn slow() -> Options {
    let hour = Duration::from_secs(3_600);
    Options { schedule: Schedule { event: vec![hour; 4], endpoint: vec![hour], ..Schedule::default() }, ..quick() }
}

pub struct World {
    pub store: Store,
    pub tenant: TenantId,
    pub worker: PgPool,
    pub vault: Vault,
    pub receiver: Receiver,
    _database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let (command, worker) = (database.command().await, database.worker().await);
        let keys = || Arc::new(LocalKeys::new(&KEK.to_owned().into(), &[]).unwrap());
        let vault = Vault::start(worker.clone(), keys());
        let sealing = Vault::start(command.clone(), keys());
        let store = Store::start(command, StoreOptions { vault: Some(sealing), ..StoreOptions::default() });
        let receiver = Receiver::start().await;
        let world = Self { store, tenant: TenantId(Uuid::now_v7()), worker, vault, receiver, _database: database };
        let register =
            TenantCommand::Register { name: "Analytical Engines".parse().unwrap(), owner_id: UserId::default() };
        world.store.execute::<Tenant>(Some(world.tenant.0), register, &world.request()).await.unwrap();
        world
    }

    pub fn request(&self) -> Request {
        Request::new(self.tenant, Actor::System { name: "test".to_owned() })
    }

    pub async fn superuser(&self) -> PgPool {
        self._database.superuser().await
    }

    /// Whoever sends, in rounds.
    pub fn webhooks(&self) -> Webhooks {
        self.webhooks_with(open(), quick())
    }

    pub fn webhooks_with(&self, guard: Guard, options: Options) -> Webhooks {
        self.webhooks_of(guard, options, Arc::new(Everybody))
    }

    pub fn webhooks_of(&self, guard: Guard, options: Options, owners: Arc<dyn Owners>) -> Webhooks {
        let store = Store::start(
            self.worker.clone(),
            StoreOptions { vault: Some(self.vault.clone()), ..StoreOptions::default() },
        );
        let log = Log::unsealing(self.worker.clone(), Some(self.vault.clone())).withholding(catalogue::withhold);
        Webhooks::new(log, store, self.vault.clone(), guard, owners, options).unwrap()
    }

    /// An endpoint at the receiver that asks for these events.
    pub async fn endpoint(&self, events: &[&str]) -> Uuid {
        self.endpoint_at(&self.receiver.url("hook"), events, WebhookOrder::Unordered).await.id
    }

    pub async fn endpoint_at(&self, url: &str, events: &[&str], order: WebhookOrder) -> Executed {
        let events = events.iter().map(|scope| scope.parse::<EventScope>().unwrap()).collect();
        let add = C::Add { url: url.parse().unwrap(), events, order, description: None };
        self.store.execute::<WebhookEndpoint>(None, add, &self.request()).await.unwrap()
    }

    pub async fn say(&self, endpoint: Uuid, command: C) -> Executed {
        self.store.execute::<WebhookEndpoint>(Some(endpoint), command, &self.request()).await.unwrap()
    }

    /// What the answer to a command tells.
    pub async fn told(&self, executed: &Executed) -> String {
        let told = Secrets::new(self.vault.clone()).tell(self.tenant, executed).await.unwrap();
        told["key"].as_str().unwrap().to_owned()
    }

    /// Something happens to a record: a team is created. Answers which.
    pub async fn happens(&self, name: &str) -> Uuid {
        let create = TeamCommand::Create { name: name.parse().unwrap() };
        self.store.execute::<Team>(None, create, &self.request()).await.unwrap().id
    }

    /// Something more happens to it.
    pub async fn goes_on(&self, team: Uuid, name: &str) {
        let rename = TeamCommand::Rename { name: name.parse().unwrap() };
        self.store.execute::<Team>(Some(team), rename, &self.request()).await.unwrap();
    }

    pub async fn status(&self, endpoint: Uuid) -> WebhookEndpointStatus {
        self.store.load::<WebhookEndpoint>(self.tenant, endpoint).await.unwrap().0.status()
    }

    /// What is noted of the events at an endpoint, in their order: status and attempts.
    pub async fn noted(&self, endpoint: Uuid) -> Vec<(String, i32)> {
        let sql = "select status, attempts from webhooks.deliveries where endpoint_id = $1 order by position";
        sqlx::query_as(sql).bind(endpoint).fetch_all(&self.worker).await.unwrap()
    }

    /// As if time had passed: what waits for its next try is due.
    pub async fn later(&self) {
        self.run("update webhooks.endpoints set shut_until = '-infinity'").await;
        reactions::retry(&self.worker, &reactions::Filter::default()).await.unwrap();
    }

    pub async fn run(&self, sql: &str) {
        sqlx::query(sql).execute(&self.superuser().await).await.unwrap();
    }
}

/// May read only what these patterns grant.
pub struct Only(pub &'static [&'static str]);

impl Owners for Only {
    fn permissions(&self, _: TenantId, _: Principal) -> BoxFuture<'_, Result<Option<Arc<Permissions>>>> {
        let held = Permissions::patterns(self.0.iter().copied());
        Box::pin(std::future::ready(Ok(Some(Arc::new(held)))))
    }
}
