//! Runs the workflows.

use super::{Database, Role, RoleContext, settings};
use crate::metrics::Part;
use crate::operate::{self, WorkflowVerb};
use crate::output::{Done, Output};
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;

/// See above.
pub struct Workflow;

impl Role for Workflow {
    const NAME: &'static str = "workflow";
    const ABOUT: &'static str = "Runs the role that runs workflows, or operates it";
    const COPIES: &'static str = "as many as you like; a run is leased";
    const PORT: u16 = 4;
    const DATABASE: Database = Database::Worker;
    const METRICS: &'static [Part] = &[Part::Workflow, Part::Append, Part::Access];
    type Verb = WorkflowVerb;

    async fn run(context: RoleContext) -> Result<()> {
        let (pool, bus, feed) = (context.pool().await?, context.bus().await?, context.log_feed().await?);
        let store = bus.store().clone();
        let engine =
            workflow_engine::Engine::start(pool, bus, Arc::new(feed), workflow_engine::EngineOptions::default());
        let work = async {
            context.stop.cancelled().await;
            engine.stop().await;
            store.drain().await;
            Ok(())
        };
        context.until_stopped(work).await
    }

    async fn operate(config: Option<&Path>, verb: WorkflowVerb, out: &Output) -> Result<Done> {
        operate::workflow(&settings(config)?, verb, out).await
    }
}
