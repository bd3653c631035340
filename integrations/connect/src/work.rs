//! What goes on about connections by itself.

use crate::follow::Follow;
use crate::hint::Hints;
use crate::measure::measure;
use crate::note::Note;
use anyhow::Result;
use event_store::{Log, Store};
use messaging::Events;
use providers::{Hears, Links, Sweeper, take_in};
use reactions::{Engine, EngineOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Whoever asks providers what no message said.
type Sweepers = Vec<Arc<dyn Sweeper>>;

/// How often it is looked whether a provider said something.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whose sweep is due.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How often it is counted how connections are.
const MEASURE_EVERY: Duration = Duration::from_secs(15);
/// How often it is looked which grants nobody has used for long.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(600);

/// Looks after connections: tells their records how they are, lets go on what waited for them, takes in what providers say, sweeps
/// for what they did not say, and keeps grants alive.
pub struct Providers {
    engine: Engine,
    links: Links,
    sweepers: Arc<Vec<Arc<dyn Sweeper>>>,
}

impl Providers {
    /// `log` and `store` connect as `ubos_worker`. `with` adds the reactions that use the connections.
    pub fn new(
        log: Log,
        store: Store,
        links: Links,
        sweepers: Vec<Arc<dyn Sweeper>>,
        hearers: Vec<Arc<dyn Hears>>,
        with: impl FnOnce(Engine) -> Engine,
    ) -> Self {
        Self::with_options(log, store, links, (sweepers, hearers), EngineOptions::default(), with)
    }

    /// The same with bounds of one's own.
    pub fn with_options(
        log: Log,
        store: Store,
        links: Links,
        (sweepers, hearers): (Sweepers, Vec<Arc<dyn Hears>>),
        options: EngineOptions,
        with: impl FnOnce(Engine) -> Engine,
    ) -> Self {
        let sweepers = Arc::new(sweepers);
        let engine = Engine::with_options(log, options)
            .with(Note { links: links.clone(), store })
            .with(Follow { links: links.clone(), sweepers: sweepers.clone() })
            .with(Hints(hearers));
        Self { engine: with(engine), links, sweepers }
    }

    /// Works until asked to stop; what it has begun it finishes.
    pub async fn run(&self, events: Arc<dyn Events>, stop: CancellationToken) {
        tokio::join!(
            self.engine.run(events, stop.clone()),
            self.listen(&stop),
            self.sweep(&stop),
            self.measure(&stop),
            self.keep_alive(&stop)
        );
    }

    /// Takes in what the log has and what providers said, sweeps what is due, and does everything that follows.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn round(&self) -> Result<()> {
        self.engine.take_in().await?;
        take_in(self.links.pool()).await?;
        self.sweep_all().await;
        self.engine.perform_due().await
    }

    async fn listen(&self, stop: &CancellationToken) {
        while tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await.is_err() {
            match take_in(self.links.pool()).await {
                Ok(0) => {}
                Ok(_) => self.engine.wake(),
                Err(error) => tracing::error!(error = %error, "what providers said cannot be looked at"),
            }
        }
    }

    async fn sweep(&self, stop: &CancellationToken) {
        while tokio::time::timeout(SWEEP_EVERY, stop.cancelled()).await.is_err() {
            if self.sweep_all().await > 0 {
                self.engine.wake();
            }
        }
    }

    async fn sweep_all(&self) -> usize {
        let mut found = 0;
        for sweeper in self.sweepers.iter() {
            match self.links.sweep(&**sweeper).await {
                Ok(hints) => found += hints,
                Err(error) => tracing::error!(error = %error, "connections cannot be swept"),
            }
        }
        found
    }

    async fn measure(&self, stop: &CancellationToken) {
        while tokio::time::timeout(MEASURE_EVERY, stop.cancelled()).await.is_err() {
            let known = self.sweepers.iter().map(|sweeper| sweeper.provider());
            if let Err(error) = measure(&self.links, known).await {
                tracing::debug!(error = %error, "gauges not refreshed");
            }
        }
    }

    async fn keep_alive(&self, stop: &CancellationToken) {
        while tokio::time::timeout(KEEP_ALIVE_EVERY, stop.cancelled()).await.is_err() {
            if let Err(error) = self.links.keep_alive().await {
                tracing::error!(error = %error, "grants cannot be kept alive");
            }
        }
    }
}
