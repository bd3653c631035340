//! What an operator may ask of the relay: `ubos relay status | dead-letters | retry | reseed`.

use crate::envelope::{self, RETRIED};
use crate::histories::Histories;
use crate::links::RelayOptions;
use crate::relay::Relay;
use crate::stream;
use crate::subject::Subject;
use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use async_nats::header::{HeaderName, NATS_MESSAGE_ID};
use async_nats::jetstream::message::PublishMessage;
use chrono::{DateTime, Utc};
use event_store::Log;
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How the relay is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Who led last.
    pub leader: String,
    /// Whether it still says so: it writes every second.
    pub is_alive: bool,
    /// Counts leaders.
    pub epoch: i64,
    /// Everything up to here is published.
    pub cursor: i64,
    /// Where the log ends.
    pub head: i64,
    /// Events that wait.
    pub lag_events: i64,
    /// How long the oldest of them has waited.
    pub oldest_unpublished_seconds: f64,
    /// Events that NATS refuses.
    pub dead_letters: i64,
    /// Name of the stream.
    pub stream: String,
    /// Counts how often the stream was lost or rebuilt.
    pub stream_epoch: i64,
    /// What NATS says of it; none if it does not answer or there is none.
    pub stream_messages: Option<u64>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alive = if self.is_alive { "leads" } else { "silent, nobody publishes" };
        let leader = if self.leader.is_empty() { "nobody yet" } else { &self.leader };
        writeln!(f, "leader        {leader} ({alive}, epoch {})", self.epoch)?;
        writeln!(f, "published     {} of {} (lag {} events)", self.cursor, self.head, self.lag_events)?;
        writeln!(f, "oldest waits  {:.1} s", self.oldest_unpublished_seconds)?;
        let messages = self.stream_messages.map_or("not reachable".to_owned(), |n| format!("{n} messages"));
        writeln!(f, "stream        {} ({messages}, epoch {})", self.stream, self.stream_epoch)?;
        write!(f, "dead letters  {}", self.dead_letters)
    }
}

type StatusRow = (String, bool, i64, i64, i64, Option<f64>, i64, i64);

/// Asks database and, if there is one, NATS.
pub async fn status(log: &Log, nats: Option<&Client>, options: &RelayOptions) -> Result<Status> {
    let row: StatusRow = sqlx::query_as(
        "select r.holder, r.updated_at > clock_timestamp() - interval '5 seconds', r.epoch, r.position, h.position,
                extract(epoch from clock_timestamp() - e.recorded_at)::float8,
                (select count(*) from eventstore.dead_letters), r.stream_epoch
         from eventstore.relay r cross join eventstore.head h
                  left join eventstore.events e on e.position = r.position + 1",
    )
    .fetch_one(log.pool())
    .await?;
    let (leader, is_alive, epoch, cursor, head, age, dead_letters, stream_epoch) = row;
    let stream_messages = match nats {
        Some(nats) => stream::look(&stream::context(nats.clone()), &options.stream.name).await.ok().flatten(),
        None => None,
    };
    Ok(Status {
        leader,
        is_alive,
        epoch,
        cursor,
        head,
        lag_events: (head - cursor).max(0),
        oldest_unpublished_seconds: age.unwrap_or(0.0).max(0.0),
        dead_letters,
        stream: options.stream.name.clone(),
        stream_epoch,
        stream_messages: stream_messages.map(|(_, state)| state.messages),
    })
}

/// An event that NATS refuses; a claim-check took its place.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct DeadLetter {
    /// Where in the log.
    pub position: i64,
    /// Which event.
    pub event_id: Uuid,
    /// Whose.
    pub tenant_id: Uuid,
    /// What NATS said.
    pub reason: String,
    /// How often it was tried.
    pub attempts: i32,
    /// First try.
    pub first_at: DateTime<Utc>,
    /// Last try.
    pub last_at: DateTime<Utc>,
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, event_id, tenant_id, reason, attempts, .. } = self;
        write!(f, "{position} event {event_id} tenant {tenant_id}, tried {attempts} times: {reason}")
    }
}

/// Every dead letter, in order.
pub async fn dead_letters(log: &Log) -> Result<Vec<DeadLetter>> {
    let sql = "select position, event_id, tenant_id, reason, attempts, first_at, last_at
               from eventstore.dead_letters order by position";
    Ok(sqlx::query_as(sql).fetch_all(log.pool()).await?)
}

/// What came of trying dead letters again.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Retried {
    /// Positions that are published in full now.
    pub published: Vec<i64>,
    /// Positions that are still refused.
    pub refused: Vec<i64>,
}

impl fmt::Display for Retried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} published, {} still refused", self.published.len(), self.refused.len())
    }
}

/// Publishes dead letters in full, after whatever refused them was changed: all, or the one at `only`. They come at the
/// stream's end; whoever has followed their claim-checks skips them by position.
pub async fn retry(log: &Log, nats: &Client, options: &RelayOptions, only: Option<i64>) -> Result<Retried> {
    let context = stream::context(nats.clone());
    let histories = Histories::load(log.pool()).await?;
    let mut retried = Retried::default();
    for letter in dead_letters(log).await?.into_iter().filter(|l| only.is_none_or(|position| position == l.position)) {
        let event = log.find(letter.position).await?.context("a dead letter of an event that is not in the log")?;
        let outcome = async {
            let subject = Subject::of(&options.stream.prefix, event.tenant_id, &event.domain, &event.event_type)?;
            let (mut headers, payload) = envelope::encode(&event, histories.log_at(event.position));
            headers.insert(HeaderName::from_static(RETRIED), (letter.attempts + 1).to_string().as_str());
            // An id of its own, because the claim-check has taken the event's.
            headers.insert(NATS_MESSAGE_ID, format!("{}-{}", event.event_id, letter.attempts + 1).as_str());
            let message = PublishMessage::build().headers(headers).payload(payload);
            context.send_publish(subject.into_string(), message).await?.await?;
            anyhow::Ok(())
        };
        match outcome.await {
            Ok(()) => {
                let sql = "delete from eventstore.dead_letters where position = $1";
                sqlx::query(sql).bind(letter.position).execute(log.pool()).await?;
                retried.published.push(letter.position);
            }
            Err(error) => {
                let sql = "update eventstore.dead_letters set attempts = attempts + 1, reason = $2, last_at = now()
                           where position = $1";
                let reason = format!("{error:#}");
                sqlx::query(sql).bind(letter.position).bind(reason).execute(log.pool()).await?;
                retried.refused.push(letter.position);
            }
        }
    }
    Ok(retried)
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// First position of the rebuilt stream.
    pub from: i64,
    /// Everything up to here is in it.
    pub position: i64,
    /// Where the log ended when it was asked for.
    pub target: i64,
}

/// Asks the leader to delete the stream and to fill it again from `from` on.
pub async fn request_reseed(log: &Log, from: i64) -> Result<()> {
    let head = log.head().await?;
    ensure!(from >= 1 && from <= head + 1, "a stream can be rebuilt from 1 to {}, not from {from}", head + 1);
    sqlx::query("update eventstore.relay set reseed_from = $1").bind(from).execute(log.pool()).await?;
    Ok(())
}

/// Rebuilds the stream from the log and waits until it is as long as the log was. The leader does it; if nobody leads,
/// this process leads meanwhile. Consumers need not be told: they follow positions, not the stream's sequences.
pub async fn reseed(
    log: &Log,
    nats: &Client,
    options: &RelayOptions,
    from: i64,
    mut on_progress: impl FnMut(Progress),
) -> Result<Progress> {
    let target = log.head().await?;
    request_reseed(log, from).await?;
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let stand_in = tokio::spawn(Relay::new(log.clone(), nats.clone(), options.clone()).run(stop.clone()));
    loop {
        let (position, asked): (i64, Option<i64>) =
            sqlx::query_as("select position, reseed_from from eventstore.relay").fetch_one(log.pool()).await?;
        let progress = Progress { from, position: if asked.is_some() { from - 1 } else { position }, target };
        on_progress(progress);
        if asked.is_none() && position >= target {
            stop.cancel();
            stand_in.await??;
            return Ok(progress);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
