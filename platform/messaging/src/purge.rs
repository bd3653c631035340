//! Takes single streams' messages out of JetStream, after somebody was erased.

use crate::envelope;
use crate::links::RelayOptions;
use crate::operate::reseed;
use crate::stream;
use anyhow::{Context as _, Result};
use async_nats::Client;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use event_store::Log;
use futures::{StreamExt, TryStreamExt};
use kernel::TenantId;
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

/// A stream that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was taken out of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Its name.
    pub stream: String,
    /// Messages of the tenant that were looked at.
    pub looked_at: u64,
    /// Messages that were overwritten and are gone.
    pub deleted: u64,
    /// The stream was made when messages could not be deleted from it, so all of it was filled again from the log.
    pub rebuilt: bool,
}

/// Deletes every message about these aggregates of a tenant, in the stream and in those that were set aside after a restore,
/// and has NATS overwrite them. Messages that are published later are none of its business: wait first until the relay has
/// forgotten what it had read.
///
/// The log's positions leave holes there, which consumers heal from the log as any other.
///
/// # Errors
/// When NATS does not answer; what was deleted stays deleted, and the rest is for the next time.
pub async fn purge(
    log: &Log,
    nats: &Client,
    options: &RelayOptions,
    tenant: TenantId,
    aggregates: &HashSet<Uuid>,
) -> Result<Vec<Purged>> {
    let context = stream::context(nats.clone());
    let settings = &options.stream;
    let aside = format!("{}_", settings.name);
    let names: Vec<String> = context.stream_names().try_collect().await.context("asking for the streams")?;
    let mut purged = vec![];
    for name in names.into_iter().filter(|name| *name == settings.name || name.starts_with(&aside)) {
        let Some((found, _)) = stream::look(&context, &name).await? else { continue };
        // In a stream that was set aside subjects are the same, because they were copied.
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            headers_only: true,
            filter_subject: format!("{}.{tenant}.>", settings.prefix),
            ..OrderedConfig::default()
        };
        let consumer = found.create_consumer(config).await.context("making a consumer")?;
        let mut report = Purged { stream: name, looked_at: 0, deleted: 0, rebuilt: false };
        let pending = consumer.cached_info().num_pending;
        if pending > 0 {
            let mut messages = consumer.messages().await?;
            let mut about = vec![];
            loop {
                let message = tokio::time::timeout(PATIENCE, messages.next()).await;
                let message = message.context("the stream says nothing")?.context("the stream ended")??;
                let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
                report.looked_at += 1;
                let named = message.headers.as_ref().and_then(envelope::aggregate);
                if named.is_some_and(|aggregate| aggregates.contains(&aggregate)) {
                    about.push(info.stream_sequence);
                }
                if info.pending == 0 {
                    break;
                }
            }
            if !about.is_empty() && found.cached_info().config.deny_delete && report.stream == settings.name {
                let from = sqlx::query_scalar("select stream_from from eventstore.relay").fetch_one(log.pool()).await?;
                reseed(log, nats, options, from, |_| {}).await.context("rebuilding the stream")?;
                (report.deleted, report.rebuilt) = (about.len() as u64, true);
                about.clear();
            }
            for sequence in about {
                found.delete_message(sequence).await.context("deleting a message")?;
                report.deleted += 1;
            }
        }
        purged.push(report);
    }
    Ok(purged)
}
