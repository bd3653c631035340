//! Coalesced loads: every stream that waits while the last load is in flight shares the next one.

use crate::seal::{self, Place};
use coalesce::{Coalescer, Limits};
use kernel::{History, Stored};
use metrics::histogram;
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;
use vault::{Subject, Vault, VaultError, WrappedSubjectKey};

/// Loads in flight and streams in each.
const LIMITS: Limits = Limits { in_flight: 4, keys: 256 };

/// One stream of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    pub tenant: Uuid,
    pub aggregate_type: &'static str,
    pub aggregate_id: Uuid,
}

/// What the log says of a stream, and its keys.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub history: History,
    pub subject: Arc<Subject>,
}

/// No snapshot has this version of a state, so a load with it answers every event.
pub(crate) const WITHOUT_SNAPSHOT: i32 = -1;

type Answer = Result<Arc<Loaded>, Arc<sqlx::Error>>;

#[derive(Debug, Clone)]
pub(crate) struct Loader(Coalescer<(StreamKey, i32), Answer>);

impl Loader {
    pub fn start(pool: PgPool, vault: Option<Vault>) -> Self {
        Self(Coalescer::start(LIMITS, move |keys: Vec<(StreamKey, i32)>| {
            let (pool, vault) = (pool.clone(), vault.clone());
            async move {
                histogram!("load_batch_streams").record(keys.len() as f64);
                match load(&pool, vault.as_ref(), &keys).await {
                    Ok(found) => found.into_iter().map(|loaded| loaded.map(Arc::new).map_err(Arc::new)).collect(),
                    Err(error) => vec![Err(Arc::new(error)); keys.len()],
                }
            }
        }))
    }

    /// What the log says of one stream, nothing if it does not exist.
    pub async fn load(&self, key: StreamKey, state_version: i32) -> Answer {
        self.0.get((key, state_version)).await.unwrap_or_else(|| Err(Arc::new(sqlx::Error::WorkerCrashed)))
    }
}

type LoadedRow = (i64, Option<i64>, i64, Option<String>, Option<i32>, String);

/// A stream as its rows tell it, still sealed.
#[derive(Default)]
struct Found {
    history: History,
    keys: Vec<WrappedSubjectKey>,
}

/// A stream that does not open is an error of its own: the others share no more than the question.
async fn load(
    pool: &PgPool,
    vault: Option<&Vault>,
    keys: &[(StreamKey, i32)],
) -> Result<Vec<Result<Loaded, sqlx::Error>>, sqlx::Error> {
    let mut loaded = Vec::with_capacity(keys.len());
    let found = read(pool, keys).await?;
    if let Some(vault) = vault {
        let sealed = keys.iter().zip(&found).filter(|(_, found)| !found.keys.is_empty());
        vault.warm(sealed.map(|((stream, _), _)| stream.tenant)).await.map_err(seal::unreadable)?;
    }
    for ((stream, state_version), found) in keys.iter().zip(found) {
        loaded.push(open_or_fold(pool, vault, stream, *state_version, found).await);
    }
    Ok(loaded)
}

async fn open_or_fold(
    pool: &PgPool,
    vault: Option<&Vault>,
    stream: &StreamKey,
    state_version: i32,
    found: Found,
) -> Result<Loaded, sqlx::Error> {
    if let Some(opened) = open(vault, stream, state_version, found).await.map_err(seal::unreadable)? {
        return Ok(opened);
    }
    // Its snapshot can never be opened again, so the whole stream is folded.
    let all = (*stream, WITHOUT_SNAPSHOT);
    let found = read(pool, &[all]).await?.pop().unwrap_or_default();
    let opened = open(vault, stream, WITHOUT_SNAPSHOT, found).await.map_err(seal::unreadable)?;
    Ok(opened.unwrap_or_default())
}

/// Opens what is sealed. None: the key of the snapshot was destroyed.
async fn open(
    vault: Option<&Vault>,
    stream: &StreamKey,
    state_version: i32,
    found: Found,
) -> Result<Option<Loaded>, VaultError> {
    let Found { mut history, keys } = found;
    let StreamKey { tenant, aggregate_type, aggregate_id } = *stream;
    let subject = match vault {
        Some(vault) => vault.admit(tenant, aggregate_id, keys).await?,
        None if keys.is_empty() => Arc::default(),
        None => return Err(seal::no_vault()),
    };
    if let Some((version, state)) = history.snapshot.take() {
        let opened = seal::open_state(&subject, aggregate_type, version, state_version, state)?;
        let Some(state) = opened else { return Ok(None) };
        history.snapshot = Some((version, state));
    }
    let first = history.version + 1 - i64::try_from(history.events.len()).unwrap_or(0);
    for (event, sequence) in history.events.iter_mut().zip(first..) {
        if seal::sealed_by(&event.payload).is_some() {
            let Stored { event_type, event_version, payload } = event;
            let place = Place { aggregate_type, sequence, event_type, event_version: *event_version };
            *payload = seal::open(&subject, place, payload)?;
        }
    }
    Ok(Some(Loaded { history, subject }))
}

async fn read(pool: &PgPool, keys: &[(StreamKey, i32)]) -> Result<Vec<Found>, sqlx::Error> {
    let rows: Vec<LoadedRow> = sqlx::query_as(
        "select stream, sequence, position, event_type, event_version, payload from eventstore.load($1, $2, $3, $4)",
    )
    .bind(keys.iter().map(|(k, _)| k.tenant).collect::<Vec<_>>())
    .bind(keys.iter().map(|(k, _)| k.aggregate_type).collect::<Vec<_>>())
    .bind(keys.iter().map(|(k, _)| k.aggregate_id).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, v)| *v).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let mut streams: Vec<Found> = keys.iter().map(|_| Found::default()).collect();
    for (stream, sequence, position, event_type, event_version, payload) in rows {
        let Some(found) = usize::try_from(stream - 1).ok().and_then(|index| streams.get_mut(index)) else {
            continue;
        };
        let history = &mut found.history;
        history.position = history.position.max(position);
        match (sequence, event_type) {
            (Some(sequence), Some(event_type)) => {
                history.version = sequence;
                let event_version = event_version.and_then(|v| u32::try_from(v).ok()).unwrap_or(1);
                history.events.push(Stored { event_type, event_version, payload });
            }
            // A key: its generation travels in the version column.
            (None, Some(_)) => {
                let generation = event_version.and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
                let wrapped = hex::decode(payload).map_err(|e| sqlx::Error::Decode(e.into()))?;
                found.keys.push(WrappedSubjectKey { generation, wrapped: Some(wrapped).filter(|w| !w.is_empty()) });
            }
            // A snapshot: its version travels in the version column.
            (_, None) => {
                let covered = i64::from(event_version.unwrap_or(0));
                history.version = history.version.max(covered);
                history.snapshot = Some((covered, payload));
            }
        }
    }
    Ok(streams)
}
