//! What operators do at the command line. Each verb prints what it found; `--json` prints it for machines.

use crate::roles::{bus, stream};
use crate::vault;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use event_store::{CommandBus, Log};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Name, Pattern, Permissions, TenantId};
use messaging::RelayOptions;
use projections::{Group, ReplayOptions, group, groups};
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use serde::Serialize;
use sqlx::PgPool;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Operators at a prompt do not want to wait long for a database that is away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Ended well, but streams are parked: neither success nor failure, so that a script can tell.
const PARKED: u8 = 3;

/// How a comparison ends: 1 if rows differ, 3 if nothing differs but streams are parked.
pub(crate) fn verdict(fine: bool, parked: bool) -> ExitCode {
    match (fine, parked) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(PARKED),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// What can be asked of the log.
#[derive(Debug, Subcommand)]
pub enum LogVerb {
    /// Prints the position of the last event.
    Head,
}

/// What can be asked of the relay.
#[derive(Debug, Subcommand)]
pub enum RelayVerb {
    /// Who leads, how far it is, what waits.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Events that NATS refuses; claim-checks took their places.
    DeadLetters {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Publishes dead letters in full, after whatever refused them was changed.
    Retry {
        /// Only the one at this position.
        #[arg(long)]
        position: Option<i64>,
    },
    /// Rebuilds the stream from the log.
    Reseed {
        /// First position of the rebuilt stream.
        #[arg(long, default_value_t = 1)]
        from: i64,
    },
}

/// What can be asked of the projections. Groups are domains: crm, scheduling, … or `all`.
#[derive(Debug, Subcommand)]
pub enum ProjectionsVerb {
    /// How far every group is.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Says what a replay would do.
    Plan {
        /// Which group, or all.
        group: String,
    },
    /// Rebuilds read models beside the live ones, compares and switches; nobody notices.
    Replay {
        /// Which group, or all.
        group: String,
        /// Switches although rows differ and the folds have not changed.
        #[arg(long)]
        accept_differences: bool,
    },
    /// Compares live read models with a fresh replay.
    Verify {
        /// Which group, or all.
        group: String,
    },
    /// Puts back what the last replay replaced.
    Rollback {
        /// Which group.
        group: String,
    },
    /// Streams that a projection cannot apply.
    Parked {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Applies parked streams again.
    Retry {
        /// Which group.
        group: String,
        /// Only this aggregate.
        #[arg(long)]
        aggregate: Option<Uuid>,
    },
}

/// Which run, and why something is done to it.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The firm.
    #[arg(long)]
    tenant: Uuid,
    /// The run.
    run: Uuid,
    /// Why, for the history.
    #[arg(long)]
    reason: Name,
}

/// What can be asked of the mailer.
#[derive(Debug, Subcommand)]
pub enum MailerVerb {
    /// Letters that were refused or given up, and why.
    Failed {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sends them again, after whatever refused them was changed.
    Retry {
        /// Only the one that the event at this position asked for.
        #[arg(long)]
        position: Option<i64>,
    },
}

/// What can be asked of the workflow engine.
#[derive(Debug, Subcommand)]
pub enum WorkflowVerb {
    /// Checks definitions and publishes them for a tenant; the shipped ones unless files are named.
    Publish {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// Lets the definitions have no more than this pattern grants, for files that somebody else wrote; may be given several
        /// times: --within 'crm.*' --within '*.read'.
        #[arg(long)]
        within: Vec<Pattern>,
        /// YAML or JSON files.
        files: Vec<PathBuf>,
    },
    /// Lists runs, the newest first.
    Runs {
        /// Only this firm's.
        #[arg(long)]
        tenant: Option<Uuid>,
        /// running, waiting, parked, succeeded, cancelled.
        #[arg(long)]
        status: Option<String>,
        /// How many.
        #[arg(long)]
        limit: Option<i64>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows one run with its steps.
    Show {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// The run.
        run: Uuid,
    },
    /// Has a parked run try its step again.
    Retry(RunArguments),
    /// Has a parked run go on without its step.
    Skip {
        #[command(flatten)]
        run: RunArguments,
        /// What later steps see as the step's result, as JSON.
        #[arg(long, default_value = "{}")]
        output: String,
    },
    /// Ends a run before its last step.
    Cancel(RunArguments),
}

/// Warnings go to standard error, so that standard output stays what the verb prints.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::new("warn,async_nats=error");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

/// As operators' verbs connect.
pub async fn worker_pool(settings: &Settings) -> Result<PgPool> {
    runtime::database::connect(settings.database.worker_url.expose_secret(), "operator", 8, PATIENCE).await
}

/// `ubos log …`
pub async fn log(settings: &Settings, verb: LogVerb) -> Result<()> {
    match verb {
        LogVerb::Head => println!("{}", Log::new(worker_pool(settings).await?).head().await?),
    }
    Ok(())
}

/// `ubos relay …`
pub async fn relay(settings: &Settings, verb: RelayVerb) -> Result<()> {
    let log = vault::log(settings, &worker_pool(settings).await?)?;
    let nats = crate::roles::nats(settings, settings.nats.relay(), "ubos operator").await?;
    let options = RelayOptions::new(stream(settings));
    match verb {
        RelayVerb::Status { json } => print(&messaging::status(&log, Some(&nats), &options).await?, json)?,
        RelayVerb::DeadLetters { json } => list(&messaging::dead_letters(&log).await?, json, "no dead letters")?,
        RelayVerb::Retry { position } => println!("{}", messaging::retry(&log, &nats, &options, position).await?),
        RelayVerb::Reseed { from } => {
            let bar = bar("events");
            let done = messaging::reseed(&log, &nats, &options, from, |progress| {
                bar.set_length(u64::try_from(progress.target - progress.from + 1).unwrap_or(0));
                bar.set_position(u64::try_from(progress.position - progress.from + 1).unwrap_or(0));
            });
            let done = done.await?;
            bar.finish_and_clear();
            println!("the stream holds positions {} to {}", done.from, done.position);
        }
    }
    Ok(())
}

/// `ubos projections …`
pub async fn projections(settings: &Settings, verb: ProjectionsVerb) -> Result<ExitCode> {
    let pool = worker_pool(settings).await?;
    let log = vault::log(settings, &pool)?;
    let bar = bar("events");
    let mut progress = |progress: &projections::Progress| {
        bar.set_length(u64::try_from(progress.total).unwrap_or(0));
        bar.set_position(u64::try_from(progress.done).unwrap_or(0));
        bar.set_message(format!("{} {:?}", progress.group, progress.stage).to_lowercase());
    };
    let (mut fine, mut parked) = (true, false);
    match verb {
        ProjectionsVerb::Status { json } => print(&projections::status(&pool).await?, json)?,
        ProjectionsVerb::Parked { json } => list(&projections::parked(&pool, None).await?, json, "nothing is parked")?,
        ProjectionsVerb::Plan { group } => {
            for group in named(&group)? {
                println!("{}", projections::plan(&log, group, &ReplayOptions::default().rebuild).await?);
            }
        }
        ProjectionsVerb::Replay { group, accept_differences } => {
            let options = ReplayOptions { accept_differences, ..ReplayOptions::default() };
            for group in named(&group)? {
                let report = projections::replay(&log, group, &options, &mut progress).await?;
                fine &= report.switched;
                parked |= !report.comparison.parked.is_empty();
                bar.suspend(|| println!("{report}"));
            }
        }
        ProjectionsVerb::Verify { group } => {
            for group in named(&group)? {
                let report = projections::verify(&log, group, &ReplayOptions::default().rebuild, &mut progress).await?;
                fine &= report.comparison.equal();
                parked |= !report.comparison.parked.is_empty();
                bar.suspend(|| println!("{report}"));
            }
        }
        ProjectionsVerb::Rollback { group } => {
            for group in named(&group)? {
                let position = projections::rollback(&log, group, &mut progress).await?;
                bar.suspend(|| println!("{}: the previous tables are live again, at position {position}", group.name));
            }
        }
        ProjectionsVerb::Retry { group, aggregate } => {
            for group in named(&group)? {
                let report = projections::retry(&log, group, aggregate).await?;
                parked |= !report.parked.is_empty();
                println!("{report}");
            }
        }
    }
    bar.finish_and_clear();
    Ok(verdict(fine, parked))
}

/// `ubos mailer …`
pub async fn mailer(settings: &Settings, verb: MailerVerb) -> Result<()> {
    let pool = worker_pool(settings).await?;
    match verb {
        MailerVerb::Failed { json } => {
            let failed = ::mailer::failed(&pool).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&failed)?);
            } else {
                for letter in &failed {
                    println!("{} at {}: {}", letter.tenant_id, letter.position, letter.error);
                }
                println!("{} letters", failed.len());
            }
        }
        MailerVerb::Retry { position } => {
            println!("{} letters are sent again", ::mailer::retry(&pool, position).await?)
        }
    }
    Ok(())
}

/// `ubos workflow …`
pub async fn workflow(settings: &Settings, verb: WorkflowVerb) -> Result<()> {
    let pool = worker_pool(settings).await?;
    let bus = bus(settings, pool.clone(), vault::open(settings, &pool)?)?;
    match verb {
        WorkflowVerb::Publish { tenant, within, files } => publish(&bus, TenantId(tenant), &within, &files).await?,
        WorkflowVerb::Runs { tenant, status, limit, json } => {
            let filter = workflow::RunFilter { tenant: tenant.map(TenantId), status, limit };
            let runs = workflow::runs(&bus, &pool, &filter).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&runs)?);
            } else {
                for run in &runs {
                    let error = run.error.as_deref().unwrap_or_default();
                    println!("{} {} {:<9} {} {error}", run.tenant_id, run.run_id, run.status, run.started_at);
                }
                println!("{} runs", runs.len());
            }
        }
        WorkflowVerb::Show { tenant, run } => {
            let run = workflow::show(&bus, TenantId(tenant), run).await?;
            println!("{}", serde_json::to_string_pretty(&run)?);
        }
        WorkflowVerb::Retry(run) => {
            let done = workflow::retry(&bus, TenantId(run.tenant), run.run, run.reason).await?;
            println!("run {} tries again, position {}", done.id, done.position);
        }
        WorkflowVerb::Skip { run, output } => {
            let output = serde_json::from_str(&output).context("--output is not JSON")?;
            let done = workflow::skip(&bus, TenantId(run.tenant), run.run, output, run.reason).await?;
            println!("run {} goes on, position {}", done.id, done.position);
        }
        WorkflowVerb::Cancel(run) => {
            let done = workflow::cancel(&bus, TenantId(run.tenant), run.run, run.reason).await?;
            println!("run {} is cancelled, position {}", done.id, done.position);
        }
    }
    Ok(())
}

/// Publishes files, or what is shipped if none is named, bounded by patterns if there are any.
pub async fn publish(bus: &CommandBus, tenant: TenantId, within: &[Pattern], files: &[PathBuf]) -> Result<()> {
    let mut texts: Vec<(String, String)> = vec![];
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        texts.push((file.display().to_string(), text));
    }
    if files.is_empty() {
        texts.extend(workflow::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    }
    for (name, text) in texts {
        let held = match within {
            [] => Permissions::all(),
            within => Permissions::all().within(within.iter().map(Pattern::as_str).chain(["workflow.definition.*"])),
        };
        let published = workflow::publish_within(bus, tenant, "operator", &text, Arc::new(held)).await;
        let published = published.with_context(|| format!("{name} was not published"))?;
        let news = if published.changed { "published" } else { "unchanged" };
        println!("{} version {} {news} ({name})", published.name, published.version);
    }
    Ok(())
}

fn named(name: &str) -> Result<Vec<&'static Group>> {
    if name == "all" {
        return Ok(groups().iter().collect());
    }
    let Some(found) = group(name) else {
        let known: Vec<&str> = groups().iter().map(|group| group.name).collect();
        bail!("no group {name:?}: expected all or one of {}", known.join(", "));
    };
    Ok(vec![found])
}

fn print(report: &(impl Display + Serialize), json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

fn list(lines: &[impl Display + Serialize], json: bool, none: &str) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(lines)?);
    } else if lines.is_empty() {
        println!("{none}");
    }
    if !json {
        lines.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn bar(unit: &str) -> ProgressBar {
    let template = format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {unit} {{per_sec}} eta {{eta}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style)
}
