//! The servers of a run: PostgreSQL with a streaming replica, NATS as one node or three, Redis.

use crate::mailbox::Mailbox;
use crate::volume::{self, Volume};
use anyhow::{Context, Result};
use local_servers::{
    ClusterNode, Dirs, Nats, NatsLogins, NatsOptions, NatsUser, Postgres, PostgresMode, Programs, Redis,
    ensure_installed, free_port, sweep_leftovers,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Space for the log, the read models and their write-ahead log; the file only grows as it is used.
const POSTGRES_GIB: u64 = 24;
/// In memory less is to be had.
const POSTGRES_TMPFS_GIB: u64 = 6;
const NATS_GIB: u64 = 12;
const NATS_TMPFS_GIB: u64 = 2;

/// How long PostgreSQL takes to come back after a kill is a matter of its settings: how much it has to read again, and
/// whether it syncs every single file first. An installation that wants to be back within seconds sets these.
const RECOVERS_SOON: [&str; 2] = ["checkpoint_timeout=30s", "recovery_init_sync_method=syncfs"];

/// A server that blocks while it starts and stops, shared by whoever injects faults.
pub type Shared<T> = Arc<Mutex<T>>;

/// Every server. They end with this value, and their disks after them.
#[derive(Debug)]
pub struct Servers {
    /// Durable.
    pub postgres: Shared<Postgres>,
    /// Follows it.
    pub replica: Shared<Postgres>,
    /// One node or three.
    pub nats: Vec<Shared<Nats>>,
    /// Nothing that must last is in it.
    pub redis: Shared<Redis>,
    /// Whoever emails are handed to.
    pub mailbox: Mailbox,
    /// The superuser's URL.
    pub postgres_url: String,
    /// Where PostgreSQL listens.
    pub postgres_port: u16,
    /// Where each node of NATS listens.
    pub nats_ports: Vec<u16>,
    /// What NATS is logged in to with.
    pub nats_logins: NatsLogins,
    /// Where the roles and the settings live.
    pub dirs: Dirs,
    /// The disk below PostgreSQL, if it may be filled.
    pub postgres_volume: Option<Volume>,
    /// The disk below each node of NATS, if it may be filled.
    pub nats_volumes: Vec<Option<Volume>>,
}

impl Servers {
    /// Starts them all, after clearing away what killed runs left.
    pub fn start(nats_nodes: usize) -> Result<Self> {
        volume::sweep();
        sweep_leftovers();
        let programs = ensure_installed(&mut |message| println!("{message}"))?;
        let dirs = Dirs::throwaway()?;
        let postgres_volume = Volume::mount(&dirs, "postgres", POSTGRES_GIB, POSTGRES_TMPFS_GIB)?;
        let settings = RECOVERS_SOON.map(str::to_owned).to_vec();
        let postgres = Postgres::start_with(&programs, &dirs, free_port()?, PostgresMode::Durable, settings)?;
        let replica = postgres.start_standby(&Dirs::throwaway()?, free_port()?).context("starting the replica")?;
        let redis = Redis::start(&programs, &dirs, free_port()?)?;
        let (nats, nats_volumes) = start_nats(&programs, nats_nodes, &NatsLogins::of(&dirs)?)?;
        Ok(Self {
            postgres_url: postgres.url.clone(),
            postgres_port: postgres.port,
            nats_ports: nats.iter().map(|node| node.port).collect(),
            postgres: Arc::new(Mutex::new(postgres)),
            replica: Arc::new(Mutex::new(replica)),
            nats_logins: nats[0].logins.clone(),
            nats: nats.into_iter().map(|node| Arc::new(Mutex::new(node))).collect(),
            redis: Arc::new(Mutex::new(redis)),
            mailbox: Mailbox::start()?,
            dirs,
            postgres_volume,
            nats_volumes,
        })
    }

    /// The superuser's URL of the product's database.
    pub fn database_url(&self) -> String {
        self.postgres_url.trim_end_matches("postgres").to_owned() + "ubos"
    }

    /// Where a client finds NATS, through these ports.
    pub fn nats_url(&self, user: NatsUser, ports: &[u16]) -> String {
        ports.iter().map(|port| self.nats_logins.url(user, *port)).collect::<Vec<_>>().join(",")
    }
}

/// Each in a folder of its own. A cluster's nodes find each other while they start.
fn start_nats(programs: &Programs, count: usize, logins: &NatsLogins) -> Result<(Vec<Nats>, Vec<Option<Volume>>)> {
    let routes = (0..count).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
    let (mut nodes, mut volumes) = (vec![], vec![]);
    for (number, route) in routes.iter().enumerate() {
        let dirs = Dirs::throwaway()?;
        volumes.push(Volume::mount(&dirs, "nats", NATS_GIB, NATS_TMPFS_GIB)?);
        let place = ClusterNode {
            name: format!("ubos-{}", number + 1),
            port: *route,
            routes: routes.clone(),
            logins: logins.clone(),
        };
        // Quick, and the harsher of the two: what NATS has acknowledged may not be on its disk.
        let options = NatsOptions { sync_always: false };
        let place = (count > 1).then_some(&place);
        nodes.push(match place {
            Some(place) => Nats::start_node(programs, &dirs, free_port()?, free_port()?, options, Some(place))?,
            None => Nats::start(programs, &dirs, free_port()?, free_port()?, options)?,
        });
    }
    Ok((nodes, volumes))
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Before their disks, whoever else still holds them.
        drop(self.postgres.lock().kill());
        drop(self.replica.lock().kill());
        drop(self.redis.lock().kill());
        for node in &self.nats {
            drop(node.lock().kill());
        }
    }
}
