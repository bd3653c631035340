//! The runs of a quiet firm, alone and while another firm has thousands.

use crate::clients;
use crate::family::Family;
use crate::goal::Goal;
use crate::load;
use crate::plan::Plan;
use crate::product::{self, Product};
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::tenant;
use anyhow::{Context as _, Result};
use event_store::{CommandBus, Store, StoreOptions};
use kernel::TenantId;
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testing::TestDatabase;

const WHAT: &str = "trigger to first step of a firm's runs";
const ALONE: Series = Series::of(WHAT, "alone");
const BESIDE: Series = Series::of(WHAT, "beside 10,000 runs of another firm");

/// Runs that the other firm has.
const RUNS: u64 = 10_000;
/// Runs a second that the quiet firm has.
const QUIET: u64 = 20;
/// Seconds that the quiet firm is measured alone, at least.
const ALONE_SECONDS: u64 = 10;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(300);

const LOUD: u64 = 0;
const FIRM: u64 = 1;

/// The family.
pub const FAMILY: Family = Family {
    word: "fairness",
    title: "One firm's runs beside another's",
    about: "Two firms with the definition of the row above. The quiet one has 20 runs a second, first alone, then from the moment \
            that 64 connections begin to create the 10,000 clients that start the other's runs until all of those have \
            succeeded. The time is the log's own: from the event that triggers a run to the event of its first step.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[Goal::at_most(2.0, Figure::P99, BESIDE, ALONE)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let pool = log.worker().await;
    let nats = super::relay::usual_nats()?;
    let product = Product::on(&log, &nats.url)?;
    let mut bus = CommandBus::new(product::store(&log, StoreOptions::default()).await?);
    registry::mount_all(&mut bus);
    for firm in [LOUD, FIRM] {
        workflow_engine::publish(&bus, tenant(firm), "bench", &super::workflows::four_tags()).await?;
    }
    let _roles = (product.start("relay").await?, product.start("workflow").await?);
    let store = bus.store();
    // Everything is warm.
    quiet(store, 2).await;
    until_ended(&pool, tenant(FIRM), 2 * QUIET).await?;
    for pass in 1..=plan.passes {
        let (before, started) = (head(&pool).await?, Instant::now());
        let seconds = plan.seconds.max(ALONE_SECONDS);
        let asked = quiet(store, seconds).await;
        until_ended(&pool, tenant(FIRM), since(&pool, tenant(FIRM), "client.created", 0).await?).await?;
        records.add(ALONE, seen(&pool, before, started.elapsed(), asked).await?);

        let (before, started) = (head(&pool).await?, Instant::now());
        let creating = tokio::spawn(crowd(store.clone()));
        let (mut asked, all) = (0, RUNS * u64::try_from(pass)?);
        while !creating.is_finished() || ended(&pool, tenant(LOUD)).await? < all {
            asked += quiet(store, 1).await;
            anyhow::ensure!(
                started.elapsed() < PATIENCE,
                "{} of {all} runs have ended",
                ended(&pool, tenant(LOUD)).await?
            );
        }
        creating.await?;
        let took = started.elapsed();
        let all = since(&pool, tenant(FIRM), "client.created", 0).await?;
        until_ended(&pool, tenant(FIRM), all).await?;
        records.add(BESIDE, seen(&pool, before, took, asked).await?);
        records.note(FAMILY.word, format!("The 10,000 runs of the last pass took {:.1} seconds.", took.as_secs_f64()));
    }
    Ok(())
}

/// The quiet firm's clients, evenly for so many seconds; answers how many there should be.
async fn quiet(store: &Store, seconds: u64) -> u64 {
    let store = store.clone();
    let work = move |turn, due: Instant| {
        let store = store.clone();
        async move { clients::create_one(&store, FIRM, turn).await.map(|_| due.elapsed()) }
    };
    load::open(QUIET, seconds, work).await;
    QUIET * seconds
}

/// The other firm's clients, as soon as can be.
async fn crowd(store: Store) {
    let turns = Arc::new(AtomicU64::new(0));
    let clients = (0..64).map(|_| {
        let (store, turns) = (store.clone(), turns.clone());
        tokio::spawn(async move {
            loop {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                if turn >= RUNS {
                    return;
                }
                while clients::create_one(&store, LOUD, turn).await.is_none() {}
            }
        })
    });
    futures::future::join_all(clients.collect::<Vec<_>>()).await;
}

async fn head(pool: &PgPool) -> Result<i64> {
    sqlx::query_scalar("select position from eventstore.head").fetch_one(pool).await.context("the head")
}

async fn since(pool: &PgPool, tenant: TenantId, event_type: &str, after: i64) -> Result<u64> {
    let sql = "select count(*) from eventstore.events where tenant_id = $1 and event_type = $2 and position > $3";
    let count: i64 = sqlx::query_scalar(sql).bind(tenant.0).bind(event_type).bind(after).fetch_one(pool).await?;
    Ok(count.unsigned_abs())
}

async fn ended(pool: &PgPool, tenant: TenantId) -> Result<u64> {
    since(pool, tenant, "run.succeeded", 0).await
}

async fn until_ended(pool: &PgPool, tenant: TenantId, runs: u64) -> Result<()> {
    let started = Instant::now();
    while ended(pool, tenant).await? < runs {
        anyhow::ensure!(started.elapsed() < PATIENCE, "{} of {runs} runs have ended", ended(pool, tenant).await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// From trigger to first step of the quiet firm's runs, whose triggers came after this position.
async fn seen(pool: &PgPool, after: i64, took: Duration, asked: u64) -> Result<Sample> {
    let sql = "select extract(epoch from min(step.recorded_at) - trigger.recorded_at)::float8
               from eventstore.events trigger
               join eventstore.events step on step.tenant_id = trigger.tenant_id and step.event_type = 'client.tagged'
                                          and step.aggregate_id = trigger.aggregate_id
               where trigger.tenant_id = $1 and trigger.event_type = 'client.created' and trigger.position > $2
               group by trigger.position, trigger.recorded_at";
    let seconds: Vec<f64> = sqlx::query_scalar(sql).bind(tenant(FIRM).0).bind(after).fetch_all(pool).await?;
    let missing = asked.saturating_sub(u64::try_from(seconds.len())?);
    Ok(Sample::timed(seconds.into_iter().map(|s| Duration::from_secs_f64(s.max(0.0))).collect(), took, missing))
}
