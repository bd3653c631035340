//! Whether a server archives its write-ahead log into the backup folder. Without that there is no point in time.

use crate::folder::Folder;
use crate::server::Source;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use sqlx::PgConnection;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How long the server may take to archive one file.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// A file of the write-ahead log that came while we looked.
    pub archived: String,
    /// How long it took.
    pub seconds: f64,
    /// What might be better.
    pub hints: Vec<String>,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the write-ahead log is archived: {} came within {:.1} s", self.archived, self.seconds)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

/// The lines for `postgresql.conf`.
pub fn archive_settings(folder: &Folder) -> String {
    let wal = folder.wal();
    let wal = wal.display();
    // Repeating it is no error, an archived file is never replaced by another one, and half a file never counts.
    format!(
        "wal_level = replica\n\
         archive_mode = on\n\
         archive_command = 'if test -f \"{wal}/%f\"; then cmp -s \"%p\" \"{wal}/%f\"; \
         else cp \"%p\" \"{wal}/%f.part\" && sync \"{wal}/%f.part\" && mv \"{wal}/%f.part\" \"{wal}/%f\"; fi'\n\
         archive_timeout = 60"
    )
}

/// Looks at the settings, then has the server archive a file and waits for it. The error says what is missing.
pub async fn check(source: &Source, folder: &Folder) -> Result<Check> {
    let mut connection = source.connect().await?;
    let settings: Vec<(String, String)> = sqlx::query_as(
        "select name, setting from pg_settings
         where name in ('archive_mode', 'archive_command', 'archive_library', 'archive_timeout', 'wal_level', 'fsync',
                        'data_checksums', 'full_page_writes')",
    )
    .fetch_all(&mut connection)
    .await
    .context("reading the server's settings")?;
    let settings: HashMap<String, String> = settings.into_iter().collect();
    let setting = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut missing = vec![];
    if setting("wal_level") == "minimal" {
        missing.push("wal_level is minimal (needs a restart)");
    }
    if setting("archive_mode") == "off" {
        missing.push("archive_mode is off (needs a restart)");
    }
    if matches!(setting("archive_command"), "" | "(disabled)") && setting("archive_library").is_empty() {
        missing.push("archive_command is empty");
    }
    let lines = archive_settings(folder);
    ensure!(
        missing.is_empty(),
        "the server does not archive its write-ahead log: {}. Put this into postgresql.conf:\n{lines}",
        missing.join(", ")
    );
    let (archived, seconds) = archive_now(&mut connection, folder).await?;
    let mut hints = vec![];
    if setting("archive_timeout") == "0" {
        hints.push("archive_timeout is 0: what is lost with the server may be hours old; 60 means a minute".to_owned());
    }
    for name in ["fsync", "full_page_writes"] {
        if setting(name) == "off" {
            hints.push(format!("{name} is off: a crash may damage the server beyond repair"));
        }
    }
    if setting("data_checksums") == "off" {
        hints.push("data checksums are off: bit rot would go into every backup (pg_checksums --enable)".to_owned());
    }
    Ok(Check { archived, seconds, hints })
}

/// Ends the present file of the write-ahead log and waits until it is in the folder.
pub(crate) async fn archive_now(connection: &mut PgConnection, folder: &Folder) -> Result<(String, f64)> {
    let begun = Instant::now();
    // An empty file would not be ended.
    let name: String = sqlx::query_scalar("select pg_walfile_name(pg_create_restore_point('ubos backup'))")
        .fetch_one(&mut *connection)
        .await
        .context("writing into the write-ahead log")?;
    sqlx::query("select pg_switch_wal()").execute(&mut *connection).await?;
    while !folder.wal().join(&name).is_file() {
        if begun.elapsed() > PATIENCE {
            let failed: Option<String> =
                sqlx::query_scalar("select last_failed_wal from pg_stat_archiver").fetch_one(&mut *connection).await?;
            let failed = failed.map_or(String::new(), |file| format!("; it failed with {file}, its log says why"));
            anyhow::bail!(
                "the server archives elsewhere or not at all: {name} is not in {} after {} s{failed}. \
                 Put this into postgresql.conf:\n{}",
                folder.wal().display(),
                PATIENCE.as_secs(),
                archive_settings(folder)
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok((name, begun.elapsed().as_secs_f64()))
}
