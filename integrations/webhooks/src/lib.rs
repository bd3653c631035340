//! Sends firms' events to the endpoints that they name, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it.
//!
//! What is to be sent is a job of a reaction, in a lane of its endpoint. What receivers do is on their own schedule; how they are is
//! noted beside the log, and on the record of the endpoint when somebody has to know. Nothing is sent to where nobody of the firm could
//! go by themselves: [`Guard`] says where that is.

mod delivery;
mod desk;
mod guard;
mod intake;
mod message;
mod owners;
mod replay;
mod rooms;
mod schedule;
mod secret;
mod sender;
mod signature;
mod way;

pub use guard::{Allowed, Guard, Names, NotAllowed, SystemNames, is_public};
pub use owners::{Everybody, Owners};
pub use schedule::Schedule;
pub use secret::Secrets;
pub use sender::Patience;
pub use signature::{SigningKey, signatures};

use crate::delivery::Delivery;
use crate::desk::Desk;
use crate::intake::Endpoints;
use crate::replay::Replay;
use crate::rooms::Rooms;
use crate::sender::Sender;
use anyhow::Result;
use event_store::{Log, Store};
use messaging::Events;
use reactions::{Engine, EngineOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vault::Vault;

/// How often it is looked what can be forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);

/// What is so for an installation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When something is tried again.
    pub schedule: Schedule,
    /// How long receivers may take.
    pub patience: Patience,
    /// Where clients find query-api, for links; empty where it is behind the same host.
    pub records_at: String,
    /// How jobs are looked after.
    pub engine: EngineOptions,
}

/// Sends what is to be sent.
pub struct Webhooks {
    engine: Engine,
    desk: Desk,
}

impl Webhooks {
    /// `log` connects as `ubos_worker` and shows no secrets; so does `store` connect. `vault` knows what endpoints' messages are signed
    /// with.
    ///
    /// # Errors
    /// If there is no TLS here.
    pub fn new(
        log: Log,
        store: Store,
        vault: Vault,
        guard: Guard,
        owners: Arc<dyn Owners>,
        options: Options,
    ) -> Result<Self> {
        let desk = Desk(log.pool().clone());
        let delivery = Delivery {
            desk: desk.clone(),
            store,
            sender: Sender::new(guard, options.patience)?,
            secrets: Secrets::new(vault),
            owners,
            schedule: options.schedule,
            records_at: options.records_at,
            rooms: Rooms::default(),
        };
        for outcome in ["taken", "failed", "gone", "given_up"] {
            metrics::counter!("webhook_deliveries_total", "outcome" => outcome).increment(0);
        }
        let replay = Replay { desk: desk.clone(), log: log.clone() };
        let engine = Engine::with_options(log, options.engine).with_fed(delivery, Endpoints).with(replay);
        Ok(Self { engine, desk })
    }

    /// Works until asked to stop; what it has begun it finishes.
    pub async fn run(&self, events: Arc<dyn Events>, stop: CancellationToken) {
        tokio::join!(self.engine.run(events, stop.clone()), self.tidy(&stop));
    }

    /// Takes in the log up to its present end, and sends everything that is due.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn round(&self) -> Result<()> {
        self.engine.take_in().await?;
        self.engine.perform_due().await
    }

    async fn tidy(&self, stop: &CancellationToken) {
        while tokio::time::timeout(TIDY_EVERY, stop.cancelled()).await.is_err() {
            loop {
                match self.desk.tidy().await {
                    Ok(gone) if Desk::goes_on(gone) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(error = %error, "what was sent long ago cannot be forgotten");
                        break;
                    }
                }
            }
        }
    }
}
