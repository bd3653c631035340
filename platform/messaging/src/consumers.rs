//! Durable consumers of readers outside, made for them, and carried over when the stream is rebuilt.
//!
//! Deleting a stream deletes its consumers. Before that, each one's settings and how far it had acknowledged go into the
//! database; when the stream is filled that far again, it is made anew under the same name and goes on there.

use crate::histories::Histories;
use crate::stream::{self, StreamSettings};
use anyhow::{Context as _, Result};
use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::types::Json;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

/// Remembers the durable consumers of a stream that is about to be deleted. One that has read what was taken back goes on
/// with what came in its place.
pub(crate) async fn remember(pool: &PgPool, context: &Context, name: &str, histories: &Histories) -> Result<()> {
    let Some((found, _)) = stream::look(context, name).await? else { return Ok(()) };
    let mut consumers = found.consumers();
    while let Some(consumer) = consumers.try_next().await.context("asking for the stream's consumers")? {
        if consumer.config.durable_name.is_none() {
            continue;
        }
        let acknowledged = stream::before(&found, consumer.ack_floor.stream_sequence).await?;
        let after = acknowledged.map_or(0, |message| histories.kept(message.position, &message.log_id));
        tracing::info!(consumer = consumer.name, after, "remembering a durable consumer");
        // What an earlier, interrupted rebuild has seen is nearer to the truth than a consumer made since.
        sqlx::query(
            "insert into eventstore.relay_consumers (name, config, after_position) values ($1, $2, $3)
             on conflict (name) do nothing",
        )
        .bind(&consumer.name)
        .bind(Json(&consumer.config))
        .bind(after)
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// How far the stream must be filled before the remembered consumers can be made again; none if there are none.
pub(crate) async fn wait_for(pool: &PgPool) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("select max(after_position) from eventstore.relay_consumers").fetch_one(pool).await
}

/// Makes the remembered consumers again. The stream begins with the position `from`.
pub(crate) async fn bring_back(pool: &PgPool, found: &Stream, from: i64) -> Result<()> {
    let remembered: Vec<(String, Json<Config>, i64)> =
        sqlx::query_as("select name, config, after_position from eventstore.relay_consumers").fetch_all(pool).await?;
    for (name, Json(config), after) in remembered {
        // In a stream that was filled from nothing; if a stranger's message is in it, some events come again.
        let sequence = u64::try_from(after - from + 2).unwrap_or(1).max(1);
        if found.get_consumer::<Config>(&name).await.is_ok() {
            tracing::warn!(consumer = name, "somebody has made a durable consumer again, it begins where they said");
        } else if config.deliver_policy == DeliverPolicy::All {
            // Unchanged, because its owner may declare it again, and then another beginning would be refused.
            found.create_consumer(config).await.with_context(|| format!("making consumer {name} again"))?;
            if let Err(error) = found.reset_consumer(&name, Some(sequence)).await {
                tracing::warn!(consumer = name, error = %error, "it begins with the stream, because NATS is older than 2.14");
            }
        } else {
            let config =
                Config { deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: sequence }, ..config };
            found.create_consumer(config).await.with_context(|| format!("making consumer {name} again"))?;
        }
        tracing::info!(consumer = name, after, "a durable consumer goes on");
        sqlx::query("delete from eventstore.relay_consumers where name = $1").bind(&name).execute(pool).await?;
    }
    Ok(())
}

/// A consumer that nobody has asked for so long is given up, where the stream keeps events for ever.
const UNUSED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Messages that a reader may have without having acknowledged them, those included that it asked to have again later: with
/// so many out it gets no more until some of them are done.
pub const UNACKNOWLEDGED_MAX: i64 = 10_000;

/// A reader outside.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'r> {
    /// What its consumer is called.
    pub name: &'r str,
    /// Whose events it reads.
    pub tenant: Uuid,
    /// Which of them, `projects.>`; all if there are none. Of two none covers the other.
    pub scopes: &'r [&'r str],
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With the first event that the stream keeps.
    First,
    /// With what happens from now on.
    New,
    /// With the first event at or after this position.
    Position(i64),
}

/// How far a reader is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Events that it has not got yet.
    pub waiting: u64,
    /// Events that it has got, and has not acknowledged.
    pub unacknowledged: u64,
    /// Of these, those that it got more than once.
    pub repeated: u64,
    /// When it acknowledged something last, if it ever did.
    pub acknowledged_at: Option<DateTime<Utc>>,
}

/// The consumers of readers outside, each of which sees one tenant's events. They are made here, because whoever makes a
/// consumer says where its messages go, and NATS asks nobody's permission for that.
#[derive(Debug, Clone)]
pub struct ReaderConsumers {
    pool: PgPool,
    context: Context,
    settings: StreamSettings,
}

impl ReaderConsumers {
    /// `pool` connects as `ubos_worker`, `nats` as who may make consumers.
    pub fn new(pool: PgPool, nats: Client, settings: StreamSettings) -> Self {
        Self { pool, context: stream::context(nats), settings }
    }

    /// The names of all durable consumers there are; none while there is no stream.
    pub async fn names(&self) -> Result<HashSet<String>> {
        let Some((found, _)) = stream::look(&self.context, &self.settings.name).await? else {
            return Ok(HashSet::new());
        };
        found.consumer_names().try_collect().await.context("asking for the stream's consumers")
    }

    /// How far a reader is; none if it has no consumer.
    pub async fn backlog(&self, name: &str) -> Result<Option<Backlog>> {
        let Some((found, _)) = stream::look(&self.context, &self.settings.name).await? else { return Ok(None) };
        let info = match found.consumer_info(name).await {
            Ok(info) => info,
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("asking for a consumer"),
        };
        let at =
            info.ack_floor.last_active.and_then(|at| DateTime::from_timestamp(at.unix_timestamp(), at.nanosecond()));
        Ok(Some(Backlog {
            waiting: info.num_pending,
            unacknowledged: info.num_ack_pending as u64,
            repeated: info.num_redelivered as u64,
            acknowledged_at: at,
        }))
    }

    /// Makes the reader's consumer begin there, whatever it has read.
    ///
    /// # Errors
    /// If there is no stream, or NATS does not answer.
    pub async fn begin(&self, reader: Outside<'_>, beginning: Beginning) -> Result<()> {
        let found = stream::look(&self.context, &self.settings.name).await?;
        let (found, state) = found.with_context(|| format!("there is no stream {}", self.settings.name))?;
        let policy = match beginning {
            Beginning::First => DeliverPolicy::All,
            Beginning::New => DeliverPolicy::New,
            Beginning::Position(position) => {
                let start_sequence = stream::sequence_from(&found, state, position).await?;
                DeliverPolicy::ByStartSequence { start_sequence }
            }
        };
        if found.consumer_info(reader.name).await.is_ok() {
            found.delete_consumer(reader.name).await.context("ending a consumer")?;
        }
        self.make(&found, reader, policy).await
    }

    /// Makes the reader's consumer, which begins with the stream; one that is there stays as it is. None is made while the
    /// stream is away or being rebuilt: the relay brings those back that were there.
    pub async fn ensure(&self, reader: Outside<'_>) -> Result<()> {
        let name = reader.name;
        let Some((found, _)) = stream::look(&self.context, &self.settings.name).await? else { return Ok(()) };
        if found.consumer_info(name).await.is_ok() {
            return Ok(());
        }
        // In this order: the relay notes a consumer before it goes, and forgets the note after it is there again.
        let sql = "select exists (select from eventstore.relay_consumers where name = $1)";
        if sqlx::query_scalar(sql).bind(name).fetch_one(&self.pool).await? {
            return Ok(());
        }
        self.make(&found, reader, DeliverPolicy::All).await
    }

    async fn make(&self, found: &Stream, reader: Outside<'_>, deliver_policy: DeliverPolicy) -> Result<()> {
        let Outside { name, tenant, scopes } = reader;
        let (filter_subject, filter_subjects) = match scopes {
            [] => (self.settings.subjects_of(tenant), vec![]),
            scopes => (String::new(), scopes.iter().map(|scope| self.settings.subject_of(tenant, scope)).collect()),
        };
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            description: Some("Made for a subscriber.".to_owned()),
            deliver_policy,
            filter_subject,
            filter_subjects,
            max_ack_pending: UNACKNOWLEDGED_MAX,
            ack_policy: AckPolicy::Explicit,
            inactive_threshold: if self.settings.max_age.is_zero() { UNUSED_MAX } else { self.settings.max_age },
            ..pull::Config::default()
        };
        found.create_consumer_strict(config).await.with_context(|| format!("making consumer {name}"))?;
        tracing::info!(consumer = name, %tenant, "made a consumer");
        Ok(())
    }
}
