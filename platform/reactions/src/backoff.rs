//! When something is tried again: full jitter, so that those who failed together do not come back together.

use rand::Rng;
use std::time::Duration;

/// Not sooner than this, however the dice fall.
const LEAST: Duration = Duration::from_secs(1);
/// Past what a receiver says, up to a tenth of it, so that not everybody comes at that moment.
const PAST: f64 = 0.1;

/// When what could not be done is tried again, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The second try comes within this time; every further one within twice as long as the one before.
    pub first: Duration,
    /// But never later than this after the one before.
    pub most: Duration,
    /// So long after the first try it is given up; never if there is none.
    pub within: Option<Duration>,
}

impl Retry {
    /// For a receiver that may be away for a weekend.
    pub const TWO_DAYS: Self = Self {
        first: Duration::from_secs(120),
        most: Duration::from_secs(7_200),
        within: Some(Duration::from_secs(48 * 3_600)),
    };
    /// For what must be done, and needs only servers of ours.
    pub const FOR_EVER: Self = Self { first: Duration::from_secs(2), most: Duration::from_secs(60), within: None };

    /// How long to wait after a try that failed: what the receiver said, or a time by lot.
    pub(crate) fn wait(&self, attempt: u32, said: Option<Duration>) -> Duration {
        if let Some(said) = said {
            return said.mul_f64(1.0 + PAST * rand::random::<f64>());
        }
        let bound = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(self.most);
        let least = LEAST.min(self.first);
        rand::rng().random_range(least..=bound.max(least))
    }

    /// Is it to be given up after so long?
    pub(crate) fn is_over(&self, tried_for: Duration) -> bool {
        self.within.is_some_and(|within| tried_for >= within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn every_wait_is_by_lot_below_a_bound_that_doubles_up_to_the_most() {
        let retry = Retry { first: 10 * SECOND, most: 60 * SECOND, within: None };
        for (attempt, bound) in [(1, 10), (2, 20), (3, 40), (4, 60), (40, 60), (u32::MAX, 60)] {
            let waits: Vec<_> = (0..200).map(|_| retry.wait(attempt, None)).collect();
            assert!(waits.iter().all(|wait| (SECOND..=bound * SECOND).contains(wait)), "{attempt}: {waits:?}");
            let (low, high) = (waits.iter().min().copied(), waits.iter().max().copied());
            assert!(
                low < Some(bound * SECOND / 2) && high > Some(bound * SECOND / 2),
                "{attempt}: {low:?} to {high:?}"
            );
        }
    }

    #[test]
    fn what_the_receiver_says_counts_and_nobody_comes_sooner() {
        let waits = (0..100).map(|_| Retry::TWO_DAYS.wait(3, Some(30 * SECOND)));
        assert!(waits.into_iter().all(|wait| (30 * SECOND..=33 * SECOND).contains(&wait)));
    }

    #[test]
    fn what_was_tried_for_long_enough_is_given_up() {
        let hour = 3_600 * SECOND;
        assert!(!Retry::TWO_DAYS.is_over(47 * hour) && Retry::TWO_DAYS.is_over(48 * hour));
        assert!(!Retry::FOR_EVER.is_over(100_000 * hour));
    }
}
