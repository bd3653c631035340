//! `cargo xtask effects`

use crate::command::Workspace;
use crate::tests;
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// How many, and which.
#[derive(Args)]
pub struct EffectsArguments {
    /// Effects at providers.
    #[arg(long, default_value_t = 1_000)]
    count: u32,
    /// The same seed asks for the same, and has the same go wrong.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Has effects made at providers that fail, while whoever works for us is killed; fails if anything was done twice or was lost.
pub fn run(workspace: &Workspace, arguments: &EffectsArguments) -> Result<ExitCode> {
    let rest = ["-p", "e2e", "--test", tests::EFFECTS, "--", "--nocapture"].map(str::to_owned);
    let environment =
        [("UBOS_EFFECTS", arguments.count.to_string()), ("UBOS_EFFECTS_SEED", arguments.seed.to_string())];
    tests::full(workspace, &rest, &environment)
}
