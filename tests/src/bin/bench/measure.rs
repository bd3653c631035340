//! Closed loops, samples, medians.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What one measurement saw.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Things done per second.
    pub rate: f64,
    /// Median latency, milliseconds.
    pub p50: f64,
    /// 99th percentile, milliseconds.
    pub p99: f64,
    /// Things that failed.
    pub errors: u64,
}

/// Keeps `in_flight` calls of `work` going for `seconds`; the argument counts calls over all clients.
pub async fn closed_loop<F, Fut>(in_flight: usize, seconds: u64, work: F) -> Sample
where
    F: Fn(u64) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = bool> + Send + 'static,
{
    let turns = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..in_flight)
        .map(|_| {
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
        })
        .collect();
    let (mut latencies, mut errors) = (vec![], 0);
    for client in clients {
        if let Ok((seen, failed)) = client.await {
            latencies.extend(seen);
            errors += failed;
        }
    }
    let elapsed = started.elapsed();
    sample(latencies, elapsed, errors)
}

/// Percentiles and rate of what was seen.
pub fn sample(mut latencies: Vec<Duration>, elapsed: Duration, errors: u64) -> Sample {
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = ((latencies.len() as f64 - 1.0) * part).max(0.0) as usize;
        latencies.get(index).map_or(0.0, |l| l.as_secs_f64() * 1000.0)
    };
    Sample { rate: latencies.len() as f64 / elapsed.as_secs_f64(), p50: at(0.5), p99: at(0.99), errors }
}

/// Samples by what was measured; prints medians.
#[derive(Debug, Default)]
pub struct Table(BTreeMap<(usize, String), Vec<Sample>>, Vec<String>);

impl Table {
    /// Adds one pass.
    pub fn add(&mut self, section: usize, what: impl Into<String>, sample: Sample) {
        let what = what.into();
        eprintln!(
            "{what}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, {} errors",
            sample.rate, sample.p50, sample.p99, sample.errors
        );
        self.0.entry((section, what)).or_default().push(sample);
    }

    /// Adds a line that is printed as it is, such as memory.
    pub fn note(&mut self, line: impl Into<String>) {
        self.1.push(line.into());
    }

    /// The median rate of something, 0 if it was not measured.
    pub fn median_rate(&self, what: &str) -> f64 {
        let samples = self.0.iter().find(|((_, name), _)| name == what).map(|(_, samples)| samples.as_slice());
        median(samples.unwrap_or_default().iter().map(|s| s.rate))
    }
}

/// The middle of some numbers.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | per second, median (min–max) | p50 ms | p99 ms | errors | passes |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for ((_, what), samples) in &self.0 {
            let rates = || samples.iter().map(|s| s.rate);
            writeln!(
                f,
                "| {what} | {:.0} ({:.0}–{:.0}) | {:.2} | {:.2} | {} | {} |",
                median(rates()),
                rates().fold(f64::MAX, f64::min),
                rates().fold(0.0, f64::max),
                median(samples.iter().map(|s| s.p50)),
                median(samples.iter().map(|s| s.p99)),
                samples.iter().map(|s| s.errors).sum::<u64>(),
                samples.len()
            )?;
        }
        self.1.iter().try_for_each(|line| writeln!(f, "\n{line}"))
    }
}
