//! Commands while relay and projections follow the same log.

use crate::clients::rename_request;
use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::processor::Used;
use crate::product::Product;
use crate::record::{Records, Series};
use crate::seed::{SMALL, tenant};
use crate::wire;
use anyhow::Result;
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};

const ON: Series = Series::of("commands over HTTP", "UBOS, relay and projections on").at(64);
const RELAY: Series = Series::of("commands over HTTP", "UBOS, relay on").at(64);
const OFF: Series = Series::of("commands over HTTP", "UBOS, relay and projections off").at(64);

/// The family.
pub const FAMILY: Family = Family {
    word: "readers-on",
    title: "Commands while everybody reads",
    about: "The same 64 connections with `ubos relay` and `ubos projections` running as processes, and with both \
            stopped; and with the relay alone, to tell the two apart. They start on a stream and tables that have seen the whole log, and follow what is appended while \
            it is measured.",
    load: "at once",
    unit: "per second",
    quick: true,
    goals: &[Goal::at_least(0.7, ON, OFF)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let superuser = log.superuser().await;
    SMALL.log(&superuser).await?;
    SMALL.rows(&superuser).await?;
    let product = Product::on(&log, &TestNats::new().url)?;
    let token = product.token(tenant(0))?;
    let api = product.start("command-api").await?;
    let mut behind = 0;
    for pass in 0..=plan.passes {
        let seconds = if pass == 0 { 1 } else { plan.seconds };
        for (series, roles) in [(OFF, &[][..]), (RELAY, &["relay"][..]), (ON, &["relay", "projections"][..])] {
            let mut running = vec![];
            for role in roles {
                running.push(product.start(role).await?);
            }
            caught_up(&superuser, roles).await?;
            let token = token.clone();
            let renames = move |turn| rename_request(&token, turn);
            let before = Used::now(&superuser).await?;
            let driven = wire::closed(&[api.address], 64, seconds, renames).await?;
            let used = Used::now(&superuser).await?.since(&before);
            behind = behind.max(lag(&superuser, roles).await?);
            running.into_iter().rev().try_for_each(|role| role.stop())?;
            if pass > 0 {
                records.add(series, driven.sample);
            }
            if pass == plan.passes {
                records.note(FAMILY.word, format!("Cores with {}, in the last pass: {used}.", series.who));
            }
        }
    }
    records.note(
        FAMILY.word,
        format!("At the end of a measurement the slower of the two was {behind} events behind at most."),
    );
    Ok(())
}

/// How far the slower of these roles is behind the log.
async fn lag(superuser: &sqlx::PgPool, roles: &[&str]) -> Result<i64> {
    let sql = "select h.position - least(h.position, case when 'relay' = any ($1) then (select position from eventstore.relay) end,
                                         case when 'projections' = any ($1) then (select min(position) from projections.checkpoints
                                                                                  where slot = 'live') end)
               from eventstore.head h";
    Ok(sqlx::query_scalar(sql).bind(roles).fetch_one(superuser).await?)
}

async fn caught_up(superuser: &sqlx::PgPool, roles: &[&str]) -> Result<()> {
    let started = Instant::now();
    while lag(superuser, roles).await? > 0 {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(120), "{} do not catch up", roles.join(" and "));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
