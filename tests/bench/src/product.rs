//! The product's roles as processes, on a database of the bench's own.

use crate::seed::user;
use anyhow::{Context, Result, bail, ensure};
use e2e::MET_BY_NOBODY;
use event_store::{Log, Store, StoreOptions};
use kernel::TenantId;
use local_servers::free_port;
use sqlx::PgPool;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestNats};
use uuid::Uuid;
use vault::{LocalKeys, Vault};

/// How long a role may take to be ready.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a role may take to stop when asked.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Settings for the roles of one database, and where to look after them.
#[derive(Debug)]
pub struct Product {
    ubos: PathBuf,
    folder: PathBuf,
    database: [(&'static str, String); 4],
    nats: String,
    names: TestNats,
}

/// A role that runs; killed when dropped.
#[derive(Debug)]
pub struct Process {
    /// The subcommand of `ubos`.
    pub role: &'static str,
    /// Where it answers.
    pub address: SocketAddr,
    child: Child,
}

impl Product {
    /// Roles on `database`, publishing to the NATS server at `nats`.
    pub fn on(database: &TestDatabase, nats: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let ubos = std::env::var_os("UBOS_BIN").context("UBOS_BIN is not set: run `cargo xtask bench`")?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ubos-bench-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let url = |name, role| (name, database.url(role));
        let database = [
            url("owner_url", "ubos_owner"),
            url("command_url", "ubos_command"),
            url("query_url", "ubos_query"),
            url("worker_url", "ubos_worker"),
        ];
        Ok(Self { ubos: ubos.into(), folder, database, nats: nats.to_owned(), names: TestNats::new() })
    }

    /// Starts a role and waits until it is ready. The same role may run more than once.
    pub async fn start(&self, role: &'static str) -> Result<Process> {
        self.spawn(role, Command::new(&self.ubos)).await
    }

    /// The same on some of the cores, `0,2`.
    pub async fn start_on(&self, role: &'static str, cores: &str) -> Result<Process> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", cores]).arg(&self.ubos);
        self.spawn(role, command).await
    }

    async fn spawn(&self, role: &'static str, mut command: Command) -> Result<Process> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = self.configure(role, Some(address))?;
        let log = std::fs::File::create(self.folder.join(format!("{role}-{}.log", address.port())))?;
        command.arg("--config").arg(config).arg(role).env_remove("RUST_LOG").stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut process = Process { role, address, child };
        let http = reqwest::Client::new();
        let started = Instant::now();
        loop {
            if let Ok(answer) = http.get(format!("http://{address}/ready")).send().await
                && answer.status().is_success()
            {
                return Ok(process);
            }
            let ended = process.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START_PATIENCE {
                let log = self.folder.join(format!("{role}-{}.log", address.port()));
                let log = std::fs::read_to_string(log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                bail!("{role} is not ready ({ended:?}); its last lines, newest first:\n{}", tail.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An owner's token.
    pub fn token(&self, tenant: TenantId) -> Result<String> {
        let config = self.configure("token", None)?;
        let mut command = Command::new(&self.ubos);
        command.arg("--config").arg(config).args(["token", "--roles", "owner", "--ttl-seconds", "86400"]);
        command.args(["--tenant", &tenant.to_string(), "--subject", &user().to_string()]);
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "ubos token: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// The keys that tokens are checked with.
    pub fn jwks(&self) -> PathBuf {
        self.folder.join("jwks.json")
    }

    /// The settings of one role that answers at this address, or of an operator's verb, which answers nowhere.
    fn configure(&self, name: &str, address: Option<SocketAddr>) -> Result<PathBuf> {
        let listen = |address| format!("[listen.roles]\n{} = \"{address}\"\n", name.replace('-', "_"));
        let listen = address.map(listen).unwrap_or_default();
        let folder = self.folder.display();
        let database: String = self.database.iter().map(|(name, url)| format!("{name} = \"{url}\"\n")).collect();
        let toml = format!(
            "environment = \"development\"\n[database]\n{database}\
             [nats]\nurl = \"{}\"\nstream = \"{}\"\nsubject_prefix = \"{}\"\n\
             {MET_BY_NOBODY}[http]\ndrain_delay_ms = 0\n{listen}\
             [auth]\njwks = \"{folder}/jwks.json\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n\
             dev_signing_key = \"{folder}/dev-key.pk8\"\n\
             [vault]\nkey = \"{VAULT_KEY}\"\n",
            self.nats, self.names.stream, self.names.prefix,
        );
        let file = self.folder.join(format!("{name}-{}.toml", Uuid::now_v7().simple()));
        std::fs::write(&file, toml)?;
        Ok(file)
    }
}

/// What everything personal is sealed with, in base64.
const VAULT_KEY: &str = "dWJvcy1kZXZlbG9wbWVudC1rZXktb2YtdGhlLXZhdWw=";

/// A store as command-api has one: it seals what is personal.
pub async fn store(log: &TestDatabase, options: StoreOptions) -> Result<Store> {
    let pool = log.command().await;
    Ok(Store::start(pool.clone(), StoreOptions { vault: Some(vault(pool)?), ..options }))
}

/// The log as relay and projections read it: what is sealed they open.
pub fn log(pool: PgPool) -> Result<Log> {
    Ok(Log::unsealing(pool.clone(), Some(vault(pool)?)))
}

fn vault(pool: PgPool) -> Result<Vault> {
    Ok(Vault::start(pool, Arc::new(LocalKeys::new(&VAULT_KEY.to_owned().into(), &[])?)))
}

/// Who signs the tokens.
pub const ISSUER: &str = "https://ubos.localhost";
/// For whom they are.
pub const AUDIENCE: &str = "ubos";

impl Drop for Product {
    fn drop(&mut self) {
        // Whatever stays behind is a few kilobytes in the folder for temporary files.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Process {
    /// Memory that it holds, in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill");
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(started.elapsed() < STOP_PATIENCE, "{} does not stop", self.role);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
