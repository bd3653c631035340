//! Puts a base backup back, replays the write-ahead log up to a moment, and begins a new history of the log.

use crate::Say;
use crate::folder::{Backup, Folder, Head};
use crate::recovery::{Recovery, stop};
use crate::server::head;
use crate::tools::{Tools, run};
use crate::wal::Lsn;
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::process::Command;
use uuid::Uuid;
use vault::Destroyed;

/// In a data folder while it is not complete. Written before anything else, removed after everything else.
const MARKER: &str = "ubos-restore.unfinished";

/// The moment that is restored.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Everything that is archived.
    Latest,
    /// Everything committed up to this moment, by the server's clock, and nothing later.
    Time(DateTime<Utc>),
    /// Everything up to this position, and nothing later than the commit that it is in.
    Position(i64),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Latest => write!(f, "the latest moment"),
            Target::Time(time) => write!(f, "{}", time.format("%F %T%.6fZ")),
            Target::Position(position) => write!(f, "position {position}"),
        }
    }
}

/// What to restore, and where to.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// Becomes the cluster's data folder. Must be empty or not there, or what an earlier try left.
    pub data: PathBuf,
    /// Which moment.
    pub target: Target,
    /// From which base backup; the newest that leads to the moment if none is named.
    pub backup: Option<String>,
    /// Which past, if the archive has several because it was restored before; the newest if none is named.
    pub timeline: Option<u32>,
    /// Keys that were destroyed, whatever the moment says: they are destroyed again before anybody can use them.
    pub destroyed: Vec<Destroyed>,
}

/// What was restored.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// From which base backup.
    pub backup: String,
    /// Where the log ends now.
    pub head: Head,
    /// Counts the log's histories.
    pub history: i32,
    /// The name under which it goes on.
    pub log_id: Uuid,
    /// The name that it had; none if it was never published.
    pub previous_log_id: Option<Uuid>,
    /// Keys of erased persons that were back and are destroyed again.
    pub keys_destroyed: usize,
    /// Files of the write-ahead log that were replayed from the archive.
    pub wal_files: usize,
    /// Seconds to check the backup, to copy it, to replay, in all.
    pub seconds: [f64; 4],
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backup, head, history, log_id, previous_log_id, wal_files, seconds, .. } = self;
        let [check, copy, replay, all] = seconds;
        let recorded = head.recorded_at.map_or("never".to_owned(), |at| at.format("%F %T%.6fZ").to_string());
        writeln!(f, "restored from {backup}: the log ends at position {}, recorded {recorded}", head.position)?;
        let previous = previous_log_id.map_or("nothing".to_owned(), |id| id.to_string());
        writeln!(f, "history {history}: beyond that position the log is {log_id} and no longer {previous}")?;
        write!(
            f,
            "{all:.1} s in all: {check:.1} to check the backup, {copy:.1} to copy it, {replay:.1} to replay {wal_files} \
             files of the write-ahead log"
        )
    }
}

/// Restores into an empty folder. Killed at any point, it can be run again; until it ends nobody can use the folder.
pub async fn restore(folder: &Folder, tools: &Tools, options: &RestoreOptions, say: Say<'_>) -> Result<Restored> {
    let begun = Instant::now();
    let (backup, timeline) = choose(folder, options)?;
    let source = folder.data(&backup.label);
    say(&format!("base backup {} of {:.1} MB leads to {}", backup.label, backup.bytes as f64 / 1e6, options.target));
    folder.verify(tools, &source).await?;
    let last = reach(folder, &backup, timeline, &options.target)?;
    let version = fs::read_to_string(source.join("PG_VERSION"))?;
    let programs = tools.major().await?;
    ensure!(version.trim() == programs, "the backup is of PostgreSQL {}, the programs are {programs}", version.trim());
    ensure!(
        tools.can_read(&folder.wal()).await,
        "the account that PostgreSQL runs as cannot read {}",
        folder.wal().display()
    );
    let checked = begun.elapsed();

    let data = prepare(tools, &options.data).await?;
    let data = data.as_path();
    copy(tools, &source, data).await?;
    let copied = begun.elapsed();
    let mut settings = vec![
        ("restore_command", restore_command(folder)),
        ("recovery_target_timeline", timeline.to_string()),
        ("recovery_target_action", "promote".to_owned()),
    ];
    if let Target::Time(time) = options.target {
        settings.push(("recovery_target_time", time.format("%F %T%.6f+00").to_string()));
    }
    say("replaying the write-ahead log");
    let mut server = Recovery::start(tools, data, &settings)?;
    let mut connection = server.recovered(&backup.superuser, &backup.database, say).await?;
    if let Target::Position(position) = options.target
        && let Some(transaction) = transaction_to_stop_at(&mut connection, position).await?
    {
        // The write-ahead log knows no positions, but the whole log knows in which transaction each was written.
        say(&format!("position {position} was written in transaction {transaction}, replaying again up to there"));
        connection.close().await.ok();
        server.stop().await?;
        empty(data)?;
        copy(tools, &source, data).await?;
        settings.push(("recovery_target_xid", transaction));
        server = Recovery::start(tools, data, &settings)?;
        connection = server.recovered(&backup.superuser, &backup.database, say).await?;
    }
    let replayed = server.replayed();
    if let (Target::Latest, Some(last)) = (options.target, last) {
        ensure!(replayed.contains(&last), "PostgreSQL stopped before {last}, which is in the archive");
    }
    let ends = head(&mut connection).await?;
    if let Target::Position(position) = options.target {
        let cut = transaction_to_stop_at(&mut connection, position).await?;
        ensure!(cut.is_none(), "the log was not cut at position {position} but at {}", ends.position);
    }
    let Begun { previous_log_id, history, log_id, keys_destroyed } = begin_history(&mut connection, options).await?;
    connection.close().await.ok();
    server.stop().await?;
    fs::remove_file(data.join("ubos-restore.log")).ok();
    fs::remove_file(data.join(MARKER))?;
    let all = begun.elapsed();
    let seconds = [checked, copied - checked, all - copied, all].map(|time| time.as_secs_f64());
    let wal_files = replayed.iter().filter(|name| name.len() == 24).count();
    Ok(Restored {
        backup: backup.label,
        head: ends,
        history,
        log_id,
        previous_log_id,
        keys_destroyed,
        wal_files,
        seconds,
    })
}

/// The newest base backup that is complete before the target and in the past of the timeline.
fn choose(folder: &Folder, options: &RestoreOptions) -> Result<(Backup, u32)> {
    let backups = match &options.backup {
        Some(label) => vec![folder.backup(label)?],
        None => folder.backups()?,
    };
    let Some(newest) = backups.last() else { bail!("there is no complete base backup") };
    let archive = folder.archive(newest)?;
    let timeline = options.timeline.unwrap_or_else(|| archive.newest_timeline(newest.timeline));
    let mut leading = vec![];
    for backup in backups {
        if archive.leads_to(backup.timeline, Lsn::parse(&backup.end_lsn)?, timeline) {
            leading.push(backup);
        }
    }
    let is_before = |backup: &Backup| match options.target {
        Target::Latest => true,
        Target::Time(time) => backup.end.at <= time,
        Target::Position(position) => backup.end.position <= position,
    };
    let Some(oldest) = leading.first().cloned() else { bail!("no base backup leads to timeline {timeline}") };
    let Some(chosen) = leading.into_iter().rfind(is_before) else {
        bail!(
            "no base backup is old enough for {}: the oldest, {}, begins at position {} ({})",
            options.target,
            oldest.label,
            oldest.end.position,
            oldest.end.at.format("%F %T%.6fZ")
        )
    };
    Ok((chosen, timeline))
}

/// The last file that the archive has without a hole before it. A hole would make PostgreSQL stop there as if it were the
/// end, so the latest moment beyond a hole is refused.
fn reach(folder: &Folder, backup: &Backup, timeline: u32, target: &Target) -> Result<Option<String>> {
    let reach = folder.archive(backup)?.reach(Lsn::parse(&backup.end_lsn)?, timeline);
    if let (Some(hole), Target::Latest | Target::Position(_)) = (&reach.hole, target) {
        bail!(
            "WAL file {hole} is missing in {} although later ones are there; what comes before it can be restored with \
             --to-time, and `ubos backup list` says up to when",
            folder.wal().display()
        );
    }
    Ok(reach.last)
}

fn restore_command(folder: &Folder) -> String {
    let wal = folder.wal();
    let wal = wal.display();
    // A file that cannot be read is no end of the archive; above 125 PostgreSQL gives up instead of going on without it.
    format!("if test -f \"{wal}/%f\"; then cp \"{wal}/%f\" \"%p\" || exit 255; else exit 1; fi")
}

/// Takes over an empty folder, or one that an earlier try did not finish.
async fn prepare(tools: &Tools, data: &Path) -> Result<PathBuf> {
    fs::create_dir_all(data).with_context(|| format!("making {}", data.display()))?;
    let data = data.canonicalize()?;
    if data.join(MARKER).exists() {
        stop(tools, &data, "immediate").await.context("ending the server of an earlier try")?;
        empty(&data)?;
    } else {
        let first = fs::read_dir(&data)?.next().transpose()?;
        if let Some(entry) = first {
            bail!(
                "{} is not empty ({} is in it); a restore never writes over anything",
                data.display(),
                entry.path().display()
            );
        }
        fs::write(data.join(MARKER), "Run the same `ubos restore` again, or remove this folder.\n")?;
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    tools.give(&data)?;
    Ok(data)
}

/// Removes everything but the marker.
fn empty(data: &Path) -> Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name() == MARKER {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

async fn copy(tools: &Tools, source: &Path, data: &Path) -> Result<()> {
    // Shares blocks where the file system can.
    run(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(source.join(".")).arg(data)).await?;
    fs::write(data.join("recovery.signal"), "")?;
    give_all(tools, data)?;
    run(Command::new("sync").arg("--file-system").arg(data)).await?;
    Ok(())
}

fn give_all(tools: &Tools, path: &Path) -> Result<()> {
    tools.give(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_all(tools, &entry?.path())?;
        }
    }
    Ok(())
}

/// In which transaction a position was written; none if that is the one that the log ends with.
async fn transaction_to_stop_at(connection: &mut PgConnection, position: i64) -> Result<Option<String>> {
    let sql = "select (select xmin::text from eventstore.events where position = $1), xmin::text, position
               from eventstore.events order by position desc limit 1";
    let row: Option<(Option<String>, String, i64)> =
        sqlx::query_as(sql).bind(position).fetch_optional(connection).await?;
    match row {
        Some((Some(wanted), last, _)) => Ok((wanted != last).then_some(wanted)),
        Some((None, _, ends)) => bail!("the archive ends at position {ends}, before {position}"),
        None => bail!("the archive ends with an empty log"),
    }
}

/// What a new history begins with.
struct Begun {
    previous_log_id: Option<Uuid>,
    history: i32,
    log_id: Uuid,
    keys_destroyed: usize,
}

/// In one transaction: either the log has its new name and nobody erased is back, or it is as if nothing had been restored.
async fn begin_history(connection: &mut PgConnection, options: &RestoreOptions) -> Result<Begun> {
    let mut transaction = connection.begin().await?;
    let previous = sqlx::query_scalar("select log_id from eventstore.relay").fetch_one(&mut *transaction).await?;
    let (number, log_id) = sqlx::query_as(
        "select number, log_id from eventstore.begin_history($1, (select position from eventstore.head))",
    )
    .bind(format!("restored to {}", options.target))
    .fetch_one(&mut *transaction)
    .await
    .context("beginning a new history of the log")?;
    let mut keys_destroyed = 0;
    // A log from before there was a vault has no keys.
    let vault: bool =
        sqlx::query_scalar("select to_regnamespace('vault') is not null").fetch_one(&mut *transaction).await?;
    for key in options.destroyed.iter().filter(|_| vault) {
        let back: bool = sqlx::query_scalar("select vault.destroy_key($1, $2, $3)")
            .bind(key.tenant_id)
            .bind(key.subject_id)
            .bind(key.generation)
            .fetch_one(&mut *transaction)
            .await
            .context("destroying keys again")?;
        keys_destroyed += usize::from(back);
    }
    transaction.commit().await?;
    Ok(Begun { previous_log_id: previous, history: number, log_id, keys_destroyed })
}
