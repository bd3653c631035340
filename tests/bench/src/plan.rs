//! What is measured, for how long, how often.

use clap::Parser;
use std::path::PathBuf;

/// `cargo xtask bench` passes these on.
#[derive(Debug, Clone, Parser)]
#[command(about = "Measures the product beside its peers and its limits")]
pub struct Arguments {
    /// Three minutes: fewer rows, fewer and shorter passes; says what it leaves out.
    #[arg(long)]
    pub quick: bool,
    /// Installs DBOS, Express and Emmett into a folder of the bench's own and measures them too.
    #[arg(long)]
    pub peers: bool,
    /// Only the rows whose word contains this, or one of these: `relay,delivery`.
    #[arg(long, value_name = "WORDS")]
    pub only: Option<String>,
    /// Seconds per measurement.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Interleaved passes; medians are over them.
    #[arg(long)]
    pub passes: Option<usize>,
    /// Seconds of load under which memory is watched.
    #[arg(long, default_value_t = 600)]
    pub memory_seconds: u64,
    /// Growth up to a log of ten million events instead of one million; takes half an hour and 15 GB more.
    #[arg(long)]
    pub growth_max: bool,
    /// Writes report and plots into this folder; families that were left out stay there as they are.
    #[arg(long, value_name = "FOLDER")]
    pub write: Option<PathBuf>,
    /// Writes what was seen as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Seconds per measurement.
    pub seconds: u64,
    /// Interleaved passes.
    pub passes: usize,
    /// Is this the short run?
    pub quick: bool,
    /// Are the peers measured that must be installed?
    pub peers: bool,
    /// Seconds of load under which memory is watched.
    pub memory_seconds: u64,
    /// Does growth go to ten million events?
    pub growth_max: bool,
}

impl Plan {
    /// What the arguments ask for.
    pub fn of(arguments: &Arguments) -> Self {
        let (seconds, passes) = if arguments.quick { (1, 3) } else { (5, 5) };
        Self {
            seconds: arguments.seconds.unwrap_or(seconds).max(1),
            passes: arguments.passes.unwrap_or(passes).max(1),
            quick: arguments.quick,
            peers: arguments.peers,
            memory_seconds: arguments.memory_seconds,
            growth_max: arguments.growth_max,
        }
    }

    /// Passes of what takes a minute each time.
    pub fn heavy_passes(&self) -> usize {
        self.passes.min(3)
    }
}
