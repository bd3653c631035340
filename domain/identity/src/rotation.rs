//! How long a secret is good after another one took its place, so that whoever uses it can change over.

use chrono::TimeDelta;
use kernel::Timestamp;

/// Unless the command says otherwise.
const OVERLAP_HOURS: u32 = 24;
/// At most.
const OVERLAP_HOURS_MAX: u32 = 168;

/// Until when the secret before this rotation is good; none if that would be too long.
pub(crate) fn previous_until(overlap_hours: Option<u32>, now: Timestamp) -> Option<Timestamp> {
    let hours = overlap_hours.unwrap_or(OVERLAP_HOURS);
    (hours <= OVERLAP_HOURS_MAX).then(|| now + TimeDelta::hours(i64::from(hours)))
}
