//! A backup folder: base backups, the write-ahead log, and what is known about them.

use crate::tools::{Tools, is_root, run};
use crate::wal::{Archive, Lsn};
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use uuid::Uuid;
use vault::Destroyed;

/// What is known about a base backup, beside its data.
const RECORD: &str = "ubos-backup.json";
/// The list of destroyed keys.
const DESTROYED: &str = "destroyed-keys";
/// Ending of what is being made or removed.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// The log's end at some moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// Last position.
    pub position: i64,
    /// When that event was recorded; none in an empty log.
    pub recorded_at: Option<DateTime<Utc>>,
    /// The moment, by the server's clock.
    pub at: DateTime<Utc>,
}

/// A base backup that is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backup {
    /// Its folder's name: when it was begun.
    pub label: String,
    /// Which `ubos` made it.
    pub ubos_version: String,
    /// Which PostgreSQL: 15.18.
    pub postgres_version: String,
    /// Which cluster; PostgreSQL refuses write-ahead log of another one.
    pub system_identifier: String,
    /// The database in it that holds the log.
    pub database: String,
    /// A superuser's name.
    pub superuser: String,
    /// The last migration that had run.
    pub migration: i64,
    /// Under which name the log was published.
    pub log_id: Option<Uuid>,
    /// The log when it was begun.
    pub start: Head,
    /// The log when it was complete: the first moment that can be restored.
    pub end: Head,
    /// Timeline of the write-ahead log.
    pub timeline: u32,
    /// Where the write-ahead log that it needs begins.
    pub start_lsn: String,
    /// From where on it is consistent.
    pub end_lsn: String,
    /// Bytes of a file of the write-ahead log.
    pub wal_segment_bytes: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// What a base backup and the write-ahead log after it can give back.
#[derive(Debug, Clone, Serialize)]
pub struct Restorable {
    /// The base backup.
    #[serde(flatten)]
    pub backup: Backup,
    /// Last commit that is archived without a hole before it; none if the archive has nothing after the base backup.
    pub until: Option<DateTime<Utc>>,
    /// A file of the write-ahead log that is missing; nothing after it can be restored.
    pub hole: Option<String>,
}

impl fmt::Display for Restorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backup { label, end, bytes, postgres_version, .. } = &self.backup;
        let until = self.until.map_or(end.at, |until| until.max(end.at));
        let (from, until) = (end.at.format("%F %T%.6fZ"), until.format("%F %T%.6fZ"));
        write!(f, "{label}  {:>7.1} MB  PostgreSQL {postgres_version}  ", *bytes as f64 / 1e6)?;
        write!(f, "from position {} ({from}) to {until}", end.position)?;
        if let Some(hole) = &self.hole {
            write!(f, "; WAL file {hole} is missing, nothing after it can be restored")?;
        }
        Ok(())
    }
}

/// What was removed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// Labels of base backups.
    pub backups: Vec<String>,
    /// Files of the write-ahead log.
    pub wal_files: usize,
}

/// Reads a list of destroyed keys, a line each, as `ubos subjects destroyed` prints it.
///
/// # Errors
/// When there is no such file, or a line of it is no key.
pub fn read_list(file: &Path) -> Result<Vec<Destroyed>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(str::parse).collect::<Result<_, _>>().map_err(anyhow::Error::msg)
}

/// A backup folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes what is missing of it. What root makes belongs to whom the folder belongs to: the server writes into it.
    pub fn make(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("making {}", root.display()))?;
        let owner = fs::metadata(root)?;
        for folder in ["base", "wal"] {
            let folder = root.join(folder);
            if !folder.is_dir() {
                fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
                if is_root() {
                    chown(&folder, Some(owner.uid()), Some(owner.gid()))?;
                }
            }
        }
        Self::open(root)
    }

    /// One that is there.
    pub fn open(root: &Path) -> Result<Self> {
        let root = root.canonicalize().with_context(|| format!("there is no backup folder {}", root.display()))?;
        for folder in ["base", "wal"] {
            ensure!(root.join(folder).is_dir(), "{} is no backup folder: it has no folder {folder}", root.display());
        }
        // It becomes part of a shell command in PostgreSQL's settings.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
        ensure!(root.to_string_lossy().chars().all(plain), "the path {} is not plain enough", root.display());
        Ok(Self { root })
    }

    /// Where the write-ahead log is archived.
    pub fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    pub(crate) fn base(&self, label: &str) -> PathBuf {
        self.root.join("base").join(label)
    }

    /// The cluster's files of a base backup.
    pub(crate) fn data(&self, label: &str) -> PathBuf {
        self.base(label).join("data")
    }

    /// Which keys of erased persons were destroyed, as far as the folder knows; none if nobody has ever told it.
    pub fn destroyed_keys(&self) -> Result<Option<Vec<Destroyed>>> {
        let list = self.root.join(DESTROYED);
        if list.exists() { read_list(&list).map(Some) } else { Ok(None) }
    }

    /// Adds keys to that list. What is on it stays: a database that was restored may know of fewer.
    pub fn note_destroyed(&self, keys: &[Destroyed]) -> Result<()> {
        // None is a folder that begins its list now.
        let mut list = self.destroyed_keys()?.unwrap_or_default();
        let known: HashSet<Destroyed> = list.iter().cloned().collect();
        list.extend(keys.iter().filter(|key| !known.contains(key)).cloned());
        let text: String = list.iter().map(|key| format!("{key}\n")).collect();
        let (file, making) = (self.root.join(DESTROYED), self.root.join(DESTROYED.to_owned() + UNFINISHED));
        fs::write(&making, text)?;
        File::open(&making)?.sync_all()?;
        Ok(fs::rename(making, file)?)
    }

    /// Only one process at a time makes or removes backups.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::create(self.root.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => bail!("another ubos makes or removes backups in {}", self.root.display()),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Writes what is known beside the data; only then the backup counts.
    pub(crate) fn record(&self, folder: &Path, backup: &Backup) -> Result<()> {
        let file = folder.join(RECORD);
        fs::write(&file, serde_json::to_vec_pretty(backup)?)?;
        Ok(File::open(&file)?.sync_all()?)
    }

    /// Every complete base backup, the oldest first.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        let mut backups = vec![];
        for entry in fs::read_dir(self.root.join("base"))? {
            let folder = entry?.path();
            if folder.to_string_lossy().ends_with(UNFINISHED) {
                continue;
            }
            backups.push(read(&folder)?);
        }
        backups.sort_by_key(|backup| backup.end.at);
        Ok(backups)
    }

    /// One complete base backup.
    pub fn backup(&self, label: &str) -> Result<Backup> {
        ensure!(self.base(label).is_dir(), "there is no base backup {label}");
        read(&self.base(label))
    }

    pub(crate) fn archive(&self, backup: &Backup) -> Result<Archive> {
        Archive::read(&self.wal(), backup.wal_segment_bytes)
    }

    /// What can be restored from each base backup.
    pub async fn restorable(&self, tools: &Tools) -> Result<Vec<Restorable>> {
        let mut all = vec![];
        for backup in self.backups()? {
            let archive = self.archive(&backup)?;
            // A base backup of a past that was given up only leads to that past's end.
            let newest = archive.newest_timeline(backup.timeline);
            let end = Lsn::parse(&backup.end_lsn)?;
            let timeline = if archive.leads_to(backup.timeline, end, newest) { newest } else { backup.timeline };
            let reach = archive.reach(end, timeline);
            let until = match &reach.last {
                Some(last) => self.last_commit(tools, &archive.file(timeline, end), last).await?,
                None => None,
            };
            all.push(Restorable { backup, until, hole: reach.hole });
        }
        Ok(all)
    }

    /// When the newest transaction in the files from `first` to `last` was committed. Looks from the end.
    async fn last_commit(&self, tools: &Tools, first: &str, last: &str) -> Result<Option<DateTime<Utc>>> {
        let mut names: Vec<String> = fs::read_dir(self.wal())?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| name.len() == 24 && name[8..] >= first[8..] && name[8..] <= last[8..])
            .collect();
        names.sort();
        for name in names.iter().rev() {
            let mut dump = tools.command("pg_waldump");
            dump.arg("--rmgr=Transaction").arg(self.wal().join(name)).env("TZ", "UTC").env("PGTZ", "UTC");
            // It complains that the write-ahead log does not go on after the file, which is so.
            let output = dump.output().await.context("running pg_waldump")?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let commits = text.lines().filter_map(|line| line.split_once("desc: COMMIT ").map(|(_, rest)| rest));
            let times = commits.filter_map(|rest| {
                let time = rest.split(';').next()?.trim().strip_suffix(" UTC")?;
                Some(chrono::NaiveDateTime::parse_from_str(time, "%F %T%.f").ok()?.and_utc())
            });
            if let Some(time) = times.max() {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }

    /// Has PostgreSQL compare a base backup's files with the list that was made with it.
    pub(crate) async fn verify(&self, tools: &Tools, data: &Path) -> Result<()> {
        ensure!(data.is_dir(), "base backup {} is incomplete: it has no data", data.display());
        let mut verify = tools.command("pg_verifybackup");
        run(verify.arg("--quiet").arg(data))
            .await
            .with_context(|| format!("base backup {} is damaged", data.display()))?;
        Ok(())
    }

    /// Keeps the newest `keep` base backups and the write-ahead log that they need.
    pub async fn prune(&self, tools: &Tools, keep: usize) -> Result<Pruned> {
        ensure!(keep > 0, "at least one base backup must stay");
        let _lock = self.lock()?;
        let backups = self.backups()?;
        let (gone, kept) = backups.split_at(backups.len().saturating_sub(keep));
        let Some(oldest) = kept.first() else { return Ok(Pruned::default()) };
        let mut pruned = Pruned::default();
        for backup in gone {
            // Renamed first, so that half a backup never looks like a whole one.
            fs::rename(self.base(&backup.label), self.base(&(backup.label.clone() + UNFINISHED)))?;
            pruned.backups.push(backup.label.clone());
        }
        for entry in fs::read_dir(self.root.join("base"))? {
            let folder = entry?.path();
            if folder.to_string_lossy().ends_with(UNFINISHED) {
                fs::remove_dir_all(folder)?;
            }
        }
        let start = kept.iter().map(|backup| Lsn::parse(&backup.start_lsn)).collect::<Result<Vec<_>>>()?;
        let start = start.into_iter().min().context("a base backup stays")?;
        let first = self.archive(oldest)?.file(oldest.timeline, start);
        let before = fs::read_dir(self.wal())?.count();
        run(tools.command("pg_archivecleanup").arg(self.wal()).arg(first)).await?;
        pruned.wal_files = before - fs::read_dir(self.wal())?.count().min(before);
        Ok(pruned)
    }
}

fn read(folder: &Path) -> Result<Backup> {
    let record = folder.join(RECORD);
    let text = fs::read(&record)
        .with_context(|| format!("base backup {} is incomplete: {RECORD} is missing", folder.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", record.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_may_write_into_what_root_makes() {
        const SERVER: u32 = 65_534;
        let root = std::env::temp_dir().join(format!("ubos-backup-folder-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let owner = if is_root() { SERVER } else { fs::metadata(&root).unwrap().uid() };
        chown(&root, Some(owner), None).unwrap();
        let folder = Folder::make(&root).unwrap();
        assert_eq!(fs::metadata(folder.wal()).unwrap().uid(), owner);
        // What is there already stays whose it is.
        Folder::make(&root).unwrap();
        fs::remove_dir_all(root).unwrap();
    }
}
