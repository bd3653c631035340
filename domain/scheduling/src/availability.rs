//! Availability: the hours in which one host can be met.

use chrono::{Datelike, NaiveDate, TimeDelta, Timelike, Utc};
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Date, Decision, Scope, TimeZone, Timestamp, UserId, command, rejection,
};
use scheduling_events::{AvailabilityEvent as E, DateOverride, Period, Weekday, WeeklyHours};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    time_zone: Option<TimeZone>,
    weekly: BTreeMap<Weekday, Vec<Period>>,
    overrides: BTreeMap<Date, Vec<Period>>,
}

impl Availability {
    /// Can the host be met in every minute from `starts_at` to `ends_at`? Each is read on the wall clock as it stands
    /// then, so midnight, periods that touch and hours that a change of the clocks skips or repeats need no rule.
    pub fn is_open(&self, starts_at: Timestamp, ends_at: Timestamp) -> bool {
        let Some(zone) = self.time_zone.as_ref().map(TimeZone::rules) else { return false };
        let open = |minute: i64| {
            let local = (starts_at + TimeDelta::minutes(minute)).with_timezone(&zone).naive_local();
            let minute = local.num_seconds_from_midnight() / 60;
            let hours = self.hours(local.date());
            hours.iter().any(|period| u32::from(period.from.0) <= minute && minute < u32::from(period.to.0))
        };
        starts_at < ends_at && (0..(ends_at - starts_at).num_minutes()).all(open)
    }

    /// The day it is on the host's calendar.
    pub fn day_of(&self, at: Timestamp) -> Date {
        at.date_in(self.time_zone.clone().unwrap_or_default().rules())
    }

    /// When meetings of this length can begin on a local date, in UTC, every `step_minutes`.
    pub fn starts(&self, date: Date, duration_minutes: u32, step_minutes: u32) -> Vec<Timestamp> {
        let Some(zone) = self.time_zone.as_ref().map(TimeZone::rules) else { return vec![] };
        let duration = TimeDelta::minutes(i64::from(duration_minutes));
        let mut starts = vec![];
        for period in self.hours(date.into()) {
            for minute in (period.from.0..period.to.0).step_by(usize::try_from(step_minutes.max(1)).unwrap_or(1)) {
                let local = date.and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(i64::from(minute));
                // A time that the clocks skip does not exist; of one that they repeat the first is offered.
                let start = local.and_local_timezone(zone).earliest();
                let start = start.and_then(|start| Timestamp::try_from(start.with_timezone(&Utc)).ok());
                let Some(start) = start else { continue };
                if self.is_open(start, start + duration) {
                    starts.push(start);
                }
            }
        }
        starts
    }

    /// Are these the hours of this host?
    pub fn is_of(&self, host_id: UserId) -> bool {
        self.host_id == Some(host_id)
    }

    /// The claim that finds a host's hours.
    pub fn host_claim(host_id: UserId) -> Claim {
        Claim::new("scheduling.availability.host", host_id.to_string())
    }

    fn hours(&self, date: NaiveDate) -> &[Period] {
        let weekly = || self.weekly.get(&weekday(date)).map(Vec::as_slice);
        // Near the ends of the calendar a local day may lie beyond them, and has no hours of its own.
        let date = Date::try_from(date).ok();
        date.and_then(|date| self.overrides.get(&date)).map(Vec::as_slice).or_else(weekly).unwrap_or_default()
    }
}

impl Aggregate for Availability {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "scheduling/availabilities";
    const STATE_VERSION: i32 = 2;

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
                if self.time_zone.as_ref() == Some(&time_zone) && by_day(&weekly) == self.weekly {
                    vec![]
                } else {
                    vec![E::Changed { time_zone, weekly }]
                }
            }
            C::OverrideDate { day } if !in_order(&day.periods) => return Err(R::PeriodsOutOfOrder),
            C::OverrideDate { day } if self.overrides.get(&day.date) == Some(&day.periods) => vec![],
            C::OverrideDate { .. } if self.overrides.len() >= OVERRIDES_MAX => return Err(R::TooManyOverrides),
            C::OverrideDate { day } => vec![E::DateOverridden { day }],
            C::RemoveOverride { date } if self.overrides.contains_key(&date) => vec![E::OverrideRemoved { date }],
            C::RemoveOverride { .. } => vec![],
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Set { host_id, time_zone, weekly } => {
                self.host_id = Some(*host_id);
                (self.time_zone, self.weekly) = (Some(time_zone.clone()), by_day(weekly));
            }
            E::Changed { time_zone, weekly } => {
                self.time_zone = Some(time_zone.clone());
                self.weekly = by_day(weekly);
            }
            E::DateOverridden { day } => {
                self.overrides.insert(day.date, day.periods.clone());
            }
            E::OverrideRemoved { date } => {
                self.overrides.remove(date);
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

fn by_day(weekly: &[WeeklyHours]) -> BTreeMap<Weekday, Vec<Period>> {
    weekly.iter().map(|hours| (hours.weekday, hours.periods.clone())).collect()
}

fn check(weekly: &[WeeklyHours]) -> Result<(), R> {
    let once = by_day(weekly).len() == weekly.len();
    if once && weekly.iter().all(|hours| in_order(&hours.periods)) { Ok(()) } else { Err(R::HoursOutOfOrder) }
}

fn in_order(periods: &[Period]) -> bool {
    periods.iter().all(|p| p.from < p.to) && periods.windows(2).all(|pair| pair[0].to <= pair[1].from)
}

fn weekday(date: NaiveDate) -> Weekday {
    match date.weekday() {
        chrono::Weekday::Mon => Weekday::Monday,
        chrono::Weekday::Tue => Weekday::Tuesday,
        chrono::Weekday::Wed => Weekday::Wednesday,
        chrono::Weekday::Thu => Weekday::Thursday,
        chrono::Weekday::Fri => Weekday::Friday,
        chrono::Weekday::Sat => Weekday::Saturday,
        chrono::Weekday::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
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
        assert!(monday.is_open(utc("2026-07-06T07:00:00Z"), utc("2026-07-06T07:30:00Z")));
        assert!(!monday.is_open(utc("2026-11-02T07:00:00Z"), utc("2026-11-02T07:30:00Z")));
        assert!(monday.is_open(utc("2026-11-02T15:30:00Z"), utc("2026-11-02T16:00:00Z")));
        assert!(!monday.is_open(utc("2026-11-02T15:45:00Z"), utc("2026-11-02T16:15:00Z")));
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_not_offered() {
        // On 29 March 2026 Berlin's clocks go from 02:00 to 03:00.
        let night = open(Weekday::Sunday, "01:00", "04:00");
        let starts = night.starts(Date::from_ymd(2026, 3, 29).unwrap(), 30, 30);
        let expected = ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"].map(utc);
        // 01:30 local would end at 03:00 on the wall clock, which is still inside.
        assert_eq!(starts.len(), 4);
        assert!(expected.iter().all(|start| starts.contains(start)), "{starts:?}");
    }

    #[test]
    fn an_hour_that_the_clocks_repeat_is_open_twice_or_not_at_all() {
        // On 25 October 2026 Berlin's clocks go from 03:00 back to 02:00, at 01:00 UTC.
        let all_night = open(Weekday::Sunday, "00:00", "06:00");
        assert!(all_night.is_open(utc("2026-10-25T00:30:00Z"), utc("2026-10-25T01:00:00Z")));
        assert!(all_night.is_open(utc("2026-10-25T00:45:00Z"), utc("2026-10-25T01:15:00Z")));
        // From 02:10 to 02:20 on the wall clock, but with the closed half hour from 02:30 to 03:00 in between.
        let until_half_past_two = open(Weekday::Sunday, "00:00", "02:30");
        assert!(!until_half_past_two.is_open(utc("2026-10-25T00:10:00Z"), utc("2026-10-25T01:20:00Z")));
    }

    #[test]
    fn periods_that_touch_are_one() {
        let mut monday = open(Weekday::Monday, "09:00", "12:00");
        let weekly = vec![
            WeeklyHours { weekday: Weekday::Monday, periods: vec![period("09:00", "12:00"), period("12:00", "24:00")] },
            WeeklyHours { weekday: Weekday::Tuesday, periods: vec![period("00:00", "02:00")] },
        ];
        monday.apply(&E::Changed { time_zone: "Europe/Berlin".parse().unwrap(), weekly });
        assert!(monday.is_open(utc("2026-11-02T10:45:00Z"), utc("2026-11-02T11:15:00Z")));
        assert!(monday.is_open(utc("2026-11-02T22:45:00Z"), utc("2026-11-02T23:15:00Z")), "across midnight");
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
        assert!(late.is_open(utc("2026-11-02T22:30:00Z"), utc("2026-11-02T23:00:00Z")));
        assert!(!late.is_open(utc("2026-11-02T22:45:00Z"), utc("2026-11-02T23:15:00Z")));
    }

    #[test]
    fn a_date_can_be_closed_and_opened_again() {
        let mut monday = open(Weekday::Monday, "09:00", "17:00");
        let (start, end) = (utc("2026-11-02T09:00:00Z"), utc("2026-11-02T09:30:00Z"));
        let date = Date::from_ymd(2026, 11, 2).unwrap();
        monday.apply(&E::DateOverridden { day: DateOverride { date, periods: vec![] } });
        assert!(!monday.is_open(start, end));
        monday.apply(&E::OverrideRemoved { date });
        assert!(monday.is_open(start, end));
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
