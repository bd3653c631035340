//! What operators do at the command line. Each verb says what it found to people, and answers it for programs.

use crate::connect::{bus, known, nats_now, stream, worker_pool};
use crate::output::{Done, Outcome, Output, Table, minute, say};
use crate::tenants::status;
use crate::vault;
use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use event_store::{CommandBus, Log};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Name, Pattern, Permissions, TenantId, Timestamp};
use messaging::RelayOptions;
use projections::{Group, ReplayOptions, group, groups};
use runtime::settings::Settings;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;
use workflow_engine::{RunStatus, StepPath, Verb};

/// Positions begin with 1.
pub(crate) fn position() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..)
}

/// A group's name; the error lists them.
fn group_name() -> impl TypedValueParser<Value = &'static Group> {
    let names = PossibleValuesParser::new(groups().iter().map(|group| group.name));
    names.try_map(|name| group(&name).with_context(|| format!("no group {name}")).map_err(|error| error.to_string()))
}

/// One group, or every one.
fn group_names() -> impl TypedValueParser<Value = Groups> {
    let names = PossibleValuesParser::new(["all"].into_iter().chain(groups().iter().map(|group| group.name)));
    names.map(|name| Groups(group(&name)))
}

/// Which groups: this one, or all.
#[derive(Debug, Clone, Copy)]
pub struct Groups(Option<&'static Group>);

impl Groups {
    fn each(self) -> impl Iterator<Item = &'static Group> {
        groups().iter().filter(move |group| self.0.is_none_or(|only| only.name == group.name))
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
    Status,
    /// Events that NATS refuses; claim-checks took their places.
    DeadLetters,
    /// Publishes dead letters in full, after whatever refused them was changed.
    Retry {
        /// Only the one at this position.
        #[arg(long, value_parser = position())]
        position: Option<i64>,
    },
    /// Rebuilds the stream from the log.
    Reseed {
        /// First position of the rebuilt stream.
        #[arg(long, default_value_t = 1, value_parser = position())]
        from: i64,
    },
}

/// What can be asked of the projections. Groups are domains: crm, scheduling, … or `all`.
#[derive(Debug, Subcommand)]
pub enum ProjectionsVerb {
    /// How far every group is.
    Status,
    /// Says what a replay would do.
    Plan {
        /// Which group, or all.
        #[arg(value_parser = group_names())]
        group: Groups,
    },
    /// Rebuilds read models beside the live ones, compares and switches; nobody notices.
    Replay {
        /// Which group, or all.
        #[arg(value_parser = group_names())]
        group: Groups,
        /// Switches although rows differ and the folds have not changed.
        #[arg(long)]
        accept_differences: bool,
    },
    /// Compares live read models with a fresh replay.
    Verify {
        /// Which group, or all.
        #[arg(value_parser = group_names())]
        group: Groups,
    },
    /// Puts back what the last replay replaced.
    Rollback {
        /// Which group.
        #[arg(value_parser = group_name())]
        group: &'static Group,
    },
    /// Streams that a projection cannot apply.
    Parked,
    /// Applies parked streams again.
    Retry {
        /// Which group, or all.
        #[arg(value_parser = group_names())]
        group: Groups,
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
        /// Only those that stand there.
        #[arg(long, value_parser = status::<RunStatus>())]
        status: Option<RunStatus>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Shows one run with its steps.
    Show {
        /// The firm.
        #[arg(long)]
        tenant: Uuid,
        /// The run.
        run: Uuid,
    },
    /// Has a parked run try its steps again.
    Retry {
        #[command(flatten)]
        run: RunArguments,
        /// Only this step, by its path, if it stands still at several.
        #[arg(long)]
        step: Option<StepPath>,
    },
    /// Has a parked run go on without a step.
    Skip {
        #[command(flatten)]
        run: RunArguments,
        /// Which step, if it stands still at several.
        #[arg(long)]
        step: Option<StepPath>,
        /// What later steps see as the step's result, as JSON.
        #[arg(long, default_value = "{}")]
        output: String,
    },
    /// Has a parked run try a step again with other input than its definition says.
    Amend {
        #[command(flatten)]
        run: RunArguments,
        /// Which step, if it stands still at several.
        #[arg(long)]
        step: Option<StepPath>,
        /// The command's fields, as JSON.
        #[arg(long)]
        input: String,
    },
    /// Has a run that is parked or has succeeded take a step again, and everything after it, with new effects.
    Rerun {
        #[command(flatten)]
        run: RunArguments,
        /// From which step on.
        #[arg(long)]
        from: StepPath,
    },
    /// Has a parked run follow another version of its definition.
    Move {
        #[command(flatten)]
        run: RunArguments,
        /// Which version.
        #[arg(long)]
        to_version: u32,
        /// A step that is called something else there; may be given several times: --rename contact=person.
        #[arg(long, value_parser = renamed())]
        rename: Vec<(StepPath, StepPath)>,
    },
    /// Ends a run before its last step; what it did is taken back where its definition says how.
    Cancel {
        #[command(flatten)]
        run: RunArguments,
        /// What it did stays.
        #[arg(long)]
        keep: bool,
    },
    /// Takes back what a run did, also if it has succeeded.
    Compensate(RunArguments),
}

/// Two steps: what one was called, and what it is called.
fn renamed() -> impl TypedValueParser<Value = (StepPath, StepPath)> {
    clap::builder::StringValueParser::new().try_map(|text| {
        let (from, to) = text.split_once('=').ok_or_else(|| "expected <step>=<step>".to_owned())?;
        let path = |text: &str| text.parse::<StepPath>().map_err(|error| error.to_string());
        Ok::<_, String>((path(from)?, path(to)?))
    })
}

/// Warnings go to standard error, so that standard output stays what the verb prints.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::new("warn,async_nats=error");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

/// `ubos log …`
pub async fn log(settings: &Settings, verb: LogVerb, out: &Output) -> Result<Done> {
    match verb {
        LogVerb::Head => {
            let head = Log::new(worker_pool(settings).await?).head().await?;
            say!(out, "{head}");
            Done::with(json!({ "position": head }))
        }
    }
}

/// `ubos relay …`
pub async fn relay(settings: &Settings, verb: RelayVerb, out: &Output) -> Result<Done> {
    let log = vault::log(settings, &worker_pool(settings).await?)?;
    let options = RelayOptions::new(stream(settings));
    match verb {
        RelayVerb::Status => {
            // Who leads is in the database; NATS is asked for the stream alone, and may be what is wrong.
            let nats = nats_now(settings, settings.nats.relay()).await;
            let status = messaging::status(&log, nats.as_ref().ok(), &options).await?;
            if let Err(error) = nats {
                tracing::warn!("{error:#}");
            }
            out.report(&status)
        }
        RelayVerb::DeadLetters => {
            let letters = messaging::dead_letters(&log).await?;
            let mut table = Table::new(&[">POSITION", "EVENT, FIRM", ">TRIED", "WHY"], "no dead letters");
            for letter in &letters {
                let what = format!("{}\n{}", letter.event_id, letter.tenant_id);
                table.row([letter.position.to_string(), what, letter.attempts.to_string(), letter.reason.clone()]);
            }
            out.say(table);
            Done::with(letters)
        }
        RelayVerb::Retry { position } => {
            let nats = nats_now(settings, settings.nats.relay()).await?;
            let retried = messaging::retry(&log, &nats, &options, position).await?;
            if let Some(position) = position.filter(|_| retried.published.is_empty() && retried.refused.is_empty()) {
                bail!("there is no dead letter at position {position}");
            }
            out.report(&retried)
        }
        RelayVerb::Reseed { from } => {
            let nats = nats_now(settings, settings.nats.relay()).await?;
            let bar = bar("events");
            let done = messaging::reseed(&log, &nats, &options, from, |progress| {
                bar.set_length(u64::try_from(progress.target - progress.from + 1).unwrap_or(0));
                bar.set_position(u64::try_from(progress.position - progress.from + 1).unwrap_or(0));
            });
            let done = done.await?;
            bar.finish_and_clear();
            say!(out, "the stream holds positions {} to {}", done.from, done.position);
            Done::with(done)
        }
    }
}

/// `ubos projections …`
pub async fn projections(settings: &Settings, verb: ProjectionsVerb, out: &Output) -> Result<Done> {
    let pool = worker_pool(settings).await?;
    let log = vault::log(settings, &pool)?;
    let bar = bar("events");
    let mut progress = |progress: &projections::Progress| {
        bar.set_length(u64::try_from(progress.total).unwrap_or(0));
        bar.set_position(u64::try_from(progress.done).unwrap_or(0));
        bar.set_message(format!("{} {:?}", progress.group, progress.stage).to_lowercase());
    };
    let (mut fine, mut parked, mut data) = (true, false, vec![]);
    match verb {
        ProjectionsVerb::Status => return projections_status(&projections::status(&pool).await?, out),
        ProjectionsVerb::Parked => return parked_streams(&projections::parked(&pool, None).await?, out),
        ProjectionsVerb::Plan { group } => {
            for group in group.each() {
                let plan = projections::plan(&log, group, &ReplayOptions::default().rebuild).await?;
                say!(out, "{plan}");
                data.push(json!(plan));
            }
        }
        ProjectionsVerb::Replay { group, accept_differences } => {
            let options = ReplayOptions { accept_differences, ..ReplayOptions::default() };
            for group in group.each() {
                let report = projections::replay(&log, group, &options, &mut progress).await?;
                fine &= report.switched;
                parked |= !report.comparison.parked.is_empty();
                bar.suspend(|| say!(out, "{report}"));
                data.push(json!(report));
            }
        }
        ProjectionsVerb::Verify { group } => {
            for group in group.each() {
                let report = projections::verify(&log, group, &ReplayOptions::default().rebuild, &mut progress).await?;
                fine &= report.comparison.equal();
                parked |= !report.comparison.parked.is_empty();
                bar.suspend(|| say!(out, "{report}"));
                data.push(json!(report));
            }
        }
        ProjectionsVerb::Rollback { group } => {
            let position = projections::rollback(&log, group, &mut progress).await?;
            bar.suspend(|| {
                say!(out, "{}: the previous tables are live again, at position {position}", group.name);
            });
            data.push(json!({ "group": group.name, "position": position }));
        }
        ProjectionsVerb::Retry { group, aggregate } => {
            let mut tried = 0;
            for group in group.each() {
                let report = projections::retry(&log, group, aggregate).await?;
                tried += report.cleared.len() + report.parked.len();
                parked |= !report.parked.is_empty();
                say!(out, "{}: {}", group.name, report.to_string().trim_end());
                data.push(json!({ "group": group.name, "report": report }));
            }
            if let Some(aggregate) = aggregate.filter(|_| tried == 0) {
                bail!("no stream {aggregate} is parked");
            }
        }
    }
    bar.finish_and_clear();
    Done::as_is(Outcome::of(fine, parked), data)
}

fn projections_status(status: &projections::Status, out: &Output) -> Result<Done> {
    say!(out, "log head {}", status.head);
    let mut table = Table::new(&["GROUP", ">POSITION", ">LAG", ">MISSING", ">PARKED", "NOTES"], "no groups");
    for group in &status.groups {
        let numbers = [group.position, group.lag_events, group.missing_events, group.parked];
        let [position, lag, missing, parked] = numbers.map(|number| number.to_string());
        table.row([group.group.clone(), position, lag, missing, parked, notes(group)]);
    }
    out.say(table);
    Done::with(status)
}

/// What somebody should know of a group besides its numbers.
pub(crate) fn notes(group: &projections::GroupStatus) -> String {
    let notes = [
        (!group.led, "nobody leads it"),
        (group.replay_needed, "replay needed"),
        (group.rebuilding, "rebuild in progress"),
        (group.can_roll_back, "can roll back"),
    ];
    notes.iter().filter(|(so, _)| *so).map(|(_, note)| *note).collect::<Vec<_>>().join(", ")
}

fn parked_streams(streams: &[projections::ParkedStream], out: &Output) -> Result<Done> {
    let mut table = Table::new(&["GROUP", "STREAM, FIRM", ">EVENTS", ">TRIED", "WHY"], "nothing is parked");
    for stream in streams {
        let what = format!("{}\n{}\n{}", stream.aggregate_id, stream.tenant_id, stream.aggregate_type);
        let why = format!("position {}: {}", stream.first_position, stream.error);
        let (events, tried) = (stream.event_count.to_string(), stream.attempts.to_string());
        table.row([stream.group_name.clone(), what, events, tried, why]);
    }
    out.say(table);
    Done::with(streams)
}

/// `ubos workflow …`
pub async fn workflow(settings: &Settings, verb: WorkflowVerb, out: &Output) -> Result<Done> {
    let pool = worker_pool(settings).await?;
    let bus = bus(settings, pool.clone(), vault::open(settings, &pool)?)?;
    let done = |word: &str, done: &event_store::Executed| {
        say!(out, "run {} {word}, position {}", done.id, done.position);
        Done::with(json!({ "run_id": done.id, "position": done.position }))
    };
    match verb {
        WorkflowVerb::Publish { tenant, within, files } => {
            known(&pool, tenant).await?;
            publish(&bus, TenantId(tenant), &within, &files, out).await
        }
        WorkflowVerb::Runs { tenant, status, limit } => {
            if let Some(tenant) = tenant {
                known(&pool, tenant).await?;
            }
            let filter = workflow_engine::RunFilter { tenant: tenant.map(TenantId), status, limit: Some(limit) };
            let runs = workflow_engine::runs(&bus, &pool, &filter).await?;
            let mut table = Table::new(&["RUN, FIRM", "WORKFLOW", "STATUS", "STARTED"], "no runs");
            for run in &runs {
                let error = run.error.as_deref().map(|error| format!("\n{error}")).unwrap_or_default();
                let what = format!("{}\n{}{error}", run.run_id, run.tenant_id);
                table.row([what, run.workflow.clone(), run.status.to_string(), minute(run.started_at)]);
            }
            out.say(table);
            Done::with(runs)
        }
        WorkflowVerb::Show { tenant, run } => {
            let run = workflow_engine::show(&bus, TenantId(tenant), run).await?;
            show_run(&run, out);
            Done::with(run)
        }
        WorkflowVerb::Retry { run, step } => {
            done("tries again", &workflow_engine::ask(&bus, asked(run), Verb::Retry { step }).await?)
        }
        WorkflowVerb::Skip { run, step, output } => {
            let output = serde_json::from_str(&output).context("--output is not JSON")?;
            done("goes on", &workflow_engine::ask(&bus, asked(run), Verb::Skip { step, output }).await?)
        }
        WorkflowVerb::Amend { run, step, input } => {
            let parameters = serde_json::from_str(&input).context("--input is not JSON")?;
            done("tries again", &workflow_engine::ask(&bus, asked(run), Verb::AmendInput { step, parameters }).await?)
        }
        WorkflowVerb::Rerun { run, from } => {
            done("goes back", &workflow_engine::ask(&bus, asked(run), Verb::RerunFrom { step: from }).await?)
        }
        WorkflowVerb::Move { run, to_version, rename } => {
            let log = vault::log(settings, &pool)?;
            let renamed = rename.into_iter().map(|(from, to)| workflow_engine::Renamed { from, to }).collect();
            done("is moved", &workflow_engine::move_to(&bus, &log, asked(run), to_version, renamed).await?)
        }
        WorkflowVerb::Cancel { run, keep } => {
            done("is cancelled", &workflow_engine::ask(&bus, asked(run), Verb::Cancel { keep }).await?)
        }
        WorkflowVerb::Compensate(run) => {
            done("is taken back", &workflow_engine::ask(&bus, asked(run), Verb::Compensate).await?)
        }
    }
}

/// Which run, and why.
fn asked(run: RunArguments) -> workflow_engine::Asked {
    workflow_engine::Asked { tenant: TenantId(run.tenant), run: run.run, reason: run.reason }
}

/// A run with its steps; what they came to is in the JSON alone, where it may be as long as it is.
fn show_run(run: &workflow_engine::Run, out: &Output) {
    let name = run.definition.as_ref().map(ToString::to_string).unwrap_or_default();
    say!(out, "{:<10}{name}, version {}", "workflow", run.definition_version);
    say!(out, "{:<10}{}", "status", run.status());
    if let Some(trigger) = &run.trigger {
        say!(out, "{:<10}{} at position {}", "trigger", trigger.event_type, trigger.position);
        say!(out, "{:<10}{}", "started", minute(trigger.recorded_at.utc()));
    }
    for (step, (code, message)) in &run.incidents {
        say!(out, "{:<10}{step}: {code}: {message}", "stands for");
    }
    let mut table = Table::new(&["STEP", "STATUS", ">FAILED", "SINCE", "DUE OR WAITS FOR"], "no steps");
    let nothing = workflow_engine::Step::default();
    let reached = run.steps.keys().filter(|path| !run.order.contains(path));
    for path in run.order.iter().chain(reached) {
        let step = run.step_at(path).unwrap_or(&nothing);
        let at = |at: Option<Timestamp>| at.map(|at| minute(at.utc())).unwrap_or_default();
        let waits = step
            .wait
            .iter()
            .flat_map(|wait| wait.events.iter().map(|awaited| &awaited.event_type).chain(&wait.signals));
        let due = std::iter::once(at(step.due_at)).filter(|at| !at.is_empty()).chain(waits.cloned());
        let (failed, due) = (step.attempts.to_string(), due.collect::<Vec<_>>().join("\n"));
        table.row([path.to_string(), step.status.to_string(), failed, at(step.since), due]);
    }
    say!(out, "\n{table}");
}

/// Publishes files, or what is shipped if none is named, bounded by patterns if there are any.
pub async fn publish(
    bus: &CommandBus,
    tenant: TenantId,
    within: &[Pattern],
    files: &[PathBuf],
    out: &Output,
) -> Result<Done> {
    let mut texts: Vec<(String, String)> = vec![];
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        texts.push((file.display().to_string(), text));
    }
    if files.is_empty() {
        texts.extend(workflow_engine::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    }
    let mut data = vec![];
    for (name, text) in texts {
        let held = match within {
            [] => Permissions::all(),
            within => Permissions::all().within(within.iter().map(Pattern::as_str).chain(["workflow.definition.*"])),
        };
        let published = workflow_engine::publish_within(bus, tenant, "operator", &text, Arc::new(held)).await;
        let published = published.with_context(|| format!("{name} was not published"))?;
        let news = if published.changed { "published" } else { "unchanged" };
        say!(out, "{} version {} {news} ({name})", published.name, published.version);
        data.push(json!({
            "id": published.id, "name": published.name, "version": published.version, "changed": published.changed,
            "position": published.position, "from": name,
        }));
    }
    Done::with(data)
}

fn bar(unit: &str) -> ProgressBar {
    let template = format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {unit} {{per_sec}} eta {{eta}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style)
}
