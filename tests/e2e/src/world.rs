//! The whole product on servers of its own, every process of which can be killed.

use crate::connected;
use anyhow::{Context, Result, bail, ensure};
use local_servers::{
    Dirs, Nats, NatsOptions, NatsUser, Postgres, PostgresMode, Programs, Redis, S3, S3_PORTS, ensure_installed,
    free_port, free_ports,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Settings of rate limits that are counted and never met: one client sends everything here.
pub const MET_BY_NOBODY: &str = "[rate_limits]\naddress_requests = 1000000000\ncaller_requests = 1000000000\n\
                                 key_requests = 1000000000\ntenant_requests = 1000000000\naddress_failures = 1000000000\naddress_logins = 1000000000\n";

/// The vault's key of every world.
pub const VAULT_KEY: &str = "dWJvcy1kZXZlbG9wbWVudC1rZXktb2YtdGhlLXZhdWw=";

/// Whose turn it is: a world has the machine to itself, whatever else is in the test's binary.
static TURN: Mutex<()> = Mutex::const_new(());

/// A role that runs, or did.
struct Running {
    port: u16,
    child: Option<Child>,
}

/// What an HTTP request was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as JSON, null if it is none.
    pub body: Value,
}

/// The product and its servers; everything ends when this is dropped.
pub struct World {
    /// PostgreSQL, durable.
    pub postgres: Postgres,
    /// NATS JetStream.
    pub nats: Nats,
    /// Redis; nothing that must last is in it.
    pub redis: Redis,
    /// The demo tenant.
    pub tenant: Uuid,
    dirs: Dirs,
    ubos: PathBuf,
    roles: BTreeMap<String, Running>,
    token: String,
    /// Where files are, in a world that is connected.
    s3: Option<S3>,
    http: reqwest::Client,
    // The last, because it ends when everything else has.
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// Starts servers, migrates, seeds the demo tenant, starts every role and waits until all are ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(false, false).await
    }

    /// The same with a store of files and with the providers that the lab stands in for: each connection says where its lab is.
    pub async fn start_connected() -> Result<Self> {
        Self::start_with(false, true).await
    }

    /// The same, with PostgreSQL archiving into [`World::backups`].
    pub async fn start_archiving() -> Result<Self> {
        Self::start_with(true, false).await
    }

    async fn start_with(archiving: bool, connected: bool) -> Result<Self> {
        let turn = TURN.lock().await;
        let ubos = std::env::var_os("UBOS_BIN").context("UBOS_BIN is not set: run this with `cargo xtask test`")?;
        let programs: Programs = ensure_installed(&mut |_| {})?;
        let dirs = Dirs::throwaway()?;
        let mut settings = vec![];
        let folder = backup::Folder::make(&dirs.root().join("backups"))?;
        if archiving {
            let lines = backup::archive_settings(&folder);
            let setting = |line: &str| line.split_once(" = ").map(|(n, v)| format!("{n}={}", v.trim_matches('\'')));
            settings = lines.lines().filter_map(setting).collect();
            // So that a test can tell to the transaction what a moment holds.
            settings.push("track_commit_timestamp=on".to_owned());
        }
        let postgres = Postgres::start_with(&programs, &dirs, free_port()?, PostgresMode::Durable, settings)?;
        postgres.give(&folder.wal())?;
        let nats = Nats::start(&programs, &dirs, free_port()?, free_port()?, NatsOptions { sync_always: false })?;
        let redis = Redis::start(&programs, &dirs, free_port()?)?;
        let s3 = connected.then(|| S3::start(&programs, &dirs, free_ports::<S3_PORTS>()?)).transpose()?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        let mut world = Self {
            postgres,
            nats,
            redis,
            tenant: Uuid::nil(),
            dirs,
            ubos: ubos.into(),
            roles: BTreeMap::new(),
            token: String::new(),
            s3,
            http,
            _turn: turn,
        };
        for (role, _) in world.told_roles()? {
            world.roles.insert(role, Running { port: free_port()?, child: None });
        }
        world.configure()?;
        let wanted = world.told_roles()?;
        world.roles.retain(|role, _| wanted.contains(&(role.clone(), true)));
        world.expect(&["migrate"])?;
        let seeded = world.expect(&["demo", "tenant"])?;
        world.tenant = seeded.trim().parse().context("`ubos demo tenant` prints the demo tenant's id")?;
        world.token = world.expect(&["demo", "token"])?.trim().to_owned();
        for role in world.roles() {
            world.spawn(&role)?;
        }
        for role in world.roles() {
            world.ready(&role).await?;
        }
        world.expect(&["demo", "seed"])?;
        Ok(world)
    }

    /// Every role that is set up.
    pub fn roles(&self) -> Vec<String> {
        self.roles.keys().cloned().collect()
    }

    /// The roles as the binary tells them, and whether each is set up; it is not while there are no settings.
    fn told_roles(&self) -> Result<Vec<(String, bool)>> {
        let mut command = if self.config().exists() { self.command() } else { Command::new(&self.ubos) };
        let output = command.args(["roles", "--json"]).env_remove("UBOS_CONFIG").output()?;
        let answer: Value = serde_json::from_slice(&output.stdout).context("`ubos roles` answers in one envelope")?;
        let roles = answer["data"].as_array().context("`ubos roles` lists the roles")?;
        let told = |role: &Value| Some((role["name"].as_str()?.to_owned(), role["wanted"] == true));
        roles.iter().map(|role| told(role).context("a role has a name")).collect()
    }

    fn configure(&self) -> Result<()> {
        let bind = |(role, running): (&String, &Running)| {
            format!("{} = \"127.0.0.1:{}\"\n", role.replace('-', "_"), running.port)
        };
        let binds: String = self.roles.iter().map(bind).collect();
        let (queries, commands) = (self.url("query-api"), self.url("command-api"));
        let more = self.s3.as_ref().map(connected::settings).unwrap_or_default();
        let (state, database) = (self.dirs.root().display(), self.postgres.port);
        let role = |name: &str| format!("postgres://ubos_{name}:world@127.0.0.1:{database}/ubos");
        let (admin, redis, seed) = (&self.postgres.url, &self.redis.url, &self.nats.logins.issuer_seed);
        let nats = |user| self.nats.logins.url(user, self.nats.port);
        let (reader, filler, gate) = (nats(NatsUser::Reader), nats(NatsUser::Relay), nats(NatsUser::Gate));
        let toml = format!(
            r#"environment = "development"
[database]
admin_url = "{admin}"
owner_url = "{}"
command_url = "{}"
query_url = "{}"
worker_url = "{}"
[nats]
url = "{reader}"
relay_url = "{filler}"
system_url = "{gate}"
issuer_seed = "{seed}"
[redis]
url = "{redis}"
{MET_BY_NOBODY}[http]
query_public_url = "{queries}"
drain_delay_ms = 0
[listen.roles]
{binds}[auth]
jwks = "{state}/jwks.json"
issuer = "https://ubos.localhost"
audience = "ubos"
dev_signing_key = "{state}/dev-key.pk8"
[vault]
key = "{VAULT_KEY}"
[login]
public_url = "{commands}"
{more}"#,
            role("owner"),
            role("command"),
            role("query"),
            role("worker"),
        );
        std::fs::write(self.config(), toml)?;
        Ok(())
    }

    /// The backup folder.
    pub fn backups(&self) -> PathBuf {
        self.dirs.root().join("backups")
    }

    /// A path of ours, for whatever a test writes.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dirs.root().join(name)
    }

    /// The settings file.
    pub fn config(&self) -> PathBuf {
        self.dirs.root().join("config.toml")
    }

    /// `ubos` with this world's settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.ubos);
        command.arg("--config").arg(self.config()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Runs an operator verb to its end.
    pub fn ubos(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command().args(arguments).output()?)
    }

    /// Runs an operator verb that must succeed; answers what it printed.
    pub fn expect(&self, arguments: &[&str]) -> Result<String> {
        let output = self.ubos(arguments)?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "ubos {} failed: {out}{err}", arguments.join(" "));
        Ok(out.into_owned())
    }

    /// The same for a program: what the verb found.
    pub fn answer(&self, arguments: &[&str]) -> Result<Value> {
        let said = self.expect(&[arguments, &["--json"]].concat())?;
        let mut envelope: Value = serde_json::from_str(&said).context("a verb answers in one envelope")?;
        ensure!(envelope["exit_code"] == 0 && envelope["error"].is_null(), "{envelope}");
        Ok(envelope["data"].take())
    }

    fn running(&self, role: &str) -> Result<&Running> {
        self.roles.get(role).with_context(|| format!("no role {role} is set up"))
    }

    fn running_mut(&mut self, role: &str) -> Result<&mut Running> {
        self.roles.get_mut(role).with_context(|| format!("no role {role} is set up"))
    }

    /// Starts a role as a process.
    pub fn spawn(&mut self, role: &str) -> Result<()> {
        ensure!(self.has_ended(role)?, "{role} still runs");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(role))?;
        let child = self.command().arg(role).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running_mut(role)?.child = Some(child);
        Ok(())
    }

    /// Starts another copy of a role that serves HTTP, with these variables in its environment besides ours; ready when it
    /// is answered.
    pub async fn copy(&self, role: &str, environment: &[(&str, &str)]) -> Result<Copy> {
        let port = free_port()?;
        let bind = format!("UBOS__LISTEN__ROLES__{}", role.replace('-', "_").to_uppercase());
        let log = std::fs::File::create(self.dirs.log(&format!("{role}-{port}")))?;
        let mut command = self.command();
        command.arg(role).envs(environment.iter().copied()).env(bind, format!("127.0.0.1:{port}"));
        let copy = Copy { port, child: command.stdout(log.try_clone()?).stderr(log).spawn()? };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.http.get(copy.url("/ready")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            ensure!(Instant::now() < deadline, "a copy of {role} is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(copy)
    }

    /// Where a role's output goes.
    pub fn log(&self, role: &str) -> PathBuf {
        self.dirs.log(role)
    }

    /// SIGKILL.
    pub fn kill(&mut self, role: &str) -> Result<()> {
        if let Some(mut child) = self.running_mut(role)?.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, then waits for the process to end; answers whether it ended with success.
    pub fn terminate(&mut self, role: &str, patience: Duration) -> Result<bool> {
        let Some(mut child) = self.running_mut(role)?.child.take() else { bail!("{role} does not run") };
        let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        ensure!(status.success(), "kill");
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!("{role} did not end within {patience:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a role's process has ended by itself.
    pub fn has_ended(&mut self, role: &str) -> Result<bool> {
        let child = &mut self.running_mut(role)?.child;
        if child.as_mut().map(Child::try_wait).transpose()?.flatten().is_some() {
            *child = None;
        }
        Ok(child.is_none())
    }

    /// Waits until a role says that it is ready.
    pub async fn ready(&mut self, role: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let url = format!("http://127.0.0.1:{}/ready", self.running(role)?.port);
        loop {
            if let Ok(answer) = self.http.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            let ended = self.running_mut(role)?.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.log(role)).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(15).collect();
                bail!("{role} is not ready ({ended:?}); its last lines, newest first:\n{}", tail.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Memory that a role's process holds.
    pub fn resident_mib(&self, role: &str) -> Result<u64> {
        let child = self.running(role)?.child.as_ref().context("the role runs")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib / 1024)
    }

    /// The base URL of a role; port 0, where nothing answers, of one that is not set up.
    pub fn url(&self, role: &str) -> String {
        format!("http://127.0.0.1:{}", self.roles.get(role).map_or(0, |running| running.port))
    }

    /// An owner's token of the demo tenant.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `POST` to command-api as the owner.
    pub async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Result<Answer> {
        let mut request = self.http.post(self.url("command-api") + path).bearer_auth(&self.token).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        answer(request).await
    }

    /// `GET` from query-api as the owner, not before `position` is seen.
    pub async fn get(&self, path: &str, position: Option<i64>) -> Result<Answer> {
        let mut request = self.http.get(self.url("query-api") + path).bearer_auth(&self.token);
        if let Some(position) = position {
            request = request.header("Min-Position", position.to_string());
        }
        answer(request).await
    }

    /// Asks until `done` says so, for at most `patience`.
    pub async fn eventually(&self, path: &str, patience: Duration, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + patience;
        loop {
            let last = self.get(path, None).await;
            if let Ok(answer) = &last
                && answer.status == 200
                && done(&answer.body)
            {
                return Ok(answer.body.clone());
            }
            ensure!(Instant::now() < deadline, "{path} did not become so within {patience:?}: {last:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}

/// Another copy of a role; killed when dropped.
pub struct Copy {
    /// Where it answers.
    pub port: u16,
    child: Child,
}

impl Copy {
    /// A page of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Ending is all that is left to do; a process that has ended already is fine too.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.roles.values_mut().filter_map(|running| running.child.as_mut()) {
            // Ending is all that is left to do; a process that has ended already is fine too.
            drop(child.kill());
            drop(child.wait());
        }
        drop(self.postgres.kill());
        drop(self.nats.kill());
        drop(self.redis.kill());
        drop(self.s3.as_mut().map(S3::kill));
    }
}
