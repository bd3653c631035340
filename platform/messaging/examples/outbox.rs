//! Measures an outbox table against the outbox view: what appending costs, and how fast each can be published.
//!
//! `cargo run --release -p messaging --example outbox [commands]` with UBOS_TEST_POSTGRES_URL and UBOS_TEST_NATS_URL set.

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::{self, message::PublishMessage, stream};
use event_store::Log;
use messaging::{Relay, RelayOptions, StreamSettings};
use sqlx::{Connection, PgConnection, PgPool};
use std::future::IntoFuture;
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const BATCH: usize = 64;
const PAGE: i64 = 500;
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let commands: usize = std::env::args().nth(1).map_or(Ok(50_000), |n| n.parse())?;
    println!("{commands} commands of one event each, batches of {BATCH}; {ROUNDS} rounds, interleaved");
    for round in 1..=ROUNDS {
        for with_table in [false, true] {
            let name = if with_table { "table" } else { "view " };
            let database = TestDatabase::create().await;
            let owner = database.owner().await;
            if with_table {
                create_table(&owner).await?;
            }
            let (rate, bytes) = append(&database, with_table, commands).await?;
            println!("round {round} {name} append  {rate:>8.0} commands/s, {bytes:>5} bytes of WAL per command");
            let nats = TestNats::new();
            let rate = if with_table { by_rows(&owner, &nats).await? } else { by_cursor(&owner, &nats).await? };
            println!("round {round} {name} publish {rate:>8.0} events/s, same simple loop");
            let started = Instant::now();
            let waiting = if with_table { "shared.outbox_table" } else { "shared.outbox" };
            let sql = format!("select count(*) from {waiting} where processed_at is null");
            let waiting: i64 = sqlx::query_scalar(&sql).fetch_one(&owner).await?;
            println!("round {round} {name} \"what waits?\" ({waiting}) {:?}", started.elapsed());
            if !with_table {
                let rate = by_relay(&database, commands as i64).await?;
                println!("round {round} {name} publish {rate:>8.0} events/s, the relay itself");
            }
        }
    }
    Ok(())
}

/// The founding document's table.
async fn create_table(owner: &PgPool) -> Result<()> {
    for sql in [
        "create table shared.outbox_table (id uuid primary key, tenant_id uuid not null, event_type varchar not null,
             version int not null, payload jsonb not null, metadata jsonb not null, created_at timestamptz default now(),
             processed_at timestamptz, retry_count int default 0, last_error text, position bigint not null)",
        "create index on shared.outbox_table (created_at) where processed_at is null",
        "create index on shared.outbox_table (position) where processed_at is null",
    ] {
        sqlx::query(sql).execute(owner).await?;
    }
    Ok(())
}

/// Commands per second on one connection, and bytes of WAL per command.
async fn append(database: &TestDatabase, with_table: bool, commands: usize) -> Result<(f64, i64)> {
    let mut connection = PgConnection::connect(&database.url("ubos_owner")).await?;
    let metadata = serde_json::json!({
        "actor": { "kind": "user", "id": Uuid::nil() }, "correlation_id": Uuid::now_v7(), "command": "crm.client.create",
    });
    let (metadata, payload) = (metadata.to_string(), serde_json::json!({ "name": "x".repeat(250) }).to_string());
    let start: String = sqlx::query_scalar("select pg_current_wal_lsn()::text").fetch_one(&mut connection).await?;
    let (started, batches) = (Instant::now(), commands.div_ceil(BATCH));
    for _ in 0..batches {
        let mut transaction = connection.begin().await?;
        let ids: Vec<Uuid> = (0..BATCH).map(|_| Uuid::now_v7()).collect();
        let first: i64 = sqlx::query_scalar(
            "select position + 1 from eventstore.append($1, $2, $3, $4, $5, $4, $6, $6, $7, $8, $9, $1, $2, $3, $5, $10, $11,
                 $12, $13, $14, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        )
        .bind(vec![Uuid::nil(); BATCH])
        .bind(vec!["crm.client"; BATCH])
        .bind(&ids)
        .bind(vec![0i64; BATCH])
        .bind(vec![1i64; BATCH])
        .bind((1..=BATCH as i32).collect::<Vec<_>>())
        .bind(vec![Some("user"); BATCH])
        .bind(ids.iter().map(|id| Some(id.to_string())).collect::<Vec<_>>())
        .bind(vec![Some(vec![0u8; 32]); BATCH])
        .bind(vec![metadata.as_str(); BATCH])
        .bind(ids.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(vec!["client.created"; BATCH])
        .bind(vec![1i32; BATCH])
        .bind(vec![payload.as_str(); BATCH])
        .fetch_one(&mut *transaction)
        .await?;
        if with_table {
            sqlx::query(
                "insert into shared.outbox_table (id, tenant_id, event_type, version, payload, metadata, position)
                 select event_id, tenant_id, event_type, event_version, payload, metadata, position
                 from eventstore.events where position >= $1",
            )
            .bind(first)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
    }
    let elapsed = started.elapsed().as_secs_f64();
    let bytes: i64 = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)::bigint")
        .bind(start)
        .fetch_one(&mut connection)
        .await?;
    Ok(((batches * BATCH) as f64 / elapsed, bytes / (batches * BATCH) as i64))
}

async fn by_rows(owner: &PgPool, nats: &TestNats) -> Result<f64> {
    let context = fresh_stream(nats).await?;
    let (started, mut done) = (Instant::now(), 0);
    loop {
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "select id, payload::text from shared.outbox_table where processed_at is null order by position limit $1",
        )
        .bind(PAGE)
        .fetch_all(owner)
        .await?;
        if rows.is_empty() {
            return finish(&context, nats, done, started).await;
        }
        publish(&context, nats, &rows).await?;
        let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
        let sql = "update shared.outbox_table set processed_at = now() where id = any($1)";
        sqlx::query(sql).bind(ids).execute(owner).await?;
        done += rows.len();
    }
}

async fn by_cursor(owner: &PgPool, nats: &TestNats) -> Result<f64> {
    let context = fresh_stream(nats).await?;
    let (started, mut done) = (Instant::now(), 0);
    loop {
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "select event_id, payload::text from eventstore.events where position > $1 and position <= $2 order by position",
        )
        .bind(done as i64)
        .bind(done as i64 + PAGE)
        .fetch_all(owner)
        .await?;
        if rows.is_empty() {
            return finish(&context, nats, done, started).await;
        }
        publish(&context, nats, &rows).await?;
        done += rows.len();
        let sql = "select eventstore.relay_advance(0, $1, $1)";
        sqlx::query(sql).bind(done as i64).execute(owner).await?;
    }
}

async fn by_relay(database: &TestDatabase, events: i64) -> Result<f64> {
    // The simple loop has used the cursor.
    let reset = "update eventstore.relay set position = 0, stream_sequence = 0";
    sqlx::query(reset).execute(&database.owner().await).await?;
    sqlx::query("delete from eventstore.relay_marks").execute(&database.owner().await).await?;
    let nats = TestNats::new();
    let stream = StreamSettings {
        name: nats.stream.clone(),
        prefix: nats.prefix.clone(),
        replicas: 1,
        max_age: Duration::from_secs(30 * 86_400),
    };
    let client = messaging::connect(&nats.url, "bench").await?;
    let log = Log::new(database.worker().await);
    let (stop, started) = (CancellationToken::new(), Instant::now());
    let options = RelayOptions::new(stream);
    let relay = tokio::spawn(Relay::new(log.clone(), client.clone(), options.clone()).run(stop.clone()));
    let events = events.max(log.head().await?);
    // What is in the stream counts; the cursor is stored a little later.
    while messaging::status(&log, Some(&client), &options).await?.stream_messages < Some(events as u64) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rate = events as f64 / started.elapsed().as_secs_f64();
    stop.cancel();
    relay.await??;
    jetstream::new(client).delete_stream(&nats.stream).await?;
    Ok(rate)
}

async fn fresh_stream(nats: &TestNats) -> Result<jetstream::Context> {
    let context = jetstream::new(messaging::connect(&nats.url, "bench").await?);
    let subjects = vec![format!("{}.>", nats.prefix)];
    context.create_stream(stream::Config { name: nats.stream.clone(), subjects, ..Default::default() }).await?;
    Ok(context)
}

async fn publish(context: &jetstream::Context, nats: &TestNats, rows: &[(Uuid, String)]) -> Result<()> {
    let mut acks = vec![];
    for (id, payload) in rows {
        let message = PublishMessage::build().message_id(id.to_string()).payload(payload.clone().into());
        acks.push(context.send_publish(format!("{}.x", nats.prefix), message).await?.into_future());
    }
    for ack in acks {
        ack.await?;
    }
    Ok(())
}

async fn finish(context: &jetstream::Context, nats: &TestNats, done: usize, started: Instant) -> Result<f64> {
    let rate = done as f64 / started.elapsed().as_secs_f64();
    let messages = context.get_stream(&nats.stream).await.context("the stream")?.cached_info().state.messages;
    ensure!(messages == done as u64, "{messages} of {done}");
    context.delete_stream(&nats.stream).await?;
    Ok(rate)
}
