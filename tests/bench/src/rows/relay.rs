//! The relay on a backlog, beside the least that could publish it.

use crate::family::Family;
use crate::goal::Goal;
use crate::limits::relay as limit;
use crate::plan::Plan;
use crate::product;
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::Seed;
use anyhow::{Context, Result};
use async_nats::HeaderMap;
use local_servers::{Dirs, Nats, NatsOptions, ensure_installed, free_port};
use messaging::{Relay, RelayOptions, StreamSettings};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use tokio_util::sync::CancellationToken;

const WHAT: &str = "events from a backlog";
const SYNCED: Series = Series::of(WHAT, "UBOS, every message synced");
const SYNCED_LIMIT: Series = Series::of(WHAT, "cursor and publish, every message synced");
const USUAL: Series = Series::of(WHAT, "UBOS, usual sync");
const USUAL_LIMIT: Series = Series::of(WHAT, "cursor and publish, usual sync");
const REFILLED: Series = Series::of("seconds to fill a lost stream", "UBOS, 1,000,000 events, every message synced");
/// How long filling a lost stream may take.
const REFILL_PATIENCE: Duration = Duration::from_secs(900);

/// The family.
pub const FAMILY: Family = Family {
    word: "relay",
    title: "The relay on a backlog",
    about: "200,000 events that are not in the stream yet; a measurement ends when all are, or after four times the seconds \
            of other rows. The limit reads pages of 1,000 and publishes them with 1,024 messages in flight, the same \
            headers and bodies to the same server: no lease, no expected sequence, no cursor. Once with a server that \
            syncs every message (`sync_interval: always`), once with one that syncs when it usually does. A lost stream is \
            filled once.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[
        Goal::at_least(0.8, SYNCED, SYNCED_LIMIT),
        Goal::at_least(0.8, USUAL, USUAL_LIMIT),
        Goal::limit(300.0, Figure::Value, REFILLED),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let superuser = log.superuser().await;
    let seed = Seed { streams: if plan.quick { 10_000 } else { 40_000 }, events: 5, tenants: 1, recent: true };
    seed.log(&superuser).await?;
    let worker = log.worker().await;
    let usual = usual_nats()?;
    let patience = Duration::from_secs(4 * plan.seconds);
    for _ in 0..plan.heavy_passes() {
        let servers = [(TestNats::new().url, SYNCED, SYNCED_LIMIT), (usual.url.clone(), USUAL, USUAL_LIMIT)];
        for (url, ours, theirs) in servers {
            let (sample, template) = publish(&superuser, &worker, &url, patience, seed.head()).await?;
            records.add(ours, sample);
            let nats = messaging::connect(&url, "bench").await?;
            let (context, names) = (limit::context(&nats), TestNats::new());
            limit::stream(&context, &names).await?;
            let (count, took) = limit::publish_backlog(&worker, &context, &names, &template, patience).await?;
            records.add(theirs, Sample::rate(count, took));
            context.delete_stream(&names.stream).await?;
        }
    }
    if !plan.quick {
        let log = TestDatabase::create().await;
        let superuser = log.superuser().await;
        let seed = Seed { streams: 200_000, events: 5, tenants: 1, recent: true };
        seed.log(&superuser).await?;
        let (worker, url) = (log.worker().await, TestNats::new().url);
        let (filled, _) = publish(&superuser, &worker, &url, REFILL_PATIENCE, seed.head()).await?;
        records.add(REFILLED, Sample::value(seed.head() as f64 / filled.value));
    }
    Ok(())
}

/// A NATS server that syncs when it usually does; ends when dropped.
pub fn usual_nats() -> Result<Nats> {
    let programs = ensure_installed(&mut |_| {})?;
    Nats::start(&programs, &Dirs::throwaway()?, free_port()?, free_port()?, NatsOptions { sync_always: false })
}

/// How the product's relay publishes to a stream.
pub fn settings(names: &TestNats) -> StreamSettings {
    let (name, prefix) = (names.stream.clone(), names.prefix.clone());
    StreamSettings { name, prefix, replicas: 1, max_age: Duration::from_secs(24 * 3_600) }
}

/// The product's relay fills an empty stream; also answers the headers of its first message.
async fn publish(
    superuser: &PgPool,
    worker: &PgPool,
    url: &str,
    patience: Duration,
    head: i64,
) -> Result<(Sample, HeaderMap)> {
    let names = TestNats::new();
    let nats = messaging::connect(url, "bench").await?;
    sqlx::query("update eventstore.relay set position = 0").execute(superuser).await?;
    let context = limit::context(&nats);
    let stop = CancellationToken::new();
    let started = Instant::now();
    let relay = Relay::new(product::log(worker.clone())?, nats.clone(), RelayOptions::new(settings(&names)));
    let relay = tokio::spawn(relay.run(stop.clone()));
    let sample = loop {
        if let Ok(stream) = context.get_stream(&names.stream).await {
            let messages = i64::try_from(stream.cached_info().state.messages)?;
            if messages >= head || started.elapsed() > patience && messages > 0 {
                break Sample::rate(messages, started.elapsed());
            }
        }
        anyhow::ensure!(started.elapsed() < patience + Duration::from_secs(30), "the relay publishes nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    stop.cancel();
    relay.await??;
    let first = context.get_stream(&names.stream).await?.get_raw_message(1).await.context("the first message")?;
    context.delete_stream(&names.stream).await?;
    Ok((sample, without_expectations(&first.headers)))
}

/// The headers that are there for the reader, without what only the product's relay asks of the server.
fn without_expectations(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    let asked = |name: &str| name.starts_with("Nats-Expected") || name.starts_with("Nats-Batch");
    for (name, values) in headers.iter().filter(|(name, _)| !asked(name.as_ref())) {
        values.iter().for_each(|value| kept.append(name.clone(), value.clone()));
    }
    kept
}
