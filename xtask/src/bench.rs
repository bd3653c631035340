//! `cargo xtask bench`

use crate::command::{Profile, Workspace, exit_code, run};
use crate::steps::heading;
use crate::throwaway::ThrowawayServers;
use anyhow::Result;
use clap::Args;
use local_servers::PostgresMode;
use std::process::{Command, ExitCode};

/// What to measure.
#[derive(Args)]
pub struct BenchArguments {
    /// A minute instead of several; the numbers are rougher.
    #[arg(long)]
    quick: bool,
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
    if arguments.quick {
        command.arg("--quick");
    }
    servers.tell(&mut command);
    Ok(exit_code(run(command)?))
}
