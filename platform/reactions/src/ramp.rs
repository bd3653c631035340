//! How what waited for a connection goes on when it works again: few at first, then more and more, so that a provider that was just
//! agreed to again is not asked for everything at one moment.

use std::time::Duration;

/// How long it is until more go on.
const STEP: Duration = Duration::from_secs(2);
/// Lanes that go on in one step at most.
const MOST: u32 = 64;

/// How long each of so many lanes waits, the first first: one goes on at once, two more after a step, four after the next one, and so on,
/// until as many begin in each step as ever will.
pub(crate) fn waits(count: usize) -> Vec<Duration> {
    let batches = (0_u32..).flat_map(|step| {
        let at_once = 1_u32.checked_shl(step).map_or(MOST, |lanes| lanes.min(MOST));
        (0..at_once).map(move |_| STEP.saturating_mul(step))
    });
    batches.take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many begin in each step.
    fn batches(count: usize) -> Vec<usize> {
        let waits = waits(count);
        assert!(waits.is_sorted() && waits.len() == count);
        let steps = waits.last().map_or(0, |last| last.as_secs() / STEP.as_secs() + 1);
        (0..steps).map(|step| waits.iter().filter(|wait| wait.as_secs() / STEP.as_secs() == step).count()).collect()
    }

    #[test]
    fn what_waited_goes_on_at_a_rate_that_doubles_up_to_the_most() {
        assert_eq!(batches(0), [0_usize; 0]);
        assert_eq!(batches(1), [1]);
        assert_eq!(batches(10), [1, 2, 4, 3]);
        assert_eq!(batches(300), [1, 2, 4, 8, 16, 32, 64, 64, 64, 45]);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let longest = waits(10_000).last().copied();
        assert!(longest < Some(Duration::from_secs(400)), "{longest:?}");
    }
}
