//! Commands per second: ours in process, stock postgres-es in process, a hand-written transaction by pgbench.
//!
//! One command renames one of 20,000 clients: load its stream (about five events), decide, append one event. Ours also
//! writes tenant, metadata, stream version and the log's position, and has the outbox for free.

use crate::Plan;
use crate::measure::{Sample, Table, closed_loop};
use anyhow::{Context, Result, bail};
use cqrs_es::CqrsFramework;
use cqrs_es::persist::PersistedEventStore;
use crm::Client;
use crm::client::ClientCommand as C;
use event_store::{Request, Store, StoreOptions};
use kernel::{Actor, Context as Ctx, Root, TenantId, UserId};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, PgPool};
use std::sync::Arc;
use testing::TestDatabase;
use uuid::Uuid;

const STREAMS: u64 = 20_000;
const EVENTS_PER_STREAM: i64 = 5;
const IN_FLIGHT: [usize; 3] = [1, 16, 64];

type Stock = CqrsFramework<Root<Client>, PersistedEventStore<PostgresEventRepository, Root<Client>>>;

/// Runs every pass; rows are sorted by how many commands are in flight.
pub async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let ours = Ours::start().await?;
    let (peers, hand_written) = (TestDatabase::create().await, TestDatabase::create().await);
    seed_stock(&peers).await?;
    seed_hand_written(&hand_written).await?;
    for _ in 0..plan.passes {
        for in_flight in IN_FLIGHT {
            table.add(
                in_flight,
                format!("commands, ours, {in_flight} in flight"),
                ours.run(in_flight, plan.seconds).await,
            );
            let stock = stock(&peers, in_flight, plan.seconds).await?;
            table.add(in_flight, format!("commands, postgres-es, {in_flight} in flight"), stock);
            let pgbench = pgbench(&hand_written, in_flight, plan.seconds)?;
            table.add(in_flight, format!("commands, pgbench by hand, {in_flight} in flight"), pgbench);
        }
    }
    for in_flight in IN_FLIGHT {
        let rate = |who: &str| table.median_rate(&format!("commands, {who}, {in_flight} in flight"));
        let (ours, stock, hand) = (rate("ours"), rate("postgres-es"), rate("pgbench by hand"));
        table.note(format!(
            "{in_flight} in flight: ours / postgres-es = {:.2}, ours / pgbench by hand = {:.2}",
            ours / stock,
            ours / hand
        ));
    }
    Ok(())
}

fn name(turn: u64) -> C {
    // Different each time, so that no rename is "already so".
    let name = format!("Analytical Engines and Difference Engines, branch {turn}, account {}", Uuid::now_v7());
    C::Rename { name: name.parse().expect("a name") }
}

fn stream(number: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number % STREAMS))
}

fn tenant() -> TenantId {
    TenantId(Uuid::from_u128(0xbe4c))
}

fn actor() -> Actor {
    Actor::User { id: UserId(Uuid::from_u128(0xa)) }
}

/// Our store over a seeded log.
struct Ours {
    store: Store,
    _database: TestDatabase,
}

impl Ours {
    async fn start() -> Result<Self> {
        let database = TestDatabase::create().await;
        let owner = database.superuser().await;
        seed_log(&owner).await?;
        let options = StoreOptions { cached_streams_max: usize::try_from(STREAMS)? * 2, ..StoreOptions::default() };
        Ok(Self { store: Store::start(database.command().await, options), _database: database })
    }

    async fn run(&self, in_flight: usize, seconds: u64) -> Sample {
        let store = self.store.clone();
        closed_loop(in_flight, seconds, move |turn| {
            let store = store.clone();
            async move {
                let request = Request::new(tenant(), actor());
                store.execute::<Client>(Some(stream(turn.wrapping_mul(7919))), name(turn), &request).await.is_ok()
            }
        })
        .await
    }
}

/// Five events for each stream, written the way `eventstore.append` writes them.
pub async fn seed_log(owner: &PgPool) -> Result<()> {
    sqlx::query(
        "insert into eventstore.events
         select row_number() over (), gen_random_uuid(), $1, 'crm', 'crm.client',
                ('01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'))::uuid, n,
                case n when 1 then 'client.created' else 'client.renamed' end, case n when 1 then 2 else 1 end,
                case n when 1 then jsonb_build_object('name', 'Engines ' || s, 'kind', 'organisation')
                       else jsonb_build_object('name', 'Engines ' || s || ' for the ' || n || '. time') end,
                jsonb_build_object('actor', jsonb_build_object('kind', 'user', 'id', $1), 'correlation_id', $1,
                                   'command', 'crm.client.rename'),
                now()
         from generate_series(0, $2 - 1) s, generate_series(1, $3) n",
    )
    .bind(tenant().0)
    .bind(i64::try_from(STREAMS)?)
    .bind(EVENTS_PER_STREAM)
    .execute(owner)
    .await?;
    sqlx::query(
        "insert into eventstore.streams
         select tenant_id, aggregate_type, aggregate_id, max(sequence), min(position), max(position)
         from eventstore.events group by 1, 2, 3",
    )
    .execute(owner)
    .await?;
    sqlx::query("update eventstore.head set position = (select max(position) from eventstore.events)")
        .execute(owner)
        .await?;
    sqlx::query("vacuum analyze").execute(owner).await?;
    Ok(())
}

async fn seed_stock(database: &TestDatabase) -> Result<()> {
    let pool = database.superuser().await;
    sqlx::query(
        "create table events (aggregate_type text not null, aggregate_id text not null, sequence bigint not null,
            event_type text not null, event_version text not null, payload json not null, metadata json not null,
            timestamp timestamptz default current_timestamp, primary key (aggregate_type, aggregate_id, sequence))",
    )
    .execute(&pool)
    .await?;
    sqlx::query(
        "insert into events
         select 'crm.client', '01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'), n,
                case n when 1 then 'client.created' else 'client.renamed' end, case n when 1 then '2' else '1' end,
                case n when 1 then json_build_object('type', 'client.created', 'version', 2, 'payload',
                                                     json_build_object('name', 'Engines ' || s, 'kind', 'organisation'))
                       else json_build_object('type', 'client.renamed', 'version', 1, 'payload',
                                              json_build_object('name', 'Engines ' || s || ' for the ' || n || '. time')) end,
                '{}'
         from generate_series(0, $1 - 1) s, generate_series(1, $2) n",
    )
    .bind(i64::try_from(STREAMS)?)
    .bind(EVENTS_PER_STREAM)
    .execute(&pool)
    .await?;
    sqlx::query("vacuum analyze").execute(&pool).await?;
    Ok(())
}

/// Stock postgres-es with as many connections as commands in flight.
async fn stock(database: &TestDatabase, in_flight: usize, seconds: u64) -> Result<Sample> {
    let options = database.superuser().await.connect_options().as_ref().clone();
    let connections = u32::try_from(in_flight)?;
    let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections);
    let pool = pool.connect_with(options.disable_statement_logging()).await?;
    let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
    let framework: Arc<Stock> = Arc::new(CqrsFramework::new(store, vec![], ()));
    let sample = closed_loop(in_flight, seconds, move |turn| {
        let framework = framework.clone();
        async move {
            let ctx = Ctx::new(tenant(), actor(), chrono::Utc::now(), Uuid::nil(), Uuid::now_v7());
            let metadata = std::collections::HashMap::from([
                ("actor".to_owned(), tenant().to_string()),
                ("correlation_id".to_owned(), Uuid::now_v7().to_string()),
            ]);
            let id = stream(turn.wrapping_mul(7919)).to_string();
            framework.execute_with_metadata(&id, (name(turn), ctx), metadata).await.is_ok()
        }
    })
    .await;
    pool.close().await;
    Ok(sample)
}

async fn seed_hand_written(database: &TestDatabase) -> Result<()> {
    let pool = database.superuser().await;
    for sql in [
        "create table events (position bigint generated always as identity, tenant_id uuid not null, aggregate_id uuid not null,
            sequence bigint not null, event_type text not null, payload jsonb not null, metadata jsonb not null,
            recorded_at timestamptz not null default now(), primary key (tenant_id, aggregate_id, sequence))",
        "create unique index on events (position)",
        "create table outbox (position bigint primary key)",
        "insert into events (tenant_id, aggregate_id, sequence, event_type, payload, metadata)
         select md5('t')::uuid, md5(s::text)::uuid, n, 'client.renamed', jsonb_build_object('name', 'Engines ' || s), '{}'
         from generate_series(0, 19999) s, generate_series(1, 5) n",
        "vacuum analyze",
    ] {
        sqlx::query(sql).execute(&pool).await?;
    }
    Ok(())
}

/// The same work as a C client would do it by hand: load, then event and outbox in one statement, prepared, two round trips.
fn pgbench(database: &TestDatabase, in_flight: usize, seconds: u64) -> Result<Sample> {
    let script = "\\set s random(0, 19999)
select sequence, event_type, payload, metadata from events where tenant_id = md5('t')::uuid and aggregate_id = md5(:s::text)::uuid order by sequence;
with e as (insert into events (tenant_id, aggregate_id, sequence, event_type, payload, metadata)
 select md5('t')::uuid, md5(:s::text)::uuid, coalesce(max(sequence), 0) + 1, 'client.renamed', jsonb_build_object('name', 'Engines, branch ' || :s), jsonb_build_object('correlation_id', gen_random_uuid(), 'actor', gen_random_uuid())
 from events where tenant_id = md5('t')::uuid and aggregate_id = md5(:s::text)::uuid on conflict do nothing returning position)
insert into outbox select position from e;
";
    let file = std::env::temp_dir().join(format!("ubos-bench-{}.sql", std::process::id()));
    std::fs::write(&file, script)?;
    let output = std::process::Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-c", &in_flight.to_string(), "-j", "2", "-T", &seconds.to_string()])
        .args(["-r", "-f"])
        .arg(&file)
        .arg(database.superuser_url())
        .output()
        .context("pgbench comes with PostgreSQL's client package")?;
    std::fs::remove_file(&file)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |marker: &str| {
        let line = text.lines().find(|line| line.starts_with(marker))?;
        line.split(" = ").nth(1)?.split(' ').next()?.parse::<f64>().ok()
    };
    match (number("tps"), number("latency average")) {
        (Some(rate), Some(p50)) => Ok(Sample { rate, p50, p99: f64::NAN, errors: 0 }),
        _ => bail!("pgbench said: {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}
