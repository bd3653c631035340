//! Chores: bring the stack up, run the tests, rewrite what is generated.

mod api_fuzz;
mod attacks;
mod bench;
mod check;
mod command;
mod compose;
mod deny;
mod documents;
mod effects;
mod faults;
mod generate;
mod lint;
mod migration;
mod papers;
mod python;
mod recipes;
mod sbom;
mod schema;
mod secrets;
mod stack;
mod steps;
mod tests;
mod throwaway;
mod webhooks;

use anyhow::Result;
use clap::{Parser, Subcommand};
use command::Workspace;
use std::process::ExitCode;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Chores of this repository", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Starts servers and every role on this machine and drives the first flagship through them.
    Up(stack::UpArguments),
    /// Stops what `up` started, and nothing else.
    Down(stack::DownArguments),
    /// Runs the tests against throw-away servers of their own.
    Test(tests::TestArguments),
    /// Rewrites the generated files: schemas, API descriptions, the present database, the commented default settings.
    Gen {
        /// Changes nothing; fails if a file would change.
        #[arg(long)]
        check: bool,
    },
    /// Prints the SQL that a context's read tables lack, compared with what their row types declare: a migration to review.
    Migration {
        /// `crm`
        context: String,
    },
    /// Does what the recipes of CONTRIBUTING.md say in a copy of the checkout, and counts the files that a person touches.
    Recipes(recipes::RecipesArguments),
    /// Everything CI runs besides the tests: format, lints, generated files, licences and bans, documentation.
    Check(check::CheckArguments),
    /// Measures the release build on durable throw-away servers.
    Bench(bench::BenchArguments),
    /// Asks both APIs for everything that their descriptions allow, and much that they do not (schemathesis).
    ApiFuzz(api_fuzz::ApiFuzzArguments),
    /// Writes what the product is made of: a CycloneDX bill of materials.
    Sbom(sbom::SbomArguments),
    /// Attacks two copies of every role under load, and has what everybody saw judged by an independent checker.
    Faults(faults::FaultsArguments),
    /// Has effects made at providers that fail, while whoever works for us is killed, and looks whether each is there once.
    Effects(effects::EffectsArguments),
}

fn main() -> ExitCode {
    command::watch_for_interrupts();
    let outcome = Workspace::find().and_then(|workspace| run(Arguments::parse().verb, &workspace));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            // What a shell expects of a program that Ctrl-C ended.
            if command::interrupted() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

fn run(verb: Verb, workspace: &Workspace) -> Result<ExitCode> {
    match verb {
        Verb::Up(arguments) => stack::up(workspace, &arguments),
        Verb::Down(arguments) => stack::down(workspace, &arguments),
        Verb::Test(arguments) => tests::run(workspace, &arguments),
        Verb::Gen { check: false } => generate::rewrite(workspace),
        Verb::Gen { check: true } => generate::check(workspace),
        Verb::Migration { context } => migration::print(workspace, &context),
        Verb::Recipes(arguments) => recipes::run(workspace, &arguments),
        Verb::Check(arguments) => check::run(workspace, &arguments),
        Verb::Bench(arguments) => bench::measure(workspace, &arguments),
        Verb::ApiFuzz(arguments) => api_fuzz::run(workspace, &arguments),
        Verb::Sbom(arguments) => sbom::write(workspace, &arguments),
        Verb::Faults(arguments) => faults::run(workspace, &arguments),
        Verb::Effects(arguments) => effects::run(workspace, &arguments),
    }
}
