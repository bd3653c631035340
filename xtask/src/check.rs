//! `cargo xtask check`

use crate::command::{Profile, Workspace, run_ok};
use crate::steps::{heading, seconds};
use crate::{attacks, deny, generate, secrets};
use anyhow::{Result, bail};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

type Check = (&'static str, fn(&Workspace) -> Result<()>);

/// From the quickest answer to the slowest.
const CHECKS: [Check; 7] = [
    ("format", |workspace| run_ok(workspace.cargo(&["fmt", "--all", "--check"]))),
    ("secrets", secrets::check),
    ("attack list", attacks::check),
    ("licences, bans and sources", licences),
    ("lints", |workspace| run_ok(workspace.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))),
    ("generated files", |workspace| generate::compare(workspace, &workspace.build("ubos", Profile::Debug)?)),
    ("documentation", |workspace| {
        let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        run_ok(doc)
    }),
];

/// Runs every check, also after one has failed, so that one run shows everything there is to mend.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
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
