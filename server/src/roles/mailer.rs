//! Sends emails.

use super::{Database, NoVerb, Role, RoleContext};
use crate::connect;
use crate::metrics::Part;
use anyhow::{Context, Result};
use email::Links;
use event_store::Log;
use runtime::settings::Settings;
use secrecy::ExposeSecret;
use std::sync::Arc;

/// See above.
pub struct Mailer;

impl Role for Mailer {
    const NAME: &'static str = "mailer";
    const ABOUT: &'static str = "Runs the role that sends emails";
    const COPIES: &'static str = "as many as you like; a job is leased";
    const PORT: u16 = 5;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Reactions];
    type Verb = NoVerb;

    fn wanted(settings: &Settings) -> bool {
        settings.mail.smtp_url.is_some()
    }

    async fn run(context: RoleContext) -> Result<()> {
        let settings = &context.settings;
        let url =
            settings.mail.smtp_url.as_ref().context("settings: mail.smtp_url is not set, so no emails can be sent")?;
        let links = Links {
            public_url: settings.login.public_url.clone(),
            provider: settings.login.providers.first().map(|provider| provider.name.clone()),
            app_url: settings.login.app_url.clone(),
            portal_url: settings.login.portal_url.clone(),
        };
        let (pool, vault, feed) = (context.pool().await?, context.vault().await?, context.feed().await?);
        let store = connect::bus(settings, pool.clone(), vault.clone())?.store().clone();
        let log = Log::unsealing(pool, vault);
        let (objects, from) = (connect::objects(settings)?, &settings.mail.from);
        let mailer = email::Mailer::new(log, store.clone(), objects, url.expose_secret(), from, links)?;
        let work = async {
            mailer.run(Arc::new(feed), context.stop.clone()).await;
            store.drain().await;
            Ok(())
        };
        context.until_stopped(work).await
    }
}
