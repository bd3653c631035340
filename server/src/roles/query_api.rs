//! Answers queries over HTTP.

use super::http::{bounds, leak, serve, sessions, verifier};
use super::{Database, NoVerb, Role, RoleContext};
use crate::metrics::Part;
use crate::{connect, documents};
use ::web::Admission;
use access::Witness;
use actix_web::web::{Data, ServiceConfig};
use anyhow::Result;
use runtime::tls;
use std::time::Duration;

/// See above.
pub struct QueryApi;

impl Role for QueryApi {
    const NAME: &'static str = "query-api";
    const ABOUT: &'static str = "Runs the role that answers queries over HTTP";
    const COPIES: &'static str = "as many as you like";
    const PORT: u16 = 1;
    const DATABASE: Database = Database::Query;
    const METRICS: &'static [Part] = &[Part::Http, Part::Queries, Part::Access];
    type Verb = NoVerb;

    async fn run(context: RoleContext) -> Result<()> {
        let settings = &context.settings;
        let (pool, vault, directory) = (context.pool().await?, context.vault().await?, context.directory().await?);
        let patience = Duration::from_millis(settings.http.min_position_wait_ms);
        let in_flight_max = settings.http.reads_in_flight_max;
        // A read may take as long as a statement may, and holds a connection meanwhile: some are left for other firms.
        let of_one_firm_max = in_flight_max.min(settings.database.connections_max as usize) * 3 / 4;
        let admission = Admission::leaving_room(Self::NAME, bounds(settings, in_flight_max), of_one_firm_max);
        let commands = crate::documents::every_command().into_iter().map(|info| info.entry.name);
        let mut api = query_api::Api::new(pool.clone(), patience, admission).unsealing(vault).knowing(commands);
        if let Some(objects) = connect::objects(settings)? {
            api = api.with_objects(objects, Duration::from_secs(settings.objects.download_minutes * 60));
        }
        let cache = tls::redis_client(&settings.redis)?.map(query_api::Cache::new).transpose()?;
        let api = Data::new(api.keeping(cache));
        let document = leak(&documents::queries())?;
        let sessions = sessions(settings).await?.map(Data::new);
        let routes = move |config: &mut ServiceConfig| {
            if let Some(sessions) = &sessions {
                config.app_data(sessions.clone());
            }
            ::web::openapi::serve(config, document);
            documents::serve_events(config);
            query_api::configure(config, api.clone());
        };
        let verifier = verifier(settings, directory).await?;
        let witness = Witness::start(pool, None, verifier.keys_in_use().clone());
        serve(&context, verifier, routes).await?;
        witness.stop().await;
        Ok(())
    }
}
