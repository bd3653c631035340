//! Samples, kept by what was measured, and the figures made of them.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The percentiles that are kept.
pub const PERCENTILES: [f64; 7] = [25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
const P50: usize = 1;
const P99: usize = 5;

/// One line of a table: what was measured, of whom, and under how much load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Series {
    /// `commands in process`.
    pub what: &'static str,
    /// Ours is `UBOS`.
    pub who: &'static str,
    /// How many at once; 0 if that says nothing.
    pub load: usize,
}

impl Series {
    /// A series without a load.
    pub const fn of(what: &'static str, who: &'static str) -> Self {
        Self { what, who, load: 0 }
    }

    /// The same under a load.
    pub const fn at(self, load: usize) -> Self {
        Self { load, ..self }
    }
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.who)?;
        if self.load > 0 { write!(f, ", {}", self.load) } else { Ok(()) }
    }
}

/// What one measurement saw.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Things per second, or whatever the row counts.
    pub value: f64,
    /// Milliseconds at [`PERCENTILES`]; empty if nothing was timed one by one.
    pub latencies: Vec<f64>,
    /// Things that failed.
    pub errors: u64,
}

impl Sample {
    /// A sample without single latencies.
    pub fn value(value: f64) -> Self {
        Self { value, latencies: vec![], errors: 0 }
    }

    /// So many things in so much time.
    pub fn rate(count: i64, elapsed: Duration) -> Self {
        Self::value(count as f64 / elapsed.as_secs_f64())
    }

    /// Rate and percentiles of what was timed one by one.
    pub fn timed(mut latencies: Vec<Duration>, elapsed: Duration, errors: u64) -> Self {
        latencies.sort_unstable();
        let at = |percentile: f64| {
            let index = ((latencies.len() as f64 - 1.0) * percentile / 100.0).max(0.0) as usize;
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        let value = latencies.len() as f64 / elapsed.as_secs_f64();
        let percentiles = if latencies.is_empty() { vec![] } else { PERCENTILES.map(at).to_vec() };
        Self { value, latencies: percentiles, errors }
    }
}

/// Which figure of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// The row's own value, mostly a rate.
    Value,
    /// Half were faster.
    P50,
    /// All but one of a hundred were faster.
    P99,
}

impl Figure {
    /// The figure of one sample, none if it was not taken.
    pub fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Value => Some(sample.value),
            Self::P50 => sample.latencies.get(P50).copied(),
            Self::P99 => sample.latencies.get(P99).copied(),
        }
    }
}

/// Everything that was seen in this run.
#[derive(Debug, Default)]
pub struct Records {
    order: Vec<Series>,
    samples: BTreeMap<Series, Vec<Sample>>,
    notes: BTreeMap<&'static str, Vec<String>>,
}

impl Records {
    /// Adds the sample of one pass.
    pub fn add(&mut self, series: Series, sample: Sample) {
        let figure = |figure: Figure| figure.of(&sample).map_or("–".to_owned(), |figure| format!("{figure:.2}"));
        eprintln!(
            "  {series}: {:.0}, p50 {} ms, p99 {} ms, {} errors",
            sample.value,
            figure(Figure::P50),
            figure(Figure::P99),
            sample.errors
        );
        if !self.samples.contains_key(&series) {
            self.order.push(series);
        }
        self.samples.entry(series).or_default().push(sample);
    }

    /// Adds a remark to a row, once.
    pub fn note(&mut self, word: &'static str, note: impl Into<String>) {
        let (notes, note) = (self.notes.entry(word).or_default(), note.into());
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Remarks on a row.
    pub fn notes(&self, word: &str) -> &[String] {
        self.notes.get(word).map_or(&[], Vec::as_slice)
    }

    /// What was measured since there were `already` series, in order.
    pub fn since(&self, already: usize) -> Vec<Series> {
        let mut series = self.order[already..].to_vec();
        series.sort_by_key(|series| {
            let first = self.order.iter().position(|other| other.what == series.what);
            (first, series.load, self.order.iter().position(|other| other.who == series.who))
        });
        series
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The passes of a series; empty if it was not measured.
    pub fn samples(&self, series: Series) -> &[Sample] {
        self.samples.get(&series).map_or(&[], Vec::as_slice)
    }

    /// Everything, for machines.
    pub fn all(&self) -> Vec<(Series, &[Sample])> {
        self.order.iter().map(|series| (*series, self.samples(*series))).collect()
    }

    /// One figure of every pass.
    pub fn figures(&self, series: Series, figure: Figure) -> Vec<f64> {
        self.samples(series).iter().filter_map(|sample| figure.of(sample)).collect()
    }

    /// The median over the passes.
    pub fn median(&self, series: Series, figure: Figure) -> Option<f64> {
        median(&self.figures(series, figure))
    }
}

/// The middle of some numbers; the mean of the two middle ones if their count is even.
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len().is_multiple_of(2) { Some((sorted[middle - 1] + upper) / 2.0) } else { Some(upper) }
}

/// `1,234`, or `12.3` for what is small.
pub fn thousands(number: f64) -> String {
    if number.abs() < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let latencies = (1..=1_000).rev().map(Duration::from_millis).collect();
        let sample = Sample::timed(latencies, Duration::from_secs(10), 0);
        assert_eq!(sample.value, 100.0);
        assert_eq!(Figure::P50.of(&sample), Some(500.0));
        assert_eq!(Figure::P99.of(&sample), Some(990.0));
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
