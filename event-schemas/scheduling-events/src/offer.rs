//! Which times can be booked. `appointment.book` asks for one of them, whoever chooses asks for all: both ask here, so what is offered
//! is what is accepted.

use crate::{EventTypeRules, Hours, Slot};
use chrono::TimeDelta;
use kernel::{Date, Timestamp};

/// Times and durations are multiples of this, so that two meetings overlap exactly when they share a granule.
pub const GRANULE_MINUTES: u32 = 5;
/// The longest meeting, buffers included.
pub const MINUTES_MAX: u32 = 8 * 60;
/// The longest notice and the farthest day, so that every time that a booking is compared with exists.
pub const DAYS_AHEAD_MAX: u32 = 3_650;

/// Why a time is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOffered {
    /// Meetings begin on the grid.
    NotOnGrid,
    /// That is too soon.
    NoticeTooShort,
    /// That is too far ahead.
    TooFarAhead,
    /// The host cannot be met then.
    OutsideAvailability,
}

/// What is offered: meetings of one kind, in somebody's hours, to whoever asks now.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// How meetings of the kind are booked.
    pub rules: &'a EventTypeRules,
    /// When the host can be met.
    pub hours: &'a Hours,
    /// When it is asked for.
    pub now: Timestamp,
}

impl Offer<'_> {
    /// The time that a meeting takes, if it may begin then; other meetings of the host are not looked at.
    ///
    /// # Errors
    /// Why it may not.
    pub fn slot(&self, starts_at: Timestamp) -> Result<Slot, NotOffered> {
        self.slot_if(starts_at, |from, until| self.hours.is_open(from, until))
    }

    /// Every time from `from` on and before `until` at which a meeting may begin that is in the way of none of these.
    pub fn slots(&self, from: Timestamp, until: Timestamp, busy: &[Slot]) -> Vec<Slot> {
        let step = TimeDelta::minutes(i64::from(GRANULE_MINUTES));
        let granule = i64::from(GRANULE_MINUTES * 60);
        let late = from.timestamp().rem_euclid(granule);
        let whole = from - TimeDelta::nanoseconds(i64::from(from.timestamp_subsec_nanos()));
        let mut first = whole - TimeDelta::seconds(late);
        if first < from {
            first += step;
        }
        let open = Opening::of(self.hours, first, until + minutes(MINUTES_MAX));
        let starts = std::iter::successors(Some(first), |at| at.checked_add(step)).take_while(|at| *at < until);
        let slots = starts.filter_map(|start| self.slot_if(start, |from, until| open.is_open(from, until)).ok());
        slots.filter(|slot| !busy.iter().any(|other| slot.clashes(other))).collect()
    }

    fn slot_if(
        &self,
        starts_at: Timestamp,
        is_open: impl FnOnce(Timestamp, Timestamp) -> bool,
    ) -> Result<Slot, NotOffered> {
        let rules = self.rules;
        if starts_at.timestamp_subsec_nanos() != 0 || starts_at.timestamp() % i64::from(GRANULE_MINUTES * 60) != 0 {
            return Err(NotOffered::NotOnGrid);
        }
        if starts_at < self.now + minutes(rules.min_notice_minutes) {
            return Err(NotOffered::NoticeTooShort);
        }
        // Whole days of the host's calendar, today not among them. Types that were defined before the days had a bound may
        // reach beyond the calendar.
        let last = self.hours.day_of(self.now).checked_add_days(rules.max_days_ahead.min(DAYS_AHEAD_MAX));
        if self.hours.day_of(starts_at) > last.unwrap_or(Date::MAX) {
            return Err(NotOffered::TooFarAhead);
        }
        let ends_at = starts_at + minutes(rules.duration_minutes);
        if !is_open(starts_at, ends_at) {
            return Err(NotOffered::OutsideAvailability);
        }
        Ok(Slot {
            starts_at,
            ends_at,
            blocked_from: starts_at - minutes(rules.buffer_before_minutes),
            blocked_until: ends_at + minutes(rules.buffer_after_minutes),
        })
    }
}

impl Slot {
    /// Can both not be, for one host? One of them is in the other's buffer or in the other itself; buffers by themselves may
    /// overlap, so neighbours share the longer one.
    pub fn clashes(&self, other: &Self) -> bool {
        let after = self.starts_at < other.blocked_until && other.starts_at < self.blocked_until;
        let before = self.blocked_from < other.ends_at && other.blocked_from < self.ends_at;
        after || before
    }
}

fn minutes(minutes: u32) -> TimeDelta {
    TimeDelta::minutes(i64::from(minutes))
}

/// The minutes of a while in which somebody can be met, each looked at once.
struct Opening {
    from: Timestamp,
    /// How many of the minutes before each are closed.
    closed: Vec<u32>,
}

impl Opening {
    fn of(hours: &Hours, from: Timestamp, until: Timestamp) -> Self {
        let (mut closed, mut count) = (vec![0], 0);
        for minute in 0..(until - from).num_minutes() {
            count += u32::from(!hours.is_open_at(from + TimeDelta::minutes(minute)));
            closed.push(count);
        }
        Self { from, closed }
    }

    fn is_open(&self, starts_at: Timestamp, ends_at: Timestamp) -> bool {
        let before = |at: Timestamp| {
            let minute = usize::try_from((at - self.from).num_minutes()).ok()?;
            self.closed.get(minute)
        };
        starts_at < ends_at && before(starts_at).zip(before(ends_at)).is_some_and(|(first, last)| first == last)
    }
}
