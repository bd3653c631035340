//! Relays by hand: one that only publishes a backlog, one that only waits for a NOTIFY.

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use sqlx::postgres::PgListener;
use sqlx::{PgPool, Row};
use std::collections::VecDeque;
use std::future::IntoFuture;
use std::time::{Duration, Instant};
use testing::TestNats;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events read at once, and messages in flight: what the product's relay takes.
const PAGE: i64 = 1_000;
const IN_FLIGHT: usize = 1_024;

/// A context that lets so many be in flight.
pub fn context(nats: &async_nats::Client) -> Context {
    jetstream::ContextBuilder::new().max_ack_inflight(8_192).build(nats.clone())
}

/// A stream as the product's relay makes it.
pub async fn stream(context: &Context, names: &TestNats) -> Result<Stream> {
    let config = Config {
        name: names.stream.clone(),
        subjects: vec![format!("{}.>", names.prefix)],
        duplicate_window: Duration::from_secs(120),
        allow_direct: true,
        ..Config::default()
    };
    Ok(context.create_stream(config).await?)
}

/// Publishes the log from its beginning, at most `patience` long; answers how many were acknowledged in which time.
///
/// Headers are those of `template`, a message that the product's relay has published, with the event's own ids put in:
/// the same bytes go over the wire.
pub async fn publish_backlog(
    log: &PgPool,
    context: &Context,
    names: &TestNats,
    template: &HeaderMap,
    patience: Duration,
) -> Result<(i64, Duration)> {
    let started = Instant::now();
    let (pages, mut read) = tokio::sync::mpsc::channel(2);
    let reader = tokio::spawn(read_pages(log.clone(), pages));
    let mut in_flight: VecDeque<_> = VecDeque::with_capacity(IN_FLIGHT);
    let mut acknowledged = 0;
    'published: while let Some(page) = read.recv().await {
        for row in page {
            if in_flight.len() == IN_FLIGHT
                && let Some(ack) = in_flight.pop_front()
            {
                let ack: <PublishAckFuture as IntoFuture>::IntoFuture = ack;
                ack.await?;
                acknowledged += 1;
                if started.elapsed() > patience {
                    break 'published;
                }
            }
            let (subject, message) = message(&row, names, template)?;
            in_flight.push_back(context.send_publish(subject, message).await?.into_future());
        }
    }
    reader.abort();
    for ack in in_flight {
        ack.await?;
        acknowledged += 1;
    }
    Ok((acknowledged, started.elapsed()))
}

async fn read_pages(log: PgPool, pages: tokio::sync::mpsc::Sender<Vec<sqlx::postgres::PgRow>>) -> Result<()> {
    let sql = "select position, event_id, tenant_id, domain, aggregate_id, sequence, event_type, payload::text
               from eventstore.events where position > $1 order by position limit $2";
    let mut after = 0_i64;
    loop {
        let page = sqlx::query(sql).bind(after).bind(PAGE).fetch_all(&log).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.try_get(0)?;
        if pages.send(page).await.is_err() {
            return Ok(());
        }
    }
}

fn message(row: &sqlx::postgres::PgRow, names: &TestNats, template: &HeaderMap) -> Result<(String, PublishMessage)> {
    let (position, id, tenant): (i64, Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (domain, stream, sequence): (&str, Uuid, i64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    let (event_type, payload): (&str, String) = (row.try_get(6)?, row.try_get(7)?);
    let mut headers = template.clone();
    let mut buffer = Uuid::encode_buffer();
    headers.insert("ce-globalposition", position.to_string().as_str());
    headers.insert("ce-aggregateversion", sequence.to_string().as_str());
    headers.insert("ce-type", event_type);
    headers.insert("ce-subject", &*stream.hyphenated().encode_lower(&mut buffer));
    let id = id.hyphenated().encode_lower(&mut buffer);
    headers.insert("ce-id", &*id);
    headers.insert(NATS_MESSAGE_ID, &*id);
    let subject = format!("{}.{tenant}.{domain}.{event_type}", names.prefix);
    Ok((subject, PublishMessage::build().headers(headers).payload(Bytes::from(payload))))
}

/// What [`append`] writes into.
pub async fn prepare(superuser: &PgPool) -> Result<()> {
    sqlx::query(
        "create table outbox (position bigint generated always as identity primary key, payload text not null)",
    )
    .execute(superuser)
    .await?;
    Ok(())
}

/// One row and its NOTIFY in one commit.
pub async fn append(pool: &PgPool, payload: &str) -> Result<()> {
    let sql = "with o as (insert into outbox (payload) values ($1) returning position)
               select pg_notify('bench_outbox', '') from o";
    sqlx::query(sql).bind(payload).execute(pool).await?;
    Ok(())
}

/// Publishes every row of the outbox as soon as it hears of it, and deletes what was acknowledged.
pub async fn woken(pool: PgPool, context: Context, names: TestNats, stop: CancellationToken) -> Result<()> {
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("bench_outbox").await?;
    while !stop.is_cancelled() {
        let mut tx = event_store::begin(&pool).await?;
        let sql = "select position, payload from outbox order by position limit 500 for update skip locked";
        let rows: Vec<(i64, String)> = sqlx::query_as(sql).fetch_all(&mut *tx).await?;
        let (mut acks, mut positions) = (vec![], vec![]);
        for (position, payload) in rows {
            let message = PublishMessage::build().message_id(position.to_string()).payload(payload.into());
            acks.push(context.send_publish(format!("{}.row", names.prefix), message).await?.into_future());
            positions.push(position);
        }
        for ack in acks {
            ack.await.context("publishing")?;
        }
        sqlx::query("delete from outbox where position = any($1)").bind(&positions).execute(&mut *tx).await?;
        tx.commit().await?;
        if positions.is_empty() {
            // Whatever wakes it, it looks; the second is the net under a lost wake-up.
            drop(tokio::time::timeout(Duration::from_secs(1), listener.recv()).await);
        }
    }
    Ok(())
}
