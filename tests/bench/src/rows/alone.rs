//! One command at a time, beside one bare insert.

use crate::clients::{self, rename_one, rename_request};
use crate::family::Family;
use crate::goal::Goal;
use crate::load;
use crate::plan::Plan;
use crate::product::{self, Product};
use crate::record::{Figure, Records, Series};
use crate::seed::{SMALL, tenant};
use crate::wire;
use anyhow::Result;
use event_store::StoreOptions;
use serde_json::json;
use sqlx::PgPool;
use testing::{TestDatabase, TestNats};
use uuid::Uuid;

const OURS: Series = Series::of("one command alone, in process", "UBOS");
const HTTP: Series = Series::of("one command alone, over HTTP", "UBOS");
const NOTHING: Series = Series::of("one answer with nothing behind it, over HTTP", "UBOS");
const INSERT: Series = Series::of("one bare insert", "sqlx");

/// The family.
pub const FAMILY: Family = Family {
    word: "alone",
    title: "One command alone",
    about: "One client that waits for each answer. The limit is the same driver committing one row with the columns of an \
            event into a table with a primary key and an index, and nothing else.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[Goal::at_most(2.0, Figure::P50, OURS, INSERT), Goal::at_most(2.0, Figure::P50, HTTP, INSERT)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    // Two logs, because what one process writes makes the other one load its streams again.
    let (log, served) = (TestDatabase::create().await, TestDatabase::create().await);
    for log in [&log, &served] {
        SMALL.log(&log.superuser().await).await?;
    }
    let bare = log.superuser().await;
    crate::limits::pgbench::prepare(&bare).await?;
    let store = product::store(&log, StoreOptions::default()).await?;
    let product = Product::on(&served, &TestNats::new().url)?;
    let token = product.token(tenant(0))?;
    let api = product.start("command-api").await?;
    for pass in 0..=plan.passes {
        // The first pass, which does not count, gets to know the streams.
        let seconds = plan.seconds;
        let ours = store.clone();
        let turn = move |turn| {
            let store = ours.clone();
            async move { rename_one(&store, SMALL, turn).await.is_some() }
        };
        let ours = load::closed(1, seconds, turn).await;
        let pool = bare.clone();
        let limit = load::closed(1, seconds, move |turn| insert(pool.clone(), turn)).await;
        let health = wire::get("/health", &token, "");
        let nothing = wire::closed(&[api.address], 1, seconds, move |_| health.clone()).await?;
        let token = token.clone();
        let http = wire::closed(&[api.address], 1, seconds, move |turn| rename_request(&token, turn)).await?;
        if pass > 0 {
            records.add(OURS, ours);
            records.add(INSERT, limit);
            records.add(HTTP, http.sample);
            records.add(NOTHING, nothing.sample);
        }
    }
    Ok(())
}

async fn insert(pool: PgPool, turn: u64) -> bool {
    let sql = "insert into events (event_id, tenant_id, domain, aggregate_type, aggregate_id, sequence, event_type,
                   event_version, payload, metadata)
               values ($1, $2, 'crm', 'crm.client', $1, 1, 'client.renamed', 1, $3, $4)";
    let metadata = json!({ "actor": { "kind": "user", "id": Uuid::nil() }, "correlation_id": Uuid::now_v7(), "command": "crm.client.rename" });
    let query = sqlx::query(sql).bind(Uuid::now_v7()).bind(tenant(0).0);
    query.bind(json!({ "name": clients::new_name(turn) })).bind(metadata).execute(&pool).await.is_ok()
}
