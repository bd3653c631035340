//! Lets subscribers read their firm's events from NATS.

use super::{Database, Role, RoleContext, settings};
use crate::connect;
use crate::event_gateway::{self, EventGatewayVerb};
use crate::metrics::Part;
use crate::output::{Done, Output};
use ::event_gateway::{Gate, Seal};
use anyhow::{Context, Result};
use messaging::ReaderConsumers;
use runtime::settings::{NatsSettings, Settings};
use std::path::Path;
use std::sync::Arc;

/// See above.
pub struct EventGateway;

impl Role for EventGateway {
    const NAME: &'static str = "event-gateway";
    const ABOUT: &'static str =
        "Runs the role that lets subscribers read their firm's events from NATS, or operates them";
    const COPIES: &'static str = "as many as you like; two, so that one may be replaced";
    const PORT: u16 = 6;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Subscribers, Part::Access];
    type Verb = EventGatewayVerb;

    fn wanted(settings: &Settings) -> bool {
        settings.nats.system_url.is_some()
    }

    async fn run(context: RoleContext) -> Result<()> {
        let NatsSettings { url, system_url, issuer_seed, stream: name, .. } = &context.settings.nats;
        let needed = "settings: nats.system_url and nats.issuer_seed are needed where subscribers are let in";
        let (system_url, seed) = system_url.as_ref().zip(issuer_seed.as_ref()).context(needed)?;
        let seal = Seal::from_seed(seed).context("settings: nats.issuer_seed")?;
        let (pool, directory) = (context.pool().await?, Arc::new(context.directory().await?));
        let system = context.nats("nats system account", system_url).await?;
        let nats = context.nats("nats", url).await?;
        let consumers = ReaderConsumers::new(pool, nats, connect::stream(&context.settings));
        let gate = Gate::new(system, directory, consumers, seal, name.clone());
        context.until_stopped(Box::pin(gate.run(context.stop.clone()))).await
    }

    async fn operate(config: Option<&Path>, verb: EventGatewayVerb, out: &Output) -> Result<Done> {
        match verb {
            EventGatewayVerb::Key => event_gateway::key(out),
            verb => event_gateway::run(&settings(config)?, verb, out).await,
        }
    }
}
