//! Builds the read models, does what follows when somebody is erased, and notes what has fallen due.

use super::{Database, Role, RoleContext, settings};
use crate::metrics::Part;
use crate::operate::{self, ProjectionsVerb};
use crate::output::{Done, Output};
use crate::{due, subjects};
use anyhow::Result;
use messaging::Events;
use std::path::Path;
use std::sync::Arc;

/// See above.
pub struct Projections;

impl Role for Projections {
    const NAME: &'static str = "projections";
    const ABOUT: &'static str = "Runs the role that builds the read models, or operates it";
    const COPIES: &'static str = "two or more: each group is led by one";
    const PORT: u16 = 3;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Projections, Part::Feed, Part::Append, Part::Reactions, Part::Access];
    type Verb = ProjectionsVerb;

    async fn run(context: RoleContext) -> Result<()> {
        let (pool, vault, feed) = (context.pool().await?, context.vault().await?, context.feed().await?);
        let work = projections::run(pool.clone(), feed.clone(), context.stop.clone());
        let events: Arc<dyn Events> = Arc::new(feed);
        let (time_zones, stop) = (context.directory().await?, context.stop.clone());
        let due = Box::pin(due::work(&context.settings, &pool, &vault, time_zones, events.clone(), stop));
        let erasures = subjects::work(&context.settings, pool.clone(), vault.clone(), events, context.stop.clone());
        let erasures = Box::pin(erasures);
        context.until_stopped(async { tokio::try_join!(work, erasures, due).map(drop) }).await
    }

    async fn operate(config: Option<&Path>, verb: ProjectionsVerb, out: &Output) -> Result<Done> {
        operate::projections(&settings(config)?, verb, out).await
    }
}
