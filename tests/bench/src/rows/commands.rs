//! Commands in process, beside stock postgres-es and a transaction by hand.

use crate::clients::rename_one;
use crate::family::Family;
use crate::goal::Goal;
use crate::limits::pgbench;
use crate::limits::postgres_es::PostgresEs;
use crate::load;
use crate::plan::Plan;
use crate::product;
use crate::record::{Figure, Records, Series};
use crate::seed::SMALL;
use anyhow::Result;
use event_store::StoreOptions;
use testing::TestDatabase;

const WHAT: &str = "commands in process";
const OURS: Series = Series::of(WHAT, "UBOS");
const STOCK: Series = Series::of(WHAT, "postgres-es");
const BY_HAND: Series = Series::of(WHAT, "pgbench by hand");

/// The family.
pub const FAMILY: Family = Family {
    word: "commands",
    title: "Commands in process",
    about: "One command renames one of 20,000 clients of five events each: load, decide, append one event. UBOS and \
            postgres-es (a pool of 64) are called in process with the same aggregate. UBOS also writes tenant, stream \
            version and position, seals the name with the key of its stream, has the outbox for free, and keeps streams in \
            memory. By hand is pgbench: a prepared load, then event and outbox row in one statement; no decision, no answer, no \
            order over the streams.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[
        Goal::at_least(1.5, OURS.at(16), STOCK.at(16)),
        Goal::at_least(3.5, OURS.at(64), STOCK.at(64)),
        Goal::at_least(5.0, OURS.at(256), STOCK.at(256)),
        Goal::at_least(1.8, OURS.at(64), BY_HAND.at(64)),
        Goal::at_most(0.4, Figure::P50, OURS.at(64), STOCK.at(64)),
        Goal::at_most(0.5, Figure::P99, OURS.at(64), STOCK.at(64)),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let (log, by_hand) = (TestDatabase::create().await, TestDatabase::create().await);
    SMALL.log(&log.superuser().await).await?;
    pgbench::prepare(&by_hand.superuser().await).await?;
    let stock = PostgresEs::start().await?;
    let options = StoreOptions { cached_streams_max: 2 * usize::try_from(SMALL.streams)?, ..StoreOptions::default() };
    let store = product::store(&log, options).await?;
    let script = pgbench::command();
    let loads: &[usize] = if plan.quick { &[16, 64, 256] } else { &[1, 4, 16, 64, 128, 256] };
    for pass in 0..=plan.passes {
        // The first pass fills caches and is not kept.
        let seconds = if pass == 0 { 1 } else { plan.seconds };
        for at_once in loads.iter().copied().filter(|at_once| pass > 0 || *at_once == 64) {
            let ours = store.clone();
            let turn = move |turn| {
                let store = ours.clone();
                async move { rename_one(&store, SMALL, turn).await.is_some() }
            };
            let ours = load::closed(at_once, seconds, turn).await;
            let peer = stock.run(at_once, seconds).await;
            // Each of its clients is a session of PostgreSQL's, which has 200 for everybody.
            let hand = match at_once {
                64 => Some(pgbench::run(&by_hand, &script, at_once, seconds).await?),
                1..64 if !plan.quick => Some(pgbench::run(&by_hand, &script, at_once, seconds).await?),
                _ => None,
            };
            if pass > 0 {
                records.add(OURS.at(at_once), ours);
                records.add(STOCK.at(at_once), peer);
                hand.into_iter().for_each(|hand| records.add(BY_HAND.at(at_once), hand));
            }
        }
    }
    Ok(())
}
