//! DBOS for Node, installed into the cache folder when it is asked for.

use crate::measure::Sample;
use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

const PROGRAM: &str = include_str!("dbos.mjs");
const PACKAGE: &str = r#"{
  "name": "ubos-bench-dbos", "private": true, "type": "module",
  "dependencies": { "@dbos-inc/dbos-sdk": "5.3.0", "pg": "8.23.1" }
}"#;

/// Where it is installed.
pub struct Dbos(PathBuf);

impl Dbos {
    /// Installs it unless it is there.
    pub fn install() -> Result<Self> {
        let folder = local_servers::cache_folder()?.join("peers").join("dbos");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("dbos.mjs"), PROGRAM)?;
        std::fs::write(folder.join("package.json"), PACKAGE)?;
        if !folder.join("node_modules/@dbos-inc/dbos-sdk").exists() {
            let npm = Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&folder).status();
            ensure!(npm.context("npm is needed for peers")?.success(), "DBOS cannot be installed");
        }
        Ok(Self(folder))
    }

    /// One measurement in a database of its own.
    pub fn measure(&self, in_flight: usize, seconds: u64) -> Result<Sample> {
        let url = std::env::var("UBOS_TEST_POSTGRES_URL").context("where PostgreSQL is")?;
        let arguments = [in_flight.to_string(), seconds.to_string()];
        let done =
            Command::new("node").arg("dbos.mjs").args(arguments).env("DATABASE_URL", url).current_dir(&self.0).output();
        let done = done.context("node is needed for peers")?;
        let said = String::from_utf8_lossy(&done.stdout);
        let line = said.lines().rev().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("DBOS said {said}{}", String::from_utf8_lossy(&done.stderr)))?;
        let seen: serde_json::Value = serde_json::from_str(line)?;
        ensure!(seen["errors"] == 0, "DBOS had errors: {line}");
        let number = |name: &str| seen[name].as_f64().unwrap_or(f64::NAN);
        let (rate, p50, p99, commits) = (number("rate"), number("p50"), number("p99"), number("commits"));
        Ok(Sample { rate, p50, p99, commits, statements: vec![] })
    }
}
