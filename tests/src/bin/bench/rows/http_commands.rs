//! Commands over HTTP, beside postgres-es called in process; two copies of command-api beside one.

use super::rename_request;
use crate::family::Family;
use crate::goal::Goal;
use crate::limits::postgres_es::PostgresEs;
use crate::plan::Plan;
use crate::product::Product;
use crate::record::{Records, Series};
use crate::seed::{SMALL, tenant};
use crate::wire;
use anyhow::Result;
use testing::{TestDatabase, TestNats};

const OURS: Series = Series::of("commands over HTTP", "UBOS");
const TWO: Series = Series::of("commands over HTTP", "UBOS, two copies");
const STOCK: Series = Series::of("commands in process, same passes", "postgres-es");

/// The family.
pub const FAMILY: Family = Family {
    word: "http-commands",
    title: "Commands over HTTP",
    about: "The same renames as requests to `ubos command-api`, a process of its own: EdDSA token, idempotency key, \
            validation, append. postgres-es is called in process, without any of that. Relay, projections and workflow \
            do not run. The clients run on the same cores as the server. Two copies share one database, with the \
            connections dealt out evenly.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[
        Goal::at_least(2.0, OURS.at(64), STOCK.at(64)),
        Goal::at_least(2.5, OURS.at(256), STOCK.at(256)),
        Goal::at_least(0.9, TWO.at(64), OURS.at(64)),
        Goal::at_least(0.9, TWO.at(256), OURS.at(256)),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    SMALL.log(&log.superuser().await).await?;
    let product = Product::on(&log, &TestNats::new().url)?;
    let token = product.token(tenant(0))?;
    let (first, second) = (product.start("command-api").await?, product.start("command-api").await?);
    let stock = PostgresEs::start().await?;
    let mut client_cores = 0.0_f64;
    for pass in 0..=plan.passes {
        let seconds = if pass == 0 { 1 } else { plan.seconds };
        for at_once in [64, 256] {
            for (series, servers) in [(OURS, vec![first.address]), (TWO, vec![first.address, second.address])] {
                let token = token.clone();
                let driven = wire::closed(&servers, at_once, seconds, move |turn| rename_request(&token, turn)).await?;
                if pass > 0 {
                    client_cores = client_cores.max(driven.client_cores);
                    records.add(series.at(at_once), driven.sample);
                }
            }
            let peer = stock.run(at_once, seconds).await;
            if pass > 0 {
                records.add(STOCK.at(at_once), peer);
            }
        }
    }
    records.note(
        FAMILY.word,
        format!("The clients were busy on {client_cores:.1} of {} cores at most.", crate::report::cores()),
    );
    Ok(())
}
