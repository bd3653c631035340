//! `cargo xtask bench`

use crate::command::{Profile, Workspace, exit_code, run};
use crate::steps::heading;
use crate::throwaway::ThrowawayServers;
use anyhow::Result;
use clap::Args;
use local_servers::PostgresMode;
use std::process::{Command, ExitCode};

/// What to measure. Without any of these everything is measured and `docs/benchmarks.md` is written anew.
#[derive(Args)]
pub struct BenchArguments {
    /// Three minutes instead of an hour: fewer rows, rougher numbers; says what it leaves out.
    #[arg(long)]
    quick: bool,
    /// Installs the peers that are no crates (DBOS, Express, Emmett) into a folder of the bench's own, and measures them.
    #[arg(long)]
    peers: bool,
    /// Only the rows whose word contains this, or one of these: `commands`, `relay,delivery`.
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Seconds per measurement.
    #[arg(long)]
    seconds: Option<u64>,
    /// Interleaved passes; medians are over them.
    #[arg(long)]
    passes: Option<usize>,
    /// Seconds of load under which memory is watched.
    #[arg(long, value_name = "SECONDS")]
    memory_seconds: Option<u64>,
    /// Growth up to ten million events instead of one million.
    #[arg(long)]
    growth_max: bool,
    /// Writes the report also after a quick or partial run.
    #[arg(long)]
    write: bool,
    /// Also writes every sample as JSON into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
}

/// Measures the release build; every commit is on the disk, because everything else would flatter us.
pub fn measure(workspace: &Workspace, arguments: &BenchArguments) -> Result<ExitCode> {
    heading("building the release");
    let ubos = workspace.build("ubos", Profile::Release)?;
    let bench = workspace.build("bench", Profile::Release)?;
    heading("servers");
    let servers = ThrowawayServers::start(PostgresMode::Durable)?;
    heading("measuring");
    let mut command = Command::new(bench);
    command.env("UBOS_BIN", ubos).current_dir(&workspace.root);
    arguments.tell(&mut command);
    servers.tell(&mut command);
    Ok(exit_code(run(command)?))
}

impl BenchArguments {
    fn tell(&self, command: &mut Command) {
        for (flag, given) in [("--quick", self.quick), ("--peers", self.peers), ("--growth-max", self.growth_max)] {
            if given {
                command.arg(flag);
            }
        }
        let values = [
            ("--only", self.only.clone()),
            ("--seconds", self.seconds.map(|n| n.to_string())),
            ("--passes", self.passes.map(|n| n.to_string())),
            ("--memory-seconds", self.memory_seconds.map(|n| n.to_string())),
            ("--json", self.json.clone()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                command.args([name, &value]);
            }
        }
        if self.write || (!self.quick && self.only.is_none()) {
            command.args(["--write", "docs"]);
        }
    }
}
