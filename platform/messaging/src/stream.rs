//! The stream in JetStream, declared in one place.

use crate::envelope::{self, RETRIED};
use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, RetentionPolicy, Source, StorageType, Stream,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use futures::{StreamExt, TryStreamExt};
use std::time::Duration;
use uuid::Uuid;

/// Within this time JetStream drops a second message with the same id.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// A message of the relay's that is not found among the newest so many is not looked for further back.
const SEARCHED_MESSAGES_MAX: u64 = 1_000;
/// A copy within NATS that does not move for so long is stuck.
const COPY_PATIENCE: Duration = Duration::from_secs(10);
/// Messages asked for at once.
const READS_IN_FLIGHT: usize = 64;

/// Which stream, and what it keeps.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Name of the stream.
    pub name: String,
    /// What every subject begins with.
    pub prefix: String,
    /// Copies in the cluster.
    pub replicas: usize,
    /// How long events stay; older ones are read from the log.
    pub max_age: Duration,
}

impl StreamSettings {
    /// Where all events of one tenant are.
    pub fn subjects_of(&self, tenant: Uuid) -> String {
        format!("{}.{tenant}.>", self.prefix)
    }

    /// Where some of its events are: `projects.>`.
    pub fn subject_of(&self, tenant: Uuid, scope: &str) -> String {
        format!("{}.{tenant}.{scope}", self.prefix)
    }

    /// Where what a history took back is kept.
    pub(crate) fn aside(&self, history: i32) -> String {
        format!("{}_TAKEN_BACK_{history}", self.name)
    }

    fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            description: Some("Every event of the log, in order. A cache: rebuilt by `ubos relay reseed`.".to_owned()),
            subjects: vec![format!("{}.>", self.prefix)],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            num_replicas: self.replicas.max(1),
            max_age: self.max_age,
            duplicate_window: DUPLICATE_WINDOW.min(if self.max_age.is_zero() {
                DUPLICATE_WINDOW
            } else {
                self.max_age
            }),
            // Whoever is erased must go from here too; that nobody else deletes is a matter of NATS permissions.
            deny_delete: false,
            deny_purge: true,
            allow_direct: true,
            allow_atomic_publish: true,
            ..Config::default()
        }
    }
}

/// What is really in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// Nanoseconds since 1970; a stream that was deleted and made again has another one.
    pub created: i64,
    pub messages: u64,
    pub first_sequence: u64,
    pub last_sequence: u64,
}

impl From<&Info> for StreamState {
    fn from(info: &Info) -> Self {
        Self {
            created: i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(0),
            messages: info.state.messages,
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
        }
    }
}

/// JetStream as the relay uses it: a lost answer is noticed soon, because everything can be sent again.
pub(crate) fn context(nats: async_nats::Client) -> Context {
    jetstream::ContextBuilder::new()
        .timeout(Duration::from_secs(3))
        .ack_timeout(Duration::from_secs(3))
        .max_ack_inflight(8_192)
        .build(nats)
}

/// The stream as declared: made if missing, brought back to its declaration if somebody changed it.
pub(crate) async fn ensure(context: &Context, settings: &StreamSettings) -> Result<(Stream, StreamState)> {
    let wanted = settings.config();
    let mut stream = match context.get_stream(&settings.name).await {
        Ok(stream) => stream,
        Err(error) if is_not_found(&error) => {
            tracing::info!(stream = settings.name, "making the stream");
            context.create_stream(wanted.clone()).await.context("making the stream")?
        }
        Err(error) => return Err(error).context("looking for the stream"),
    };
    let found = &stream.cached_info().config;
    let same = found.subjects == wanted.subjects
        && found.max_age == wanted.max_age
        && found.num_replicas == wanted.num_replicas
        && found.duplicate_window == wanted.duplicate_window
        && found.allow_atomic_publish
        && found.deny_purge;
    if !same {
        tracing::warn!(stream = settings.name, "the stream is not as declared, changing it");
        // A stream that was made so for ever stays so.
        let changed = Config { first_sequence: None, deny_delete: found.deny_delete, ..wanted };
        context.update_stream(changed).await.context("changing the stream to its declaration")?;
        stream = context.get_stream(&settings.name).await.context("looking for the stream")?;
    }
    // Without it an older NATS would store the messages of a batch one by one, whatever they expect.
    ensure!(stream.cached_info().config.allow_atomic_publish, "NATS knows no batches: 2.12 or newer is needed");
    let state = StreamState::from(stream.info().await.context("asking for the stream's state")?);
    Ok((stream, state))
}

/// The stream's state, `None` if there is no stream.
pub(crate) async fn look(context: &Context, name: &str) -> Result<Option<(Stream, StreamState)>> {
    match context.get_stream(name).await {
        Ok(stream) => {
            let state = StreamState::from(stream.cached_info());
            Ok(Some((stream, state)))
        }
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error).context("looking for the stream"),
    }
}

/// Deletes the stream; no harm if it is not there.
pub(crate) async fn delete(context: &Context, name: &str) -> Result<()> {
    match context.delete_stream(name).await {
        Ok(_) => Ok(()),
        Err(error) if is_not_found_text(&error.to_string()) => Ok(()),
        Err(error) => match look(context, name).await? {
            None => Ok(()),
            Some(_) => Err(error).context("deleting the stream"),
        },
    }
}

/// Copies the stream's messages from a sequence on into a stream of their own, inside NATS, and waits until the last one
/// is there. May be repeated.
pub(crate) async fn set_aside(
    context: &Context,
    settings: &StreamSettings,
    aside: &str,
    first: u64,
    last: u64,
) -> Result<()> {
    let source = Source { name: settings.name.clone(), start_sequence: Some(first), ..Source::default() };
    let mut config = Config {
        name: aside.to_owned(),
        description: Some(
            "What a restored log no longer has. Evidence: read it with `ubos restore report`.".to_owned(),
        ),
        sources: Some(vec![source]),
        num_replicas: settings.replicas.max(1),
        storage: StorageType::File,
        ..Config::default()
    };
    let wanted = (last + 1).saturating_sub(first);
    let mut copy = context.get_or_create_stream(config.clone()).await.context("making the stream of evidence")?;
    let mut patience = tokio::time::Instant::now() + COPY_PATIENCE;
    let mut copied = 0;
    // The original may have lost messages to their age; then its end decides.
    while copied < wanted && !copy.cached_info().config.sources.as_ref().is_none_or(Vec::is_empty) {
        let info = copy.info().await.context("asking how far the evidence is")?;
        if info.state.messages > copied {
            (copied, patience) = (info.state.messages, tokio::time::Instant::now() + COPY_PATIENCE);
        }
        if copied < wanted {
            ensure!(tokio::time::Instant::now() < patience, "{copied} of {wanted} messages are set aside");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Cut off from its source, whose name the rebuilt stream will have.
    config.sources = None;
    config.subjects = vec![aside.to_owned()];
    context.update_stream(config).await.context("cutting the evidence off from the stream")?;
    Ok(())
}

/// A message of some relay's.
#[derive(Debug)]
pub(crate) struct Published {
    pub position: i64,
    pub event_id: Uuid,
    pub log_id: String,
}

/// The newest message that a relay published in order.
pub(crate) async fn newest(stream: &Stream, state: StreamState) -> Result<Option<Published>> {
    if state.messages == 0 {
        return Ok(None);
    }
    before(stream, state.last_sequence).await
}

/// The newest one at or before a sequence.
pub(crate) async fn before(stream: &Stream, last: u64) -> Result<Option<Published>> {
    let first = StreamState::from(stream.cached_info()).first_sequence.max(1);
    let oldest = first.max(last.saturating_sub(SEARCHED_MESSAGES_MAX));
    for sequence in (oldest..=last).rev() {
        if let Some(found) = get(stream, sequence).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The first sequence whose event is at or after a position; the one after the last if there is none.
pub(crate) async fn sequence_from(stream: &Stream, state: StreamState, position: i64) -> Result<u64> {
    let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match before(stream, middle).await? {
            Some(found) if found.position >= position => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(low)
}

/// The relay's messages from one sequence to another, in order.
pub(crate) async fn walk(stream: &Stream, first: u64, last: u64) -> Result<Vec<Published>> {
    let asked = futures::stream::iter(first..=last).map(|sequence| get(stream, sequence));
    asked.buffered(READS_IN_FLIGHT).try_filter_map(async |found| Ok(found)).try_collect().await
}

/// `None` for a message that has expired, is a stranger's, or was sent again by an operator.
async fn get(stream: &Stream, sequence: u64) -> Result<Option<Published>> {
    let message = match stream.get_raw_message(sequence).await {
        Ok(message) => message,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => return Err(error).context("reading a message of the stream"),
    };
    let headers = &message.headers;
    let names = envelope::position(headers).zip(envelope::event_id(headers)).zip(headers.get(envelope::LOG));
    Ok(names.filter(|_| headers.get(RETRIED).is_none()).map(|((position, event_id), log)| Published {
        position,
        event_id,
        log_id: log.as_str().to_owned(),
    }))
}

fn is_not_found(error: &jetstream::context::GetStreamError) -> bool {
    use jetstream::context::GetStreamErrorKind as Kind;
    matches!(error.kind(), Kind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn is_not_found_text(text: &str) -> bool {
    text.contains("stream not found")
}
