//! Commands over HTTP, beside postgres-es called in process; two copies of command-api beside one.

use crate::clients::rename_request;
use crate::family::Family;
use crate::goal::Goal;
use crate::limits::postgres_es::PostgresEs;
use crate::plan::Plan;
use crate::processor::Used;
use crate::product::Product;
use crate::record::{Records, Series};
use crate::seed::{SMALL, tenant};
use crate::wire;
use anyhow::Result;
use testing::{TestDatabase, TestNats};

const OURS: Series = Series::of("commands over HTTP", "UBOS");
const TWO: Series = Series::of("commands over HTTP", "UBOS, two copies");
const STOCK: Series = Series::of("commands in process, same passes", "postgres-es");

/// How long everybody is driven before anything counts.
const WARM_UP_SECONDS: u64 = 6;

/// The family.
pub const FAMILY: Family = Family {
    word: "http-commands",
    title: "Commands over HTTP",
    about: "The same renames as requests to `ubos command-api`, a process of its own: EdDSA token, idempotency key, \
            validation, append. postgres-es is called in process, without any of that. Relay, projections and workflow \
            do not run. The clients run on the same cores as the server. Two copies share a log of their own, with the \
            connections dealt out evenly. Before the passes every copy has seen most of the clients.",
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
    let nats = TestNats::new();
    // Two copies have their own log: what one copy alone wrote to it meanwhile would make the other forget its states.
    let (alone, shared) = (TestDatabase::create().await, TestDatabase::create().await);
    let superuser = alone.superuser().await;
    SMALL.log(&superuser).await?;
    SMALL.log(&shared.superuser().await).await?;
    let (one, two) = (Product::on(&alone, &nats.url)?, Product::on(&shared, &nats.url)?);
    // The first token makes the keys that command-api reads.
    let (for_one, for_two) = (one.token(tenant(0))?, two.token(tenant(0))?);
    let copy = one.start("command-api").await?;
    let copies = (two.start("command-api").await?, two.start("command-api").await?);
    let competitors = [(OURS, for_one, vec![copy.address]), (TWO, for_two, vec![copies.0.address, copies.1.address])];
    let stock = PostgresEs::start().await?;
    let mut client_cores = 0.0_f64;
    for (_, token, servers) in &competitors {
        let token = token.clone();
        wire::closed(servers, 256, WARM_UP_SECONDS, move |turn| rename_request(&token, turn)).await?;
    }
    stock.run(64, 1).await;
    for pass in 1..=plan.passes {
        for at_once in [64, 256] {
            for (series, token, servers) in &competitors {
                let token = token.clone();
                let request = move |turn| rename_request(&token, turn);
                let before = Used::now(&superuser).await?;
                let driven = wire::closed(servers, at_once, plan.seconds, request).await?;
                let used = Used::now(&superuser).await?.since(&before);
                client_cores = client_cores.max(driven.client_cores);
                records.add(series.at(at_once), driven.sample);
                if pass == plan.passes {
                    let note = format!("Cores with {}, {at_once} at once, in the last pass: {used}.", series.who);
                    records.note(FAMILY.word, note);
                }
            }
            records.add(STOCK.at(at_once), stock.run(at_once, plan.seconds).await);
        }
    }
    records.note(
        FAMILY.word,
        format!("The clients were busy on {client_cores:.1} of {} cores at most.", crate::report::cores()),
    );
    Ok(())
}
