//! A replay of one domain, and live tables that catch up, beside the same by hand.

use crate::family::Family;
use crate::goal::Goal;
use crate::limits::fold;
use crate::peers;
use crate::plan::Plan;
use crate::product;
use crate::record::{Records, Sample, Series};
use crate::seed::Seed;
use anyhow::{Context, Result, ensure};
use messaging::Feed;
use projections::{ReplayOptions, group};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use testing::TestDatabase;
use tokio_util::sync::CancellationToken;

const VERIFIED: Series = Series::of("replay", "UBOS, verified and switched");
const BUILT: Series = Series::of("replay", "UBOS, folded and copied");
const FOLDED: Series = Series::of("replay", "fold in memory, one COPY");
const EMMETT: Series = Series::of("replay", "Emmett's projector");
const LIVE: Series = Series::of("live tables from a backlog", "UBOS");
const PAGES: Series = Series::of("live tables from a backlog", "pages of 10,000 upserted");

/// The family of replays.
pub const FAMILY: Family = Family {
    word: "replay",
    title: "Replay of one domain",
    about: "1,000,000 events of 200,000 clients, one event of every client in turn. A replay of crm builds new tables with \
            four indexes, compares every row with the live ones and switches. The limit folds the same events in memory \
            in one task and copies the rows once, with a primary key as the only index, and verifies nothing. Emmett's projector \
            upserts one row per stream, in batches of 1,000 of its own 100,000 events.",
    load: "at once",
    unit: "events per second",
    quick: false,
    goals: &[Goal::at_least(0.6, VERIFIED, FOLDED), Goal::at_least(50.0, VERIFIED, EMMETT)],
    measure: |plan, records| Box::pin(replay(plan, records)),
};

/// The family of live tables.
pub const LIVE_FAMILY: Family = Family {
    word: "catch-up",
    title: "Live tables from a backlog",
    about: "The crm tables are empty and 200,000 events behind; `projections::run` follows the log until they are not. The \
            limit reads pages of 10,000, upserts the rows they touch into a table with the same indexes and moves a \
            checkpoint in the same commit.",
    load: "at once",
    unit: "events per second",
    quick: false,
    goals: &[Goal::at_least(0.9, LIVE, PAGES)],
    measure: |plan, records| Box::pin(live(plan, records)),
};

async fn replay(plan: &Plan, records: &mut Records) -> Result<()> {
    let streams = if plan.quick { 20_000 } else { 200_000 };
    let (log, superuser) = seeded(Seed { streams, events: 5, tenants: 1, recent: false }).await?;
    let (worker, crm) = (log.worker().await, group("crm").context("the crm group")?);
    let head = product::log(worker.clone())?.head().await?;
    let emmett = TestDatabase::create().await;
    for _ in 0..plan.heavy_passes() {
        let report =
            projections::replay(&product::log(worker.clone())?, crm, &ReplayOptions::default(), &mut |_| {}).await?;
        ensure!(report.comparison.equal() && report.switched, "the replay differs: {report}");
        records.add(VERIFIED, Sample::rate(report.built.events, Duration::from_secs_f64(report.seconds)));
        records.add(BUILT, Sample::rate(report.built.events, Duration::from_secs_f64(report.built.seconds)));
        records.add(FOLDED, Sample::rate(head, fold::copy_once(&superuser, head).await?));
        if plan.peers {
            records.add(EMMETT, peers::emmett(&emmett.superuser_url(), 2 * plan.seconds).await?);
        }
    }
    Ok(())
}

async fn live(plan: &Plan, records: &mut Records) -> Result<()> {
    let streams = if plan.quick { 10_000 } else { 40_000 };
    let (log, superuser) = seeded(Seed { streams, events: 5, tenants: 1, recent: false }).await?;
    let worker = log.worker().await;
    let head = product::log(worker.clone())?.head().await?;
    for _ in 0..plan.heavy_passes() {
        records.add(LIVE, Sample::rate(head, catch_up(&superuser, &worker, head).await?));
        records.add(PAGES, Sample::rate(head, fold::upsert_pages(&superuser, head).await?));
    }
    Ok(())
}

async fn seeded(seed: Seed) -> Result<(TestDatabase, PgPool)> {
    let log = TestDatabase::create().await;
    let superuser = log.superuser().await;
    seed.log(&superuser).await?;
    seed.rows(&superuser).await?;
    fold::prepare(&superuser).await?;
    Ok((log, superuser))
}

/// Empties the crm tables and lets the role fill them; every other group is at the log's end already.
async fn catch_up(superuser: &PgPool, worker: &PgPool, head: i64) -> Result<Duration> {
    let reset = "truncate crm.clients; truncate crm.contacts;
                 update projections.checkpoints set position = 0, events = 0 where group_name = 'crm' and slot = 'live'";
    sqlx::raw_sql(reset).execute(superuser).await?;
    let stop = CancellationToken::new();
    let started = Instant::now();
    let feed = Feed::start(product::log(worker.clone())?, None).await?;
    let role = tokio::spawn(projections::run(worker.clone(), feed, stop.clone()));
    let sql = "select position from projections.checkpoints where group_name = 'crm' and slot = 'live'";
    while sqlx::query_scalar::<_, i64>(sql).fetch_one(superuser).await? < head {
        ensure!(started.elapsed() < Duration::from_secs(600), "the crm tables do not catch up");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed();
    stop.cancel();
    role.await??;
    Ok(took)
}
