//! What others may have seen and the log no longer has, after it was restored to an earlier moment.
//!
//! JetStream remembers it: first in the stream itself, and once the relay has filled that anew, in a stream set aside.
//! This is evidence for people. Nothing of it is ever merged into the log.

use crate::envelope;
use crate::links::RelayOptions;
use crate::stream;
use anyhow::{Context as _, Result};
use async_nats::Client;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use event_store::Log;
use futures::StreamExt;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

/// Messages compared with the log at once.
const CHUNK: usize = 1_000;
/// A stream that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// An event that was published and is not in the log.
#[derive(Debug, Clone, Serialize)]
pub struct TakenBack {
    /// Where it was in the log.
    pub position: i64,
    /// Which event.
    pub event_id: Uuid,
    /// Under which name it was published.
    pub log_id: String,
    /// When it was recorded, as published.
    pub recorded_at: String,
    /// Whose.
    pub tenant_id: String,
    /// What happened: `urn:ubos:event:crm.client.created:v1`.
    pub schema: String,
    /// To which aggregate.
    pub aggregate_id: String,
    /// As which of its events.
    pub aggregate_version: String,
    /// Who did it.
    pub actor: Value,
    /// The request that led to it.
    pub correlation_id: String,
    /// What was published; none for a claim-check.
    pub payload: Option<Box<RawValue>>,
}

/// Where evidence was found.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// Name of the stream.
    pub stream: String,
    /// Its messages that were compared with the log.
    pub messages: u64,
    /// Those that are not in it.
    pub taken_back: u64,
}

/// Walks the stream and whatever was set aside; hands over every event that the log does not have, once for each place
/// where it is found.
pub async fn taken_back(
    log: &Log,
    nats: &Client,
    options: &RelayOptions,
    mut found: impl FnMut(TakenBack) -> Result<()>,
) -> Result<Vec<Evidence>> {
    let context = stream::context(nats.clone());
    let histories: i32 =
        sqlx::query_scalar("select coalesce(max(number), 0) from eventstore.histories").fetch_one(log.pool()).await?;
    let mut evidence = vec![];
    let names = (2..=histories).map(|number| options.stream.aside(number));
    for name in names.chain([options.stream.name.clone()]) {
        if let Some((stream, state)) = stream::look(&context, &name).await? {
            let mut place = Evidence { stream: name, messages: 0, taken_back: 0 };
            if state.messages > 0 {
                walk(log, &stream, state.last_sequence, &mut place, &mut found).await?;
            }
            evidence.push(place);
        }
    }
    Ok(evidence)
}

async fn walk(
    log: &Log,
    stream: &Stream,
    last_sequence: u64,
    place: &mut Evidence,
    found: &mut impl FnMut(TakenBack) -> Result<()>,
) -> Result<()> {
    let config = OrderedConfig { deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let mut chunk = vec![];
    loop {
        let message = tokio::time::timeout(PATIENCE, messages.next()).await;
        let message = message.context("the stream says nothing")?.context("the stream ended")??;
        let sequence = message.info().map_err(|e| anyhow::anyhow!("{e}"))?.stream_sequence;
        chunk.extend(read(&message));
        let is_last = sequence >= last_sequence;
        if chunk.len() >= CHUNK || is_last {
            place.messages += chunk.len() as u64;
            let ids: Vec<Uuid> = chunk.iter().map(|event| event.event_id).collect();
            let positions: Vec<i64> = chunk.iter().map(|event| event.position).collect();
            let known: Vec<(i64, Uuid)> = sqlx::query_as(
                "select position, event_id from eventstore.events where position = any($1) and event_id = any($2)",
            )
            .bind(positions)
            .bind(ids)
            .fetch_all(log.pool())
            .await?;
            let known: HashSet<(i64, Uuid)> = known.into_iter().collect();
            for event in chunk.drain(..).filter(|event| !known.contains(&(event.position, event.event_id))) {
                place.taken_back += 1;
                found(event)?;
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// `None` for a message that is no event of a relay's.
fn read(message: &async_nats::jetstream::Message) -> Option<TakenBack> {
    let headers = message.headers.as_ref()?;
    let text = |name: &str| headers.get(name).map_or(String::new(), |value| value.as_str().to_owned());
    let payload = std::str::from_utf8(&message.payload).ok().filter(|payload| !payload.is_empty());
    Some(TakenBack {
        position: envelope::position(headers)?,
        event_id: envelope::event_id(headers)?,
        log_id: headers.get(envelope::LOG)?.as_str().to_owned(),
        recorded_at: text("ce-time"),
        tenant_id: text("ce-tenantid"),
        schema: text("ce-dataschema"),
        aggregate_id: text("ce-subject"),
        aggregate_version: text("ce-aggregateversion"),
        actor: serde_json::from_str(&text("ce-actor")).unwrap_or(Value::Null),
        correlation_id: text("ce-correlationid"),
        payload: payload.and_then(|payload| RawValue::from_string(payload.to_owned()).ok()),
    })
}
