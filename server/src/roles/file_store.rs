//! Inspects files that were uploaded, gives up what was not completed, takes away what is no version, sets the papers of invoices, and reads bills.

use super::{Database, NoVerb, Role, RoleContext};
use crate::connect;
use crate::metrics::Part;
use ::file_store::{Keeper, Scanner};
use anyhow::{Context, Result};
use event_store::Log;
use runtime::settings::Settings;
use std::sync::Arc;

/// See above.
pub struct FileStore;

impl Role for FileStore {
    const NAME: &'static str = "file-store";
    const ABOUT: &'static str = "Runs the role that inspects files that were uploaded";
    const COPIES: &'static str = "as many as you like; a job is leased";
    const PORT: u16 = 8;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Reactions];
    type Verb = NoVerb;

    fn wanted(settings: &Settings) -> bool {
        settings.objects.endpoint.is_some()
    }

    async fn run(context: RoleContext) -> Result<()> {
        let settings = &context.settings;
        let objects = connect::objects(settings)?;
        let objects = objects.context("settings: objects.endpoint is not set, so no files are kept")?;
        let scanner = settings.objects.scanner.as_deref().map(Scanner::at).transpose();
        let scanner = scanner.context("settings: objects.scanner")?;
        let (pool, vault, feed) = (context.pool().await?, context.vault().await?, context.feed().await?);
        let store = connect::bus(settings, pool.clone(), vault.clone())?.store().clone();
        let (log, last) = (Log::unsealing(pool, vault), connect::uploads_last(settings));
        let keeper = Keeper::new(log.clone(), store.clone(), objects.clone(), scanner, last);
        let keeper = keeper.with(|engine| {
            let engine = bill_files::add(engine, store.clone(), objects.clone());
            invoice_papers::add(engine, log, store.clone(), objects)
        });
        let work = async {
            keeper.run(Arc::new(feed), context.stop.clone()).await;
            store.drain().await;
            Ok(())
        };
        context.until_stopped(work).await
    }
}
