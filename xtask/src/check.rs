//! `cargo xtask check`

use crate::command::{Profile, Workspace, run_ok};
use crate::steps::{heading, seconds};
use crate::{attacks, compose, deny, documents, generate, lint, papers, recipes, secrets, webhooks};
use anyhow::{Result, bail};
use clap::Args;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// What to look at.
#[derive(Args)]
pub struct CheckArguments {
    /// Only these checks, such as `documents` or `containers`; every one unless named.
    only: Vec<String>,
}

type Check = (&'static str, fn(&Workspace) -> Result<()>);

/// From the quickest answer to the slowest.
const CHECKS: [Check; 13] = [
    ("format", |workspace| run_ok(workspace.cargo(&["fmt", "--all", "--check"]))),
    ("documents", documents::check),
    ("secrets", secrets::check),
    ("attack list", attacks::check),
    ("recipes' files", recipes::check),
    ("licences, bans and sources", licences),
    ("lints", |workspace| run_ok(workspace.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    ("generated files", |workspace| generate::compare(workspace, &workspace.build("ubos", Profile::Debug)?)),
    ("descriptions of the APIs", lint::check),
    ("containers", compose::check),
    ("papers", papers::check),
    ("webhooks", webhooks::check),
    ("documentation", |workspace| {
        let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        run_ok(doc)
    }),
];

/// Runs every check, also after one has failed, so that one run shows everything there is to mend.
pub fn run(workspace: &Workspace, arguments: &CheckArguments) -> Result<ExitCode> {
    if let Some(unknown) = arguments.only.iter().find(|only| !CHECKS.iter().any(|(name, _)| name == only)) {
        let known: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
        bail!("no check {unknown:?}: expected one of {}", known.join(", "));
    }
    let mut failed = Vec::new();
    let chosen = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    for (name, check) in CHECKS.into_iter().filter(|(name, _)| chosen(name)) {
        heading(name);
        let begun = Instant::now();
        let outcome = check(workspace);
        crate::command::stop_if_interrupted()?;
        match outcome {
            Ok(()) => println!("✓ {name} ({})", seconds(begun.elapsed())),
            Err(error) => {
                println!("✗ {name} ({}): {error:#}", seconds(begun.elapsed()));
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} failed", failed.join(", "));
    }
    println!("\nall checks passed");
    Ok(ExitCode::SUCCESS)
}

fn licences(workspace: &Workspace) -> Result<()> {
    let installed = workspace.cargo(&["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        println!("cargo-deny is not installed: reading deny.toml ourselves; advisories are NOT checked");
        return deny::check(workspace);
    }
    run_ok(workspace.cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    let advisories: Command = workspace.cargo(&["deny", "check", "advisories"]);
    if let Err(error) = run_ok(advisories) {
        // The database comes from the network, so a failure may mean no more than that there is none.
        println!("advisories could not be checked or have findings, which does not fail this check: {error:#}");
    }
    Ok(())
}
