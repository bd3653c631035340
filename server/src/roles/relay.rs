//! Publishes the log to NATS.

use super::{Database, Role, RoleContext, settings};
use crate::metrics::Part;
use crate::operate::{self, RelayVerb};
use crate::output::{Done, Output};
use crate::{connect, vault};
use anyhow::Result;
use messaging::RelayOptions;
use std::path::Path;

/// See above.
pub struct Relay;

impl Role for Relay {
    const NAME: &'static str = "relay";
    const ABOUT: &'static str = "Runs the role that publishes the log to NATS, or operates it";
    const COPIES: &'static str = "two: one leads, one stands by";
    const PORT: u16 = 2;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Relay];
    type Verb = RelayVerb;

    async fn run(context: RoleContext) -> Result<()> {
        let nats = context.nats("nats", context.settings.nats.relay()).await?;
        let log = vault::outgoing(context.pool().await?, context.vault().await?);
        let relay = messaging::Relay::new(log, nats, RelayOptions::new(connect::stream(&context.settings)));
        context.until_stopped(relay.run(context.stop.clone())).await
    }

    async fn operate(config: Option<&Path>, verb: RelayVerb, out: &Output) -> Result<Done> {
        operate::relay(&settings(config)?, verb, out).await
    }
}
