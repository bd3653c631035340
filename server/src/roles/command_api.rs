//! Takes commands over HTTP, and lets people come in.

use super::http::{bounds, desk, leak, login, serve, verifier};
use super::{Database, NoVerb, Role, RoleContext};
use crate::metrics::Part;
use crate::{connect, documents};
use ::web::{Admission, BodyLimits};
use access::Witness;
use actix_web::web::{Data, ServiceConfig};
use anyhow::Result;
use file_store::Places;
use std::sync::Arc;
use std::time::Duration;

/// See above.
pub struct CommandApi;

impl Role for CommandApi {
    const NAME: &'static str = "command-api";
    const ABOUT: &'static str = "Runs the role that takes commands over HTTP";
    const COPIES: &'static str = "as many as you like; batches share one log head";
    const PORT: u16 = 0;
    const DATABASE: Database = Database::Command;
    const METRICS: &'static [Part] = &[Part::Http, Part::Commands, Part::Append, Part::Access, Part::Providers];
    type Verb = NoVerb;

    async fn run(context: RoleContext) -> Result<()> {
        let settings = &context.settings;
        let (pool, directory, bus) = (context.pool().await?, context.directory().await?, context.bus().await?);
        let store = bus.store().clone();
        let commands: Vec<_> = bus.commands().copied().collect();
        let document = leak(&documents::commands(&commands))?;
        let http = &settings.http;
        let limits =
            BodyLimits { bytes_max: http.max_body_bytes, time_max: Duration::from_millis(http.body_timeout_ms) };
        let admission = Admission::new(Self::NAME, bounds(settings, http.commands_in_flight_max));
        let login = login(settings, &bus, pool.clone()).await?;
        let desk = desk(&context, &bus, limits).await?;
        let mut api = command_api::Api::new(bus, limits, admission).with_records_at(&http.query_public_url);
        if let Some(objects) = connect::objects(settings)? {
            let places = Places::new(store.clone(), objects, connect::uploads_last(settings));
            api = api.telling(Arc::new(places));
        }
        // What is signed with is derived from the vault's keys; without them no endpoint can be added.
        if let Some(vault) = context.vault().await? {
            api = api.telling(Arc::new(::webhooks::Secrets::new(vault)));
        }
        let api = Data::new(api);
        let refusals = api.refusals().clone();
        let routes = move |config: &mut ServiceConfig| {
            ::web::openapi::serve(config, document);
            documents::serve_events(config);
            // First, because commands take every path that is left.
            if let Some(login) = &login {
                ::login::configure(config, login.clone());
            }
            if let Some(desk) = &desk {
                ::connect::configure(config, desk.clone());
            }
            command_api::configure(config, api.clone());
        };
        let verifier = verifier(settings, directory).await?;
        let witness = Witness::start(pool, Some(refusals), verifier.keys_in_use().clone());
        serve(&context, verifier, routes).await?;
        store.drain().await;
        witness.stop().await;
        Ok(())
    }
}
