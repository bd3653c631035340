//! Sends firms' events to the endpoints that they name.

use super::{Database, Role, RoleContext};
use crate::metrics::Part;
use crate::output::{Done, Output};
use crate::webhooks::{self as operated, WebhooksVerb};
use crate::{connect, vault};
use ::webhooks::{Allowed, Guard, Options, Owners};
use access::LogDirectory;
use anyhow::{Context, Result, anyhow};
use futures::future::BoxFuture;
use kernel::{Permissions, Principal, TenantId};
use runtime::settings::Settings;
use std::path::Path;
use std::sync::Arc;

/// See above.
pub struct Webhooks;

impl Role for Webhooks {
    const NAME: &'static str = "webhooks";
    const ABOUT: &'static str =
        "Runs the role that sends firms' events to the endpoints that they name, or operates them";
    const COPIES: &'static str = "as many as you like; a message is leased";
    const PORT: u16 = 10;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Reactions, Part::Access, Part::Webhooks];
    type Verb = WebhooksVerb;

    /// What messages are signed with is derived from the vault's keys.
    fn wanted(settings: &Settings) -> bool {
        settings.vault.key.is_some() || settings.vault.key_file.is_some()
    }

    async fn run(context: RoleContext) -> Result<()> {
        let settings = &context.settings;
        let (pool, keys, feed) = (context.pool().await?, context.vault().await?, context.feed().await?);
        let store = connect::bus(settings, pool.clone(), keys.clone())?.store().clone();
        let log = vault::outgoing(pool, keys.clone());
        let keys = keys.context("settings: vault.key_file is not set, so nothing can be signed")?;
        let owners = Arc::new(ByLog(context.directory().await?));
        let options = Options { records_at: settings.http.query_public_url.clone(), ..Options::default() };
        let guard = Guard::new(allowed(settings)?);
        let webhooks = ::webhooks::Webhooks::new(log, store.clone(), keys, guard, owners, options)?;
        let work = async {
            webhooks.run(Arc::new(feed), context.stop.clone()).await;
            store.drain().await;
            Ok(())
        };
        context.until_stopped(work).await
    }

    async fn operate(config: Option<&Path>, verb: WebhooksVerb, out: &Output) -> Result<Done> {
        operated::operate(&super::settings(config)?, verb, out).await
    }
}

/// Where messages may go besides public addresses.
fn allowed(settings: &Settings) -> Result<Allowed> {
    let set = &settings.webhooks;
    Allowed::read(&set.allowed_networks, set.allow_http, &set.ports)
        .map_err(|wrong| anyhow!("settings: webhooks.allowed_networks: {wrong} is no network"))
}

/// What people and programs may do, as the log says.
struct ByLog(LogDirectory);

impl Owners for ByLog {
    fn permissions(&self, tenant: TenantId, owner: Principal) -> BoxFuture<'_, Result<Option<Arc<Permissions>>>> {
        Box::pin(self.0.permissions(tenant, owner))
    }
}
