//! What everything costs in statements, round trips and rows: counted on PostgreSQL's wire, not timed, so these numbers
//! are the same on every machine, and a change that makes a command or a batch dearer fails here.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may fail loudly")]

mod proxy;

use crm::Client;
use crm::client::ClientCommand;
use event_store::{IdempotencyKey, Log, RawEvent, Request, Store, StoreOptions};
use kernel::{Actor, TenantId, UserId};
use projections::{Applied, Target, group};
use proxy::{Counts, Proxy};
use schema::connect;
use sqlx::{Connection, PgPool};
use std::sync::Arc;
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;
use vault::{LocalKeys, Vault};

/// Commands that are sent one after the other.
const COMMANDS: u64 = 20;

struct World {
    proxy: Proxy,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        Self { proxy: Proxy::start(&database.url("ubos_command")).await, database }
    }

    /// A pool as the roles have it, through the proxy.
    async fn pool(&self, role: &str, connections: u32) -> PgPool {
        let url = self.proxy.url(&self.database.url(role));
        connect(&url, "counters", connections, Duration::from_secs(10)).await.unwrap()
    }

    async fn store(&self) -> Store {
        Store::start(self.pool("ubos_command", 4).await, StoreOptions::default())
    }
}

fn keys() -> Arc<LocalKeys> {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".to_owned();
    Arc::new(LocalKeys::new(&key.into(), &[]).unwrap())
}

/// With a key, as a command over HTTP has.
fn request() -> Request {
    let request = Request::new(TenantId(Uuid::from_u128(1)), Actor::User { id: UserId(Uuid::from_u128(2)) });
    let key = IdempotencyKey { scope: "user".to_owned(), key: Uuid::now_v7().to_string(), fingerprint: [0; 32] };
    Request { idempotency: Some(key), ..request }
}

async fn create(store: &Store, number: u64) -> Uuid {
    create_as(store, number, &request()).await
}

async fn create_as(store: &Store, number: u64, request: &Request) -> Uuid {
    let name = format!("Engines {number}").parse().unwrap();
    let create = ClientCommand::Create { name, kind: Default::default(), email: None, phone: None };
    store.execute::<Client>(None, create, request).await.unwrap().id
}

async fn rename(store: &Store, client: Uuid, number: u64) {
    rename_as(store, client, number, &request()).await;
}

async fn rename_as(store: &Store, client: Uuid, number: u64, request: &Request) {
    let rename = ClientCommand::Rename { name: format!("Engines, branch {number}").parse().unwrap() };
    store.execute::<Client>(Some(client), rename, request).await.unwrap();
}

/// Lets what goes on in the background come to its end, so that it is counted where it belongs.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Statements that go with an append now and then, from tasks of their own, and that nobody waits for.
fn in_the_background(statement: &str) -> bool {
    // A pool that must wait for a connection opens another one, and asks it which log it leads to.
    let of_a_new_connection = ["to_regclass('eventstore.histories')", "select log_id from eventstore.relay"];
    statement.contains("pg_notify") || of_a_new_connection.iter().any(|asked| statement.contains(asked))
}

fn per_command(counts: &Counts) -> Vec<(&str, u64)> {
    let counted = counts.statements.iter().filter(|(statement, _)| !in_the_background(statement));
    counted.map(|(statement, count)| (statement.as_str(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_a_known_stream_is_one_statement_and_one_round_trip() {
    let world = World::new().await;
    let store = world.store().await;
    let client = create(&store, 0).await;
    rename(&store, client, 1_000).await;
    settled().await;
    world.proxy.take();
    for number in 0..COMMANDS {
        rename(&store, client, number).await;
    }
    settled().await;
    let counts = world.proxy.take();
    let [(append, times)] = per_command(&counts)[..] else { panic!("{counts:#?}") };
    assert!(append.contains("eventstore.append") && times == COMMANDS, "{counts:#?}");
    // Wake-ups share: there may be fewer of them than commands, never more. The driver tests a
    // pooled connection before and after its use.
    let background = counts.statements.iter().filter(|(statement, _)| in_the_background(statement)).map(|(_, n)| n);
    let background: u64 = background.sum();
    assert!(background <= COMMANDS && counts.round_trips <= COMMANDS + 3 * background, "{counts:#?}");
}

/// What is personal is sealed with keys that are in memory or come and go with the statements that are made anyway.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_says_something_personal_costs_no_statement_more() {
    let world = World::new().await;
    let pool = world.pool("ubos_command", 4).await;
    // Its own question, what was destroyed, is asked beside the proxy.
    let sealing = || async { Vault::start(world.database.command().await, keys()) };
    let options = StoreOptions { vault: Some(sealing().await), ..StoreOptions::default() };
    let store = Store::start(pool, options);
    let first = create(&store, 0).await;
    settled().await;
    world.proxy.take();
    let mut clients = vec![];
    for number in 0..COMMANDS {
        clients.push(create(&store, number).await);
        rename(&store, first, number).await;
    }
    settled().await;
    let counts = world.proxy.take();
    let [(append, times)] = per_command(&counts)[..] else { panic!("{counts:#?}") };
    assert!(append.contains("eventstore.append") && times == 2 * COMMANDS, "{counts:#?}");
    // A process that knows neither streams nor keys loads both at once.
    let pool = world.pool("ubos_command", 4).await;
    let options = StoreOptions { vault: Some(sealing().await), ..StoreOptions::default() };
    let other = Store::start(pool, options);
    rename(&other, first, 1_000).await;
    settled().await;
    world.proxy.take();
    for client in &clients {
        rename(&other, *client, 1_001).await;
    }
    settled().await;
    let counts = world.proxy.take();
    let [(append, appends), (load, loads)] = per_command(&counts)[..] else { panic!("{counts:#?}") };
    assert!(append.contains("eventstore.append") && load.contains("eventstore.load"), "{counts:#?}");
    assert_eq!((appends, loads), (COMMANDS, COMMANDS), "{counts:#?}");
    let names = "select count(*) from eventstore.events where payload::text like '%Engines%'";
    let plain: i64 = sqlx::query_scalar(names).fetch_one(&world.database.superuser().await).await.unwrap();
    assert_eq!(plain, 0, "they are sealed");
}

/// Of a firm that is new to a process the keys are read, and then a block is reserved to seal with.
#[tokio::test(flavor = "multi_thread")]
async fn firms_that_come_together_share_the_questions_for_their_keys() {
    let world = World::new().await;
    let started = || async {
        let pool = world.pool("ubos_command", 8).await;
        let vault = Some(Vault::start(pool.clone(), keys()));
        Store::start(pool, StoreOptions { vault, ..StoreOptions::default() })
    };
    let counted = || async {
        settled().await;
        let counts = world.proxy.take();
        let counted = |part: &str| counts.statements.iter().filter(|(s, _)| s.contains(part)).map(|(_, n)| n).sum();
        let [make, reserve, read, load]: [u64; 4] =
            ["vault.add_data_keys", "vault.reserve", "from vault.data_keys_of", "eventstore.load"].map(counted);
        // The first few go at once, each with whoever is there; all others wait for those, and then go together.
        assert!(make.max(reserve).max(read).max(load) <= 16, "{counts:#?}");
        (make, reserve, read, load)
    };
    let firms: Vec<Request> =
        (1..=64).map(|firm| Request { tenant: TenantId(Uuid::from_u128(firm)), ..request() }).collect();
    let store = started().await;
    world.proxy.take();
    let clients = futures::future::join_all(firms.iter().map(|firm| create_as(&store, 0, firm))).await;
    let (make, ..) = counted().await;
    assert!(make > 0, "firms without keys get them");
    let store = started().await;
    world.proxy.take();
    let renames = clients.iter().zip(&firms).map(|(client, firm)| rename_as(&store, *client, 1, firm));
    futures::future::join_all(renames).await;
    let (make, reserve, read, load) = counted().await;
    assert!(make == 0 && reserve > 0 && read > 0 && load > 0, "a process that was just started knows none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_an_unknown_stream_loads_once() {
    let world = World::new().await;
    let known = world.store().await;
    let mut clients = vec![];
    for number in 0..=COMMANDS {
        clients.push(create(&known, number).await);
    }
    let store = world.store().await;
    rename(&store, clients[0], 0).await;
    settled().await;
    world.proxy.take();
    for client in &clients[1..] {
        rename(&store, *client, 1).await;
    }
    settled().await;
    let counts = world.proxy.take();
    let [(append, appends), (load, loads)] = per_command(&counts)[..] else { panic!("{counts:#?}") };
    assert!(append.contains("eventstore.append") && load.contains("eventstore.load"), "{counts:#?}");
    assert_eq!((appends, loads), (COMMANDS, COMMANDS), "{counts:#?}");
}

/// PostgreSQL keeps the append's plans, and may have made them when it knew that the log was empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_touches_no_more_of_the_log_when_it_has_grown() {
    let world = World::new().await;
    // Autovacuum reads whole tables when it comes by, and what it touches is counted in the same place.
    let quiet = "analyze;
                 alter table eventstore.streams set (autovacuum_enabled = false);
                 alter table eventstore.idempotency set (autovacuum_enabled = false)";
    sqlx::raw_sql(quiet).execute(&world.database.superuser().await).await.unwrap();
    let store = world.store().await;
    let client = create(&store, 0).await;
    let in_a_small_one = blocks(&world, &store, client).await;
    for page in 0..10 {
        let many = (0..500).map(|number| create(&store, page * 500 + number));
        futures::future::join_all(many).await;
    }
    let in_a_grown_one = blocks(&world, &store, client).await;
    // An index of thousands of keys is a level deeper than one of a handful, and a few of them are looked into.
    assert!(in_a_grown_one < in_a_small_one + 6 * COMMANDS, "{in_a_small_one}, then {in_a_grown_one}");
}

/// Blocks of the tables that tell whether a command may be appended, touched by [`COMMANDS`] commands.
async fn blocks(world: &World, store: &Store, client: Uuid) -> u64 {
    let superuser = world.database.superuser().await;
    let touched = async || -> i64 {
        // The appender's session, which is its own, counts for everybody at the end of a statement, and only if it has not
        // within the last second: the wait is for that second, and the command after it brings the count.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        rename(store, client, 0).await;
        settled().await;
        let sql = "select sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint
                   from pg_statio_user_tables where schemaname = 'eventstore' and relname in ('streams', 'idempotency')";
        sqlx::query_scalar(sql).fetch_one(&superuser).await.unwrap()
    };
    let before = touched().await;
    for number in 0..COMMANDS {
        rename(store, client, number + 1).await;
    }
    (touched().await - before).unsigned_abs()
}

/// Copies of a role interleave, so what one asks of the other's events are many short ranges.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_written_is_read_without_the_rest_of_the_log() {
    let world = World::new().await;
    let store = world.store().await;
    for page in 0..4 {
        futures::future::join_all((0..500).map(|number| create(&store, page * 500 + number))).await;
    }
    let mut session = world.database.command().await.acquire().await.unwrap().detach();
    // As if the log were so large that walking through it in its order looked better than going to each range.
    sqlx::raw_sql("set random_page_cost = 1000; set seq_page_cost = 0; set cpu_operator_cost = 0")
        .execute(&mut session)
        .await
        .unwrap();
    let superuser = world.database.superuser().await;
    let before = rows_read(&superuser).await;
    let after: Vec<i64> = (0..100).map(|n| 10 * n).collect();
    let up_to: Vec<i64> = after.iter().map(|position| position + 2).collect();
    let found: i64 = sqlx::query_scalar("select count(*) from eventstore.written($1, $2)")
        .bind(after)
        .bind(up_to)
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(found, 200);
    session.close().await.unwrap();
    let looked_at = read_since(&superuser, before, 200).await;
    assert!((200..400).contains(&looked_at), "{looked_at} rows were looked at for 200 events");
}

/// Every process asks several times a second who may do something else now.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_rights_are_read_without_the_rest_of_the_log() {
    let world = World::new().await;
    let store = world.store().await;
    for page in 0..4 {
        futures::future::join_all((0..500).map(|number| create(&store, page * 500 + number))).await;
    }
    let superuser = world.database.superuser().await;
    sqlx::raw_sql("analyze eventstore.events").execute(&superuser).await.unwrap();
    let mut session = world.database.command().await.acquire().await.unwrap().detach();
    let sql = "select head from eventstore.access_changes($1)";
    let before = rows_read(&superuser).await;
    for _ in 0..10 {
        let head: i64 = sqlx::query_scalar(sql).bind(1_990_i64).fetch_one(&mut session).await.unwrap();
        assert!(head >= 2_000);
    }
    session.close().await.unwrap();
    let read = read_since(&superuser, before, 100).await;
    assert!((100..1_000).contains(&read), "{read} rows were looked at for 10 times ten events");
}

#[tokio::test]
async fn no_statement_of_a_role_is_compiled() {
    let database = TestDatabase::create().await;
    let pool = connect(&database.url("ubos_query"), "query-api", 1, Duration::from_secs(30)).await.unwrap();
    let compiles: String = sqlx::query_scalar("show jit").fetch_one(&pool).await.unwrap();
    assert_eq!(compiles, "off");
}

/// Rows of the log that anybody has looked at.
async fn rows_read(superuser: &PgPool) -> i64 {
    let sql =
        "select sum(seq_tup_read + idx_tup_fetch)::bigint from pg_stat_user_tables where relname like 'events\\_%'";
    sqlx::query_scalar(sql).fetch_one(superuser).await.unwrap()
}

/// Rows looked at since `before`, as soon as there are `least` of them: a session counts for everybody when it ends, and all at once.
async fn read_since(superuser: &PgPool, before: i64, least: i64) -> i64 {
    let counted = async {
        loop {
            let read = rows_read(superuser).await - before;
            if read >= least {
                return read;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_come_together_share_their_commits() {
    let world = World::new().await;
    let store = world.store().await;
    let mut clients = vec![];
    for number in 0..64 {
        clients.push(create(&store, number).await);
    }
    settled().await;
    world.proxy.take();
    // The first append waits for the log's head until all the others are there.
    let superuser = world.database.superuser().await;
    let mut head = event_store::begin(&superuser).await.unwrap();
    sqlx::query("select from eventstore.head for update").execute(&mut *head).await.unwrap();
    let released = async {
        settled().await;
        head.rollback().await.unwrap();
    };
    let together = futures::future::join_all(clients.iter().map(|client| rename(&store, *client, 7)));
    tokio::join!(together, released);
    settled().await;
    let counts = world.proxy.take();
    let appends: u64 = per_command(&counts).iter().map(|(_, count)| count).sum();
    assert!(appends <= 4, "{counts:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_projection_costs_statements_by_its_tables_and_rows_by_its_streams() {
    let world = World::new().await;
    let store = world.store().await;
    let mut clients = vec![];
    for number in 0..20 {
        clients.push(create(&store, number).await);
    }
    for number in 0..400 {
        rename(&store, clients[number as usize % 20], number).await;
    }
    let crm = Target::live(group("crm").unwrap());
    let pool = world.pool("ubos_worker", 1).await;
    let log = Log::new(world.database.worker().await);
    let page = async |after: i64, count: i64| -> Vec<Arc<RawEvent>> {
        log.read(after, count).await.unwrap().into_iter().map(Arc::new).collect()
    };
    assert_eq!(crm.apply(&pool, &page(0, 20).await).await.unwrap(), Applied::At(20));
    settled().await;
    world.proxy.take();
    assert_eq!(crm.apply(&pool, &page(20, 40).await).await.unwrap(), Applied::At(60));
    let few = world.proxy.take();
    assert_eq!(crm.apply(&pool, &page(60, 360).await).await.unwrap(), Applied::At(420));
    let many = world.proxy.take();
    // Nine times the events of the same twenty clients: the same statements, the same rows.
    assert_eq!(few.statements, many.statements);
    assert_eq!(few.rows_written, many.rows_written);
    assert!(many.round_trips <= ROUND_TRIPS_PER_BATCH, "{many:#?}");
    assert_eq!(many.rows_written, ROWS_PER_BATCH, "{many:#?}");
}

/// Of a batch that touches one table: begin, checkpoint with parked streams, rows, write, commit, and the driver's test of
/// the pooled connection before and after.
const ROUND_TRIPS_PER_BATCH: u64 = 7;
/// Twenty clients; the checkpoint is moved by a function, whose rows are not counted on the wire.
const ROWS_PER_BATCH: u64 = 20;
