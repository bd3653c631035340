//! PostgreSQL from the distribution's package.

use crate::certificate::Certificate;
use crate::dirs::Dirs;
use crate::install::Programs;
use crate::process::{Gone, Launch, Process, children, kill_all, send};
use crate::user::User;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "postgres";
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(25);
/// How long what a killed one left behind may take to end.
const LEFT_PATIENCE: Duration = Duration::from_secs(10);

/// Settings of every instance. The transaction timeout ends what a client that vanished left open: it would hold the
/// log's head row. Autovacuum keeps its defaults.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=400",
    "wal_level=replica",
    "max_wal_size=4GB",
    "idle_in_transaction_session_timeout=60s",
    "log_line_prefix=%m [%p] %u@%d ",
    "timezone=UTC",
];
const DURABLE: &[&str] = &["shared_buffers=512MB"];
/// Nothing here survives a crash of the machine; a crash of the server alone it does survive.
///
/// A test that ends while it connects lets go of its socket only when its database is dropped, and PostgreSQL drops none
/// before every login has ended; so a login may take less than the usual minute.
const THROWAWAY: &[&str] = &[
    "shared_buffers=256MB",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "authentication_timeout=10s",
];

/// What an instance promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresMode {
    /// A commit is on the disk when it returns.
    Durable,
    /// Quick, for tests that do not pull the plug.
    Throwaway,
}

/// A PostgreSQL server of our own.
#[derive(Debug)]
pub struct Postgres {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// The superuser's URL, with password and the database `postgres`.
    pub url: String,
    /// Where `psql`, `pgbench` and `pg_dump` of this version are.
    pub bin: PathBuf,
    dirs: Dirs,
    data: PathBuf,
    user: Option<User>,
    mode: PostgresMode,
    settings: Vec<String>,
    process: Process,
}

impl Postgres {
    /// Starts it, or takes over the one that an earlier run started in the same folder.
    pub fn start(programs: &Programs, dirs: &Dirs, port: u16, mode: PostgresMode) -> Result<Self> {
        Self::start_with(programs, dirs, port, mode, vec![])
    }

    /// The same with settings of one's own (`archive_mode=on`), which win over ours.
    pub fn start_with(
        programs: &Programs,
        dirs: &Dirs,
        port: u16,
        mode: PostgresMode,
        settings: Vec<String>,
    ) -> Result<Self> {
        let user = User::for_postgres()?;
        let data = dirs.data_of(NAME, user.as_ref())?.join("data");
        let password = dirs.password(NAME)?;
        let bin = programs.postgres_bin.clone();
        let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        let process = match Process::recorded(NAME, &dirs.record(NAME)) {
            Some(process) if process.fingerprint() == fingerprint(port, mode, &settings) => process,
            Some(mut other) => {
                other.stop("INT", STOP_PATIENCE)?;
                launch(&bin, dirs, &data, user, port, mode, &settings)?
            }
            None => {
                if !data.exists() {
                    init(&bin, &data, user, &password)?;
                }
                launch(&bin, dirs, &data, user, port, mode, &settings)?
            }
        };
        Ok(Self { port, url, bin, dirs: dirs.clone(), data, user, mode, settings, process })
    }

    /// The same, also speaking TLS.
    pub fn start_tls(
        programs: &Programs,
        dirs: &Dirs,
        port: u16,
        mode: PostgresMode,
        certificate: &Certificate,
    ) -> Result<Self> {
        // It reads no key that others could read too, nor one in a folder that it may not enter.
        let keys = dirs.data_of("postgres-tls", User::for_postgres()?.as_ref())?;
        let copy = |file: &Path, name: &str| -> Result<String> {
            let to = keys.join(name);
            fs::copy(file, &to)?;
            User::for_postgres()?.map_or_else(|| crate::install::private(&to), |user| user.own(&to))?;
            Ok(to.display().to_string())
        };
        let settings = vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", copy(&certificate.certificate, "server.pem")?),
            format!("ssl_key_file={}", copy(&certificate.key, "server.key")?),
            format!("ssl_ca_file={}", copy(&certificate.authorities, "ca.pem")?),
        ];
        Self::start_with(programs, dirs, port, mode, settings)
    }

    /// Copies this server and starts the copy as a standby that follows it; `dirs` must be a folder of its own.
    pub fn start_standby(&self, dirs: &Dirs, port: u16) -> Result<Self> {
        let data = dirs.data_of(NAME, self.user.as_ref())?.join("data");
        let mut copy = Command::new(self.bin.join("pg_basebackup"));
        copy.arg("--pgdata").arg(&data).arg("--dbname").arg(&self.url).current_dir("/");
        copy.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        if let Some(user) = self.user {
            user.run(&mut copy);
        }
        let output = copy.output().context("running pg_basebackup")?;
        if !output.status.success() {
            bail!("pg_basebackup failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let process = launch(&self.bin, dirs, &data, self.user, port, self.mode, &self.settings)?;
        let url = self.url.replace(&format!("127.0.0.1:{}", self.port), &format!("127.0.0.1:{port}"));
        let (bin, dirs, user, mode) = (self.bin.clone(), dirs.clone(), self.user, self.mode);
        Ok(Self { port, url, bin, dirs, data, user, mode, settings: self.settings.clone(), process })
    }

    /// Process number of the postmaster.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends sessions, writes everything, stops (a "fast" shutdown).
    pub fn stop(&mut self) -> Result<Gone> {
        let sessions = children(self.process.pid());
        let gone = self.process.stop("INT", STOP_PATIENCE)?;
        if gone == Gone::ByForce {
            kill_all(&sessions)?;
        }
        Ok(gone)
    }

    /// Pulls the plug: SIGKILL to the postmaster and to every session and helper that it leaves behind.
    pub fn kill(&mut self) -> Result<()> {
        // Stopped first, so that it starts no session between our look and our blow.
        self.process.signal("STOP")?;
        let left = children(self.process.pid());
        self.process.kill()?;
        // Left alone, they would keep the shared memory, and the next start would refuse.
        kill_all(&left)
    }

    /// Sends a signal by name (`STOP`, `CONT`) to the postmaster and everything it has started.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.process.signal(signal)?;
        let pids: Vec<u32> = children(self.process.pid()).iter().map(|(pid, _)| *pid).collect();
        if pids.is_empty() { Ok(()) } else { send(signal, &pids) }
    }

    /// Starts it again on the same data and port; stops it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.process = launch(&self.bin, &self.dirs, &self.data, self.user, self.port, self.mode, &self.settings)?;
        Ok(())
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Lets it write into a folder.
    pub fn give(&self, folder: &Path) -> Result<()> {
        self.user.map_or(Ok(()), |user| user.own(folder))
    }

    /// Whether the postmaster runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.dirs.is_throwaway() {
            // Its data goes with it, so there is nothing to write out.
            self.kill().ok();
        }
    }
}

fn fingerprint(port: u16, mode: PostgresMode, settings: &[String]) -> String {
    format!("{port} {mode:?} {}", settings.join(" ")).trim_end().to_owned()
}

/// Makes `data` beside its place and renames it there, so that an `initdb` that was cut off is simply repeated.
fn init(bin: &Path, data: &Path, user: Option<User>, password: &str) -> Result<()> {
    let making = data.with_extension("new");
    let password_file = data.with_extension("password");
    fs::remove_dir_all(&making).ok();
    // A real file of the server's user: `--pwfile=/dev/fd/…` cannot be read after the change of user.
    fs::write(&password_file, password)?;
    let mut command = Command::new(bin.join("initdb"));
    command.arg("--pgdata").arg(&making).arg("--pwfile").arg(&password_file).current_dir("/");
    command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
    if let Some(user) = user {
        user.own(&password_file)?;
        user.run(&mut command);
    }
    let output = command.output().context("running initdb");
    fs::remove_file(&password_file).ok();
    let output = output?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::rename(&making, data)?)
}

fn launch(
    bin: &Path,
    dirs: &Dirs,
    data: &Path,
    user: Option<User>,
    port: u16,
    mode: PostgresMode,
    settings: &[String],
) -> Result<Process> {
    let special = match mode {
        PostgresMode::Durable => DURABLE,
        PostgresMode::Throwaway => THROWAWAY,
    };
    let command = || {
        let mut command = Command::new(bin.join("postgres"));
        command.arg("-D").arg(data).arg("-p").arg(port.to_string()).current_dir("/");
        let settings_of_ours = SETTINGS.iter().chain(special).copied();
        for setting in settings_of_ours.chain(settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        if let Some(user) = user {
            user.run(&mut command);
        }
        command
    };
    let log = dirs.log(NAME);
    let launch = Launch {
        name: "PostgreSQL".to_owned(),
        log: log.clone(),
        record: dirs.record(NAME),
        fingerprint: fingerprint(port, mode, settings),
    };
    let (status_file, began) = (data.join("postmaster.pid"), Instant::now());
    loop {
        let mut process = Process::start(&launch, command())?;
        let pid = process.pid().to_string();
        let ready = process.wait_until(START_PATIENCE, &log, || {
            // The postmaster writes its state into line 8; a file that a killed one left has another number in line 1.
            let status = fs::read_to_string(&status_file).unwrap_or_default();
            let lines: Vec<&str> = status.lines().map(str::trim).collect();
            lines.first() == Some(&pid.as_str()) && lines.get(7) == Some(&"ready")
        });
        match ready {
            Ok(()) => return Ok(process),
            Err(error) if is_taken(&error) && began.elapsed() < LEFT_PATIENCE => {
                thread::sleep(Duration::from_millis(200))
            }
            Err(error) => return Err(error),
        }
    }
}

/// Are there still processes of one that was killed? They notice within a second, and keep the data folder till then.
fn is_taken(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    text.contains("lock file \"postmaster.pid\" already exists") || text.contains("pre-existing shared memory block")
}
