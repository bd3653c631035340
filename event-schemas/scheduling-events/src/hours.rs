//! The hours in which somebody can be met, and what they come to. Whoever books and whoever offers times reads them here.

use crate::{DateOverride, Period, Weekday, WeeklyHours};
use chrono::{Datelike, NaiveDate, TimeDelta, Timelike};
use kernel::{Date, TimeZone, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Somebody's hours: every week, and dates with hours of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hours {
    time_zone: Option<TimeZone>,
    weekly: BTreeMap<Weekday, Vec<Period>>,
    overrides: BTreeMap<Date, Vec<Period>>,
}

impl Hours {
    /// The hours of every week, without dates of their own.
    pub fn weekly(time_zone: TimeZone, weekly: &[WeeklyHours]) -> Self {
        Self { time_zone: Some(time_zone), weekly: by_day(weekly), overrides: BTreeMap::new() }
    }

    /// The same with these dates.
    #[must_use]
    pub fn with(mut self, overrides: impl IntoIterator<Item = DateOverride>) -> Self {
        overrides.into_iter().for_each(|day| self.override_date(&day));
        self
    }

    /// Other hours every week; dates with hours of their own stay.
    pub fn change(&mut self, time_zone: TimeZone, weekly: &[WeeklyHours]) {
        (self.time_zone, self.weekly) = (Some(time_zone), by_day(weekly));
    }

    /// Are these the hours of every week?
    pub fn is_weekly(&self, time_zone: &TimeZone, weekly: &[WeeklyHours]) -> bool {
        self.time_zone.as_ref() == Some(time_zone) && by_day(weekly) == self.weekly
    }

    /// Gives a date hours of its own.
    pub fn override_date(&mut self, day: &DateOverride) {
        self.overrides.insert(day.date, day.periods.clone());
    }

    /// Makes a date like every week again.
    pub fn remove_override(&mut self, date: Date) {
        self.overrides.remove(&date);
    }

    /// The hours that a date has of its own, if it has any.
    pub fn override_of(&self, date: Date) -> Option<&[Period]> {
        self.overrides.get(&date).map(Vec::as_slice)
    }

    /// How many dates have hours of their own.
    pub fn overrides(&self) -> usize {
        self.overrides.len()
    }

    /// Can the host be met in every minute from `starts_at` to `ends_at`? Each is read on the wall clock as it stands
    /// then, so midnight, periods that touch and hours that a change of the clocks skips or repeats need no rule.
    pub fn is_open(&self, starts_at: Timestamp, ends_at: Timestamp) -> bool {
        let minutes = (ends_at - starts_at).num_minutes();
        starts_at < ends_at && (0..minutes).all(|minute| self.is_open_at(starts_at + TimeDelta::minutes(minute)))
    }

    /// Can the host be met in this minute?
    pub fn is_open_at(&self, at: Timestamp) -> bool {
        let Some(zone) = self.time_zone.as_ref().map(TimeZone::rules) else { return false };
        let local = at.with_timezone(&zone).naive_local();
        let minute = local.num_seconds_from_midnight() / 60;
        let hours = self.of(local.date());
        hours.iter().any(|period| u32::from(period.from.0) <= minute && minute < u32::from(period.to.0))
    }

    /// The day it is on the host's calendar.
    pub fn day_of(&self, at: Timestamp) -> Date {
        at.date_in(self.time_zone.clone().unwrap_or_default().rules())
    }

    fn of(&self, date: NaiveDate) -> &[Period] {
        let weekly = || self.weekly.get(&weekday(date)).map(Vec::as_slice);
        // Near the ends of the calendar a local day may lie beyond them, and has no hours of its own.
        let date = Date::try_from(date).ok();
        date.and_then(|date| self.overrides.get(&date)).map(Vec::as_slice).or_else(weekly).unwrap_or_default()
    }
}

fn by_day(weekly: &[WeeklyHours]) -> BTreeMap<Weekday, Vec<Period>> {
    weekly.iter().map(|hours| (hours.weekday, hours.periods.clone())).collect()
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
