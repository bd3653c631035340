//! How soon after a blow everything served again.

use super::Injector;
use anyhow::{Result, bail};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// From the start of a role's process until it says that it is ready.
    Ready,
    /// From a kill until a request that was sent afterwards is answered 2xx.
    FirstOk,
    /// From the leading relay's end until the standby has published something.
    StandbyPublishes,
}

impl Goal {
    /// As the report names it.
    pub fn name(self) -> &'static str {
        match self {
            Goal::Ready => "role ready after its start",
            Goal::FirstOk => "first 2xx after a kill",
            Goal::StandbyPublishes => "standby relay publishes after the leader's end",
        }
    }

    /// Not more than so long.
    pub fn seconds(self) -> f64 {
        match self {
            Goal::Ready => 2.0,
            Goal::FirstOk | Goal::StandbyPublishes => 5.0,
        }
    }
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Measured {
    pub goal: Goal,
    /// Who was hit.
    pub target: String,
    /// When it was hit.
    pub at: f64,
    pub seconds: f64,
    /// Whether no other fault lasted or began meanwhile; the goals are for one fault at a time.
    pub alone: bool,
}

/// Notes whether other faults were about.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    at: Instant,
    begun: usize,
    alone: bool,
}

impl Watch {
    /// Since it began.
    pub fn seconds(self) -> f64 {
        self.at.elapsed().as_secs_f64()
    }
}

/// No measurement is waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Injector {
    /// Begins to measure now.
    pub fn watch(&self) -> Watch {
        let (active, begun) = (self.active.load(Ordering::SeqCst), self.begun.load(Ordering::SeqCst));
        Watch { at: Instant::now(), begun, alone: active <= 1 }
    }

    /// Keeps a measurement.
    pub fn measured(&self, watch: Watch, goal: Goal, target: &str, seconds: f64) {
        let alone = watch.alone && self.begun.load(Ordering::SeqCst) == watch.begun;
        let (target, at) = (target.to_owned(), self.evidence.at(watch.at));
        self.measured.lock().push(Measured { goal, target, at, seconds, alone });
    }

    /// Until a request that was sent after the blow is answered with success; questions if a query-api was hit.
    /// None when the load ends before.
    pub async fn first_ok(&self, watch: Watch, target: &str) -> Result<Option<f64>> {
        let is_query = target.starts_with("query-api");
        let last = if is_query { &self.wire.last_query_ok } else { &self.wire.last_command_ok };
        let since = (self.evidence.at(watch.at) * 1e6) as u64;
        while watch.at.elapsed() < PATIENCE {
            if last.load(Ordering::Relaxed) > since {
                let seconds = watch.at.elapsed().as_secs_f64();
                self.measured(watch, Goal::FirstOk, target, seconds);
                return Ok(Some(seconds));
            }
            if self.wire.over.load(Ordering::Relaxed) {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.measured(watch, Goal::FirstOk, target, PATIENCE.as_secs_f64());
        bail!("no request was answered with success within {PATIENCE:?}")
    }

    /// Epoch and position of whoever leads.
    pub async fn relay_state(&self) -> Result<(i64, i64)> {
        Ok(sqlx::query_as("select epoch, position from eventstore.relay").fetch_one(&self.pool).await?)
    }

    /// Until another relay leads and has published something.
    pub async fn standby(&self, watch: Watch, target: &str, before: (i64, i64)) -> Option<f64> {
        while watch.at.elapsed() < PATIENCE {
            if self.relay_state().await.is_ok_and(|now| now.0 > before.0 && now.1 > before.1) {
                let seconds = watch.at.elapsed().as_secs_f64();
                self.measured(watch, Goal::StandbyPublishes, target, seconds);
                return Some(seconds);
            }
            if self.wire.over.load(Ordering::Relaxed) {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.measured(watch, Goal::StandbyPublishes, target, PATIENCE.as_secs_f64());
        None
    }
}
