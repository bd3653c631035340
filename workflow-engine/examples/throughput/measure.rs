//! Samples and medians.

use std::collections::BTreeMap;
use std::fmt;

/// What one measurement saw.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Runs ended per second.
    pub rate: f64,
    /// From the trigger to the run's end: median, milliseconds.
    pub p50: f64,
    /// The same, 99th percentile.
    pub p99: f64,
    /// Transactions that PostgreSQL committed per run.
    pub commits: f64,
    /// Statements sent per run and how often, the most frequent first; empty unless they were counted.
    pub statements: Vec<(String, f64, f64)>,
}

/// Samples by who was measured with how many runs in flight.
#[derive(Debug, Default)]
pub struct Table(BTreeMap<(usize, &'static str), Vec<Sample>>);

impl Table {
    /// Adds one pass.
    pub fn add(&mut self, who: &'static str, in_flight: usize, sample: Sample) {
        let Sample { rate, p50, p99, commits, .. } = &sample;
        eprintln!(
            "{who}, {in_flight} in flight: {rate:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, {commits:.2} commits a run"
        );
        for (statement, calls, milliseconds) in &sample.statements {
            eprintln!("    {calls:8.3} calls, {milliseconds:7.3} ms a run: {statement}");
        }
        self.0.entry((in_flight, who)).or_default().push(sample);
    }

    /// What was seen of one.
    pub fn samples(&self, who: &'static str, in_flight: usize) -> &[Sample] {
        self.0.get(&(in_flight, who)).map_or(&[], Vec::as_slice)
    }
}

/// The middle of some numbers.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Rate and percentiles of a closed loop: latencies in milliseconds of what ended within `seconds`.
pub fn sample(mut latencies: Vec<f64>, seconds: f64) -> Sample {
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let index = ((latencies.len() as f64 - 1.0) * part).max(0.0) as usize;
        latencies.get(index).copied().unwrap_or_default()
    };
    Sample { rate: latencies.len() as f64 / seconds, p50: at(0.5), p99: at(0.99), ..Sample::default() }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | runs per second, median (min–max) | p50 ms | p99 ms | commits per run | passes |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        for ((in_flight, who), samples) in &self.0 {
            let rates = || samples.iter().map(|s| s.rate);
            writeln!(
                f,
                "| {who}, {in_flight} in flight | {:.0} ({:.0}–{:.0}) | {:.1} | {:.1} | {:.2} | {} |",
                median(rates()),
                rates().fold(f64::MAX, f64::min),
                rates().fold(0.0, f64::max),
                median(samples.iter().map(|s| s.p50)),
                median(samples.iter().map(|s| s.p99)),
                median(samples.iter().map(|s| s.commits)),
                samples.len()
            )?;
        }
        Ok(())
    }
}
