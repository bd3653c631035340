//! Events in batches, beside many rows in one statement.

use crate::clients;
use crate::family::Family;
use crate::goal::Goal;
use crate::limits::pgbench;
use crate::load;
use crate::plan::Plan;
use crate::product;
use crate::record::{Records, Sample, Series};
use anyhow::Result;
use event_store::StoreOptions;
use testing::TestDatabase;

/// Commands that share one append.
const BATCH: usize = 64;
/// Events in one statement by hand.
const ROWS: f64 = 50.0;

const OURS: Series = Series::of("events in batches", "UBOS, 64 commands a batch").at(256);
const BY_HAND: Series = Series::of("events in batches", "pgbench, 50 rows a statement").at(16);
const BY_HAND_ONE: Series = BY_HAND.at(1);

/// The family.
pub const FAMILY: Family = Family {
    word: "bulk",
    title: "Events in batches",
    about: "New clients, one event each, every one through `Store::execute`: decided, claimed, ordered, answered. There is no \
            other bulk path; the appender packs at most 64 of the 256 commands in flight into one transaction. By hand is \
            pgbench inserting 50 rows of the same columns and indexes in one statement, from 16 connections, \
            and from one, because a log in one order is written by one transaction at a time.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[Goal::at_least(0.5, OURS, BY_HAND)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let (log, by_hand) = (TestDatabase::create().await, TestDatabase::create().await);
    pgbench::prepare(&by_hand.superuser().await).await?;
    let options = StoreOptions { batch_commands_max: BATCH, ..StoreOptions::default() };
    let store = product::store(&log, options).await?;
    let script = pgbench::fifty();
    for _ in 0..plan.passes {
        let store = store.clone();
        let turn = move |turn| {
            let store = store.clone();
            async move { clients::create_one(&store, 0, turn).await.is_some() }
        };
        records.add(OURS, load::closed(OURS.load, plan.seconds, turn).await);
        let statements = pgbench::run(&by_hand, &script, BY_HAND.load, plan.seconds).await?;
        records.add(BY_HAND, Sample { value: statements.value * ROWS, ..statements });
        let alone = pgbench::run(&by_hand, &script, BY_HAND_ONE.load, plan.seconds).await?;
        records.add(BY_HAND_ONE, Sample { value: alone.value * ROWS, ..alone });
    }
    Ok(())
}
