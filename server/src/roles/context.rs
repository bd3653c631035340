//! What a role works with: each thing is opened when it is asked for, what is shared once, and readiness looks at it from then on.

use super::{Database, RoleInfo};
use crate::{connect, vault};
use ::vault::Vault;
use access::LogDirectory;
use anyhow::{Context, Result};
use event_store::CommandBus;
use messaging::Feed;
use parking_lot::Mutex;
use runtime::health::Health;
use runtime::settings::Settings;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// How long a role waits for the database when it starts.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// One run of one role.
pub struct RoleContext {
    /// As they were when the process began.
    pub settings: Settings,
    /// Cancelled when the process is asked to stop.
    pub stop: CancellationToken,
    role: &'static RoleInfo,
    health: Mutex<Health>,
    pool: OnceCell<PgPool>,
    vault: OnceCell<Option<Vault>>,
    directory: OnceCell<LogDirectory>,
    bus: OnceCell<CommandBus>,
}

impl RoleContext {
    /// Nothing is opened yet.
    pub fn new(role: &'static RoleInfo, settings: Settings, health: Health, stop: CancellationToken) -> Self {
        Self {
            settings,
            stop,
            role,
            health: Mutex::new(health),
            pool: OnceCell::new(),
            vault: OnceCell::new(),
            directory: OnceCell::new(),
            bus: OnceCell::new(),
        }
    }

    /// Where the role answers.
    pub fn bind(&self) -> SocketAddr {
        self.role.bind(&self.settings)
    }

    /// What readiness looks at by now.
    pub fn health(&self) -> Health {
        self.health.lock().clone()
    }

    fn watch(&self, further: impl FnOnce(Health) -> Health) {
        let mut health = self.health.lock();
        *health = further(health.clone());
    }

    /// The database, as the user that the role is there.
    pub async fn pool(&self) -> Result<PgPool> {
        let opened = self.pool.get_or_try_init(|| async {
            let database = &self.settings.database;
            let url = match self.role.database {
                Database::Command => &database.command_url,
                Database::Query => &database.query_url,
                Database::Worker => &database.worker_url,
            };
            let (url, connections_max) = (url.expose_secret(), database.connections_max);
            let pool = schema::connect(url, self.role.name, connections_max, DATABASE_PATIENCE).await?;
            self.watch(|health| health.database(pool.clone()));
            anyhow::Ok(pool)
        });
        opened.await.cloned()
    }

    /// The vault, if there is one.
    pub async fn vault(&self) -> Result<Option<Vault>> {
        let pool = self.pool().await?;
        let opened = self.vault.get_or_try_init(|| async {
            let vault = vault::open(&self.settings, &pool)?;
            self.watch(|health| vault::watch(health, vault.as_ref()));
            anyhow::Ok(vault)
        });
        opened.await.cloned()
    }

    /// Who may do what in which firm.
    pub async fn directory(&self) -> Result<LogDirectory> {
        let pool = self.pool().await?;
        Ok(self.directory.get_or_init(|| async { LogDirectory::start(pool) }).await.clone())
    }

    /// Every command.
    pub async fn bus(&self) -> Result<CommandBus> {
        let (pool, vault, directory) = (self.pool().await?, self.vault().await?, self.directory().await?);
        let opened =
            self.bus.get_or_try_init(|| async { connect::bus_with(&self.settings, pool, vault, Some(directory)) });
        opened.await.cloned()
    }

    /// What happens, as it happens: from NATS, and from the log while that is away.
    pub async fn feed(&self) -> Result<Feed> {
        let name = format!("ubos {}", self.role.name);
        let nats = connect::nats(&self.settings, &self.settings.nats.url, &name).await?;
        let log = vault::outgoing(self.pool().await?, self.vault().await?);
        Feed::start(log, Some((nats, connect::stream(&self.settings)))).await
    }

    /// What happens, from the log alone: it brings many events at once, NATS one by one (ADR 41).
    pub async fn log_feed(&self) -> Result<Feed> {
        Feed::start(vault::outgoing(self.pool().await?, self.vault().await?), None).await
    }

    /// NATS, without which the role is not ready. `what` is what readiness calls it.
    pub async fn nats(&self, what: &'static str, url: &SecretString) -> Result<async_nats::Client> {
        let nats = connect::nats(&self.settings, url, &format!("ubos {}", self.role.name)).await?;
        let (checked, place) = (nats.clone(), messaging::place(url.expose_secret()));
        let check = move || -> futures::future::BoxFuture<'static, Result<(), String>> {
            let is_there = checked.connection_state() == async_nats::connection::State::Connected;
            let state = if is_there { Ok(()) } else { Err(format!("not connected to {place}")) };
            Box::pin(std::future::ready(state))
        };
        self.watch(|health| health.check(what, check));
        Ok(nats)
    }

    /// Does the work of the role while its health is served; whichever ends first ends the other.
    pub async fn until_stopped(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let (bind, done) = (self.bind(), self.stop.child_token());
        let ended = done.clone();
        let work = async move {
            let result = work.await;
            ended.cancel();
            result
        };
        let health = self.health();
        let serving = async { health.serve(bind, done).await.with_context(|| format!("listening on {bind}")) };
        tokio::try_join!(work, serving).map(drop)
    }
}
