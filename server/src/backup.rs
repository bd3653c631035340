//! `ubos backup …` and `ubos restore …`.

use crate::connect::{nats_now, stream, worker_pool};
use crate::operate::position;
use crate::output::{Done, Output, Table, minute, say};
use crate::vault;
use anyhow::{Context, Result, ensure};
use backup::{Folder, RestoreOptions, Source, Target, Tools};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use messaging::RelayOptions;
use runtime::settings::Settings;
use schema::ROLES;
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long PostgreSQL may take to see that a process has gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Where PostgreSQL's programs are.
#[derive(Debug, Args)]
pub struct ToolArguments {
    /// Folder of PostgreSQL's programs; the newest on this machine unless given.
    #[arg(long, env = "UBOS_POSTGRES_BIN")]
    postgres_bin: Option<PathBuf>,
    /// Whom servers run as if we are root.
    #[arg(long, default_value = "postgres")]
    account: String,
}

impl ToolArguments {
    fn find(self) -> Result<Tools> {
        Tools::find(self.postgres_bin, &self.account)
    }
}

/// Making backups.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Prints what postgresql.conf needs so that the write-ahead log is archived.
    Settings {
        /// The backup folder; made if it is not there.
        #[arg(long)]
        to: PathBuf,
    },
    /// Has the server archive a file and waits for it; says what is missing.
    Check {
        /// The backup folder.
        #[arg(long)]
        to: PathBuf,
    },
    /// Copies the database while everything runs.
    Create {
        /// The backup folder.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        tools: ToolArguments,
    },
    /// What can be restored.
    List {
        /// The backup folder.
        #[arg(long)]
        from: PathBuf,
        #[command(flatten)]
        tools: ToolArguments,
    },
    /// Removes old base backups, and the write-ahead log that nothing needs any more.
    Prune {
        /// The backup folder.
        #[arg(long)]
        from: PathBuf,
        /// How many base backups stay.
        #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
        #[command(flatten)]
        tools: ToolArguments,
    },
}

/// Restoring, and what comes after.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RestoreArguments {
    /// The backup folder.
    #[arg(long, required = true)]
    from: Option<PathBuf>,
    /// Becomes the cluster's data folder; empty or not there.
    #[arg(long, required = true)]
    data: Option<PathBuf>,
    /// Everything committed up to this moment: 2026-11-23T16:20:00Z.
    #[arg(long, conflicts_with = "to_position")]
    to_time: Option<DateTime<Utc>>,
    /// Everything up to this position, and nothing later than the commit that it is in.
    #[arg(long, value_parser = position())]
    to_position: Option<i64>,
    /// From this base backup, for example because a newer one is damaged; the newest that leads there unless given.
    #[arg(long)]
    backup: Option<String>,
    /// Which past, if there are several because of an earlier restore; the newest unless given.
    #[arg(long)]
    timeline: Option<u32>,
    /// What `ubos subjects destroyed` printed last; these keys are destroyed again, and those on the list that `ubos backup
    /// create` keeps in the backup folder.
    #[arg(long)]
    destroyed_keys: Option<PathBuf>,
    /// Restores without any list: nobody was ever erased, or whoever was may come back.
    #[arg(long, conflicts_with = "destroyed_keys")]
    nobody_erased: bool,
    #[command(flatten)]
    tools: ToolArguments,
    #[command(subcommand)]
    verb: Option<RestoreVerb>,
}

/// After a restore.
#[derive(Debug, Subcommand)]
pub enum RestoreVerb {
    /// Lists the events that were published and that the log no longer has.
    Report {
        /// Writes them there, one JSON object per line.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Begins a new history of a log that went back by other means than `ubos restore`. Stop every role first.
    Heal {
        /// The last position that was not taken back; found by comparing NATS with the log unless given.
        #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(0..))]
        after: Option<i64>,
    },
}

fn say(what: &str) {
    eprintln!("{} {what}", Utc::now().format("%T"));
}

fn source(settings: &Settings) -> Result<Source> {
    let database = &settings.database;
    let url = database.backup_url.as_ref().or(database.admin_url.as_ref());
    let url = url.context("settings: neither database.backup_url nor database.admin_url is set")?;
    let owner = PgConnectOptions::from_str(database.owner_url.expose_secret()).ok();
    let name = owner.and_then(|owner| owner.get_database().map(str::to_owned));
    Ok(Source::new(url.expose_secret(), &name.context("database.owner_url names no database")?))
}

/// `ubos backup …`
pub async fn backup(settings: &Settings, verb: BackupVerb, out: &Output) -> Result<Done> {
    match verb {
        BackupVerb::Settings { to } => {
            let lines = backup::archive_settings(&Folder::make(&to)?);
            say!(out, "{lines}");
            Done::with(json!({ "postgresql.conf": lines }))
        }
        BackupVerb::Check { to } => out.report(&backup::check(&source(settings)?, &Folder::make(&to)?).await?),
        BackupVerb::Create { to, tools } => {
            let folder = Folder::make(&to)?;
            let made = backup::create(&source(settings)?, &folder, &tools.find()?, &say).await?;
            folder.note_destroyed(&::vault::destroyed(&worker_pool(settings).await?).await?)?;
            let megabytes = made.bytes as f64 / 1e6;
            say!(out, "backup {} of {megabytes:.1} MB", made.label);
            say!(out, "leads from position {} at {} on", made.end.position, made.end.at);
            Done::with(made)
        }
        BackupVerb::List { from, tools } => {
            let all = Folder::open(&from)?.restorable(&tools.find()?).await?;
            ensure!(!all.is_empty(), "there is no base backup in {}", from.display());
            let mut table = Table::new(&["BACKUP", ">MB", ">POSITION", "FROM", "TO", "POSTGRESQL"], "no backups");
            for restorable in &all {
                let backup = &restorable.backup;
                let until = restorable.until.map_or(backup.end.at, |until| until.max(backup.end.at));
                let hole = restorable.hole.as_ref().map(|hole| format!("\nWAL file {hole} is missing"));
                let until = format!("{}{}", minute(until), hole.unwrap_or_default());
                let megabytes = format!("{:.1}", backup.bytes as f64 / 1e6);
                let (position, from) = (backup.end.position.to_string(), minute(backup.end.at));
                table.row([backup.label.clone(), megabytes, position, from, until, backup.postgres_version.clone()]);
            }
            out.say(table);
            Done::with(all)
        }
        BackupVerb::Prune { from, keep, tools } => {
            let gone = Folder::open(&from)?.prune(&tools.find()?, keep.into()).await?;
            say!(
                out,
                "{} base backups and {} files of the write-ahead log are gone",
                gone.backups.len(),
                gone.wal_files
            );
            Done::with(gone)
        }
    }
}

/// `ubos restore …`. Without a subcommand it needs no settings: on the day it is needed there may be none.
pub async fn restore(
    settings: impl FnOnce() -> Result<Settings>,
    arguments: RestoreArguments,
    out: &Output,
) -> Result<Done> {
    let RestoreArguments { from, data, to_time, to_position, backup, timeline, tools, verb, .. } = arguments;
    let RestoreArguments { destroyed_keys, nobody_erased, .. } = arguments;
    match verb {
        Some(RestoreVerb::Report { to }) => return report(&settings()?, to, out).await,
        Some(RestoreVerb::Heal { after }) => return heal(&settings()?, after, out).await,
        None => {}
    }
    let target = match (to_time, to_position) {
        (Some(time), _) => Target::Time(time),
        (None, Some(position)) => Target::Position(position),
        (None, None) => Target::Latest,
    };
    let folder = Folder::open(&from.context("--from")?)?;
    let given = destroyed_keys.as_deref().map(backup::read_list).transpose()?;
    let known = if nobody_erased { None } else { folder.destroyed_keys()? };
    ensure!(
        nobody_erased || given.is_some() || known.is_some(),
        "which keys of erased persons were destroyed is not known, so they would come back: give --destroyed-keys with what \
         `ubos subjects destroyed` printed last, or --nobody-erased"
    );
    let destroyed = given.into_iter().chain(known).flatten().collect();
    let options = RestoreOptions { data: data.context("--data")?, target, backup, timeline, destroyed };
    let restored = backup::restore(&folder, &tools.find()?, &options, &say).await?;
    say!(out, "{restored}");
    say!(out, "now start PostgreSQL on {} with your own settings;", options.data.display());
    say!(out, "{} keys of erased persons were back and are destroyed again;", restored.keys_destroyed);
    say!(out, "then start every role, and run `ubos subjects destroy-again` with the list of destroyed keys;");
    say!(
        out,
        "the relay fills NATS again; `ubos restore report` lists what was taken back, `ubos verify` proves the rest"
    );
    Done::with(restored)
}

async fn report(settings: &Settings, to: Option<PathBuf>, out: &Output) -> Result<Done> {
    let log = vault::log(settings, &worker_pool(settings).await?)?;
    let nats = nats_now(settings, settings.nats.relay()).await?;
    let options = RelayOptions::new(stream(settings));
    let mut file = match &to {
        Some(path) => Some(BufWriter::new(File::create(path).with_context(|| format!("making {}", path.display()))?)),
        None => None,
    };
    let mut events = vec![];
    let evidence = messaging::taken_back(&log, &nats, &options, |event| {
        if out.is_json() && file.is_none() {
            events.push(json!(event));
        }
        if let Some(file) = &mut file {
            serde_json::to_writer(&mut *file, &event)?;
            file.write_all(b"\n")?;
        } else {
            say!(out, "{} {} {} {}", event.position, event.recorded_at, event.schema, event.event_id);
        }
        Ok(())
    });
    let evidence = evidence.await?;
    if let Some(mut file) = file {
        file.flush()?;
    }
    let mut streams = vec![];
    for place in evidence {
        say!(out, "{}: {} events, {} of them not in the log", place.stream, place.messages, place.taken_back);
        let (messages, taken_back) = (place.messages, place.taken_back);
        streams.push(json!({ "stream": place.stream, "messages": messages, "taken_back": taken_back }));
    }
    Done::with(json!({ "streams": streams, "events": events, "written_to": to }))
}

/// Waits until no role is connected any more.
async fn nobody_else(owner: &mut PgConnection) -> Result<()> {
    let sql = "select distinct coalesce(nullif(application_name, ''), usename::text) from pg_stat_activity
               where datname = current_database() and usename::text = any($1) and pid <> pg_backend_pid()";
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let others = sqlx::query_scalar(sql).bind(ROLES.map(str::to_owned).to_vec()).fetch_all(&mut *owner);
        let others: Vec<String> = others.await?;
        if others.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "stop every role first; still connected: {}", others.join(", "));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn heal(settings: &Settings, after: Option<i64>, out: &Output) -> Result<Done> {
    let owner = PgConnectOptions::from_str(settings.database.owner_url.expose_secret());
    let owner = owner.ok().context("database.owner_url is not a PostgreSQL URL")?.disable_statement_logging();
    let mut owner = schema::open(&owner, "database.owner_url").await?;
    nobody_else(&mut owner).await?;
    let log = vault::log(settings, &worker_pool(settings).await?)?;
    let after = match after {
        Some(after) => after,
        None => {
            let nats = nats_now(settings, settings.nats.relay()).await?;
            let mut first = None::<i64>;
            let options = RelayOptions::new(stream(settings));
            let evidence = messaging::taken_back(&log, &nats, &options, |event| {
                first = Some(first.map_or(event.position, |first| first.min(event.position)));
                Ok(())
            });
            evidence.await.context("comparing NATS with the log")?;
            let Some(first) = first else {
                say!(out, "the log has everything that NATS has: nothing was taken back, nothing is to be healed");
                return Done::with(json!({ "healed": false }));
            };
            (first - 1).min(log.head().await?)
        }
    };
    let (number, log_id): (i32, uuid::Uuid) =
        sqlx::query_as("select number, log_id from eventstore.begin_history('healed by an operator', $1)")
            .bind(after)
            .fetch_one(&mut owner)
            .await?;
    say!(
        out,
        "history {number}: after position {after} the log is {log_id}; start the roles, the relay fills NATS again"
    );
    Done::with(json!({ "healed": true, "history": number, "after": after, "log_id": log_id }))
}
