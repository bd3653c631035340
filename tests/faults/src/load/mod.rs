//! The load: an open loop of operations over several firms, by clients that behave.

mod client;
mod mix;
mod seed;
mod storm;

pub use client::{Client, Wire};
pub use seed::seed;
pub use storm::storm;

use crate::evidence::Evidence;
use mix::Mix;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Operations under way at most; what is due beyond that is counted and left out. Ten seconds of an outage fit, and no more
/// than this process can carry beside its proxies: it must not be what everybody waits for.
const UNDER_WAY_MAX: usize = 5_000;
/// Questions under way at most.
const QUESTIONS_MAX: usize = 1_000;

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    task: JoinHandle<()>,
    wire: Arc<Wire>,
}

impl Load {
    /// Starts so many commands a second, and a fifth as many questions besides.
    pub fn start(clients: Vec<Arc<Client>>, wire: Arc<Wire>, per_second: u32, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(clients, wire.clone(), per_second, seed, stop.clone()));
        Self { stop, task, wire }
    }

    /// Starts nothing more and waits for what is under way, so long at most; then nothing is repeated any more.
    pub async fn finish(self, patience: Duration) {
        self.stop.cancel();
        self.wire.over.store(true, Ordering::Relaxed);
        let wire = self.wire.clone();
        let closer = tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            wire.closing.store(true, Ordering::Relaxed);
        });
        drop(self.task.await);
        closer.abort();
    }
}

async fn run(clients: Vec<Arc<Client>>, wire: Arc<Wire>, per_second: u32, seed: u64, stop: CancellationToken) {
    // Many ticks a second are started together: a timer of its own for each would be late anyway.
    const BATCHES_PER_SECOND: u32 = 50;
    let mut random = StdRng::seed_from_u64(seed ^ 0x10ad);
    let mut mix = Mix::new(clients);
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let asked = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let tracker = TaskTracker::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / BATCHES_PER_SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    // In fiftieths; what one turn takes too much is missing from the next.
    let (mut due_commands, mut due_queries) = (0, 0);
    let (per_second, batches) = (i64::from(per_second), i64::from(BATCHES_PER_SECOND));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        due_commands += per_second;
        due_queries += per_second / 5;
        while due_commands >= batches {
            let turn = mix.next_turn(&mut random);
            due_commands -= batches * i64::from(turn.commands());
            let Ok(permit) = under_way.clone().try_acquire_owned() else {
                wire.counts.skipped.fetch_add(u64::from(turn.commands()), Ordering::Relaxed);
                continue;
            };
            tracker.spawn(async move {
                turn.play().await;
                drop(permit);
            });
        }
        while due_queries >= batches {
            due_queries -= batches;
            if let Some(question) = mix.next_question(&mut random)
                && let Ok(permit) = asked.clone().try_acquire_owned()
            {
                tracker.spawn(async move {
                    question.await;
                    drop(permit);
                });
            }
        }
    }
    tracker.close();
    tracker.wait().await;
}

/// As many users as it takes, spread over the firms.
pub fn clients(tokens: Vec<(uuid::Uuid, String)>, wire: &Arc<Wire>) -> Vec<Arc<Client>> {
    let named = tokens.into_iter().enumerate();
    named.map(|(n, (tenant, token))| Arc::new(Client::new(format!("c{n}"), tenant, token, wire.clone()))).collect()
}

/// The wire of a run.
pub fn wire(evidence: &Arc<Evidence>, command_ports: Vec<u16>, query_ports: Vec<u16>) -> anyhow::Result<Arc<Wire>> {
    Ok(Arc::new(Wire::new(evidence.clone(), command_ports, query_ports)?))
}
