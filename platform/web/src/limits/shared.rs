//! Quotas that all copies share: requests are granted by Redis, in blocks.

use super::bucket::Bucket;
use super::gcra::Quota;
use super::subject::{PREFIX, Subject};
use anyhow::{Context, Result};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Script};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long a grant is good. What is not used by then is lost, so that a quota is never used twice.
const GRANT_LIVES: Duration = Duration::from_secs(2);
/// Grants are made for so long ahead: a block of a quota is what it wins back in this time.
const AHEAD: Duration = Duration::from_millis(50);
/// While Redis is away it is asked for at this interval.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Quotas in one call at most.
const ROUND_MAX: usize = 256;
/// Asks that may wait for the next call; beyond it a process counts alone.
const WAITING_MAX: usize = 4_096;

/// Asks for more of a quota.
pub(super) struct Ask {
    pub key: Subject,
    pub quota: Quota,
    pub bucket: Arc<Mutex<Bucket>>,
    /// Somebody who waits for the answer; dropped when it is there.
    pub done: Option<oneshot::Sender<()>>,
}

/// Asks Redis in a task of its own, for all threads of the process, one call at a time: what comes up during a call goes
/// with the next one.
#[derive(Clone)]
pub(super) struct Shared {
    asks: mpsc::Sender<Ask>,
    is_up: Arc<AtomicBool>,
    patience: Duration,
}

impl Shared {
    /// Redis need not be there yet.
    pub fn start(client: Client, patience: Duration) -> Result<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(1)))
            .set_max_delay(ASK_AGAIN);
        let place = client.get_connection_info().addr().to_string();
        let redis = ConnectionManager::new_lazy_with_config(client, config).context("settings: redis.url")?;
        let (asks, waiting) = mpsc::channel(WAITING_MAX);
        let is_up = Arc::new(AtomicBool::new(true));
        let granting = Granting {
            redis,
            script: Script::new(include_str!("grant.lua")),
            is_up: is_up.clone(),
            place,
            patience,
            seconds: histogram!("rate_limit_redis_seconds"),
            failures: counter!("rate_limit_redis_failures_total"),
            local: gauge!("rate_limit_local"),
        };
        tokio::spawn(granting.run(waiting));
        Ok(Self { asks, is_up, patience })
    }

    /// Does Redis answer?
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// How long a request waits for it.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// False if too many wait already.
    pub fn ask(&self, ask: Ask) -> bool {
        self.asks.try_send(ask).is_ok()
    }
}

/// How many requests are asked for at once.
pub(super) fn block(quota: Quota) -> u32 {
    quota.left(quota.window.saturating_sub(AHEAD)).max(1)
}

struct Granting {
    redis: ConnectionManager,
    script: Script,
    is_up: Arc<AtomicBool>,
    /// Where Redis is, without its password.
    place: String,
    patience: Duration,
    seconds: Histogram,
    failures: Counter,
    local: Gauge,
}

impl Granting {
    /// Until nobody can ask any more.
    async fn run(mut self, mut waiting: mpsc::Receiver<Ask>) {
        self.local.set(0.0);
        let mut asks = vec![];
        while waiting.recv_many(&mut asks, ROUND_MAX).await > 0 {
            let begun = Instant::now();
            // Nobody waits longer than that for the answer, so neither do we.
            let patience = self.patience;
            let granted = match tokio::time::timeout(patience, self.grant(&asks)).await {
                Ok(granted) => granted,
                Err(_) => Err(anyhow::anyhow!("no answer within {patience:?}")),
            };
            self.seconds.record(begun.elapsed());
            // Before those who wait hear of it, so that they do not ask again.
            self.is_up.store(granted.is_ok(), Ordering::Relaxed);
            for ask in asks.drain(..) {
                ask.bucket.lock().is_asked = false;
            }
            if let Err(error) = granted {
                self.failures.increment(1);
                self.wait_for_redis(&error).await;
            }
        }
    }

    async fn grant(&mut self, asks: &[Ask]) -> Result<()> {
        // Several requests may wait for the same quota.
        let mut wanted: HashMap<Subject, (&Ask, u32)> = HashMap::with_capacity(asks.len());
        for ask in asks {
            let (_, waiting) = wanted.entry(ask.key).or_insert((ask, 0));
            *waiting += u32::from(ask.done.is_some());
        }
        let wanted: Vec<_> = wanted.into_values().collect();
        let mut call = self.script.prepare_invoke();
        for (ask, waiting) in &wanted {
            call.key(ask.key.to_string());
            call.arg(ask.quota.requests).arg(ask.quota.window.as_micros().to_string());
            call.arg(block(ask.quota).max(*waiting));
        }
        let answer: Vec<u64> = call.invoke_async(&mut self.redis).await?;
        let now = Instant::now();
        for ((ask, _), answer) in wanted.iter().zip(answer.chunks_exact(2)) {
            let (granted, whole_in) = (u32::try_from(answer[0])?, Duration::from_micros(answer[1]));
            ask.bucket.lock().add(granted, now + GRANT_LIVES, ask.quota, whole_in, now);
        }
        Ok(())
    }

    /// From here until Redis answers nobody asks it but we.
    async fn wait_for_redis(&mut self, error: &anyhow::Error) {
        tracing::warn!(
            redis = self.place,
            error = format!("{error:#}"),
            "rate limits: Redis does not answer, counting in this process alone"
        );
        self.local.set(1.0);
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            // The script itself, on no quota: a server that refuses to write or to run scripts is of no use.
            let key = format!("{PREFIX}probe");
            let mut call = self.script.key(key);
            let probe = call.arg(1).arg(1_000).arg(1).invoke_async::<Vec<u64>>(&mut self.redis);
            if let Ok(Ok(_)) = tokio::time::timeout(2 * ASK_AGAIN, probe).await {
                break;
            }
        }
        tracing::info!(redis = self.place, "rate limits: Redis answers, counting together again");
        self.local.set(0.0);
        self.is_up.store(true, Ordering::Relaxed);
    }
}
