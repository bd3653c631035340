//! The first benchmark: ours beside its peers and limits, interleaved in one run, on real servers with durability on.
//!
//! `cargo xtask bench` builds it in release, starts PostgreSQL and NATS with `fsync` on and passes their addresses.
//! Absolute numbers are this machine's; the ratios are what to look at.

mod append;
mod http;
mod measure;
mod readers;

use anyhow::{Context, Result};
use measure::Table;

/// How long and how often everything is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Seconds per measurement.
    pub seconds: u64,
    /// Interleaved passes; medians are over them.
    pub passes: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    runtime::install_crypto();
    let quick = std::env::args().any(|arg| arg == "--quick");
    let plan = if quick { Plan { seconds: 2, passes: 3 } } else { Plan { seconds: 5, passes: 5 } };
    let mut table = Table::default();
    append::measure(plan, &mut table).await.context("append")?;
    readers::measure(plan, &mut table).await.context("relay and replay")?;
    http::measure(plan, &mut table).await.context("HTTP")?;
    println!("{table}");
    Ok(())
}
