//! `cargo xtask faults`

use crate::command::{self, Profile, Workspace, exit_code};
use crate::python;
use crate::steps::heading;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// Named places in `ubos` where it ends itself on demand; compiled in for this alone.
const CRASH_POINTS: [&str; 2] = ["--features", "server/crash-points"];

/// What to attack, and for how long.
#[derive(Args)]
pub struct FaultsArguments {
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The same seed attacks in the same way.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Commands a second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// `single` or `cluster`: three nodes with three copies of the stream.
    #[arg(long, default_value = "single")]
    nats: String,
    /// Only these kinds of faults, separated by commas.
    #[arg(long)]
    only: Option<String>,
    /// The folder for the evidence.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Tests the checker, builds, attacks and has the evidence judged; fails on a violation.
pub fn run(workspace: &Workspace, arguments: &FaultsArguments) -> Result<ExitCode> {
    let checker = workspace.root.join("tests/faults");
    let python = python::environment("faults-checker", &checker.join("checker/requirements.txt"))?;
    heading("testing the checker");
    let mut test = Command::new(&python);
    test.args(["-m", "unittest", "checker.tests.test_checker"]).current_dir(&checker);
    command::run_ok(test)?;
    heading("building the release");
    let ubos = workspace.build_with("ubos", Profile::Release, &CRASH_POINTS)?;
    // Built in the same way, so that nothing is compiled twice.
    let faults = workspace.build_with("faults", Profile::Release, &CRASH_POINTS)?;
    let out = match &arguments.out {
        Some(folder) => std::path::absolute(folder)?,
        None => std::env::temp_dir().join(format!("ubos-faults-{}", std::process::id())),
    };
    let mut command = Command::new(faults);
    command.current_dir(&workspace.root).arg("--ubos").arg(ubos).arg("--out").arg(&out);
    command.args(["--minutes", &arguments.minutes.to_string(), "--seed", &arguments.seed.to_string()]);
    command.args(["--rate", &arguments.rate.to_string(), "--nats", &arguments.nats, "--commit", &commit(workspace)]);
    if let Some(only) = &arguments.only {
        command.args(["--only", only]);
    }
    command.arg("--python").arg(python).arg("--checker").arg(&checker);
    heading("attacking");
    println!("the evidence is in {}", out.display());
    Ok(exit_code(command::run(command)?))
}

/// The commit, marked if the checkout holds changes besides.
fn commit(workspace: &Workspace) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(&workspace.root).stderr(Stdio::null()).output();
        output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let is_clean = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| changes.is_empty());
    if is_clean { commit } else { format!("{commit} with changes") }
}
