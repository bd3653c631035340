//! The one binary `ubos`: every role and every operator verb is a subcommand.

mod audit;
mod backup;
mod demo;
mod documents;
mod events;
mod front;
mod generate;
mod integrators;
mod operate;
mod roles;
mod subjects;
mod tenants;
mod token;
mod vault;
mod verify;

use anyhow::Result;
use clap::{Parser, Subcommand};
use roles::Role;
use runtime::settings::Settings;
use std::path::PathBuf;
use std::process::ExitCode;

/// A request makes hundreds of small allocations on whatever thread it is; the system's allocator spends an eighth of a
/// command's time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The open-source backend that professional-services firms run their business on.
#[derive(Parser)]
#[command(name = "ubos", version, arg_required_else_help = true)]
struct Cli {
    /// Settings file (TOML); the environment (UBOS__SECTION__FIELD) overrides it.
    #[arg(long, global = true, env = "UBOS_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the role that takes commands over HTTP.
    CommandApi,
    /// Runs the role that answers queries over HTTP.
    QueryApi,
    /// Runs the role that publishes the log to NATS, or operates it.
    Relay {
        #[command(subcommand)]
        verb: Option<operate::RelayVerb>,
    },
    /// Runs the role that builds the read models, or operates it.
    Projections {
        #[command(subcommand)]
        verb: Option<operate::ProjectionsVerb>,
    },
    /// Runs the role that runs workflows, or operates it.
    Workflow {
        #[command(subcommand)]
        verb: Option<operate::WorkflowVerb>,
    },
    /// Runs the role that sends letters, or operates it.
    Mailer {
        #[command(subcommand)]
        verb: Option<operate::MailerVerb>,
    },
    /// Runs the role that lets integrators read their firm's events from NATS, or operates them.
    Integrators {
        #[command(subcommand)]
        verb: Option<integrators::IntegratorsVerb>,
    },
    /// Runs every role in one process, for small installs; the mailer and integrators where they are set up.
    All,
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

fn main() -> ExitCode {
    runtime::install_crypto();
    let cli = Cli::parse();
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => {
            eprintln!("ubos: {error}");
            return ExitCode::FAILURE;
        }
    };
    match tokio.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => {
            // One line for people; a role has logged the same with its context.
            eprintln!("ubos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let role = match &cli.verb {
        Verb::CommandApi => Some(vec![Role::CommandApi]),
        Verb::QueryApi => Some(vec![Role::QueryApi]),
        Verb::Relay { verb: None } => Some(vec![Role::Relay]),
        Verb::Projections { verb: None } => Some(vec![Role::Projections]),
        Verb::Workflow { verb: None } => Some(vec![Role::Workflow]),
        Verb::Mailer { verb: None } => Some(vec![Role::Mailer]),
        Verb::Integrators { verb: None } => Some(vec![Role::Integrators]),
        Verb::All => Some(vec![Role::CommandApi, Role::QueryApi, Role::Relay, Role::Projections, Role::Workflow]),
        _ => None,
    };
    if matches!(cli.verb, Verb::CrashPoints) {
        crash_points::POINTS.iter().filter(|_| crash_points::ARMED).for_each(|point| println!("{}", point.name()));
        return Ok(ExitCode::SUCCESS);
    }
    if let Verb::Integrators { verb: Some(integrators::IntegratorsVerb::Key) } = cli.verb {
        integrators::key()?;
        return Ok(ExitCode::SUCCESS);
    }
    if matches!(cli.verb, Verb::Gen) {
        generate::write(&std::env::current_dir()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Verb::Restore(arguments) = cli.verb {
        operate::log_to_stderr();
        backup::restore(|| Settings::load(cli.config.as_deref()), *arguments).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = Settings::load(cli.config.as_deref())?;
    if let Some(mut roles) = role {
        if matches!(cli.verb, Verb::All) && settings.mail.smtp_url.is_some() {
            roles.push(Role::Mailer);
        }
        if matches!(cli.verb, Verb::All) && settings.nats.system_url.is_some() {
            roles.push(Role::Integrators);
        }
        return roles::run(&settings, &roles).await;
    }
    operate::log_to_stderr();
    match cli.verb {
        Verb::Migrate => {
            runtime::database::migrate(&settings.database).await?;
            vault::hash_claims(&settings).await?;
            println!("migrated");
        }
        Verb::Settings { verb: SettingsVerb::Check } => println!("every setting is good"),
        Verb::Token(arguments) => println!("{}", token::mint(&settings, &arguments)?),
        Verb::Demo { verb } => demo::run(&settings, verb).await?,
        Verb::Events { verb } => events::run(&settings, verb).await?,
        Verb::Backup { verb } => backup::backup(&settings, verb).await?,
        Verb::Tenants { verb } => tenants::tenants(&settings, verb).await?,
        Verb::Users { verb } => tenants::users(&settings, verb).await?,
        Verb::Audit { verb } => audit::audit(&settings, verb).await?,
        Verb::Subjects { verb } => subjects::run(&settings, verb).await?,
        Verb::Vault { verb } => vault::run(&settings, verb).await?,
        Verb::Log { verb } => operate::log(&settings, verb).await?,
        Verb::Relay { verb: Some(verb) } => operate::relay(&settings, verb).await?,
        Verb::Projections { verb: Some(verb) } => return operate::projections(&settings, verb).await,
        Verb::Mailer { verb: Some(verb) } => operate::mailer(&settings, verb).await?,
        Verb::Integrators { verb: Some(verb) } => integrators::run(&settings, verb).await?,
        Verb::Workflow { verb: Some(verb) } => operate::workflow(&settings, verb).await?,
        Verb::Verify { wait_seconds } => return verify::run(&settings, wait_seconds).await,
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}
