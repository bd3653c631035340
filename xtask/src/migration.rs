//! `cargo xtask migration`

use crate::command::{Workspace, capture};
use anyhow::Result;
use local_servers::{Dirs, Postgres, PostgresMode, ensure_installed, free_port, sweep_leftovers};
use std::process::{Command, ExitCode};

/// Prints the SQL that a context's read tables lack, and nothing else, so that it can go into a file.
pub fn print(workspace: &Workspace, context: &str) -> Result<ExitCode> {
    let program = workspace.build_example("missing_sql")?;
    sweep_leftovers();
    let programs = ensure_installed(&mut |message| eprintln!("{message}"))?;
    let dirs = Dirs::throwaway()?;
    let postgres = Postgres::start(&programs, &dirs, free_port()?, PostgresMode::Throwaway)?;
    let mut command = Command::new(program);
    command.arg(context).env("UBOS_TEST_POSTGRES_URL", &postgres.url);
    print!("{}", capture(command)?);
    Ok(ExitCode::SUCCESS)
}
