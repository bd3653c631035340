//! Availability: the hours in which one host can be met.

use kernel::{Aggregate, Claim, ClaimChange, Context, Date, Decision, Scope, TimeZone, UserId, command, rejection};
use scheduling_events::{AvailabilityEvent as E, DateOverride, Hours, Period, Weekday, WeeklyHours};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use AvailabilityCommand as C;
use AvailabilityRejection as R;

/// Dates with hours of their own.
const OVERRIDES_MAX: usize = 730;

/// What may be asked of somebody's hours.
#[command("scheduling.availability", member)]
pub enum AvailabilityCommand {
    /// Sets somebody's hours for the first time; a host has one set of hours.
    #[creates]
    #[refused(HoursOutOfOrder, "host.taken")]
    Set {
        /// Whose hours.
        host_id: UserId,
        /// Where the clock hangs, an IANA name.
        time_zone: TimeZone,
        /// Every week; a day that is not listed is closed.
        weekly: Vec<WeeklyHours>,
    },
    /// Changes the weekly hours; bookings stay.
    #[refused(HoursOutOfOrder)]
    Change {
        /// Where the clock hangs, an IANA name.
        time_zone: TimeZone,
        /// Every week.
        weekly: Vec<WeeklyHours>,
    },
    /// Gives one date hours of its own; none closes the day.
    #[refused(PeriodsOutOfOrder, TooManyOverrides)]
    OverrideDate {
        /// The date and its hours.
        day: DateOverride,
    },
    /// Makes one date like every week again.
    RemoveOverride {
        /// The date.
        date: Date,
    },
}

/// Why a command on somebody's hours may be refused.
#[rejection("scheduling.availability")]
pub enum AvailabilityRejection {
    /// Hours begin before they end, in order and without overlap, and every weekday is listed once.
    #[invalid("/weekly")]
    HoursOutOfOrder,
    /// The hours of a date begin before they end, in order and without overlap.
    #[invalid("/day/periods")]
    PeriodsOutOfOrder,
    /// At most 730 dates have hours of their own.
    TooManyOverrides,
}

/// What is remembered of somebody's hours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    host_id: Option<UserId>,
    hours: Hours,
}

impl Availability {
    /// The hours themselves.
    pub fn hours(&self) -> &Hours {
        &self.hours
    }

    /// Are these the hours of this host?
    pub fn is_of(&self, host_id: UserId) -> bool {
        self.host_id == Some(host_id)
    }

    /// The claim that finds a host's hours.
    pub fn host_claim(host_id: UserId) -> Claim {
        Claim::new("scheduling.availability.host", host_id.to_string())
    }
}

impl Aggregate for Availability {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "scheduling/availabilities";
    const STATE_VERSION: i32 = 3;

    fn scope(&self, _id: Uuid, _command: &C) -> Scope {
        Scope::default().owned_by(self.host_id)
    }

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Set { host_id, time_zone, weekly } => {
                check(&weekly)?;
                vec![E::Set { host_id, time_zone, weekly }]
            }
            C::Change { time_zone, weekly } => {
                check(&weekly)?;
                if self.hours.is_weekly(&time_zone, &weekly) { vec![] } else { vec![E::Changed { time_zone, weekly }] }
            }
            C::OverrideDate { day } if !in_order(&day.periods) => return Err(R::PeriodsOutOfOrder),
            C::OverrideDate { day } if self.hours.override_of(day.date) == Some(&day.periods) => vec![],
            C::OverrideDate { .. } if self.hours.overrides() >= OVERRIDES_MAX => return Err(R::TooManyOverrides),
            C::OverrideDate { day } => vec![E::DateOverridden { day }],
            C::RemoveOverride { date } if self.hours.override_of(date).is_some() => vec![E::OverrideRemoved { date }],
            C::RemoveOverride { .. } => vec![],
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Set { host_id, time_zone, weekly } => {
                self.host_id = Some(*host_id);
                self.hours = Hours::weekly(time_zone.clone(), weekly);
            }
            E::Changed { time_zone, weekly } => {
                self.hours.change(time_zone.clone(), weekly);
            }
            E::DateOverridden { day } => {
                self.hours.override_date(day);
            }
            E::OverrideRemoved { date } => {
                self.hours.remove_override(*date);
            }
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Set { host_id, .. } => vec![ClaimChange::Take(Self::host_claim(*host_id))],
            _ => vec![],
        }
    }
}

fn check(weekly: &[WeeklyHours]) -> Result<(), R> {
    let days: BTreeSet<Weekday> = weekly.iter().map(|hours| hours.weekday).collect();
    let once = days.len() == weekly.len();
    if once && weekly.iter().all(|hours| in_order(&hours.periods)) { Ok(()) } else { Err(R::HoursOutOfOrder) }
}

fn in_order(periods: &[Period]) -> bool {
    periods.iter().all(|p| p.from < p.to) && periods.windows(2).all(|pair| pair[0].to <= pair[1].from)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::Timestamp;
    use kernel::spec::given;

    fn period(from: &str, to: &str) -> Period {
        Period { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    pub(crate) fn open(weekday: Weekday, from: &str, to: &str) -> Availability {
        let mut availability = Availability::default();
        let weekly = vec![WeeklyHours { weekday, periods: vec![period(from, to)] }];
        let host_id = UserId(Uuid::from_u128(20));
        availability.apply(&E::Set { host_id, time_zone: "Europe/Berlin".parse().unwrap(), weekly });
        availability
    }

    pub(crate) fn always_open(zone: &str) -> Availability {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let days = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
        let weekly = days.map(|weekday| WeeklyHours { weekday, periods: vec![period("00:00", "24:00")] }).to_vec();
        let mut availability = Availability::default();
        availability.apply(&E::Set { host_id: UserId(Uuid::from_u128(20)), time_zone: zone.parse().unwrap(), weekly });
        availability
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_read_on_the_hosts_clock() {
        let monday = open(Weekday::Monday, "09:00", "17:00");
        // Berlin is at +02:00 in summer and +01:00 in winter.
        assert!(monday.hours.is_open(utc("2026-07-06T07:00:00Z"), utc("2026-07-06T07:30:00Z")));
        assert!(!monday.hours.is_open(utc("2026-11-02T07:00:00Z"), utc("2026-11-02T07:30:00Z")));
        assert!(monday.hours.is_open(utc("2026-11-02T15:30:00Z"), utc("2026-11-02T16:00:00Z")));
        assert!(!monday.hours.is_open(utc("2026-11-02T15:45:00Z"), utc("2026-11-02T16:15:00Z")));
    }

    #[test]
    fn an_hour_that_the_clocks_repeat_is_open_twice_or_not_at_all() {
        // On 25 October 2026 Berlin's clocks go from 03:00 back to 02:00, at 01:00 UTC.
        let all_night = open(Weekday::Sunday, "00:00", "06:00");
        assert!(all_night.hours.is_open(utc("2026-10-25T00:30:00Z"), utc("2026-10-25T01:00:00Z")));
        assert!(all_night.hours.is_open(utc("2026-10-25T00:45:00Z"), utc("2026-10-25T01:15:00Z")));
        // From 02:10 to 02:20 on the wall clock, but with the closed half hour from 02:30 to 03:00 in between.
        let until_half_past_two = open(Weekday::Sunday, "00:00", "02:30");
        assert!(!until_half_past_two.hours.is_open(utc("2026-10-25T00:10:00Z"), utc("2026-10-25T01:20:00Z")));
    }

    #[test]
    fn periods_that_touch_are_one() {
        let mut monday = open(Weekday::Monday, "09:00", "12:00");
        let weekly = vec![
            WeeklyHours { weekday: Weekday::Monday, periods: vec![period("09:00", "12:00"), period("12:00", "24:00")] },
            WeeklyHours { weekday: Weekday::Tuesday, periods: vec![period("00:00", "02:00")] },
        ];
        monday.apply(&E::Changed { time_zone: "Europe/Berlin".parse().unwrap(), weekly });
        assert!(monday.hours.is_open(utc("2026-11-02T10:45:00Z"), utc("2026-11-02T11:15:00Z")));
        assert!(monday.hours.is_open(utc("2026-11-02T22:45:00Z"), utc("2026-11-02T23:15:00Z")), "across midnight");
    }

    #[test]
    fn a_time_of_day_has_two_digits_and_two() {
        for wrong in ["+9:+5", "9:30", "09:60", "24:01", "-1:00", "09:30:00", ""] {
            assert!(wrong.parse::<scheduling_events::LocalTime>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_day_may_end_at_midnight() {
        let late = open(Weekday::Monday, "22:00", "24:00");
        assert!(late.hours.is_open(utc("2026-11-02T22:30:00Z"), utc("2026-11-02T23:00:00Z")));
        assert!(!late.hours.is_open(utc("2026-11-02T22:45:00Z"), utc("2026-11-02T23:15:00Z")));
    }

    #[test]
    fn a_date_can_be_closed_and_opened_again() {
        let mut monday = open(Weekday::Monday, "09:00", "17:00");
        let (start, end) = (utc("2026-11-02T09:00:00Z"), utc("2026-11-02T09:30:00Z"));
        let date = Date::from_ymd(2026, 11, 2).unwrap();
        monday.apply(&E::DateOverridden { day: DateOverride { date, periods: vec![] } });
        assert!(!monday.hours.is_open(start, end));
        monday.apply(&E::OverrideRemoved { date });
        assert!(monday.hours.is_open(start, end));
    }

    #[test]
    fn hours_out_of_order_are_refused() {
        for periods in [vec![period("17:00", "09:00")], vec![period("09:00", "12:00"), period("11:00", "13:00")]] {
            let weekly = vec![WeeklyHours { weekday: Weekday::Monday, periods }];
            let set = C::Set { host_id: UserId::default(), time_zone: "UTC".parse().unwrap(), weekly };
            given::<Availability>([]).when(set).rejected("scheduling.availability.hours_out_of_order");
        }
    }
}
