//! Durable servers of its own, unless somebody has started some already.

use crate::Plan;
use anyhow::{Context as _, Result};
use local_servers::{Dirs, Nats, NatsOptions, Postgres, PostgresMode, ensure_installed, free_port};
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::process::{Command, ExitCode};

/// Starts servers and this program again with their addresses; none if it has them already.
pub fn restarted_with_servers(plan: &Plan) -> Result<Option<ExitCode>> {
    if std::env::var_os("UBOS_TEST_POSTGRES_URL").is_some() {
        return Ok(None);
    }
    let programs = ensure_installed(&mut |message| eprintln!("{message}"))?;
    let dirs = Dirs::throwaway()?;
    let mut postgres = Postgres::start(&programs, &dirs, free_port()?, PostgresMode::Durable)?;
    if plan.statements {
        count_statements(&postgres.url)?;
        postgres.restart()?;
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env("UBOS_TEST_POSTGRES_URL", &postgres.url);
    let nats = match plan.nats {
        true => {
            let options = NatsOptions { sync_always: true };
            Some(Nats::start(&programs, &dirs, free_port()?, free_port()?, options)?)
        }
        false => None,
    };
    if let Some(nats) = &nats {
        again.env("UBOS_TEST_NATS_URL", &nats.url);
    }
    let status = again.status().context("starting the measurement")?;
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn count_statements(url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        connection.execute("alter system set shared_preload_libraries = 'pg_stat_statements'").await?;
        Ok(())
    })
}
