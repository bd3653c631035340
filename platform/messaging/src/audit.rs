//! Compares the stream with the log, message by message.

use crate::envelope::{self, RETRIED};
use crate::histories::Histories;
use crate::links::RelayOptions;
use crate::stream;
use anyhow::{Context as _, Result};
use async_nats::Client;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use event_store::Log;
use futures::StreamExt;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// Messages compared with the log at once.
const CHUNK: usize = 5_000;
/// A stream that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Positions named in a report.
const NAMED_MAX: usize = 20;

/// What the stream holds, against what it should hold.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Audit {
    /// First position that the stream should hold.
    pub from: i64,
    /// Last one.
    pub to: i64,
    /// Messages walked.
    pub messages: u64,
    /// Positions that were taken out because somebody was erased.
    pub erased: u64,
    /// Positions that should be there and are not.
    pub missing: u64,
    /// The first of them.
    pub missing_positions: Vec<i64>,
    /// Messages that are no event of the log: a foreign one, or another event at that position.
    pub unexpected: u64,
    /// Messages whose position came before; consumers skip them.
    pub duplicates: u64,
    /// Messages whose position is below one that came before; consumers heal that from the log.
    pub out_of_order: u64,
    /// Events that are there as a claim-check only.
    pub claim_checks: u64,
}

impl Audit {
    /// Whether a consumer that follows the rule gets the whole log from it.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.unexpected == 0
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, messages, erased, missing, unexpected, duplicates, out_of_order, claim_checks, .. } = self;
        write!(
            f,
            "positions {from} to {to}, {messages} messages, {erased} erased: {missing} missing, {unexpected} unexpected, \
             {duplicates} duplicates, {out_of_order} out of order, {claim_checks} claim-checks"
        )?;
        if !self.missing_positions.is_empty() {
            write!(f, "; missing {:?}", self.missing_positions)?;
        }
        Ok(())
    }
}

/// Walks the whole stream and the log. What is published meanwhile does not count.
pub async fn audit(log: &Log, nats: &Client, options: &RelayOptions) -> Result<Audit> {
    let (cursor, stream_from): (i64, i64) =
        sqlx::query_as("select position, stream_from from eventstore.relay").fetch_one(log.pool()).await?;
    let histories = Histories::load(log.pool()).await?;
    let context = stream::context(nats.clone());
    let mut report = Audit { from: stream_from, to: cursor, ..Audit::default() };
    let Some((found, state)) = stream::look(&context, &options.stream.name).await? else {
        return report.conclude(log, &Seen::default()).await;
    };
    let mut seen = Seen::default();
    if state.messages > 0 {
        let config =
            OrderedConfig { deliver_policy: DeliverPolicy::All, headers_only: true, ..OrderedConfig::default() };
        let mut messages = found.create_consumer(config).await?.messages().await?;
        let mut chunk: Vec<(i64, Uuid)> = vec![];
        loop {
            let message = tokio::time::timeout(PATIENCE, messages.next()).await;
            let message = message.context("the stream says nothing")?.context("the stream ended")??;
            let sequence = message.info().map_err(|e| anyhow::anyhow!("{e}"))?.stream_sequence;
            report.messages += 1;
            let headers = message.headers.clone().unwrap_or_default();
            let named = envelope::position(&headers).zip(envelope::event_id(&headers));
            match named.filter(|_| envelope::is_ours(&headers, &histories)) {
                Some(named) => {
                    report.claim_checks += u64::from(headers.get(envelope::CLAIM_CHECK).is_some());
                    if headers.get(RETRIED).is_none() {
                        chunk.push(named);
                    }
                }
                None => report.unexpected += 1,
            }
            let is_last = sequence >= state.last_sequence;
            if chunk.len() >= CHUNK || is_last {
                report.compare(log, &mut seen, &chunk).await?;
                chunk.clear();
            }
            if is_last {
                break;
            }
        }
    }
    // Below its first message the stream has forgotten, as it should, what is too old.
    if state.first_sequence > 1 {
        report.from = report.from.max(seen.first);
    }
    report.conclude(log, &seen).await
}

impl Audit {
    async fn compare(&mut self, log: &Log, seen: &mut Seen, chunk: &[(i64, Uuid)]) -> Result<()> {
        let positions: Vec<i64> = chunk.iter().map(|(position, _)| *position).collect();
        let stored: Vec<(i64, Uuid)> =
            sqlx::query_as("select position, event_id from eventstore.events where position = any($1)")
                .bind(positions)
                .fetch_all(log.pool())
                .await?;
        let stored: HashMap<i64, Uuid> = stored.into_iter().collect();
        for (position, event_id) in chunk {
            if stored.get(position) != Some(event_id) {
                self.unexpected += 1;
                continue;
            }
            self.out_of_order += u64::from(*position < seen.last);
            if !seen.insert(*position) {
                self.duplicates += 1;
            }
        }
        Ok(())
    }

    async fn conclude(mut self, log: &Log, seen: &Seen) -> Result<Self> {
        let missing: Vec<i64> = (self.from..=self.to).filter(|position| !seen.contains(*position)).collect();
        for chunk in missing.chunks(CHUNK) {
            let sql = "select e.position from eventstore.events e
                       where e.position = any($1) and exists (
                           select from vault.destroyed_keys d where d.tenant_id = e.tenant_id and d.subject_id = e.aggregate_id)";
            let erased: Vec<i64> = sqlx::query_scalar(sql).bind(chunk).fetch_all(log.pool()).await?;
            let erased: HashSet<i64> = erased.into_iter().collect();
            self.erased += erased.len() as u64;
            for position in chunk.iter().filter(|position| !erased.contains(position)) {
                self.missing += 1;
                if self.missing_positions.len() < NAMED_MAX {
                    self.missing_positions.push(*position);
                }
            }
        }
        Ok(self)
    }
}

/// A bit per position.
#[derive(Debug, Default)]
struct Seen {
    bits: Vec<u64>,
    first: i64,
    last: i64,
}

impl Seen {
    fn insert(&mut self, position: i64) -> bool {
        let (word, bit) = (usize::try_from(position / 64).unwrap_or(0), 1 << (position % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        self.first = if self.first == 0 { position } else { self.first.min(position) };
        self.last = self.last.max(position);
        is_new
    }

    fn contains(&self, position: i64) -> bool {
        let word = usize::try_from(position / 64).ok().and_then(|word| self.bits.get(word));
        word.is_some_and(|bits| bits & (1 << (position % 64)) != 0)
    }
}
