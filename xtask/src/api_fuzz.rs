//! `cargo xtask api-fuzz`

use crate::command::Workspace;
use crate::{python, tests};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// How long, and with which chance.
#[derive(Args)]
pub struct ApiFuzzArguments {
    /// Requests for each operation, besides those that walk along the edges of its schema.
    #[arg(long, default_value_t = 100)]
    examples: u32,
    /// The same seed asks the same.
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Runs the tests in `api_fuzz` with more examples than every test run has.
pub fn run(workspace: &Workspace, arguments: &ApiFuzzArguments) -> Result<ExitCode> {
    let words = ["-p", "e2e", "--test", "world", "--", "api_fuzz::"].map(str::to_owned);
    let settings = [
        ("UBOS_API_FUZZ_EXAMPLES", arguments.examples.to_string()),
        ("UBOS_API_FUZZ_SEED", arguments.seed.to_string()),
    ];
    tests::full(workspace, &words, &settings)
}

/// A Python that can run schemathesis.
pub fn environment(workspace: &Workspace) -> Result<PathBuf> {
    python::environment("api-fuzz", &workspace.root.join("tests/api-fuzz/requirements.txt"))
}
