//! Carries out the schedule and writes down what was done and how soon it was over.

mod clock;
mod crash;
mod measure;
mod processes;
mod stream;

pub use measure::{Goal, Measured};

use crate::copies::{Copies, Copy};
use crate::evidence::Evidence;
use crate::load::{self, Client, Wire};
use crate::proxy::Mode;
use crate::schedule::{Fault, Kind, Planned};
use crate::servers::{Servers, Shared};
use crate::subscriber::Received;
use anyhow::{Context, Result, bail};
use local_servers::{Nats, Postgres, Redis};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Connections of one storm.
const STORM: usize = 600;
/// How long a server may take to come back after its disk has space again, before an operator starts it again.
const OPERATOR_AFTER: Duration = Duration::from_secs(5);

/// Everything that can be attacked.
pub struct Injector {
    pub servers: Arc<Servers>,
    pub copies: Copies,
    pub ubos: PathBuf,
    pub evidence: Arc<Evidence>,
    pub wire: Arc<Wire>,
    pub clients: Vec<Arc<Client>>,
    pub received: Arc<Received>,
    /// The superuser, past all proxies.
    pub pool: PgPool,
    /// What was measured after kills.
    pub measured: Mutex<Vec<Measured>>,
    /// What the harness itself could not do; evidence of a broken harness or of a product that did not come back.
    pub failed: Mutex<Vec<String>>,
    /// Faults that last right now.
    pub active: AtomicUsize,
    /// Faults that have begun.
    pub begun: AtomicUsize,
    /// One at a time per server.
    pub locks: Locks,
}

/// Who holds one of these does something to that server.
#[derive(Debug, Default)]
pub struct Locks {
    pub postgres: tokio::sync::Mutex<()>,
    pub replica: tokio::sync::Mutex<()>,
    pub nats: tokio::sync::Mutex<()>,
    pub redis: tokio::sync::Mutex<()>,
}

/// What a fault adds to its line.
#[derive(Debug, Default)]
pub struct Done {
    pub detail: Map<String, Value>,
    /// When what was hurt served again.
    pub recovered: Option<f64>,
    /// When the fault itself was over.
    pub until: Option<f64>,
}

impl Done {
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.detail.insert(name.to_owned(), value.into());
    }
}

impl Injector {
    /// Does everything that is planned, each when it is due, and returns when the last fault is over.
    pub async fn carry_out(self: &Arc<Self>, plan: Vec<Planned>, load_began: f64) {
        let tracker = TaskTracker::new();
        for planned in plan {
            tokio::time::sleep_until(self.evidence.moment(load_began + planned.at).into()).await;
            let injector = self.clone();
            tracker.spawn(async move { injector.inject(planned.fault).await });
        }
        tracker.close();
        tracker.wait().await;
    }

    async fn inject(self: Arc<Self>, fault: Fault) {
        let (name, at) = (fault.kind.name(), self.evidence.now());
        println!("{at:8.1} {name} {}", fault.target);
        self.active.fetch_add(1, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mut done = Done::default();
        let outcome = self.act(&fault, &mut done).await;
        self.active.fetch_sub(1, Ordering::SeqCst);
        if let Err(error) = outcome {
            let text = format!("{:.1} {name} {}: {error:#}", self.evidence.now(), fault.target);
            eprintln!("{text}");
            done.note("error", format!("{error:#}"));
            self.failed.lock().push(text);
        }
        let until = done.until.unwrap_or_else(|| self.evidence.now());
        let target = done.detail.remove("victim").unwrap_or_else(|| json!(fault.target));
        self.evidence.faults.add(&json!({
            "at": at, "until": until, "kind": name, "target": target, "detail": done.detail, "recovered": done.recovered,
        }));
    }

    async fn act(&self, fault: &Fault, done: &mut Done) -> Result<()> {
        let lasts = Duration::from_secs_f64(fault.seconds);
        match fault.kind {
            Kind::Kill => self.kill(&fault.target, lasts, done).await,
            Kind::Pause => self.pause(&fault.target, lasts, done).await,
            Kind::Restart => self.restart(&fault.target, done).await,
            Kind::ProxyReset => {
                let (copy, server) = self.link(&fault.target, done).await?;
                proxies(&copy, &server, |proxy| proxy.reset());
                Ok(())
            }
            Kind::ProxyLatency | Kind::ProxyBlackhole | Kind::ProxyAnswersLost | Kind::ProxyHalfOpen => {
                let mode = match fault.kind {
                    Kind::ProxyLatency => Mode::Latency(Duration::from_millis(120)),
                    Kind::ProxyBlackhole => Mode::Blackhole,
                    Kind::ProxyAnswersLost => Mode::AnswersLost,
                    _ => Mode::HalfOpen,
                };
                let (copy, server) = self.link(&fault.target, done).await?;
                proxies(&copy, &server, |proxy| proxy.set(mode));
                tokio::time::sleep(lasts).await;
                proxies(&copy, &server, |proxy| proxy.set(Mode::Pass));
                Ok(())
            }
            Kind::RedisFlush => self.flush_redis().await,
            Kind::StreamDelete => self.delete_stream(done).await,
            Kind::StreamRollback => self.roll_back_stream(lasts, done).await,
            Kind::DiskFull => self.fill_disk(&fault.target, lasts, done).await,
            Kind::ClockJump => self.jump_clock(&fault.target, lasts, done).await,
            Kind::Duplicate => self.publish_again(false, done).await,
            Kind::Reorder => self.publish_again(true, done).await,
            Kind::Poison => self.poison(lasts, done).await,
            Kind::Storm => {
                load::storm(&self.clients, STORM).await;
                done.note("connections", STORM);
                Ok(())
            }
            Kind::CrashPoint => self.crash(&fault.target, done).await,
        }
    }

    /// The copy that is meant: by name, or whichever relay leads right now.
    pub async fn copy(&self, target: &str, done: &mut Done) -> Result<Arc<Copy>> {
        let name = match target {
            "relay-leader" => self.leading_relay().await?.unwrap_or("relay-1".to_owned()),
            name => name.to_owned(),
        };
        done.note("victim", name.clone());
        Ok(self.copies.named(&name)?.clone())
    }

    /// Both ends of `relay-leader > nats`.
    async fn link(&self, target: &str, done: &mut Done) -> Result<(Arc<Copy>, String)> {
        let (copy, server) = target.split_once(" > ").context("a link is written `copy > server`")?;
        let found = self.copy(copy, done).await?;
        done.note("victim", format!("{} > {server}", found.name));
        Ok((found, server.to_owned()))
    }

    /// `None` while nobody leads.
    pub async fn leading_relay(&self) -> Result<Option<String>> {
        let holder: String = sqlx::query_scalar("select holder from eventstore.relay").fetch_one(&self.pool).await?;
        let pid = holder.rsplit(':').next().and_then(|pid| pid.parse::<u32>().ok());
        let mut relays = self.copies.iter().filter(|copy| copy.role == "relay");
        Ok(relays.find(|copy| pid == Some(copy.pid())).map(|copy| copy.name.clone()))
    }

    /// The node of NATS that is meant: `nats-2`.
    pub fn nats_node(&self, target: &str) -> Result<(usize, Shared<Nats>)> {
        let number: usize = target.strip_prefix("nats-").and_then(|n| n.parse().ok()).context("nats-1, nats-2, …")?;
        let node = self.servers.nats.get(number - 1).with_context(|| format!("there is no {target}"))?;
        Ok((number - 1, node.clone()))
    }

    async fn flush_redis(&self) -> Result<()> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let _alone = self.locks.redis.lock().await;
        let (port, url) = {
            let redis = self.servers.redis.lock();
            (redis.port, redis.url.clone())
        };
        let password = url.split([':', '@']).nth(2).context("the URL of Redis has a password")?;
        let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        connection.write_all(format!("AUTH {password}\r\nFLUSHALL\r\nQUIT\r\n").as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        if answer.matches("+OK").count() < 2 {
            bail!("Redis answered {answer:?}");
        }
        Ok(())
    }

    async fn fill_disk(&self, target: &str, lasts: Duration, done: &mut Done) -> Result<()> {
        let volume = if target == "postgres" {
            self.servers.postgres_volume.as_ref()
        } else {
            self.servers.nats_volumes.get(self.nats_node(target)?.0).and_then(Option::as_ref)
        };
        let volume = volume.context("its disk cannot be filled on this machine")?;
        let _alone = if target == "postgres" { self.locks.postgres.lock().await } else { self.locks.nats.lock().await };
        let (filled, kind) = (blocking(|| volume.fill())?, volume.kind);
        done.note("filled_bytes", filled);
        done.note("disk", kind);
        tokio::time::sleep(lasts).await;
        blocking(|| volume.free())?;
        done.until = Some(self.evidence.now());
        tokio::time::sleep(OPERATOR_AFTER).await;
        let started = if target == "postgres" {
            blocking(|| revive_postgres(&self.servers.postgres))?
        } else {
            blocking(|| revive_nats(&self.nats_node(target)?.1))?
        };
        done.note("started_by_operator", started);
        done.recovered = Some(self.evidence.now());
        Ok(())
    }

    /// Everything runs and passes again: whatever a fault left, also one that failed half-way.
    pub async fn heal(&self) -> Result<()> {
        for copy in self.copies.iter() {
            copy.proxies.heal();
        }
        for volume in self.servers.nats_volumes.iter().flatten().chain(&self.servers.postgres_volume) {
            blocking(|| volume.free())?;
        }
        blocking(|| {
            self.servers.postgres.lock().signal("CONT")?;
            revive_postgres(&self.servers.postgres)?;
            let mut replica = self.servers.replica.lock();
            if !replica.is_running() {
                replica.restart()?;
            }
            for node in &self.servers.nats {
                node.lock().signal("CONT")?;
                revive_nats(node)?;
            }
            let mut redis = self.servers.redis.lock();
            if !redis.is_running() {
                redis.restart()?;
            }
            anyhow::Ok(())
        })?;
        for copy in self.copies.iter() {
            let mut slot = copy.lock().await;
            slot.signal("CONT")?;
            if !slot.is_running() {
                copy.spawn(&mut slot, &[])?;
            }
            copy.ready(&mut slot).await?;
        }
        Ok(())
    }
}

/// The proxies between a process and a server.
fn proxies(copy: &Copy, server: &str, act: impl Fn(&crate::proxy::Proxy)) {
    if server == "postgres" {
        act(&copy.proxies.postgres);
    } else {
        copy.proxies.nats.iter().for_each(act);
    }
}

/// Servers start and stop with blocking calls.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Starts it if it has ended; whether it had.
fn revive_postgres(postgres: &Shared<Postgres>) -> Result<bool> {
    let mut postgres = postgres.lock();
    let ended = !postgres.is_running();
    if ended {
        postgres.restart()?;
    }
    Ok(ended)
}

/// Starts it again if it has ended or has given its streams up; whether it had.
fn revive_nats(node: &Shared<Nats>) -> Result<bool> {
    let mut node = node.lock();
    let monitor = node.monitor_port;
    let is_well = || local_servers::http_get(monitor, "/healthz").is_ok_and(|(status, _)| status == 200);
    // The whole check, because a store that met a full disk refuses every message until its server is started again,
    // whatever space there is; it takes a moment while the server catches up.
    for _ in 0..20 {
        if !node.is_running() {
            break;
        }
        if is_well() {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    node.restart()?;
    Ok(true)
}

/// One who can be killed and started again.
pub trait Killable {
    fn kill(&mut self) -> Result<()>;
    fn stop(&mut self) -> Result<()>;
    fn restart(&mut self) -> Result<()>;
}

macro_rules! killable {
    ($($server:ty),*) => {$(
        impl Killable for $server {
            fn kill(&mut self) -> Result<()> { <$server>::kill(self) }
            fn stop(&mut self) -> Result<()> { <$server>::stop(self).map(drop) }
            fn restart(&mut self) -> Result<()> { <$server>::restart(self) }
        }
    )*};
}
killable!(Postgres, Nats, Redis);
