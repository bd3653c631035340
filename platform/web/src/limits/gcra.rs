//! How much of a quota is left: the generic cell rate algorithm (ITU-T I.371), without clocks and channels.

use std::time::{Duration, Instant};

/// So many requests in so much time; all of them at once, if it was quiet before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests; at least one.
    pub requests: u32,
    /// The time in which an empty quota fills up again.
    pub window: Duration,
}

impl Quota {
    /// How long the quota takes to win back so many requests.
    pub fn time_of(self, requests: u32) -> Duration {
        // Rounded down, so that rounding never costs a request.
        let nanos = self.window.as_nanos() * u128::from(requests) / u128::from(self.requests.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many requests fit when the quota is whole again after so long.
    pub fn left(self, whole_in: Duration) -> u32 {
        // A nanosecond is forgiven, because `time_of` rounds.
        let free = self.window.saturating_sub(whole_in).as_nanos() + 1;
        let requests = free * u128::from(self.requests) / self.window.as_nanos().max(1);
        u32::try_from(requests).unwrap_or(u32::MAX)
    }

    /// How long until one request fits.
    pub fn wait(self, whole_in: Duration) -> Duration {
        whole_in.saturating_sub(self.window.saturating_sub(self.time_of(1)))
    }
}

/// One quota as far as it is used: all there is to know is when it will be whole again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter(Instant);

impl Meter {
    /// Whole from then on.
    pub fn at(then: Instant) -> Self {
        Self(then)
    }

    /// How long until the quota is whole again.
    pub fn whole_in(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Uses up one request, whether it fits or not.
    pub fn take(&mut self, quota: Quota, now: Instant) {
        self.0 = self.0.max(now) + quota.time_of(1);
    }
}

/// Whole seconds, rounded up, at least one.
pub(super) fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { requests: 3, window: Duration::from_secs(10) };

    #[test]
    fn a_whole_quota_may_be_used_at_once_and_comes_back_bit_by_bit() {
        let begin = Instant::now();
        let mut meter = Meter::at(begin);
        for left in [2, 1, 0] {
            meter.take(QUOTA, begin);
            assert_eq!(QUOTA.left(meter.whole_in(begin)), left);
        }
        let wait = QUOTA.wait(meter.whole_in(begin));
        assert!((3_333..3_334).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(QUOTA.left(meter.whole_in(begin + wait)), 1);
        assert_eq!(QUOTA.left(meter.whole_in(begin + Duration::from_secs(60))), 3, "never more than there is");
        assert_eq!(QUOTA.wait(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn quotas_of_any_size_count_to_their_end() {
        for requests in [1, 7, 300, 2_999, 1_000_000] {
            let quota = Quota { requests, window: Duration::from_secs(10) };
            assert_eq!(quota.left(quota.time_of(requests)), 0);
            assert_eq!(quota.left(quota.time_of(requests - 1)), 1);
            assert_eq!(quota.left(Duration::ZERO), requests);
        }
    }
}
