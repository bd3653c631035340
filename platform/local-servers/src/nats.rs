//! NATS with JetStream on files.

use crate::certificate::Certificate;
use crate::dirs::Dirs;
use crate::install::{Programs, python_with};
use crate::net::http_get;
use crate::npm;
use crate::process::{Gone, Launch, Process};
use anyhow::{Context, Result};
use nkeys::KeyPair;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NAME: &str = "nats";
/// Who may do what, as in production.
const ACCOUNTS: &str = include_str!("../../../deploy/nats-accounts.conf");
const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// What an instance promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatsOptions {
    /// Whether a message is on the disk when it is acknowledged; otherwise up to two minutes later.
    pub sync_always: bool,
}

/// With what NATS is logged in to, the same on every node of a cluster.
#[derive(Debug, Clone)]
pub struct NatsLogins {
    operator: String,
    relay: String,
    reader: String,
    gate: String,
    /// The seed of the key that signs tickets for subscribers.
    pub issuer_seed: String,
}

/// Whom NATS knows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatsUser {
    /// May do everything with streams.
    Operator,
    /// Fills the stream.
    Relay,
    /// Reads it, and makes consumers.
    Reader,
    /// Says who else comes in.
    Gate,
}

impl NatsLogins {
    /// Those of this folder; fresh ones at the first time.
    pub fn of(dirs: &Dirs) -> Result<Self> {
        Ok(Self {
            operator: dirs.password(NAME)?,
            relay: dirs.password("nats_relay")?,
            reader: dirs.password("nats_reader")?,
            gate: dirs.password("nats_gate")?,
            issuer_seed: dirs.secret("nats_issuer", || Ok(KeyPair::new_account().seed()?))?,
        })
    }

    /// The URL for one user at one port on 127.0.0.1.
    pub fn url(&self, user: NatsUser, port: u16) -> String {
        let (name, password) = match user {
            NatsUser::Operator => ("ubos", &self.operator),
            NatsUser::Relay => ("relay", &self.relay),
            NatsUser::Reader => ("reader", &self.reader),
            NatsUser::Gate => ("gate", &self.gate),
        };
        format!("nats://{name}:{password}@127.0.0.1:{port}")
    }

    /// The public half of the key that signs tickets.
    pub fn issuer(&self) -> Result<String> {
        Ok(KeyPair::from_seed(&self.issuer_seed).ok().context("the seed of NATS' issuer")?.public_key())
    }

    /// What the settings of the accounts leave open.
    fn variables(&self) -> Result<String> {
        let issuer = self.issuer()?;
        let values = [
            ("OPERATOR_PASSWORD", &self.operator),
            ("RELAY_PASSWORD", &self.relay),
            ("READER_PASSWORD", &self.reader),
            ("GATE_PASSWORD", &self.gate),
            ("ISSUER", &issuer),
        ];
        Ok(values.map(|(name, value)| format!("UBOS_NATS_{name}: \"{value}\"\n")).concat())
    }
}

/// A Python that has NATS' official client.
pub fn nats_python() -> Result<PathBuf> {
    python_with(include_str!("nats/requirements.txt"), "NATS' client")
}

/// A folder with these scripts, which node finds NATS' official client from.
pub fn nats_node(scripts: &[(&str, &str)]) -> Result<PathBuf> {
    let package = [("package.json", include_str!("nats/package.json"))];
    npm::installed("nats-clients", &[&package, scripts].concat())
}

/// A node's place in a cluster. All nodes know the same logins, because clients go to any of them.
#[derive(Debug, Clone)]
pub struct ClusterNode {
    /// The node's own name.
    pub name: String,
    /// Where it listens for the other nodes.
    pub port: u16,
    /// Where every node listens for the others.
    pub routes: Vec<u16>,
    /// What clients log in with.
    pub logins: NatsLogins,
}

impl ClusterNode {
    fn config(&self) -> String {
        let routes: Vec<String> = self.routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        // Not advertised: a client goes where its settings say, so that a test can stand between it and each node.
        format!(
            "cluster {{\n  name: ubos\n  listen: \"127.0.0.1:{}\"\n  no_advertise: true\n  routes: [{}]\n}}\n",
            self.port,
            routes.join(", ")
        )
    }
}

/// A NATS server of our own.
#[derive(Debug)]
pub struct Nats {
    /// Where clients connect on 127.0.0.1.
    pub port: u16,
    /// Where its monitoring pages are.
    pub monitor_port: u16,
    /// The URL of who may do everything with streams.
    pub url: String,
    /// What clients log in with.
    pub logins: NatsLogins,
    dirs: Dirs,
    store: PathBuf,
    options: NatsOptions,
    program: PathBuf,
    process: Process,
}

impl Nats {
    /// Starts it, or takes over the one that an earlier run started in the same folder.
    pub fn start(programs: &Programs, dirs: &Dirs, port: u16, monitor_port: u16, options: NatsOptions) -> Result<Self> {
        Self::start_with(programs, dirs, port, monitor_port, options, None, None)
    }

    /// The same, speaking nothing but TLS.
    pub fn start_tls(
        programs: &Programs,
        dirs: &Dirs,
        port: u16,
        monitor_port: u16,
        options: NatsOptions,
        certificate: &Certificate,
    ) -> Result<Self> {
        Self::start_with(programs, dirs, port, monitor_port, options, None, Some(certificate))
    }

    /// The same as one node of a cluster; each node needs a folder of its own.
    pub fn start_node(
        programs: &Programs,
        dirs: &Dirs,
        port: u16,
        monitor_port: u16,
        options: NatsOptions,
        node: Option<&ClusterNode>,
    ) -> Result<Self> {
        Self::start_with(programs, dirs, port, monitor_port, options, node, None)
    }

    fn start_with(
        programs: &Programs,
        dirs: &Dirs,
        port: u16,
        monitor_port: u16,
        options: NatsOptions,
        node: Option<&ClusterNode>,
        certificate: Option<&Certificate>,
    ) -> Result<Self> {
        let store = dirs.data(NAME)?;
        let logins = match node {
            Some(node) => node.logins.clone(),
            None => NatsLogins::of(dirs)?,
        };
        let (name, cluster) = node.map_or(("ubos", String::new()), |node| (&node.name, node.config()));
        let (scheme, tls) = match certificate {
            None => ("nats", String::new()),
            Some(Certificate { certificate, key, authorities }) => {
                let (certificate, key, ca) = (certificate.display(), key.display(), authorities.display());
                (
                    "tls",
                    format!("tls {{\n  cert_file: \"{certificate}\"\n  key_file: \"{key}\"\n  ca_file: \"{ca}\"\n}}\n"),
                )
            }
        };
        let url = logins.url(NatsUser::Operator, port).replacen("nats", scheme, 1);
        let config = dirs.root().join("nats.conf");
        let sync = if options.sync_always { "\n  sync_interval: always" } else { "" };
        let store_dir = store.display();
        let variables = logins.variables()?;
        let text = format!(
            "{variables}server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor_port}\"\n\
             jetstream {{\n  store_dir: \"{store_dir}\"\n  max_mem: 64M\n  max_file: 16G{sync}\n}}\n{cluster}{tls}{ACCOUNTS}"
        );
        let fingerprint = format!("{:016x}", crate::dirs::fnv1a(text.as_bytes()));
        fs::write(&config, text)?;
        crate::install::private(&config)?;
        let process = match Process::recorded(NAME, &dirs.record(NAME)) {
            Some(process) if process.fingerprint() == fingerprint => process,
            other => {
                if let Some(mut other) = other {
                    other.stop("TERM", STOP_PATIENCE)?;
                }
                launch(programs.nats_server.clone(), dirs, monitor_port, fingerprint)?
            }
        };
        let program = programs.nats_server.clone();
        Ok(Self { port, monitor_port, url, logins, dirs: dirs.clone(), store, options, program, process })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it; what was acknowledged is on the disk afterwards.
    pub fn stop(&mut self) -> Result<Gone> {
        self.process.stop("TERM", STOP_PATIENCE)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Sends a signal by name (`STOP`, `CONT`).
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// Starts it again on the same data and ports; stops it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let fingerprint = self.process.fingerprint().to_owned();
        self.process = launch(self.program.clone(), &self.dirs, self.monitor_port, fingerprint)?;
        Ok(())
    }

    /// Loses every stream, as a broken disk would: stops it, empties its store, starts it again.
    pub fn wipe(&mut self) -> Result<()> {
        self.kill()?;
        fs::remove_dir_all(&self.store)?;
        self.dirs.data(NAME)?;
        self.restart()
    }

    /// Where its streams are on the disk.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// What it was started with.
    pub fn options(&self) -> NatsOptions {
        self.options
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if self.dirs.is_throwaway() {
            self.kill().ok();
        }
    }
}

fn launch(program: PathBuf, dirs: &Dirs, monitor_port: u16, fingerprint: String) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg("--config").arg(dirs.root().join("nats.conf"));
    let log = dirs.log(NAME);
    let launch = Launch { name: "NATS".to_owned(), log: log.clone(), record: dirs.record(NAME), fingerprint };
    let mut process = Process::start(&launch, command)?;
    process.wait_until(START_PATIENCE, &log, || {
        http_get(monitor_port, "/healthz?js-enabled-only=true").is_ok_and(|(status, _)| status == 200)
    })?;
    Ok(process)
}
