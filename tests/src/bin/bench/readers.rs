//! Events per second through the relay and through a replay, over a seeded log.

use crate::Plan;
use crate::append::seed_log;
use crate::measure::{Sample, Table};
use anyhow::{Context, Result};
use event_store::{Log, RawEvent};
use messaging::{Relay, RelayOptions, StreamSettings};
use projections::{ReplayOptions, Target, group};
use std::sync::Arc;
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use tokio_util::sync::CancellationToken;

/// Fills the stream from an empty one, and the crm read models from nothing.
pub async fn measure(plan: Plan, table: &mut Table) -> Result<()> {
    let database = TestDatabase::create().await;
    seed_log(&database.superuser().await).await?;
    let worker = database.worker().await;
    let log = Log::new(worker.clone());
    let head = log.head().await?;
    let crm = group("crm").context("the crm group")?;
    // A replay is compared with the live tables, so these come first.
    let started = Instant::now();
    let mut at = 0;
    while at < head {
        let events: Vec<Arc<RawEvent>> = log.read(at, 1_000).await?.into_iter().map(Arc::new).collect();
        at = events.last().context("events")?.position;
        Target::live(crm).apply(&worker, &events).await?;
    }
    table.add(103, "events into the live crm tables, a thousand at a time", rate(head, started.elapsed()));
    for _ in 0..plan.passes {
        let names = TestNats::new();
        let nats = messaging::connect(&names.url, "bench").await?;
        sqlx::query("update eventstore.relay set position = 0").execute(&database.superuser().await).await?;
        let stream = StreamSettings {
            name: names.stream.clone(),
            prefix: names.prefix,
            replicas: 1,
            max_age: Duration::from_secs(3_600),
        };
        let stop = CancellationToken::new();
        let started = Instant::now();
        let relay = tokio::spawn(Relay::new(log.clone(), nats.clone(), RelayOptions::new(stream)).run(stop.clone()));
        loop {
            let cursor: i64 = sqlx::query_scalar("select position from eventstore.relay").fetch_one(&worker).await?;
            if cursor >= head {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        table.add(100, "events through the relay, NATS syncing every message", rate(head, started.elapsed()));
        stop.cancel();
        relay.await??;
        messaging_context(nats).delete_stream(&names.stream).await?;

        let report = projections::replay(&worker, crm, &ReplayOptions::default(), &mut |_| {}).await?;
        let seconds = Duration::from_secs_f64(report.built.seconds);
        table.add(101, "events of a replay: fold, copy, index", rate(report.built.events, seconds));
        let whole = Duration::from_secs_f64(report.seconds);
        table.add(102, "events of a replay, verified and switched", rate(report.built.events, whole));
    }
    Ok(())
}

fn messaging_context(nats: async_nats::Client) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(nats)
}

fn rate(events: i64, elapsed: Duration) -> Sample {
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    Sample { rate: events as f64 / elapsed.as_secs_f64(), p50: milliseconds, p99: milliseconds, errors: 0 }
}
