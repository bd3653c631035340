//! Closed loops, in which everybody sends again when answered, and open loops, which keep their pace whatever happens.

use crate::record::Sample;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Keeps `at_once` calls of `work` going for `seconds`; the argument counts the calls of all.
pub async fn closed<F, Fut>(at_once: usize, seconds: u64, work: F) -> Sample
where
    F: Fn(u64) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = bool> + Send + 'static,
{
    let turns = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let clients = (0..at_once).map(|_| {
        let (work, turns) = (work.clone(), turns.clone());
        tokio::spawn(async move {
            let (mut latencies, mut errors) = (vec![], 0);
            while Instant::now() < end {
                let begun = Instant::now();
                if work(turns.fetch_add(1, Ordering::Relaxed)).await {
                    latencies.push(begun.elapsed());
                } else {
                    errors += 1;
                }
            }
            (latencies, errors)
        })
    });
    gather(clients.collect(), started).await
}

/// What all clients saw together.
pub async fn gather(clients: Vec<tokio::task::JoinHandle<(Vec<Duration>, u64)>>, started: Instant) -> Sample {
    let (mut latencies, mut errors) = (vec![], 0);
    for client in clients {
        match client.await {
            Ok((seen, failed)) => {
                latencies.extend(seen);
                errors += failed;
            }
            // A client that panicked is one failure at least.
            Err(_) => errors += 1,
        }
    }
    Sample::timed(latencies, started.elapsed(), errors)
}

/// Starts `per_second` calls of `work` a second, evenly, for `seconds`. Whoever is late has waited: a latency counts
/// from when the call was due, so a stall shows in everything that it held up. Calls may answer their own latency.
pub async fn open<F, Fut>(per_second: u64, seconds: u64, work: F) -> Sample
where
    F: Fn(u64, Instant) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = Option<Duration>> + Send + 'static,
{
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (started, count) = (Instant::now(), per_second * seconds);
    let mut calls = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut turn = 0;
    while turn < count {
        ticks.tick().await;
        while turn < count {
            let due = started + Duration::from_secs_f64(turn as f64 / per_second as f64);
            if due > Instant::now() {
                break;
            }
            calls.push(tokio::spawn(work(turn, due)));
            turn += 1;
        }
    }
    let (mut latencies, mut errors) = (vec![], 0);
    for call in calls {
        match call.await {
            Ok(Some(latency)) => latencies.push(latency),
            Ok(None) | Err(_) => errors += 1,
        }
    }
    Sample::timed(latencies, started.elapsed(), errors)
}
