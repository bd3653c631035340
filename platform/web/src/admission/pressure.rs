//! When whoever is turned away shall come again.

use std::time::Duration;
use tokio::time::Instant;

/// Nobody is told to stay away for twice as long.
pub(super) const SECONDS_MAX: u32 = 15;

const SECOND: Duration = Duration::from_secs(1);

/// How many were taken in and how many turned away, in this second and the one before.
///
/// If as many seconds pass as requests were turned away for one that was taken in, those of one second come again no faster
/// than they can be taken in. Told to come after a second, they would come each second, and what turns them away would be
/// taken from the work: a service that stood still for a moment would stay overloaded by repeats alone.
#[derive(Debug)]
pub(super) struct Pressure {
    since: Instant,
    now: Counts,
    before: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    taken_in: u32,
    turned_away: u32,
}

impl Pressure {
    pub fn new() -> Self {
        Self { since: Instant::now(), now: Counts::default(), before: Counts::default() }
    }

    pub fn taken_in(&mut self) {
        self.at(Instant::now()).taken_in += 1;
    }

    /// Answers after how many seconds to come again, from 1 to [`SECONDS_MAX`].
    pub fn turned_away(&mut self) -> u32 {
        self.at(Instant::now()).turned_away += 1;
        let turned_away = self.now.turned_away + self.before.turned_away;
        let taken_in = self.now.taken_in + self.before.taken_in;
        turned_away.div_ceil(taken_in.max(1)).clamp(1, SECONDS_MAX)
    }

    /// The counts of the second that it is now.
    fn at(&mut self, now: Instant) -> &mut Counts {
        let passed = now - self.since;
        if passed >= SECOND {
            let before = std::mem::take(&mut self.now);
            self.before = if passed < 2 * SECOND { before } else { Counts::default() };
            self.since = now;
        }
        &mut self.now
    }
}
