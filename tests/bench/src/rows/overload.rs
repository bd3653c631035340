//! Three times more than can be done, and a firm that asks for all of it.

use crate::clients::rename_request_of;
use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::product::Product;
use crate::record::{Figure, Records, Sample, Series};
use crate::report;
use crate::seed::{Seed, tenant};
use crate::wire::{self, Connection};
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};

const PEAK: Series = Series::of("commands answered", "at the rate it can sustain");
const GOOD: Series = Series::of("commands answered", "at three times that rate");
const AFTER: Series = Series::of("commands answered", "right after it");
const SHED: Series = Series::of("shed with 503", "at three times that rate");
const ALONE: Series = Series::of("a quiet firm", "alone");
const BESIDE_PEAK: Series = Series::of("a quiet firm", "beside a firm at the sustained rate");
const BESIDE_NOISE: Series = Series::of("a quiet firm", "beside a firm at three times that rate");

/// Two firms, of which the first is the noisy one.
const FIRMS: Seed = Seed { streams: 2_000, events: 1, tenants: 2, recent: true };
/// Requests of the quiet firm a second.
const QUIET_RATE: u64 = 100;
/// Who runs where, PostgreSQL, command-api and the clients: the log is what bounds commands, as in an installation with
/// copies of command-api to spare, and the clients, who need much to ask for so much, take nothing from it. On fewer
/// than four cores the service shares the log's, so that whoever is turned away takes from who is not.
const ON_FOUR_CORES: [&str; 3] = ["0", "1,2", "3"];
const ON_TWO_CORES: [&str; 3] = ["0", "0", "1"];

/// The family.
pub const FAMILY: Family = Family {
    word: "overload",
    title: "Overload",
    about: "PostgreSQL on one core, command-api on two, the clients on one, so that the log bounds the commands and asking for \
            more takes nothing from it; with fewer than four cores, PostgreSQL and command-api share one. What it can sustain is a closed loop of 64 connections. Then one firm sends three \
            times as many renames a second over 1,000 connections, whatever is answered, and after it the closed loop runs \
            again, without a pause. A shed request counts from when it was sent. A second firm sends 100 a second all \
            the while.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[
        Goal::at_least(0.8, GOOD, PEAK),
        Goal::limit(50.0, Figure::P99, SHED),
        Goal::at_least(0.9, AFTER, PEAK),
        Goal::at_most(2.0, Figure::P99, BESIDE_NOISE, BESIDE_PEAK),
    ],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let [postgres, service, clients] = match report::cores() {
        0 | 1 => {
            records.note(FAMILY.word, "Not measured: it takes two cores to keep log and clients apart.");
            return Ok(());
        }
        2 | 3 => ON_TWO_CORES,
        _ => ON_FOUR_CORES,
    };
    let log = TestDatabase::create().await;
    FIRMS.log(&log.superuser().await).await?;
    let product = Product::on(&log, &TestNats::new().url)?;
    let tokens = [product.token(tenant(0))?, product.token(tenant(1))?];
    let postmaster: i64 = sqlx::query_scalar("select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::bigint")
        .fetch_one(&log.superuser().await)
        .await?;
    // Asked before this process is placed itself.
    let all = format!("0-{}", report::cores() - 1);
    let _placed = [Placed::on(postgres, postmaster, &all)?, Placed::on(clients, std::process::id().into(), &all)?];
    let server = product.start_on("command-api", service).await?;
    let servers = [server.address];
    let noisy = {
        let token = tokens[0].clone();
        move |turn| rename_request_of(FIRMS, &token, 2 * turn)
    };
    let quiet = {
        let token = tokens[1].clone();
        move |turn| rename_request_of(FIRMS, &token, 2 * turn + 1)
    };
    let (mut most, seconds) = (0.0_f64, plan.seconds.max(2));
    for pass in 0..=plan.passes {
        let alone = paced(server.address, 16, QUIET_RATE, seconds, quiet.clone()).await?;
        let (peak, beside_peak) = tokio::try_join!(
            wire::closed(&servers, 64, seconds, noisy.clone()),
            paced(server.address, 16, QUIET_RATE, seconds, quiet.clone()),
        )?;
        let rate = (3.0 * peak.sample.value) as u64;
        let (noise, beside_noise) = tokio::try_join!(
            paced(server.address, 1_000, rate, seconds, noisy.clone()),
            paced(server.address, 16, QUIET_RATE, seconds, quiet.clone()),
        )?;
        let after = wire::closed(&servers, 64, seconds, noisy.clone()).await?;
        most = most.max(server.resident_mib()?);
        if pass > 0 {
            for (series, sample) in [(PEAK, peak.sample), (GOOD, noise.good), (SHED, noise.shed), (AFTER, after.sample)]
            {
                records.add(series, sample);
            }
            for (series, paced) in [(ALONE, alone), (BESIDE_PEAK, beside_peak), (BESIDE_NOISE, beside_noise)] {
                records.add(series, paced.good);
            }
        }
    }
    records.note(FAMILY.word, format!("command-api held {most:.0} MiB at most."));
    Ok(())
}

/// A process that has only some of the cores until this is dropped; its children inherit them.
struct Placed {
    process: i64,
    all_cores: String,
}

impl Placed {
    fn on(cores: &str, process: i64, all_cores: &str) -> Result<Self> {
        place(cores, process)?;
        Ok(Self { process, all_cores: all_cores.to_owned() })
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // What stays placed would only slow down the rest of the run.
        drop(place(&self.all_cores, self.process));
    }
}

fn place(cores: &str, process: i64) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args(["--all-tasks", "--cpu-list", "--pid", cores, &process.to_string()]);
    ensure!(command.stdout(Stdio::null()).status()?.success(), "placing process {process} on cores {cores}");
    Ok(())
}

/// What a paced load saw.
struct Paced {
    /// What was done; the rest is in `shed` or failed.
    good: Sample,
    /// What was answered with 503.
    shed: Sample,
}

/// Sends `per_second` requests a second, evenly, as long as one of the connections is free for the next one.
async fn paced<F>(server: SocketAddr, connections: usize, per_second: u64, seconds: u64, request: F) -> Result<Paced>
where
    F: Fn(u64) -> Vec<u8> + Send + Sync + 'static,
{
    let mut open = vec![];
    for _ in 0..connections {
        open.push(Connection::open(server).await?);
    }
    let (request, turns) = (Arc::new(request), Arc::new(AtomicU64::new(0)));
    let (started, count) = (Instant::now(), per_second * seconds);
    let clients = open.into_iter().map(|mut connection| {
        let (request, turns) = (request.clone(), turns.clone());
        tokio::spawn(async move {
            let (mut good, mut shed, mut failed) = (vec![], vec![], 0);
            loop {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                if turn >= count {
                    return (good, shed, failed);
                }
                let due = started + Duration::from_secs_f64(turn as f64 / per_second as f64);
                tokio::time::sleep_until(due.into()).await;
                let bytes = request(turn);
                let sent = Instant::now();
                match connection.send(&bytes).await {
                    Ok(answer) if (200..300).contains(&answer.status) => good.push(sent.elapsed()),
                    Ok(answer) if answer.status == 503 => shed.push(sent.elapsed()),
                    Ok(_) => failed += 1,
                    Err(_) => return (good, shed, failed + 1),
                }
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let (mut good, mut shed, mut failed) = (vec![], vec![], 0);
    for client in clients {
        let (done, refused, broken) = client.await?;
        good.extend(done);
        shed.extend(refused);
        failed += broken;
    }
    let elapsed = started.elapsed();
    Ok(Paced { good: Sample::timed(good, elapsed, failed), shed: Sample::timed(shed, elapsed, 0) })
}
