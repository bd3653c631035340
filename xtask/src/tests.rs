//! `cargo xtask test`

use crate::api_fuzz;
use crate::command::{self, Profile, Workspace, exit_code};
use crate::steps::{heading, seconds};
use crate::throwaway::ThrowawayServers;
use anyhow::{Context, Result};
use clap::Args;
use local_servers::PostgresMode;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::time::Instant;

/// A crate that reaches one of these can talk to a server; one that reaches none needs none for its tests.
const NEEDS_SERVERS: [&str; 5] = ["sqlx", "async-nats", "actix-web", "reqwest", "local-servers"];

/// A program of tests that is run alone, too, and needs no Python.
pub const EFFECTS: &str = "effects";

/// What to test.
#[derive(Args)]
pub struct TestArguments {
    /// Only tests that need no server: the domain, the event schemas and whatever else is pure.
    #[arg(long)]
    fast: bool,
    /// Passed on to `cargo test`, for example `-p event-store` or `-- --nocapture`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Runs the tests; the exit code is the runner's own.
pub fn run(workspace: &Workspace, arguments: &TestArguments) -> Result<ExitCode> {
    let begun = Instant::now();
    let code = if arguments.fast { fast(workspace, &arguments.rest) } else { full(workspace, &arguments.rest, &[]) };
    println!("\ntests took {}", seconds(begun.elapsed()));
    code
}

fn fast(workspace: &Workspace, rest: &[String]) -> Result<ExitCode> {
    let packages = pure_packages(&workspace.metadata()?)?;
    heading(&format!("tests without servers: {}", packages.join(" ")));
    let mut cargo = workspace.cargo(&["test"]);
    for package in &packages {
        cargo.args(["--package", package]);
    }
    cargo.args(rest);
    Ok(exit_code(command::run(cargo)?))
}

/// Runs the tests that `rest` chooses, all of them if it chooses none, with more of the environment set.
pub fn full(workspace: &Workspace, rest: &[String], environment: &[(&str, String)]) -> Result<ExitCode> {
    heading("building ubos");
    let binary = workspace.build("ubos", Profile::Debug)?;
    heading("servers");
    let servers = ThrowawayServers::start(PostgresMode::Throwaway)?;
    heading("tests");
    // One run shows everything that is broken, not only the first crate of it.
    let mut cargo = workspace.cargo(&["test", "--no-fail-fast"]);
    let chosen = rest.iter().take_while(|word| *word != "--").any(|word| word.starts_with("-p") || word == "--package");
    if !chosen {
        cargo.arg("--workspace");
    }
    let is_named = |names: &[&str]| rest.iter().any(|word| names.contains(&word.as_str()));
    if !chosen || is_named(&["e2e", "-pe2e"]) && !is_named(&[EFFECTS]) {
        cargo.env("UBOS_TEST_API_FUZZ_PYTHON", api_fuzz::environment(workspace)?);
    }
    cargo.args(rest).env("UBOS_BIN", binary).envs(environment.iter().map(|(name, value)| (name, value)));
    servers.tell(&mut cargo);
    // The servers end with their value, whether the tests passed, failed or were interrupted.
    Ok(exit_code(command::run(cargo)?))
}

/// The workspace's crates that cannot reach a server, not even in their tests.
fn pure_packages(metadata: &Value) -> Result<Vec<String>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: HashMap<String, String> =
        list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let edges: HashMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| (text(&node["id"]), list(&node["dependencies"]).iter().map(text).collect()))
        .collect();
    let reaches_server = |start: &str| {
        let (mut seen, mut next) = (HashSet::new(), vec![start.to_owned()]);
        while let Some(id) = next.pop() {
            if NEEDS_SERVERS.contains(&names.get(&id).map_or("", String::as_str)) {
                return true;
            }
            if seen.insert(id.clone()) {
                next.extend(edges.get(&id).into_iter().flatten().cloned());
            }
        }
        false
    };
    let members = metadata["workspace_members"].as_array().context("cargo metadata without members")?;
    let pure = members.iter().filter_map(Value::as_str).filter(|id| !reaches_server(id));
    let mut pure: Vec<String> = pure.filter_map(|id| names.get(id).cloned()).collect();
    pure.sort();
    Ok(pure)
}
