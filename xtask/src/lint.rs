//! The published descriptions of the APIs and of the events, read by the linters that authors of clients run: Spectral and
//! Redocly. Their versions and rules stand in `xtask/lint`.

use crate::command::{Workspace, run_ok};
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

const OPENAPI: [&str; 2] = ["docs/openapi/command.json", "docs/openapi/query.json"];
const ASYNCAPI: &str = "event-schemas/asyncapi.yaml";

/// Fails with every finding, warnings included.
pub fn check(workspace: &Workspace) -> Result<()> {
    let rules = workspace.root.join("xtask/lint");
    let read = |name: &str| fs::read_to_string(rules.join(name)).with_context(|| format!("reading xtask/lint/{name}"));
    let tools = local_servers::npm_tools("lint", &read("package.json")?, &read("package-lock.json")?)?;
    let tool = |name: &str| {
        let mut command = Command::new(tools.join("node_modules/.bin").join(name));
        command.arg("lint").current_dir(&workspace.root);
        // They look for nothing newer and tell nobody that they were run.
        command.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
        command
    };
    let mut spectral = tool("spectral");
    spectral
        .args(["--fail-severity", "warn", "--ruleset"])
        .arg(rules.join("spectral.yaml"))
        .args(OPENAPI)
        .arg(ASYNCAPI);
    let mut redocly = tool("redocly");
    redocly.arg("--config").arg(rules.join("redocly.yaml")).args(OPENAPI);
    let findings: Vec<String> = [("spectral", spectral), ("redocly", redocly)]
        .into_iter()
        .filter_map(|(name, command)| Some(format!("{name}: {:#}", run_ok(command).err()?)))
        .collect();
    if !findings.is_empty() {
        bail!("{}", findings.join("; "));
    }
    Ok(())
}
