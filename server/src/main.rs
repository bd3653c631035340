//! The one binary `ubos`: every role and every operator verb is a subcommand.

mod audit;
mod backup;
mod connect;
mod connections;
mod demo;
mod documents;
mod due;
mod event_gateway;
mod events;
mod front;
mod generate;
mod jobs;
mod manual;
mod metrics;
mod operate;
mod output;
mod providers;
mod reference;
mod roles;
mod status;
mod subjects;
mod tenants;
mod token;
mod vault;
mod verify;
mod webhooks;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{Done, Output, say};
use roles::RoleVerb;
use runtime::settings::Settings;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// A request makes hundreds of small allocations on whatever thread it is; the system's allocator spends an eighth of a
/// command's time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Which release, and of which commit.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("UBOS_COMMIT"), ")");

/// The open-source backend that professional-services firms run their business on.
#[derive(Parser)]
#[command(name = "ubos", version = VERSION, arg_required_else_help = true, max_term_width = 80)]
struct Cli {
    /// Settings file (TOML); the environment (UBOS__SECTION__FIELD) overrides it.
    #[arg(long, global = true, env = "UBOS_CONFIG")]
    config: Option<PathBuf>,
    /// Answers in one envelope for programs: verb, outcome, exit_code, data and error. Roles log JSON in any case.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    #[command(flatten)]
    Role(RoleVerb),
    /// Runs every role that is set up in one process, for small installs.
    All,
    /// Every role: where it answers, as whom it connects, whether it is set up.
    Roles,
    /// Every server and every queue, its leader and its lag, on one screen.
    Status,
    /// The settings, as file and environment make them.
    Settings {
        #[command(subcommand)]
        verb: SettingsVerb,
    },
    /// Makes roles and database if it may, then brings the schemas up to date.
    Migrate,
    /// Mints a development token; refuses to with production settings.
    Token(token::TokenArguments),
    /// The demo tenant.
    Demo {
        #[command(subcommand)]
        verb: demo::DemoVerb,
    },
    /// Firms, as operators see them.
    Tenants {
        #[command(subcommand)]
        verb: tenants::TenantsVerb,
    },
    /// Users of firms, as operators see them.
    Users {
        #[command(subcommand)]
        verb: tenants::UsersVerb,
    },
    /// The audit trail.
    Audit {
        #[command(subcommand)]
        verb: audit::AuditVerb,
    },
    /// The event log.
    Log {
        #[command(subcommand)]
        verb: operate::LogVerb,
    },
    /// Single events of the log, when one cannot be applied.
    Events {
        #[command(subcommand)]
        verb: events::EventsVerb,
    },
    /// Backups, with PostgreSQL's own tools.
    Backup {
        #[command(subcommand)]
        verb: backup::BackupVerb,
    },
    /// Restores a backup to a moment or a position, and what comes after that.
    Restore(Box<backup::RestoreArguments>),
    /// What is to be done because of events: emails, erasures.
    Jobs {
        #[command(subcommand)]
        verb: jobs::JobsVerb,
    },
    /// Connections of firms to providers outside.
    Connections {
        #[command(subcommand)]
        verb: connections::ConnectionsVerb,
    },
    /// Persons, when they are to be erased.
    Subjects {
        #[command(subcommand)]
        verb: subjects::SubjectsVerb,
    },
    /// The keys with which personal data is sealed.
    Vault {
        #[command(subcommand)]
        verb: vault::VaultVerb,
    },
    /// Proves that nothing is missing: log, stream, read models and runs. Fails if there is a difference.
    Verify {
        /// How long readers may take to catch up before differences count.
        #[arg(long, default_value_t = 60)]
        wait_seconds: u64,
    },
    /// Prints what a shell needs to complete our verbs and options.
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Prints the manual page of `ubos`, or writes one per verb.
    Man {
        /// The folder that they are written to; made if it is not there.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Rewrites what is generated from the code, below the current folder.
    Gen,
    /// Lists the places at which this binary dies if `UBOS_CRASH_AT` says so; none unless it was built for that.
    #[command(hide = true)]
    CrashPoints,
}

/// What can be asked of the settings.
#[derive(Debug, Subcommand)]
enum SettingsVerb {
    /// Reads them as every role does, connects to nothing, and names what is missing, unknown or wrong.
    Check,
}

/// A process that serves, or a verb that has ended.
enum Ended {
    Role(ExitCode),
    Verb(Done),
}

fn main() -> ExitCode {
    runtime::install_crypto();
    let (cli, out) = match Cli::command().try_get_matches() {
        Ok(matches) => match Cli::from_arg_matches(&matches) {
            Ok(cli) => {
                let json = cli.json;
                (cli, Output::new(verb_of(&matches), json))
            }
            Err(error) => error.exit(),
        },
        Err(error) => {
            let is_json = std::env::args_os().any(|argument| argument == "--json");
            if is_json && error.use_stderr() {
                return Output::new(verb_of_words(), true).refuse(&error.to_string());
            }
            error.exit()
        }
    };
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => {
            eprintln!("ubos: {error}");
            return ExitCode::FAILURE;
        }
    };
    match tokio.block_on(run(cli, &out)) {
        Ok(Ended::Role(code)) => code,
        Ok(Ended::Verb(done)) => out.end(&Ok(done)),
        Err(error) => out.end(&Err(error)),
    }
}

/// `relay status`, as it was asked for.
fn verb_of(matches: &ArgMatches) -> String {
    let mut words = vec![];
    let mut matches = matches;
    while let Some((word, more)) = matches.subcommand() {
        words.push(word);
        matches = more;
    }
    words.join(" ")
}

/// The same of a command line that cannot be read: as far as its words are verbs.
fn verb_of_words() -> String {
    let mut command = Cli::command();
    let mut words = vec![];
    for word in std::env::args().skip(1) {
        if let Some(found) = command.find_subcommand(&word).cloned() {
            words.push(word);
            command = found;
        }
    }
    words.join(" ")
}

async fn run(cli: Cli, out: &Output) -> Result<Ended> {
    let config = cli.config.as_deref();
    let roles = match &cli.verb {
        Verb::Role(named) if named.runs() => Some((roles::settings(config)?, vec![named.role])),
        Verb::All => {
            let settings = roles::settings(config)?;
            let wanted = roles::wanted(&settings);
            Some((settings, wanted))
        }
        _ => None,
    };
    if let Some((settings, roles)) = roles {
        return roles::run(&settings, &roles).await.map(Ended::Role);
    }
    operate::log_to_stderr();
    // What needs no settings, or sees to them itself.
    let verb = match cli.verb {
        Verb::CrashPoints => {
            let armed = crash_points::POINTS.iter().filter(|_| crash_points::ARMED).map(|point| point.name());
            let armed: Vec<_> = armed.collect();
            armed.iter().for_each(|point| say!(out, "{point}"));
            return Done::with(armed).map(Ended::Verb);
        }
        Verb::Role(named) => return named.answer(config, out).await.map(Ended::Verb),
        Verb::Roles => return roles::list(config, out).map(Ended::Verb),
        Verb::Completions { shell } => return manual::completions(&mut Cli::command(), shell, out).map(Ended::Verb),
        Verb::Man { to } => return manual::pages(Cli::command(), to.as_deref(), out).map(Ended::Verb),
        Verb::Gen => return generate::write(&std::env::current_dir()?, out).map(Ended::Verb),
        Verb::Restore(arguments) => {
            let settings = || roles::settings(config);
            return Box::pin(backup::restore(settings, *arguments, out)).await.map(Ended::Verb);
        }
        verb => verb,
    };
    let settings = roles::settings(config)?;
    Box::pin(operated(&settings, verb, out)).await.map(Ended::Verb)
}

/// A verb that works on an installation.
async fn operated(settings: &Settings, verb: Verb, out: &Output) -> Result<Done> {
    match verb {
        Verb::Migrate => {
            connect::migrate(settings).await?;
            let hashed = vault::hash_claims(settings, out).await?;
            say!(out, "migrated");
            Done::with(json!({ "claims_hashed": hashed }))
        }
        Verb::Status => status::run(settings, out).await,
        Verb::Settings { verb: SettingsVerb::Check } => {
            say!(out, "every setting is good");
            Done::with(json!({}))
        }
        Verb::Token(arguments) => {
            let token = token::mint(settings, &arguments)?;
            say!(out, "{token}");
            Done::with(json!({ "token": token }))
        }
        Verb::Demo { verb } => demo::run(settings, verb, out).await,
        Verb::Events { verb } => events::run(settings, verb, out).await,
        Verb::Backup { verb } => backup::backup(settings, verb, out).await,
        Verb::Tenants { verb } => tenants::tenants(settings, verb, out).await,
        Verb::Users { verb } => tenants::users(settings, verb, out).await,
        Verb::Audit { verb } => audit::audit(settings, verb, out).await,
        Verb::Subjects { verb } => subjects::run(settings, verb, out).await,
        Verb::Vault { verb } => vault::run(settings, verb, out).await,
        Verb::Log { verb } => operate::log(settings, verb, out).await,
        Verb::Jobs { verb } => jobs::run(settings, verb, out).await,
        Verb::Connections { verb } => connections::run(settings, verb, out).await,
        Verb::Verify { wait_seconds } => verify::run(settings, wait_seconds, out).await,
        _ => anyhow::bail!("a role, or a verb that needs no settings, came where neither belongs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            if !sub.has_subcommands() || !sub.is_subcommand_required_set() {
                found.push(path.trim().to_owned());
            }
            leaves(sub, &path, found);
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_takes_json_and_none_has_a_flag_of_its_own_for_it() {
        let mut command = Cli::command();
        command.build();
        let mut verbs = vec![];
        leaves(&command, "", &mut verbs);
        assert!(verbs.len() > 45, "{verbs:?}");
        for verb in verbs {
            let mut found = &command;
            for word in verb.split(' ') {
                found = found.find_subcommand(word).unwrap();
            }
            let json: Vec<_> = found.get_arguments().filter(|argument| argument.get_long() == Some("json")).collect();
            assert!(json.len() == 1 && json[0].is_global_set(), "{verb}");
        }
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused_with_what_could_be_meant() {
        for (line, values) in [
            (
                "workflow runs --status nonsense",
                "running, waiting, parked, compensating, succeeded, cancelled, compensated",
            ),
            ("tenants list --status nonsense", "trialing, active, past_due, suspended, closed"),
            ("projections replay nonsense", "all, agreements"),
            ("projections retry nonsense", "all, agreements"),
            ("projections verify nonsense", "all, agreements"),
            ("projections plan nonsense", "all, agreements"),
            ("projections rollback all", "agreements, communications"),
            ("audit export --tenant 01935a00-0000-7000-8000-000000000001 --outcome nonsense", "accepted, denied"),
            ("audit export --tenant 01935a00-0000-7000-8000-000000000001 --format nonsense", "ndjson, csv"),
            (
                "token --tenant 01935a00-0000-7000-8000-000000000001 --subject 01935a00-0000-7000-8000-000000000001 \
              --roles owner,nonsense",
                "owner, admin, member or viewer",
            ),
            ("workflow runs --limit 0", "1..=10000"),
            ("workflow runs --limit -1", "1..=10000"),
            ("events show 0", "1.."),
            ("relay retry --position 0", "1.."),
            ("jobs retry 0", "1.."),
            ("jobs list --state nonsense", "due, unknown, blocked, parked, done, dropped"),
            ("connections list --provider nonsense", "docusign"),
            ("connections list --status nonsense", "pending, connected, degraded, auth_error, paused, disconnected"),
            ("relay reseed --from 0", "1.."),
            (
                "event-gateway rewind --tenant 01935a00-0000-7000-8000-000000000001 \
              01935a00-0000-7000-8000-000000000001 --to nonsense",
                "first, new",
            ),
            ("completions nonsense", "bash"),
        ] {
            let words = std::iter::once("ubos").chain(line.split_whitespace());
            let error = Cli::command().try_get_matches_from(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            let message = error.to_string();
            assert!(message.contains(values), "{line}: {message}");
        }
    }

    #[test]
    fn the_version_names_the_commit() {
        let version = Cli::command().render_version();
        assert!(version.starts_with("ubos 0.") && version.contains('(') && !version.contains("unknown"), "{version}");
    }

    #[test]
    fn help_fits_80_columns() {
        fn check(command: &mut clap::Command) {
            let help = command.clone().render_help().to_string();
            let long = help.lines().find(|line| line.chars().count() > 80 && !line.trim_start().starts_with("Usage"));
            assert_eq!(long, None, "{}", command.get_name());
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&mut command);
    }
}
