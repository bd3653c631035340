//! Coalesced loads: every stream that waits while the last load is in flight shares the next one.

use kernel::{History, Stored};
use metrics::histogram;
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

/// Loads in flight at once; more would only queue inside the database.
const LOADS_IN_FLIGHT_MAX: usize = 4;
/// Streams in one load.
const STREAMS_PER_LOAD_MAX: usize = 256;

/// One stream of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    pub tenant: Uuid,
    pub aggregate_type: &'static str,
    pub aggregate_id: Uuid,
}

type Answer = Result<Arc<History>, Arc<sqlx::Error>>;
type Asked = (StreamKey, i32, oneshot::Sender<Answer>);

#[derive(Debug, Clone)]
pub(crate) struct Loader(mpsc::UnboundedSender<Asked>);

impl Loader {
    pub fn start(pool: PgPool) -> Self {
        // Unbounded, because every waiter is a request that was admitted, and those are bounded.
        let (sender, mut queue) = mpsc::unbounded_channel::<Asked>();
        let permits = Arc::new(Semaphore::new(LOADS_IN_FLIGHT_MAX));
        tokio::spawn(async move {
            while let Some(first) = queue.recv().await {
                let Ok(permit) = permits.clone().acquire_owned().await else { return };
                let mut asked = vec![first];
                while asked.len() < STREAMS_PER_LOAD_MAX {
                    match queue.try_recv() {
                        Ok(next) => asked.push(next),
                        Err(_) => break,
                    }
                }
                let pool = pool.clone();
                tokio::spawn(async move {
                    answer(&pool, asked).await;
                    drop(permit);
                });
            }
        });
        Self(sender)
    }

    /// The history of one stream, empty if it does not exist.
    pub async fn load(&self, key: StreamKey, state_version: i32) -> Answer {
        let (reply, answer) = oneshot::channel();
        let gone = || Arc::new(sqlx::Error::WorkerCrashed);
        self.0.send((key, state_version, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn answer(pool: &PgPool, asked: Vec<Asked>) {
    let mut waiters: HashMap<(StreamKey, i32), Vec<oneshot::Sender<Answer>>> = HashMap::new();
    for (key, state_version, reply) in asked {
        waiters.entry((key, state_version)).or_default().push(reply);
    }
    let keys: Vec<(StreamKey, i32)> = waiters.keys().copied().collect();
    histogram!("load_batch_streams").record(keys.len() as f64);
    match load(pool, &keys).await {
        Ok(histories) => {
            for (key, history) in keys.iter().zip(histories) {
                let history = Arc::new(history);
                for reply in waiters.remove(key).unwrap_or_default() {
                    drop(reply.send(Ok(history.clone())));
                }
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            waiters.into_values().flatten().for_each(|reply| drop(reply.send(Err(error.clone()))));
        }
    }
}

type LoadedRow = (i64, Option<i64>, i64, Option<String>, Option<i32>, String);

async fn load(pool: &PgPool, keys: &[(StreamKey, i32)]) -> Result<Vec<History>, sqlx::Error> {
    let rows: Vec<LoadedRow> = sqlx::query_as(
        "select stream, sequence, position, event_type, event_version, payload from eventstore.load($1, $2, $3, $4)",
    )
    .bind(keys.iter().map(|(k, _)| k.tenant).collect::<Vec<_>>())
    .bind(keys.iter().map(|(k, _)| k.aggregate_type).collect::<Vec<_>>())
    .bind(keys.iter().map(|(k, _)| k.aggregate_id).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, v)| *v).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let mut histories: Vec<History> = keys.iter().map(|_| History::default()).collect();
    for (stream, sequence, position, event_type, event_version, payload) in rows {
        let Some(history) = usize::try_from(stream - 1).ok().and_then(|index| histories.get_mut(index)) else {
            continue;
        };
        history.position = history.position.max(position);
        match (sequence, event_type) {
            (Some(sequence), Some(event_type)) => {
                history.version = sequence;
                let event_version = event_version.and_then(|v| u32::try_from(v).ok()).unwrap_or(1);
                history.events.push(Stored { event_type, event_version, payload });
            }
            // A snapshot row: its version travels in the version column.
            _ => {
                let covered = i64::from(event_version.unwrap_or(0));
                history.version = history.version.max(covered);
                history.snapshot = Some((covered, payload));
            }
        }
    }
    Ok(histories)
}
