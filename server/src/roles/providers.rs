//! Looks after connections to providers.

use super::{Database, NoVerb, Role, RoleContext};
use crate::metrics::Part;
use crate::{connect, providers};
use ::books::{Bills, Invoices};
use ::providers::Hears;
use anyhow::{Context, Result};
use event_store::Log;
use reactions::Engine;
use runtime::settings::Settings;
use signatures::Envelopes;
use std::sync::Arc;

/// See above.
pub struct Providers;

impl Role for Providers {
    const NAME: &'static str = "providers";
    const ABOUT: &'static str = "Runs the role that looks after connections to providers";
    const COPIES: &'static str = "as many as you like; a job is leased, a grant is refreshed by one";
    const PORT: u16 = 9;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Reactions, Part::Providers];
    type Verb = NoVerb;

    fn wanted(settings: &Settings) -> bool {
        providers::any(settings)
    }

    async fn run(context: RoleContext) -> Result<()> {
        let settings = &context.settings;
        let (pool, vault, feed) = (context.pool().await?, context.vault().await?, context.feed().await?);
        let keys =
            vault.clone().context("settings: vault.key_file is not set, so nothing that firms agree to is sealed")?;
        let store = connect::bus(settings, pool.clone(), vault.clone())?.store().clone();
        let links = providers::links(settings, pool.clone(), keys)?;
        let (sweepers, direct) = (providers::sweepers(settings, &links)?, providers::direct(settings, &links)?);
        let log = Log::unsealing(pool, vault);
        let ledgers = providers::ledgers(&links, &log, &store)?;
        // Whoever does something at a provider because of an event is added here.
        let calls = ::connect::ApiCalls { store: store.clone(), direct };
        let contracts = providers::contracts(settings, &log, &store, &links)?;
        let mut hearers = ledgers.hearers();
        let envelopes = contracts.iter().flat_map(Envelopes::all);
        hearers.extend(envelopes.map(|one| Arc::new(one) as Arc<dyn Hears>));
        let with = |engine: Engine| {
            let engine = engine.with(calls).with(Invoices(ledgers.clone())).with(Bills(ledgers));
            match &contracts {
                Some(desk) => signatures::with(engine, desk),
                None => engine,
            }
        };
        let work = ::connect::Providers::new(log, store.clone(), links, sweepers, hearers, with);
        let working = async {
            work.run(Arc::new(feed), context.stop.clone()).await;
            store.drain().await;
            Ok(())
        };
        context.until_stopped(working).await
    }
}
