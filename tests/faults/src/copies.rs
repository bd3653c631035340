//! Two copies of every role, each a process with settings and proxies of its own.

use crate::evidence::Evidence;
use crate::proxy::Proxies;
use crate::servers::Servers;
use anyhow::{Context, Result, ensure};
use local_servers::{Dirs, Gone, Launch, NatsUser, Process, free_port};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// What the run's keys are wrapped with, in base64. The checker opens the log with it.
pub const VAULT_KEY: &str = "dWJvcy1kZXZlbG9wbWVudC1rZXktb2YtdGhlLXZhdWw=";

/// How long a role may take to be ready; far more than the goal, so that the report can say how much.
const READY_PATIENCE: Duration = Duration::from_secs(90);
/// How long a role that was asked to end may take.
const STOP_PATIENCE: Duration = Duration::from_secs(25);

/// One process of one role.
#[derive(Debug)]
pub struct Copy {
    /// `relay-1`.
    pub name: String,
    /// `relay`.
    pub role: String,
    /// Where it serves HTTP: its own interface, or health only.
    pub port: u16,
    /// What stands between it and its servers.
    pub proxies: Arc<Proxies>,
    dirs: Dirs,
    ubos: PathBuf,
    config: PathBuf,
    /// Zero while it does not run; read without the lock.
    pid: AtomicU32,
    slot: Mutex<Slot>,
}

/// Whoever holds this does something to the process; nobody else does meanwhile.
#[derive(Debug, Default)]
pub struct Slot {
    process: Option<Process>,
}

impl Copy {
    /// Writes its settings and starts its proxies; the process itself is not started yet.
    pub async fn prepare(servers: &Servers, ubos: &Path, role: &str, number: usize) -> Result<Arc<Self>> {
        let name = format!("{role}-{number}");
        let proxies = Proxies::start(servers.postgres_port, &servers.nats_ports).await?;
        let port = free_port()?;
        let config = servers.dirs.root().join(format!("{name}.toml"));
        let nats_ports: Vec<u16> = proxies.nats.iter().map(|node| node.port).collect();
        let listen = format!("[listen.roles]\n{} = \"127.0.0.1:{port}\"", role.replace('-', "_"));
        std::fs::write(&config, settings(servers, proxies.postgres.port, &nats_ports, &listen))?;
        Ok(Arc::new(Self {
            name,
            role: role.to_owned(),
            port,
            proxies,
            dirs: servers.dirs.clone(),
            ubos: ubos.to_owned(),
            config,
            pid: AtomicU32::new(0),
            slot: Mutex::default(),
        }))
    }

    /// Waits until nobody else does anything to it.
    pub async fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().await
    }

    /// The process number that it was last started with, whoever works on it now.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Starts it with these variables in its environment besides ours.
    pub fn spawn(&self, slot: &mut Slot, environment: &[(&str, &str)]) -> Result<()> {
        let mut command = Command::new(&self.ubos);
        command.arg("--config").arg(&self.config).arg(&self.role).env_remove("RUST_LOG").stdin(Stdio::null());
        command.envs(environment.iter().copied());
        let launch = Launch {
            name: self.name.clone(),
            log: self.log(),
            record: self.dirs.record(&self.name),
            fingerprint: self.name.clone(),
        };
        let process = Process::start(&launch, command)?;
        self.pid.store(process.pid(), Ordering::Relaxed);
        slot.process = Some(process);
        Ok(())
    }

    /// Where its output goes.
    pub fn log(&self) -> PathBuf {
        self.dirs.log(&self.name)
    }

    /// Waits until it says that it is ready; answers how long that took.
    pub async fn ready(&self, slot: &mut Slot) -> Result<Duration> {
        let begun = Instant::now();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(1)).build()?;
        let url = format!("http://127.0.0.1:{}/ready", self.port);
        loop {
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(begun.elapsed());
            }
            ensure!(slot.is_running(), "{} ended while starting", self.name);
            ensure!(begun.elapsed() < READY_PATIENCE, "{} is not ready after {READY_PATIENCE:?}", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Slot {
    /// Whether the process runs; one that is stopped does.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Whether there should be a process and there is none.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !process.is_running())
    }

    /// Sends a signal by name.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), |process| process.signal(signal))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// SIGTERM, and SIGKILL after a while.
    pub fn stop(&mut self) -> Result<Gone> {
        self.process.take().map_or(Ok(Gone::Before), |mut process| process.stop("TERM", STOP_PATIENCE))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.kill());
        }
    }
}

/// Every copy.
#[derive(Debug, Clone)]
pub struct Copies(Vec<Arc<Copy>>);

impl Copies {
    /// Two of each role that the operator's settings set up, not started yet.
    pub async fn prepare(servers: &Servers, ubos: &Path) -> Result<Self> {
        let answer: serde_json::Value = serde_json::from_str(&operate(servers, ubos, &["roles", "--json"]).await?)?;
        let roles = answer["data"].as_array().context("`ubos roles` lists the roles")?;
        let wanted = roles.iter().filter(|role| role["wanted"] == true).filter_map(|role| role["name"].as_str());
        let mut copies = vec![];
        for role in wanted {
            for number in [1, 2] {
                copies.push(Copy::prepare(servers, ubos, role, number).await?);
            }
        }
        Ok(Self(copies))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Copy>> {
        self.0.iter()
    }

    /// By name: `relay-1`.
    pub fn named(&self, name: &str) -> Result<&Arc<Copy>> {
        self.0.iter().find(|copy| copy.name == name).with_context(|| format!("there is no {name}"))
    }

    /// The ports of both copies of a role.
    pub fn ports(&self, role: &str) -> Vec<u16> {
        self.0.iter().filter(|copy| copy.role == role).map(|copy| copy.port).collect()
    }

    /// Starts every copy and waits until all are ready.
    pub async fn start(&self) -> Result<()> {
        for copy in &self.0 {
            copy.spawn(&mut *copy.lock().await, &[])?;
        }
        for copy in &self.0 {
            let mut slot = copy.lock().await;
            copy.ready(&mut slot).await.with_context(|| tail(&copy.log()))?;
        }
        Ok(())
    }

    /// Starts again whatever ends by itself, for ever, as a real supervisor would, and writes it down.
    pub async fn keep(self, evidence: Arc<Evidence>) {
        loop {
            for copy in &self.0 {
                // Somebody else is at work on it.
                let Ok(mut slot) = copy.slot.try_lock() else { continue };
                if !slot.has_ended() {
                    continue;
                }
                let at = evidence.now();
                eprintln!("{at:8.1} {} ended by itself", copy.name);
                let line = serde_json::json!({
                    "at": at, "until": null, "kind": "exit", "target": copy.name,
                    "detail": { "log": tail(&copy.log()) }, "recovered": null,
                });
                evidence.faults.add(&line);
                slot.process = None;
                if let Err(error) = copy.spawn(&mut slot, &[]) {
                    eprintln!("{} cannot be started: {error:#}", copy.name);
                }
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Ends every copy.
    pub async fn stop(&self) {
        for copy in &self.0 {
            drop(copy.lock().await.kill());
        }
    }
}

/// Runs a verb of the operator's to its end, past all proxies.
pub async fn operator(servers: &Servers, ubos: &Path, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    operator_with(servers, ubos, arguments, &[]).await
}

/// The same with these variables in its environment. No code is the end by a signal.
pub async fn operator_with(
    servers: &Servers,
    ubos: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(Option<i32>, String)> {
    let config = servers.dirs.root().join("operator.toml");
    let mut command = tokio::process::Command::new(ubos);
    command.arg("--config").arg(config).args(arguments).env_remove("RUST_LOG").stdin(Stdio::null()).kill_on_drop(true);
    command.envs(environment.iter().copied());
    let output = command.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code(), text))
}

/// The same for a verb that must succeed.
pub async fn operate(servers: &Servers, ubos: &Path, arguments: &[&str]) -> Result<String> {
    let (code, text) = operator(servers, ubos, arguments).await?;
    ensure!(code == Some(0), "ubos {} failed: {text}", arguments.join(" "));
    Ok(text.trim().to_owned())
}

/// Writes the settings that operators use: straight to the servers.
pub fn write_operator_settings(servers: &Servers) -> Result<()> {
    let toml = settings(servers, servers.postgres_port, &servers.nats_ports, "");
    Ok(std::fs::write(servers.dirs.root().join("operator.toml"), toml)?)
}

fn settings(servers: &Servers, postgres: u16, nats: &[u16], listen: &str) -> String {
    let (state, superuser) = (servers.dirs.root().display(), &servers.postgres_url);
    let (reader, filler) = (servers.nats_url(NatsUser::Reader, nats), servers.nats_url(NatsUser::Relay, nats));
    let url = |role: &str| format!("postgres://ubos_{role}:faults@127.0.0.1:{postgres}/ubos");
    let (owner, command, query, worker) = (url("owner"), url("command"), url("query"), url("worker"));
    let (replicas, mail) = (nats.len(), servers.mailbox.port);
    format!(
        r#"environment = "development"
[database]
admin_url = "{superuser}"
owner_url = "{owner}"
command_url = "{command}"
query_url = "{query}"
worker_url = "{worker}"
[nats]
url = "{reader}"
relay_url = "{filler}"
replicas = {replicas}
[rate_limits]
address_requests = 1000000000
caller_requests = 1000000000
key_requests = 1000000000
tenant_requests = 1000000000
address_failures = 1000000000
address_logins = 1000000000
[http]
drain_delay_ms = 0
{listen}
[auth]
jwks = "{state}/jwks.json"
issuer = "https://ubos.localhost"
audience = "ubos"
dev_signing_key = "{state}/dev-key.pk8"
[vault]
key = "{VAULT_KEY}"
[mail]
smtp_url = "smtp://127.0.0.1:{mail}"
from = "UBOS <no-reply@ubos.example>"
"#
    )
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
