//! Whether a long log or many firms make anything slower.

use crate::clients::{create_one, rename_client, rename_one};
use crate::family::Family;
use crate::goal::Goal;
use crate::load;
use crate::plan::Plan;
use crate::product;
use crate::record::{Records, Sample, Series};
use crate::seed::{Seed, scattered};
use anyhow::{Context, Result, ensure};
use event_store::{Store, StoreOptions};
use futures::{StreamExt, stream};
use projections::{ReplayOptions, group};
use std::time::{Duration, Instant};
use testing::TestDatabase;

const CREATE: Series = Series::of("creations by length of the log", "UBOS");
const RENAME: Series = Series::of("renames by length of the log", "UBOS");
const READ: Series = Series::of("reads by id by length of the log", "UBOS");
const REPLAY: Series = Series::of("events of a replay by length of the log", "UBOS");
const CREATE_FIRMS: Series = Series::of("creations by number of firms", "UBOS");
const RENAME_FIRMS: Series = Series::of("renames by number of firms", "UBOS");
const READ_FIRMS: Series = Series::of("reads by id by number of firms", "UBOS");
const REPLAY_FIRMS: Series = Series::of("events of a replay by number of firms", "UBOS");
const FIRST: Series = Series::of("first commands of firms after a start", "UBOS");

/// A record as query-api reads it; private there, because it is built from the table and the reader's rights.
const READ_SQL: &str = "select found.* from pg_catalog.set_config('ubos.tenant_id', ($1::uuid)::text, true) t(tenant)
     cross join lateral (select r.* from crm.clients r where r.tenant_id = t.tenant::uuid and r.id = $2) found";

/// What is flat stays within a fifth.
const FLAT: f64 = 0.8;
const FIRMS: usize = 100;
const FIRMS_MAX: usize = 10_000;

/// The family.
pub const FAMILY: Family = Family {
    word: "growth",
    title: "Growth",
    about: "Logs of several lengths with 100 firms, and logs of a hundred thousand events with 1, 100 and 10,000 firms; \
            five events a client. Creations and renames in process with 64 in flight (renames of clients that are not in \
            memory have to be loaded), reads of random rows by the statement that query-api sends with 16 in flight, \
            and replays of crm with verification. Every firm has had a command before; a store that was just started \
            reads the keys of each with its first.",
    load: "events or firms",
    unit: "per second",
    quick: false,
    goals: &[
        Goal::at_least(FLAT, CREATE.at(100_000), CREATE.at(10_000)),
        Goal::at_least(FLAT, CREATE.at(1_000_000), CREATE.at(10_000)),
        Goal::at_least(FLAT, CREATE.at(10_000_000), CREATE.at(10_000)),
        Goal::at_least(FLAT, READ.at(100_000), READ.at(10_000)),
        Goal::at_least(FLAT, READ.at(1_000_000), READ.at(10_000)),
        Goal::at_least(FLAT, READ.at(10_000_000), READ.at(10_000)),
        Goal::at_least(FLAT, REPLAY.at(1_000_000), REPLAY.at(100_000)),
        Goal::at_least(FLAT, REPLAY.at(10_000_000), REPLAY.at(100_000)),
        Goal::at_least(FLAT, CREATE_FIRMS.at(FIRMS_MAX), CREATE_FIRMS.at(1)),
        Goal::at_least(FLAT, READ_FIRMS.at(FIRMS_MAX), READ_FIRMS.at(1)),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

/// One log, what is asked of it, and under which names.
struct Grown {
    seed: Seed,
    load: usize,
    names: [Series; 4],
    store: Store,
    created: u64,
    database: TestDatabase,
}

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let mut lengths = vec![10_000, 100_000];
    if !plan.quick {
        lengths.push(1_000_000);
    }
    if plan.growth_max {
        lengths.push(10_000_000);
    }
    let by_length = [CREATE, RENAME, READ, REPLAY];
    let by_firms = [CREATE_FIRMS, RENAME_FIRMS, READ_FIRMS, REPLAY_FIRMS];
    let mut logs = vec![];
    for length in lengths {
        logs.push(Grown::seeded(length, FIRMS, length, by_length).await?);
    }
    for firms in [1, FIRMS, FIRMS_MAX] {
        logs.push(Grown::seeded(100_000, firms, firms, by_firms).await?);
    }
    // Replays first, while rows and log are as they were seeded; commands leave the rows behind.
    for pass in 0..plan.heavy_passes() {
        for log in logs.iter().filter(|log| pass == 0 || log.seed.head() < 10_000_000) {
            records.add(log.names[3].at(log.load), log.replay().await?);
        }
    }
    for log in &logs {
        log.first_commands(&log.store).await?;
    }
    for pass in 0..=plan.passes {
        let seconds = if pass == 0 { 1 } else { plan.seconds };
        for log in &mut logs {
            let samples = [log.create(seconds).await, log.rename(seconds).await, log.read(seconds).await?];
            for (name, sample) in log.names.iter().zip(samples) {
                if pass > 0 {
                    records.add(name.at(log.load), sample);
                }
            }
        }
    }
    // Last, because a store that knows of another one beside it goes about its appends in another way.
    for log in logs.iter().filter(|log| log.seed.tenants == FIRMS_MAX as u64) {
        for _ in 0..plan.passes {
            let started = product::store(&log.database, StoreOptions::default()).await?;
            records.add(FIRST.at(log.load), log.first_commands(&started).await?);
        }
    }
    Ok(())
}

impl Grown {
    async fn seeded(length: usize, firms: usize, load: usize, names: [Series; 4]) -> Result<Self> {
        let seed = Seed { streams: length as u64 / 5, events: 5, tenants: firms as u64, recent: false };
        let database = TestDatabase::create().await;
        let superuser = database.superuser().await;
        seed.log(&superuser).await?;
        seed.rows(&superuser).await?;
        superuser.close().await;
        let store = product::store(&database, StoreOptions::default()).await?;
        Ok(Self { seed, load, names, store, created: 0, database })
    }

    /// A rename in every firm, each once.
    async fn first_commands(&self, store: &Store) -> Result<Sample> {
        let began = Instant::now();
        let renamed: Vec<bool> = stream::iter(0..self.seed.tenants)
            .map(|firm| async move { rename_client(store, self.seed.client(firm), firm).await.is_some() })
            .buffer_unordered(64)
            .collect()
            .await;
        ensure!(renamed.iter().all(|renamed| *renamed), "a first command failed");
        Ok(Sample::rate(i64::try_from(self.seed.tenants)?, began.elapsed()))
    }

    async fn create(&mut self, seconds: u64) -> Sample {
        let (store, firms, before) = (self.store.clone(), self.seed.tenants, self.created);
        let sample = load::closed(64, seconds, move |turn| {
            let store = store.clone();
            async move { create_one(&store, scattered(turn) % firms, before + turn).await.is_some() }
        });
        let sample = sample.await;
        self.created += (sample.value * seconds as f64) as u64;
        sample
    }

    async fn rename(&self, seconds: u64) -> Sample {
        let (store, seed) = (self.store.clone(), self.seed);
        load::closed(64, seconds, move |turn| {
            let store = store.clone();
            async move { rename_one(&store, seed, turn).await.is_some() }
        })
        .await
    }

    async fn read(&self, seconds: u64) -> Result<Sample> {
        // Opened for the measurement, because the logs together would need more sessions than PostgreSQL has.
        let (query, seed) = (self.database.query().await, self.seed);
        let pool = query.clone();
        let sample = load::closed(16, seconds, move |turn| {
            let pool = pool.clone();
            async move {
                let (tenant, client) = seed.client(scattered(turn));
                let found = sqlx::query(READ_SQL).bind(tenant.0).bind(client).fetch_optional(&pool).await;
                matches!(found, Ok(Some(_)))
            }
        });
        let sample = sample.await;
        query.close().await;
        ensure!(sample.errors == 0, "{} rows could not be read", sample.errors);
        Ok(sample)
    }

    async fn replay(&self) -> Result<Sample> {
        let crm = group("crm").context("the crm group")?;
        let worker = self.database.worker().await;
        let report =
            projections::replay(&product::log(worker.clone())?, crm, &ReplayOptions::default(), &mut |_| {}).await?;
        worker.close().await;
        ensure!(report.switched, "the replay differs: {report}");
        Ok(Sample::rate(report.built.events, Duration::from_secs_f64(report.seconds)))
    }
}
