//! A server that replays the write-ahead log and that nobody else can reach.
//!
//! It listens on a socket in a folder of its own, with its own settings, so it neither needs those of the lost server
//! nor meets a role before the log has its new name. It archives nothing: a restore that is only tried must not put a
//! timeline into the archive that a later one would follow. What is to be archived waits until the server is started for
//! good.

use crate::Say;
use crate::tools::{Tools, run};
use anyhow::{Context, Result, bail};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Child;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How long its processes may take to follow their parent.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// Any number does; it is part of the socket's name.
const PORT: u16 = 5432;

/// A server under recovery, later a server.
pub(crate) struct Recovery<'a> {
    tools: &'a Tools,
    data: &'a Path,
    private: PathBuf,
    log: PathBuf,
    server: Child,
}

impl<'a> Recovery<'a> {
    /// Starts it on `data` with these settings besides its own.
    pub fn start(tools: &'a Tools, data: &'a Path, settings: &[(&str, String)]) -> Result<Self> {
        // A socket's path must be short, so it cannot be below the data.
        let private = std::env::temp_dir().join(format!("ubos-restore-{}", std::process::id()));
        fs::remove_dir_all(&private).ok();
        fs::create_dir(&private)?;
        fs::set_permissions(&private, fs::Permissions::from_mode(0o700))?;
        let (empty, hba) = (private.join("empty.conf"), private.join("hba.conf"));
        fs::write(&empty, "")?;
        // Whoever reaches the socket's folder is root or the server's own account.
        fs::write(&hba, "local all all trust\n")?;
        let log = data.join("ubos-restore.log");
        let output = File::create(&log)?;
        for path in [&private, &empty, &hba, &log] {
            tools.give(path)?;
        }
        let mut command = tools.command_as_account("postgres");
        command.arg("-D").arg(data);
        let fixed = [
            ("config_file", empty.display().to_string()),
            ("ident_file", empty.display().to_string()),
            ("hba_file", hba.display().to_string()),
            ("listen_addresses", String::new()),
            ("unix_socket_directories", private.display().to_string()),
            ("port", PORT.to_string()),
            ("ssl", "off".to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_destination", "stderr".to_owned()),
            ("synchronous_standby_names", String::new()),
            ("archive_mode", "on".to_owned()),
            ("archive_command", String::new()),
            // Without it, nothing need be as large as it was on the lost server.
            ("hot_standby", "off".to_owned()),
            ("shared_buffers", "256MB".to_owned()),
            ("max_wal_size", "4GB".to_owned()),
            ("timezone", "UTC".to_owned()),
        ];
        for (name, value) in
            fixed.iter().map(|(name, value)| (*name, value)).chain(settings.iter().map(|(n, v)| (*n, v)))
        {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let server = command.spawn().context("starting PostgreSQL")?;
        Ok(Self { tools, data, private, log, server })
    }

    /// Waits until everything is replayed and the server takes writes; however long that takes.
    pub async fn recovered(&mut self, superuser: &str, database: &str, say: Say<'_>) -> Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.private)
            .port(PORT)
            .username(superuser)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging();
        let mut told = Instant::now();
        loop {
            if let Some(status) = self.server.try_wait()? {
                let log = self.log();
                if log.contains("recovery ended before configured recovery target was reached") {
                    bail!("the archive ends before that moment; `ubos backup list` shows how far it goes");
                }
                let tail: Vec<&str> = log.lines().rev().take(12).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("PostgreSQL ended while recovering ({status}); its last lines:\n{}", tail.join("\n"));
            }
            if let Ok(mut connection) = PgConnection::connect_with(&options).await {
                let recovers: bool =
                    sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut connection).await?;
                if !recovers {
                    return Ok(connection);
                }
            }
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                say(&format!("replaying, {} files of the write-ahead log so far", self.replayed().len()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The files that came from the archive.
    pub fn replayed(&self) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| line.split_once("restored log file \""));
        lines.filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())).collect()
    }

    /// Writes everything to the disk and ends it.
    pub async fn stop(mut self) -> Result<()> {
        stop(self.tools, self.data, "fast").await?;
        self.server.wait().await?;
        Ok(())
    }
}

impl Drop for Recovery<'_> {
    fn drop(&mut self) {
        // After an error; what it was at is done again from the start.
        if self.server.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.server.start_kill());
        }
        fs::remove_dir_all(&self.private).ok();
    }
}

/// Ends the server that works on `data`, if one does, and waits until none of its processes is left.
pub(crate) async fn stop(tools: &Tools, data: &Path, mode: &str) -> Result<()> {
    if !processes(data).is_empty() {
        let mut command = tools.command_as_account("pg_ctl");
        let stopped = run(command.args(["stop", "-w", "-t", "600", "-m", mode, "-D"]).arg(data)).await;
        // It also complains about a server that ended without tidying up; what counts is who is left.
        let deadline = Instant::now() + STOP_PATIENCE;
        while !processes(data).is_empty() {
            if Instant::now() > deadline {
                stopped.with_context(|| format!("processes {:?} still work on {}", processes(data), data.display()))?;
                bail!("processes {:?} still work on {}", processes(data), data.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Every process of a server works in its data folder; one that has ended works nowhere.
fn processes(data: &Path) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mine = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == data);
    pids.filter(|pid| *pid != std::process::id()).filter(mine).collect()
}
