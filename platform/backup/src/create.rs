//! Makes a base backup.

use crate::Say;
use crate::check::{archive_now, check};
use crate::folder::{Backup, Folder, UNFINISHED};
use crate::server::{Source, head};
use crate::tools::{Tools, run};
use anyhow::{Context, Result, ensure};
use chrono::Utc;
use serde_json::Value;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Stdio;

/// Copies the cluster while it works, checks the copy and writes down what it is. Whatever is cut off does not count.
pub async fn create(source: &Source, folder: &Folder, tools: &Tools, say: Say<'_>) -> Result<Backup> {
    let _lock = folder.lock()?;
    let checked = check(source, folder).await?;
    say(&checked.to_string());
    let mut connection = source.connect().await?;
    let tablespaces: i64 =
        sqlx::query_scalar("select count(*) - 2 from pg_tablespace").fetch_one(&mut connection).await?;
    ensure!(
        tablespaces == 0,
        "the server has tablespaces of its own, which only pgBackRest and Barman put back in place"
    );
    let (postgres_version, system_identifier, superuser, migration, size): (String, String, String, i64, i64) =
        sqlx::query_as(
            "select current_setting('server_version'), (select system_identifier::text from pg_control_system()),
                    (select rolname::text from pg_roles where rolsuper order by oid limit 1),
                    (select max(version) from public._sqlx_migrations where success),
                    (select sum(pg_database_size(oid))::bigint from pg_database)",
        )
        .fetch_one(&mut connection)
        .await
        .context("asking the server what it is")?;
    let log_id = sqlx::query_scalar("select log_id from eventstore.relay")
        .fetch_one(&mut connection)
        .await
        .context("the log")?;
    let start = head(&mut connection).await?;
    let label = start.at.format("%Y%m%dT%H%M%SZ").to_string();
    let making = folder.base(&(label.clone() + UNFINISHED));
    fs::remove_dir_all(&making).ok();
    fs::create_dir_all(&making)?;

    say(&format!("copying {:.1} MB, the log is at position {}", size as f64 / 1e6, start.position));
    let data = making.join("data");
    let mut copy = tools.command("pg_basebackup");
    source.tell(&mut copy);
    copy.arg("--pgdata").arg(&data).args(["--checkpoint=fast", "--wal-method=stream", "--manifest-checksums=SHA256"]);
    copy.arg(format!("--label=ubos {label}")).arg("--no-password");
    if std::io::stderr().is_terminal() {
        let status = copy.arg("--progress").stderr(Stdio::inherit()).status().await?;
        ensure!(status.success(), "pg_basebackup failed");
    } else {
        run(&mut copy).await?;
    }
    let end = head(&mut connection).await?;
    say("comparing every file with its checksum");
    folder.verify(tools, &data).await?;
    // Now a restore to any moment from here on has all it needs.
    archive_now(&mut connection, folder).await?;

    let (timeline, start_lsn, end_lsn) = wal_range(&data)?;
    let wal_segment_bytes: i64 =
        sqlx::query_scalar("select setting::bigint from pg_settings where name = 'wal_segment_size'")
            .fetch_one(&mut connection)
            .await?;
    let backup = Backup {
        label: label.clone(),
        ubos_version: env!("CARGO_PKG_VERSION").to_owned(),
        postgres_version,
        system_identifier,
        database: source.database().to_owned(),
        superuser,
        migration,
        log_id,
        start,
        end,
        timeline,
        start_lsn,
        end_lsn,
        wal_segment_bytes: u64::try_from(wal_segment_bytes)?,
        bytes: bytes_of(&data)?,
    };
    folder.record(&making, &backup)?;
    fs::rename(&making, folder.base(&label))?;
    let seconds = (Utc::now() - backup.start.at).as_seconds_f64();
    say(&format!("base backup {label} is complete after {seconds:.1} s"));
    Ok(backup)
}

/// Timeline and stretch of the write-ahead log that a base backup needs, from its manifest.
fn wal_range(data: &Path) -> Result<(u32, String, String)> {
    let manifest: Value = serde_json::from_slice(&fs::read(data.join("backup_manifest"))?)?;
    let range = &manifest["WAL-Ranges"][0];
    let text =
        |name: &str| range[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in the manifest"));
    let timeline = range["Timeline"].as_u64().context("no timeline in the manifest")?;
    Ok((u32::try_from(timeline)?, text("Start-LSN")?, text("End-LSN")?))
}

fn bytes_of(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { bytes_of(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}
