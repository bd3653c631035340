//! What every role weighs under load, and whether it grows.

use crate::clients::rename_request;
use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::product::{Process, Product};
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::{SMALL, scattered, tenant};
use crate::wire::{self, Connection};
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use tokio_util::sync::CancellationToken;

const ROLES: [&str; 5] = ["command-api", "query-api", "relay", "projections", "workflow"];
const FIRST: &str = "resident memory, first minute";
const LAST: &str = "resident memory, last minute";
/// Commands a second, and as many queries.
const PACE: u64 = 500;
/// Connections of each kind.
const CONNECTIONS: u64 = 20;
/// A look every so often.
const EVERY: Duration = Duration::from_secs(10);
/// How much a role may weigh more at the end than at the beginning.
const FLAT: f64 = 1.1;

/// The family.
pub const FAMILY: Family = Family {
    word: "memory",
    title: "Memory under load",
    about: "Every role as a process, 500 renames and 500 queries a second for as long as the run says, after half a minute \
            that is not counted; resident memory every ten seconds, medians of the first and of the last minute.",
    load: "at once",
    unit: "MiB",
    quick: false,
    goals: &[flat(ROLES[0]), flat(ROLES[1]), flat(ROLES[2]), flat(ROLES[3]), flat(ROLES[4])],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

const fn flat(role: &'static str) -> Goal {
    Goal::at_most(FLAT, Figure::Value, Series::of(LAST, role), Series::of(FIRST, role))
}

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let superuser = log.superuser().await;
    SMALL.log(&superuser).await?;
    SMALL.rows(&superuser).await?;
    let product = Product::on(&log, &TestNats::new().url)?;
    let token = product.token(tenant(0))?;
    let mut roles: Vec<Process> = vec![];
    for role in ROLES {
        roles.push(product.start(role).await?);
    }
    let (stop, failed) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let mut load = vec![];
    for number in 0..CONNECTIONS {
        let (rename, get) = (token.clone(), token.clone());
        let renames = move |turn| rename_request(&rename, turn * CONNECTIONS + number);
        let gets = move |turn: u64| {
            let (_, client) = SMALL.client(scattered(turn * CONNECTIONS + number));
            wire::get(&format!("/v1/crm/clients/{client}"), &get, "")
        };
        load.push(tokio::spawn(keep_pace(roles[0].address, stop.clone(), failed.clone(), renames)));
        load.push(tokio::spawn(keep_pace(roles[1].address, stop.clone(), failed.clone(), gets)));
    }
    tokio::time::sleep(Duration::from_secs(30.min(plan.memory_seconds / 2))).await;
    let (started, total) = (Instant::now(), Duration::from_secs(plan.memory_seconds));
    let minute = Duration::from_secs(60).min(total / 2);
    while started.elapsed() < total {
        tokio::time::sleep(EVERY.min(total / 4)).await;
        for role in &roles {
            let mib = role.resident_mib()?;
            if started.elapsed() <= minute + Duration::from_secs(1) {
                records.add(Series::of(FIRST, role.role), Sample::value(mib));
            } else if started.elapsed() >= total - minute {
                records.add(Series::of(LAST, role.role), Sample::value(mib));
            }
        }
    }
    stop.cancel();
    for client in load {
        client.await?;
    }
    let failed = failed.load(Ordering::Relaxed);
    records.note(FAMILY.word, format!("{} seconds; {failed} requests failed.", plan.memory_seconds));
    Ok(())
}

/// One client that sends its share of the pace, one request after the other.
async fn keep_pace(
    server: SocketAddr,
    stop: CancellationToken,
    failed: Arc<AtomicU64>,
    request: impl Fn(u64) -> Vec<u8> + Send,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(CONNECTIONS) / u32::try_from(PACE).unwrap_or(1));
    let mut connection = None;
    let mut turn = 0;
    while !stop.is_cancelled() {
        ticks.tick().await;
        turn += 1;
        if connection.is_none() {
            connection = Connection::open(server).await.ok();
        }
        let answered = match &mut connection {
            Some(connection) => connection.send(&request(turn)).await.map(|answer| answer.status).ok(),
            None => None,
        };
        if answered != Some(200) {
            failed.fetch_add(1, Ordering::Relaxed);
            connection = None;
        }
    }
}
