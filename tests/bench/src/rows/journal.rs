//! A replay of the journal of receivables and payables.

use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::product;
use crate::record::{Records, Sample, Series};
use crate::seed;
use anyhow::{Context, Result, ensure};
use projections::{ReplayOptions, group};
use sqlx::PgPool;
use std::time::Duration;
use testing::TestDatabase;

const REPLAYED: Series = Series::of("journal", "UBOS, folded and copied");
const ASKED: Series = Series::of("journal", "what is asked for");
/// So many postings a second are enough to have the journal of a large firm's year anew within a minute.
const ENOUGH: f64 = 50_000.0;
/// A payment is one event, one entry and two postings.
const POSTINGS_OF_A_PAYMENT: i64 = 2;

/// The family of journals.
pub const FAMILY: Family = Family {
    word: "journal",
    title: "Replay of the journal",
    about: "500,000 payments that came in: 1,000,000 postings in 500,000 entries, which the replay of revenue folds and copies with \
            their indexes, and the payments beside them.",
    load: "at once",
    unit: "postings per second",
    quick: false,
    goals: &[Goal::at_least(1.0, REPLAYED, ASKED)],
    measure: |plan, records| Box::pin(replay(plan, records)),
};

async fn replay(plan: &Plan, records: &mut Records) -> Result<()> {
    let payments: i64 = if plan.quick { 25_000 } else { 500_000 };
    let database = TestDatabase::create().await;
    fill(&database.superuser().await, payments).await?;
    let (worker, revenue) = (database.worker().await, group("revenue").context("the revenue group")?);
    for pass in 0..plan.heavy_passes() {
        // Nothing was there before the first pass, so it differs from what it replaces.
        let options = ReplayOptions { accept_differences: pass == 0, ..ReplayOptions::default() };
        let report = projections::replay(&product::log(worker.clone())?, revenue, &options, &mut |_| {}).await?;
        ensure!(report.switched, "the replay differs: {report}");
        let books = projections::books(&worker).await?;
        ensure!(books.differences.is_empty(), "the journal does not balance: {:?}", books.differences.first());
        ensure!(books.postings == payments * POSTINGS_OF_A_PAYMENT, "{} postings", books.postings);
        records.add(REPLAYED, Sample::rate(books.postings, Duration::from_secs_f64(report.built.seconds)));
        records.add(ASKED, Sample::value(ENOUGH));
    }
    Ok(())
}

/// A log of payments, one event each.
async fn fill(superuser: &PgPool, payments: i64) -> Result<()> {
    let mut connection = superuser.acquire().await?;
    sqlx::query("set synchronous_commit = off").execute(&mut *connection).await?;
    sqlx::query(
        "insert into eventstore.events
         select s + 1, gen_random_uuid(), $2, 'revenue', 'revenue.payment',
                ('01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'))::uuid, 1, 'payment.received', 1,
                jsonb_build_object('client_id', ('01900000-0000-7000-8000-' || lpad(to_hex(s % 1000), 12, '0')),
                                   'amount', jsonb_build_object('minor', 100 + s % 10000, 'currency', 'EUR'),
                                   'received_on', (date '2026-01-01' + (s % 365)::int)::text, 'method', 'bank_transfer',
                                   'allocations', '[]'::jsonb,
                                   'unallocated', jsonb_build_object('minor', 100 + s % 10000, 'currency', 'EUR')),
                jsonb_build_object('actor', jsonb_build_object('kind', 'system', 'name', 'bench'),
                                   'correlation_id', gen_random_uuid(), 'command', 'revenue.payment.receive'),
                now() - interval '400 days' + s * interval '1 microsecond'
         from generate_series(0, $1 - 1) s",
    )
    .bind(payments)
    .bind(seed::tenant(0).0)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "insert into eventstore.streams
         select $2, 'revenue.payment', ('01900000-0000-7000-8000-' || lpad(to_hex(s), 12, '0'))::uuid, 1, s + 1, s + 1
         from generate_series(0, $1 - 1) s",
    )
    .bind(payments)
    .bind(seed::tenant(0).0)
    .execute(&mut *connection)
    .await?;
    sqlx::query("update eventstore.head set position = $1").bind(payments).execute(&mut *connection).await?;
    sqlx::query("update projections.checkpoints set position = $1, events = $1 where slot = 'live'")
        .bind(payments)
        .execute(&mut *connection)
        .await?;
    sqlx::query("set synchronous_commit = on").execute(&mut *connection).await?;
    sqlx::query("vacuum analyze").execute(&mut *connection).await?;
    Ok(())
}
