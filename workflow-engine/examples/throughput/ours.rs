//! Ours: a trigger is a command of some client's, a run is four commands, and its end is the commit of its last event.
//!
//! As with the others, whoever triggers and what runs share a process and its connections, unless they are asked to be
//! apart as command-api and the engine are. The engine follows the log through the same feed as in its own process.

use crate::measure::Sample;
use anyhow::{Context as _, Result, ensure};
use event_store::{CommandBus, Log, Request, Store, StoreOptions};
use kernel::{Actor, TenantId, UserId};
use messaging::{Feed, Relay, RelayOptions, StreamSettings};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use testing::TestDatabase;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflow_engine::{Engine, EngineOptions};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Runs that are triggered and have not ended.
    pub in_flight: usize,
    /// How long, after one second of warming up.
    pub seconds: u64,
    /// Whether events come through relay and NATS.
    pub nats: bool,
    /// Whether triggers come through a store of their own, as from another process.
    pub apart: bool,
    /// Whether statements are counted.
    pub statements: bool,
}

/// Four steps, each one command: two to the client that triggered the run, two that create something.
fn definition() -> String {
    let command = |name: &str, parameters: serde_json::Value| json!({ "type": "command", "command": name, "target": "{{ event.aggregate_id }}", "parameters": parameters });
    let create = |domain: &str, entity: &str, parameters: serde_json::Value| json!({ "type": "create_entity", "domain": domain, "entity": entity, "parameters": parameters });
    json!({
        "name": "Four steps",
        "runs_as": ["crm.client.rename", "crm.client.tag", "crm.contact.create", "files.folder.create"],
        "trigger": { "event_type": "client.created", "condition": "event.payload.kind != 'individual'" },
        "actions": [
            command("crm.client.rename", json!({ "name": "{{ event.payload.name }} & Sons" })),
            create("crm", "contact", json!({ "name": "Ada of {{ event.payload.name }}" })),
            create("files", "folder", json!({ "name": "{{ event.payload.name }}", "client_id": "{{ event.aggregate_id }}" })),
            command("crm.client.tag", json!({ "tag": "onboarded" })),
        ],
    })
    .to_string()
}

fn bus(pool: PgPool) -> CommandBus {
    let mut bus = CommandBus::new(Store::start(pool, StoreOptions::default()));
    registry::mount_all(&mut bus);
    bus
}

/// One measurement in a database of its own.
pub async fn measure(options: &Options) -> Result<Sample> {
    let database = TestDatabase::create().await;
    let admin = database.superuser().await;
    let (command, worker) = (database.command().await, database.worker().await);
    let engines = bus(worker.clone());
    let clients = if options.apart { bus(command.clone()) } else { engines.clone() };
    let bus = engines;
    let tenant = TenantId(Uuid::now_v7());
    workflow_engine::publish(&bus, tenant, "bench", &definition()).await.map_err(|e| anyhow::anyhow!("{e}"))?;
    let stop = CancellationToken::new();
    let (feed, relay) = feed(options, &worker, &stop).await?;
    let engine = Engine::start(worker.clone(), bus.clone(), Arc::new(feed), EngineOptions::default());

    let counted = if options.statements { Some(Statements::start(&database).await?) } else { None };
    let before = commits(&admin).await?;
    let free = Arc::new(Semaphore::new(options.in_flight));
    let triggered = Arc::new(AtomicU64::new(0));
    let sending = tokio::spawn(send(clients.clone(), tenant, free.clone(), triggered.clone(), stop.clone()));
    let mut ended = engine.ended();
    let freeing = tokio::spawn(async move {
        let mut seen = 0;
        while ended.changed().await.is_ok() {
            let now = *ended.borrow_and_update();
            free.add_permits(usize::try_from(now - seen).unwrap_or(0));
            seen = now;
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = Log::new(worker.clone());
    let from = log.head().await?;
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let to = log.head().await?;
    stop.cancel();
    sending.await??;
    let all = triggered.load(Ordering::Relaxed);
    let watch = engine.ended();
    for _ in 0..400 {
        if *watch.borrow() >= all {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    engine.stop().await;
    freeing.abort();
    if let Some(relay) = relay {
        relay.await??;
    }
    for bus in [&clients, &bus] {
        bus.store().drain().await;
    }
    drop((clients, bus));
    command.close().await;
    worker.close().await;
    // A session hands in its numbers when it ends.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let commits = (commits(&admin).await? - before) as f64 / all as f64;
    let statements = match counted {
        Some(counted) => counted.finish(all).await?,
        None => vec![],
    };
    check(&admin, all).await?;
    let sample = latencies(&admin, from, to, options.seconds).await?;
    if options.statements {
        stages(&admin, from, to).await?;
    }
    admin.close().await;
    Ok(Sample { commits, statements, ..sample })
}

async fn feed(
    options: &Options,
    worker: &PgPool,
    stop: &CancellationToken,
) -> Result<(Feed, Option<tokio::task::JoinHandle<Result<()>>>)> {
    if !options.nats {
        return Ok((Feed::start(Log::new(worker.clone()), None).await?, None));
    }
    let name = format!("bench_{}", Uuid::now_v7().simple());
    let settings = StreamSettings { prefix: name.clone(), name, replicas: 1, max_age: Duration::from_secs(3_600) };
    let url = std::env::var("UBOS_TEST_NATS_URL").context("where NATS is")?;
    let (nats, reader) = (messaging::connect(&url, "relay").await?, messaging::connect(&url, "feed").await?);
    let relay = Relay::new(Log::new(worker.clone()), nats, RelayOptions::new(settings.clone()));
    let relay = tokio::spawn(relay.run(stop.clone()));
    Ok((Feed::start(Log::new(worker.clone()), Some((reader, settings))).await?, Some(relay)))
}

/// Triggers a run whenever one has ended.
async fn send(
    bus: CommandBus,
    tenant: TenantId,
    free: Arc<Semaphore>,
    triggered: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<()> {
    let create = *bus.command("crm.client.create").context("the command that triggers")?;
    let mut sent = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            permit = free.acquire() => permit?.forget(),
            Some(done) = sent.join_next() => {
                done??;
                continue;
            }
        }
        let number = triggered.fetch_add(1, Ordering::Relaxed);
        let bus = bus.clone();
        sent.spawn(async move {
            let request = Request::new(tenant, Actor::User { id: UserId(Uuid::from_u128(1)) });
            let body = json!({ "name": format!("Client {number}"), "kind": "organisation" }).to_string();
            bus.execute(&create, None, body, request).await.map(drop)
        });
    }
    while let Some(done) = sent.join_next().await {
        done??;
    }
    Ok(())
}

/// Transactions that this database has committed.
pub async fn commits(admin: &PgPool) -> Result<i64> {
    let sql = "select xact_commit from pg_stat_database where datname = current_database()";
    Ok(sqlx::query_scalar(sql).fetch_one(admin).await?)
}

/// Every run has ended well, and every step has had its effect once.
async fn check(admin: &PgPool, all: u64) -> Result<()> {
    let sql = "select count(*) from eventstore.events where event_type = $1";
    let kinds =
        ["run.started", "run.succeeded", "client.renamed", "contact.created", "folder.created", "client.tagged"];
    for kind in kinds {
        let seen: i64 = sqlx::query_scalar(sql).bind(kind).fetch_one(admin).await?;
        ensure!(u64::try_from(seen)? == all, "{seen} of {kind} for {all} triggers");
    }
    let tasks: i64 = sqlx::query_scalar("select count(*) from engine.tasks").fetch_one(admin).await?;
    ensure!(tasks == 0, "{tasks} tasks are left over");
    Ok(())
}

/// As the log has it: from the trigger's place in time to that of the run's end, for runs that ended between two places.
async fn latencies(admin: &PgPool, from: i64, to: i64, seconds: u64) -> Result<Sample> {
    let sql = "
        select extract(epoch from ended.recorded_at - (started.payload -> 'trigger' ->> 'recorded_at')::timestamptz)::float8
               * 1000
        from eventstore.events ended
                 join eventstore.events started using (tenant_id, aggregate_id)
        where ended.event_type = 'run.succeeded' and ended.position > $1 and ended.position <= $2
          and started.event_type = 'run.started'";
    let latencies = sqlx::query_scalar(sql).bind(from).bind(to).fetch_all(admin).await?;
    Ok(crate::measure::sample(latencies, seconds as f64))
}

/// Prints when after its trigger each thing happens to a run, in the middle, and how many events shared a commit.
async fn stages(admin: &PgPool, from: i64, to: i64) -> Result<()> {
    let sql = "
        select e.event_type || coalesce(' ' || (e.payload ->> 'step'), ''),
               percentile_cont(0.5) within group (order by extract(epoch from e.recorded_at - t.recorded_at)::float8 * 1000),
               percentile_cont(0.5) within group (order by c.events::float8)
        from eventstore.events e
                 join eventstore.events t on t.event_id = coalesce((e.metadata ->> 'causation_id')::uuid, e.event_id)
                 join (select recorded_at, count(*) as events from eventstore.events group by 1) c
                      on c.recorded_at = e.recorded_at
        where e.position > $1 and e.position <= $2
        group by 1 order by 2";
    let stages: Vec<(String, f64, f64)> = sqlx::query_as(sql).bind(from).bind(to).fetch_all(admin).await?;
    for (what, after, together) in stages {
        eprintln!("    {after:7.2} ms after the trigger, {together:3.0} events a commit: {what}");
    }
    Ok(())
}

/// Which statements PostgreSQL was sent.
struct Statements(PgConnection);

impl Statements {
    async fn start(database: &TestDatabase) -> Result<Self> {
        let mut connection = PgConnection::connect(&database.superuser_url()).await?;
        sqlx::query("create extension if not exists pg_stat_statements").execute(&mut connection).await?;
        sqlx::query("select pg_stat_statements_reset()").execute(&mut connection).await?;
        Ok(Self(connection))
    }

    async fn finish(mut self, runs: u64) -> Result<Vec<(String, f64, f64)>> {
        let sql = "
            select regexp_replace(left(query, 110), '\\s+', ' ', 'g'), calls::float8 / $1, total_exec_time / $1
            from pg_stat_statements
            where dbid = (select oid from pg_database where datname = current_database())
            order by total_exec_time desc limit 25";
        Ok(sqlx::query_as(sql).bind(runs as f64).fetch_all(&mut self.0).await?)
    }
}
