//! Redis, where answers are kept for a moment. It decides nothing; what an answer is kept with, and when it counts, see `keeping`.

use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How long Redis may take. To put the answer together takes little longer.
const PATIENCE: Duration = Duration::from_millis(30);
/// For how long nobody asks a Redis that did not answer.
const REST: Duration = Duration::from_secs(1);

/// Where answers are kept. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    redis: ConnectionManager,
    /// Until when it is not asked.
    resting: Arc<Mutex<Option<Instant>>>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    /// Connects when it is asked first, and again whenever the connection is lost.
    ///
    /// # Errors
    /// If the client cannot be used at all.
    pub fn new(client: redis::Client) -> redis::RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let redis = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { redis, resting: Arc::default() })
    }

    fn is_resting(&self) -> bool {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.is_some_and(|until| Instant::now() < until)
    }

    /// What Redis says, in time.
    async fn ask<T>(&self, asked: impl Future<Output = redis::RedisResult<T>>) -> Option<T> {
        match tokio::time::timeout(2 * PATIENCE, asked).await {
            Ok(Ok(said)) => Some(said),
            failed => {
                tracing::debug!(error = ?failed.map(|said| said.err()), "Redis does not keep answers now");
                *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
                None
            }
        }
    }

    /// What is kept under this key; nothing if Redis does not say so in time.
    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        if self.is_resting() {
            return None;
        }
        self.ask(self.redis.clone().get::<_, Option<Vec<u8>>>(key)).await.flatten()
    }

    /// Keeps it for a moment, if Redis takes it.
    pub(crate) async fn put(&self, key: &str, sealed: Vec<u8>) {
        if !self.is_resting() {
            let _: Option<()> = self.ask(self.redis.clone().set_ex(key, sealed, KEPT_FOR.as_secs())).await;
        }
    }
}
