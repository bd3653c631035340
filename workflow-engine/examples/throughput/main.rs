//! How many runs per second: ours, the limit by hand, and DBOS, interleaved on the same durable PostgreSQL.
//!
//! `cargo run --release -p workflow-engine --example throughput -- --peers` starts servers of its own. Absolute numbers are the
//! machine's; the ratios, taken in the same run, and the counts per run are what to look at.

mod by_hand;
mod measure;
mod ours;
mod peer;
mod servers;

use anyhow::{Context as _, Result};
use clap::Parser;
use measure::{Table, median};
use std::process::ExitCode;

/// What is measured, and for how long.
#[derive(Debug, Clone, Parser)]
pub struct Plan {
    /// Seconds per measurement, after one second of warming up.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Interleaved passes; medians are over them.
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Runs in flight.
    #[arg(long, value_delimiter = ',', default_value = "16,64")]
    in_flight: Vec<usize>,
    /// Measures DBOS too; it is installed into the cache folder, which needs node and npm.
    #[arg(long)]
    peers: bool,
    /// Lets the events come through relay and NATS, as they do between processes, instead of from the log.
    #[arg(long)]
    nats: bool,
    /// Triggers through a store of its own, as from another process: two appenders take turns then.
    #[arg(long)]
    apart: bool,
    /// Prints which statements a run costs; counting slows everything down a little.
    #[arg(long)]
    statements: bool,
    /// Leaves everything else out; for profilers.
    #[arg(long)]
    only_ours: bool,
}

fn main() -> Result<ExitCode> {
    let plan = Plan::parse();
    if let Some(code) = servers::restarted_with_servers(&plan)? {
        return Ok(code);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure_all(&plan))?;
    Ok(ExitCode::SUCCESS)
}

async fn measure_all(plan: &Plan) -> Result<()> {
    runtime::install_crypto();
    let peer = if plan.peers { Some(peer::Dbos::install()?) } else { None };
    let mut table = Table::default();
    for _ in 0..plan.passes {
        for in_flight in plan.in_flight.iter().copied() {
            let Plan { seconds, nats, apart, statements, .. } = *plan;
            let options = ours::Options { in_flight, seconds, nats, apart, statements };
            table.add("ours", in_flight, ours::measure(&options).await.context("ours")?);
            if plan.only_ours {
                continue;
            }
            table.add("by hand", in_flight, by_hand::measure(in_flight, plan.seconds).await.context("by hand")?);
            if let Some(dbos) = &peer {
                table.add("DBOS", in_flight, dbos.measure(in_flight, plan.seconds).context("DBOS")?);
            }
        }
    }
    println!("{table}");
    for in_flight in plan.in_flight.iter().copied() {
        let rate = |who| median(table.samples(who, in_flight).iter().map(|sample| sample.rate));
        let ratios = ["by hand", "DBOS"].map(|who| (who, rate("ours") / rate(who)));
        for (who, ratio) in ratios.iter().filter(|(_, ratio)| ratio.is_finite()) {
            println!("{in_flight} in flight: ours / {who} = {ratio:.2}");
        }
    }
    Ok(())
}
