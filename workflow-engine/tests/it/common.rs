//! A fresh log with every command, and engines that come and go.

use event_store::{CommandBus, ExecuteError, Executed, Log, RawEvent, Request, Store, StoreOptions};
use kernel::{Actor, TenantId, UserId};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::TestDatabase;
use uuid::Uuid;
use workflow_engine::{Engine, EngineOptions, PolledLog};

/// Whom one can meet.
pub const HOST: Uuid = Uuid::from_u128(1);

pub struct World {
    pub tenant: TenantId,
    pub bus: CommandBus,
    pub log: Log,
    pub pool: PgPool,
    database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let pool = database.worker().await;
        let mut bus = CommandBus::new(Store::start(database.command().await, StoreOptions::default()));
        registry::mount_all(&mut bus);
        let tenant = TenantId(Uuid::now_v7());
        Self { tenant, bus, log: Log::new(pool.clone()), pool, database }
    }

    pub async fn superuser(&self) -> PgPool {
        self.database.superuser().await
    }

    /// Where a role connects.
    pub fn url(&self, role: &str) -> String {
        self.database.url(role)
    }

    /// An engine whose dead are noticed quickly.
    pub fn engine(&self) -> Engine {
        let lease = Duration::from_millis(300);
        let options = EngineOptions { lease, poll_every: Duration::from_millis(50), ..EngineOptions::default() };
        self.engine_with(options)
    }

    pub fn engine_with(&self, options: EngineOptions) -> Engine {
        Engine::start(self.pool.clone(), self.bus.clone(), Arc::new(PolledLog(self.log.clone())), options)
    }

    pub async fn send(&self, command: &str, id: Option<Uuid>, body: Value) -> Result<Executed, ExecuteError> {
        self.send_as(self.tenant, command, id, body).await
    }

    pub async fn send_as(
        &self,
        tenant: TenantId,
        command: &str,
        id: Option<Uuid>,
        body: Value,
    ) -> Result<Executed, ExecuteError> {
        let info = self.bus.command(command).unwrap_or_else(|| panic!("no command {command}"));
        let request = Request::new(tenant, Actor::User { id: UserId(Uuid::from_u128(1)) });
        self.bus.execute(info, id, body.to_string(), request).await
    }

    pub async fn publish(&self, definition: &Value) -> Uuid {
        self.publish_for(self.tenant, definition).await
    }

    pub async fn publish_for(&self, tenant: TenantId, definition: &Value) -> Uuid {
        let text = definition.to_string();
        workflow_engine::publish(&self.bus, tenant, "test", &text).await.unwrap_or_else(|e| panic!("{e}")).id.0
    }

    /// A client is created, whose event triggers something.
    pub async fn client(&self, name: &str) -> Executed {
        self.send("crm.client.create", None, json!({ "name": name })).await.unwrap()
    }

    pub async fn events(&self) -> Vec<RawEvent> {
        self.log.read(0, 100_000).await.unwrap()
    }

    pub async fn count(&self, event_type: &str) -> usize {
        self.events().await.iter().filter(|event| event.event_type == event_type).count()
    }

    /// The runs, in order of their start.
    pub async fn runs(&self) -> Vec<Uuid> {
        let started = self.events().await;
        started.iter().filter(|event| event.event_type == "run.started").map(|event| event.aggregate_id).collect()
    }

    /// Waits until so many events of a type are there.
    pub async fn until(&self, event_type: &str, count: usize) {
        self.eventually(event_type, async || self.count(event_type).await >= count).await;
    }

    /// Waits until it is so, and says what happened instead if that takes too long.
    pub async fn eventually(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !so().await {
            assert!(started.elapsed() < Duration::from_secs(120), "{what}: {:#?}", self.summary().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn show(&self, run: Uuid) -> workflow::Run {
        workflow_engine::show(&self.bus, self.tenant, run).await.unwrap()
    }

    /// The firm, with an owner who can be told something.
    pub async fn register(&self) {
        let register = json!({ "name": "Analytical Engines", "owner_id": HOST });
        let info = self.bus.command("identity.tenant.register").unwrap();
        let request = Request::new(self.tenant, Actor::System { name: "test".into() });
        self.bus.execute(info, Some(self.tenant.0), register.to_string(), request).await.unwrap();
    }

    /// Everything that the shipped definitions rely on, with or without the project template.
    pub async fn office(with_project_template: bool) -> Self {
        let world = Self::new().await;
        let every_day = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
            .map(|day| json!({ "weekday": day, "periods": [{ "from": "00:00", "to": "24:00" }] }));
        let hours = json!({ "host_id": HOST, "time_zone": "UTC", "weekly": every_day });
        let hours = world.send("scheduling.availability.set", None, hours).await.unwrap();
        let rules = json!({ "name": "Intro", "host_id": HOST, "availability_id": hours.id, "duration_minutes": 30 });
        let kind = json!({ "key": "intro", "rules": rules });
        world.send("scheduling.event_type.define", None, kind).await.unwrap();
        let folders = json!({ "key": "onboarding", "name": "Onboarding", "paths": [["Contracts"], ["Papers"]] });
        world.send("files.folder_template.define", None, folders).await.unwrap();
        if with_project_template {
            world.define_project_template().await;
        }
        for (_, text) in workflow_engine::shipped() {
            workflow_engine::publish(&world.bus, world.tenant, "test", text).await.unwrap_or_else(|e| panic!("{e}"));
        }
        world
    }

    pub async fn define_project_template(&self) {
        let template = json!({ "key": "onboarding_project", "name": "Onboarding" });
        self.send("projects.project_template.define", None, template).await.unwrap();
    }

    /// Books the `slot`-th half hour from tomorrow on.
    pub async fn book(&self, slot: i64, email: &str) -> Executed {
        let tomorrow = chrono::Utc::now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        let starts_at = tomorrow + chrono::TimeDelta::days(1) + chrono::TimeDelta::minutes(30 * slot);
        let invitee = json!({ "name": "Ada Lovelace", "email": email, "company": "Analytical Engines" });
        let body = json!({ "event_type": "intro", "starts_at": starts_at, "invitee": invitee, "time_zone": "UTC" });
        self.send("scheduling.appointment.book", None, body).await.unwrap()
    }

    /// How often each thing was made: contact, client, link, portal user, invitation, folder, project.
    pub async fn made(&self) -> [usize; 7] {
        let events = self.events().await;
        let of = |event_type: &str| events.iter().filter(|event| event.event_type == event_type).count();
        [
            of("contact.created"),
            of("client.created"),
            of("contact.linked_to_client"),
            of("portal_user.created"),
            of("portal_user.invited"),
            of("folder.created"),
            of("project.created"),
        ]
    }

    /// Of every link of a contact to a client, whether the contact is asked first there.
    pub async fn links(&self) -> Vec<bool> {
        let events = self.events().await;
        let links = events.iter().filter(|event| event.event_type == "contact.linked_to_client");
        let payload = |event: &RawEvent| serde_json::from_str::<Value>(event.payload.get()).unwrap();
        links.map(|event| payload(event)["primary"].as_bool().unwrap()).collect()
    }

    /// What the first event of a type is about.
    pub async fn of(&self, event_type: &str) -> Uuid {
        let events = self.events().await;
        events
            .iter()
            .find(|event| event.event_type == event_type)
            .unwrap_or_else(|| panic!("{event_type}"))
            .aggregate_id
    }

    /// A command of UBOS itself.
    pub async fn send_as_system(&self, command: &str, id: Uuid, body: Value) {
        let info = self.bus.command(command).unwrap_or_else(|| panic!("no command {command}"));
        let request = Request::new(self.tenant, Actor::System { name: "test".into() });
        self.bus.execute(info, Some(id), body.to_string(), request).await.unwrap();
    }

    /// The definitions that come with the program, with other times.
    pub async fn hurry(&self, from: &str, to: &str) {
        for (_, text) in workflow_engine::shipped() {
            let text = text.replace(from, to);
            workflow_engine::publish(&self.bus, self.tenant, "test", &text).await.unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// What happened, for messages.
    pub async fn summary(&self) -> Vec<String> {
        let line = |event: &RawEvent| format!("{} {} {}", event.position, event.event_type, event.payload.get());
        self.events().await.iter().map(|event| line(event).chars().take(300).collect()).collect()
    }

    /// How far the intake has read.
    pub async fn intake(&self) -> i64 {
        let sql = "select position from engine.checkpoint where name = 'intake'";
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Nothing of the engine's is left over: no task, no wait.
    pub async fn is_idle(&self) -> bool {
        let sql = "select (select count(*) from engine.tasks) + (select count(*) from engine.waits)";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await.unwrap() == 0
    }

    /// Waits until the intake has read everything and every run that has not ended stands still.
    pub async fn only_parked(&self) {
        let sql = "select (select count(*) from engine.tasks where state <> 'parked')
                       + (select count(*) from eventstore.events
                          where position > (select position from engine.checkpoint where name = 'intake'))";
        let left = async || sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await.unwrap();
        self.eventually("still at work", async || left().await == 0).await;
    }

    /// Waits until the intake has read everything and every run that has not ended waits for something.
    pub async fn only_waiting(&self) {
        let sql = "select (select count(*) from engine.tasks where state = 'due')
                       + (select count(*) from eventstore.events
                          where position > (select position from engine.checkpoint where name = 'intake'))";
        let left = async || sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await.unwrap();
        self.eventually("still at work", async || left().await == 0).await;
    }

    pub async fn until_idle(&self) {
        self.eventually("not idle", async || self.is_idle().await).await;
    }
}
