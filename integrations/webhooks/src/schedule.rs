//! When something is tried again: the schedule that Standard Webhooks gives as an example, a fifth sooner or later by lot.

use rand::Rng;
use std::time::Duration;

/// By how much a wait is shorter or longer, at most.
const JITTER: f64 = 0.2;

/// How long one waits before each further try.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Before each further try of one event: the last one after all of them fails is the last try.
    pub event: Vec<Duration>,
    /// How long an endpoint that has failed so often in a row is left alone, the last of them from then on.
    pub endpoint: Vec<Duration>,
    /// After so long without a success its record says that it fails.
    pub failing_after: Duration,
    /// After so long without a success nothing is sent there any more.
    pub disabled_after: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        let (seconds, minutes, hours) = (Duration::from_secs, Duration::from_mins, Duration::from_hours);
        Self {
            event: vec![
                seconds(5),
                minutes(5),
                minutes(30),
                hours(2),
                hours(5),
                hours(10),
                hours(14),
                hours(20),
                hours(24),
            ],
            endpoint: vec![
                seconds(1),
                seconds(5),
                seconds(15),
                seconds(30),
                minutes(1),
                minutes(2),
                minutes(5),
                minutes(10),
                minutes(20),
                minutes(30),
            ],
            failing_after: hours(1),
            disabled_after: hours(5 * 24),
        }
    }
}

impl Schedule {
    /// How long to wait after so many tries of an event that failed; none if that was the last.
    pub fn after(&self, attempts: u32) -> Option<Duration> {
        let wait = self.event.get((attempts as usize).saturating_sub(1))?;
        Some(by_lot(*wait))
    }

    /// The same of one that is not given up because nothing else is taken either.
    pub fn after_or_last(&self, attempts: u32) -> Duration {
        self.after(attempts).or_else(|| self.event.last().copied().map(by_lot)).unwrap_or_default()
    }
}

/// About so long.
pub fn by_lot(wait: Duration) -> Duration {
    wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * rand::rng().random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_tried_ten_times_within_some_three_days() {
        let schedule = Schedule::default();
        let usual = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for (attempts, usual) in (1..).zip(usual) {
            let waits: Vec<_> = (0..100).map(|_| schedule.after(attempts).unwrap().as_secs_f64()).collect();
            let (low, high) = (f64::from(usual) * 0.8, f64::from(usual) * 1.2);
            assert!(waits.iter().all(|wait| (low..=high).contains(wait)), "{attempts}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "by lot");
        }
        assert_eq!(schedule.after(10), None);
        assert!(schedule.after_or_last(11) >= Duration::from_secs(69_120));
    }
}
