//! Days and moments that everything can hold: the log, PostgreSQL, JSON and whoever reads it.
//!
//! The calendar of `chrono` reaches from the year -262143 to 262142, that of RFC 3339 from 0 to 9999, and that of PostgreSQL
//! has no year 0. What all of them agree on is the years 1 to 9999, so no other value exists here: neither one that comes
//! in nor one that a decision computes.

use crate::{FieldCode, InvalidValue};
use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveTime, SecondsFormat, SubsecRound, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, AddAssign, Deref, Sub};
use std::str::FromStr;

/// First and last year.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9_999;
/// How the years are written, for schemas.
const YEAR_PATTERN: &str = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})";

/// A day of the calendar, `2026-03-01`, of the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(NaiveDate);

/// A moment in UTC, exact to the microsecond, of the years 1 to 9999. A leap second is the second after it.
///
/// Sums and differences never leave the range, they stop at its ends; [`Timestamp::checked_add`] says so instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Date {
    /// The first day there is.
    pub const MIN: Self = Self(first_day());
    /// The last day there is.
    pub const MAX: Self = Self(last_day());

    /// The day of this year, month and day of the month, if there is one.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).and_then(|day| Self::try_from(day).ok())
    }

    /// So many days later, if there is such a day.
    pub fn checked_add_days(self, days: u32) -> Option<Self> {
        self.0.checked_add_days(Days::new(days.into())).and_then(|day| Self::try_from(day).ok())
    }

    /// The first moment of the day where clocks show the time of this zone. Where they are put forward at midnight the day
    /// begins later, and a day that a zone left out begins when the next one does.
    pub fn begins_in(self, zone: Tz) -> Timestamp {
        let midnight = self.0.and_time(NaiveTime::MIN);
        // No gap is longer than a day, and most are an hour.
        let moments = (0..=96).map(|quarters| midnight + TimeDelta::minutes(15 * quarters));
        let first = moments.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
        first.map_or(Timestamp::MAX, |at| Timestamp::of_clock(at.to_utc()))
    }
}

impl Timestamp {
    /// The first moment there is.
    pub const MIN: Self = Self(first_day().and_time(NaiveTime::MIN).and_utc());
    /// The last moment there is.
    pub const MAX: Self = Self(last_moment());

    /// What a clock shows; one that is out of the range shows its end.
    pub fn of_clock(at: DateTime<Utc>) -> Self {
        Self(exact(at).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// So much later, if there is such a moment.
    pub fn checked_add(self, time: TimeDelta) -> Option<Self> {
        self.0.checked_add_signed(time).and_then(|at| Self::try_from(at).ok())
    }

    /// The day it is where clocks show the time of this zone; near the ends of the calendar its first or last one.
    pub fn date_in(self, zone: Tz) -> Date {
        Date(self.0.with_timezone(&zone).naive_local().date().clamp(first_day(), last_day()))
    }

    /// The moment as `chrono` knows it.
    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }
}

const fn first_day() -> NaiveDate {
    match NaiveDate::from_ymd_opt(1, 1, 1) {
        Some(day) => day,
        None => NaiveDate::MIN,
    }
}

const fn last_day() -> NaiveDate {
    match NaiveDate::from_ymd_opt(9_999, 12, 31) {
        Some(day) => day,
        None => NaiveDate::MAX,
    }
}

const fn last_moment() -> DateTime<Utc> {
    match last_day().and_hms_micro_opt(23, 59, 59, 999_999) {
        Some(at) => at.and_utc(),
        None => DateTime::<Utc>::MAX_UTC,
    }
}

/// Without what PostgreSQL would round or read otherwise: it knows microseconds, and no second 60.
fn exact(at: DateTime<Utc>) -> DateTime<Utc> {
    let leap = at.timestamp_subsec_nanos() >= 1_000_000_000;
    if !leap {
        return at.trunc_subsecs(6);
    }
    let micros = i64::from(at.timestamp_subsec_micros());
    DateTime::from_timestamp(at.timestamp(), 0)
        .and_then(|second| second.checked_add_signed(TimeDelta::microseconds(micros)))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl TryFrom<NaiveDate> for Date {
    type Error = InvalidValue;

    fn try_from(day: NaiveDate) -> Result<Self, InvalidValue> {
        if YEARS.contains(&day.year()) { Ok(Self(day)) } else { Err(out_of_range(&Self::MIN, &Self::MAX)) }
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = InvalidValue;

    fn try_from(at: DateTime<Utc>) -> Result<Self, InvalidValue> {
        let at = exact(at);
        if YEARS.contains(&at.year()) { Ok(Self(at)) } else { Err(out_of_range(&Self::MIN, &Self::MAX)) }
    }
}

fn out_of_range(min: &impl ToString, max: &impl ToString) -> InvalidValue {
    InvalidValue::out_of_range(min.to_string(), max.to_string())
}

impl FromStr for Date {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::new(FieldCode::NotADate, "expected a day such as 2026-12-01");
        let day = text.parse::<NaiveDate>().map_err(|_| wrong())?;
        let day = Self::try_from(day)?;
        // `chrono` reads `2026-3-1` and spaces too; a day has one spelling.
        if day.to_string() == text { Ok(day) } else { Err(wrong()) }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::new(FieldCode::NotATime, "expected a time such as 2026-12-01T09:30:00Z");
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Self::try_from(at.with_timezone(&Utc)),
            // Whoever writes five digits of a year, or a sign, learns that it is the year that is wrong.
            Err(_) if text.parse::<DateTime<Utc>>().is_ok_and(|at| !YEARS.contains(&at.year())) => {
                Err(out_of_range(&Self::MIN, &Self::MAX))
            }
            Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Deref for Date {
    type Target = NaiveDate;

    fn deref(&self) -> &NaiveDate {
        &self.0
    }
}

impl Deref for Timestamp {
    type Target = DateTime<Utc>;

    fn deref(&self) -> &DateTime<Utc> {
        &self.0
    }
}

impl From<Date> for NaiveDate {
    fn from(day: Date) -> Self {
        day.0
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl Add<TimeDelta> for Timestamp {
    type Output = Self;

    fn add(self, time: TimeDelta) -> Self {
        let end = if time < TimeDelta::zero() { Self::MIN } else { Self::MAX };
        self.checked_add(time).unwrap_or(end)
    }
}

impl AddAssign<TimeDelta> for Timestamp {
    fn add_assign(&mut self, time: TimeDelta) {
        *self = *self + time;
    }
}

impl Sub<TimeDelta> for Timestamp {
    type Output = Self;

    fn sub(self, time: TimeDelta) -> Self {
        self + -time
    }
}

impl Sub for Timestamp {
    type Output = TimeDelta;

    fn sub(self, earlier: Self) -> TimeDelta {
        self.0 - earlier.0
    }
}

impl PartialEq<DateTime<Utc>> for Timestamp {
    fn eq(&self, other: &DateTime<Utc>) -> bool {
        self.0 == *other
    }
}

impl PartialOrd<DateTime<Utc>> for Timestamp {
    fn partial_cmp(&self, other: &DateTime<Utc>) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(other)
    }
}

/// Written and read as text, with the range in the schema.
macro_rules! as_text {
    ($name:ident, $format:literal, $pattern:expr, $about:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern, "description": $about })
            }
        }
    };
}

as_text!(Date, "date", format!("^{YEAR_PATTERN}-[0-9]{{2}}-[0-9]{{2}}$"), "A day of the years 1 to 9999.");
as_text!(
    Timestamp,
    "date-time",
    format!("^{YEAR_PATTERN}-[0-9]{{2}}-[0-9]{{2}}[Tt ]"),
    "A moment of the years 1 to 9999 in UTC."
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> Result<Timestamp, FieldCode> {
        text.parse().map_err(|wrong: InvalidValue| wrong.code)
    }

    fn day(text: &str) -> Result<Date, FieldCode> {
        text.parse().map_err(|wrong: InvalidValue| wrong.code)
    }

    #[test]
    fn a_day_lies_in_the_years_1_to_9999() {
        for good in ["0001-01-01", "9999-12-31", "2024-02-29"] {
            assert_eq!(day(good).map(|day| day.to_string()), Ok(good.to_owned()));
        }
        for beyond in ["0000-01-01", "+12026-01-01", "-0044-03-15", "+262142-12-31", "+10000-01-01"] {
            assert_eq!(day(beyond), Err(FieldCode::OutOfRange), "{beyond}");
        }
        for wrong in ["", "2026-02-29", "2026-3-1", " 2026-03-01", "20260301", "+2026-03-01", "2026-03-01T00:00:00Z"] {
            assert_eq!(day(wrong), Err(FieldCode::NotADate), "{wrong}");
        }
    }

    #[test]
    fn a_day_begins_when_clocks_of_the_zone_first_show_it() {
        let begins = |day_text: &str, zone: &str| day(day_text).unwrap().begins_in(zone.parse().unwrap()).to_string();
        assert_eq!(begins("2026-11-03", "UTC"), "2026-11-03T00:00:00Z");
        assert_eq!(begins("2026-11-03", "America/New_York"), "2026-11-03T05:00:00Z");
        assert_eq!(begins("2026-11-03", "Pacific/Kiritimati"), "2026-11-02T10:00:00Z");
        // Clocks are put forward at midnight: the day begins at one o'clock.
        assert_eq!(begins("2018-11-04", "America/Sao_Paulo"), "2018-11-04T03:00:00Z");
        // Midnight comes twice: the day begins at the first.
        assert_eq!(begins("2026-11-01", "America/Havana"), "2026-11-01T04:00:00Z");
        // The zone left this day out.
        assert_eq!(begins("2011-12-30", "Pacific/Apia"), "2011-12-30T10:00:00Z");
    }

    #[test]
    fn a_moment_lies_in_the_years_1_to_9999_of_utc() {
        for good in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-11-02T09:00:00.5+02:00"] {
            assert!(time(good).is_ok(), "{good}");
        }
        for beyond in [
            "9999-12-31T23:59:59-14:00",
            "0001-01-01T00:00:00+00:01",
            "0000-12-31T23:59:59Z",
            "+12026-01-01T00:00:00Z",
            "-0044-03-15T00:00:00Z",
            "9999-12-31T23:59:60Z",
            "+262142-12-31T23:59:59Z",
        ] {
            assert_eq!(time(beyond), Err(FieldCode::OutOfRange), "{beyond}");
        }
        for wrong in ["", "2026-11-02", "2026-11-02T09:00:00", "2026-11-02T24:00:00Z", "2026-13-02T09:00:00Z"] {
            assert_eq!(time(wrong), Err(FieldCode::NotATime), "{wrong}");
        }
    }

    #[test]
    fn a_leap_second_is_the_second_after_it() {
        assert_eq!(time("2016-12-31T23:59:60Z"), time("2017-01-01T00:00:00Z"));
        assert_eq!(time("2016-12-31T23:59:60.25Z"), time("2017-01-01T00:00:00.25Z"));
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_left_out() {
        assert_eq!(time("2026-11-02T09:00:00.1234569Z").unwrap().to_string(), "2026-11-02T09:00:00.123456Z");
        assert_eq!(time("9999-12-31T23:59:59.9999999Z"), Ok(Timestamp::MAX));
    }

    #[test]
    fn the_day_is_that_of_the_zone() {
        for (at, zone, expected) in [
            ("2026-11-02T23:59:59.999999Z", "UTC", "2026-11-02"),
            ("2026-11-03T00:00:00Z", "UTC", "2026-11-03"),
            // Fourteen hours ahead: the first place on Earth where it is tomorrow.
            ("2026-11-02T09:59:59Z", "Pacific/Kiritimati", "2026-11-02"),
            ("2026-11-02T10:00:00Z", "Pacific/Kiritimati", "2026-11-03"),
            // Eleven hours behind: the last.
            ("2026-11-02T10:59:59Z", "Pacific/Pago_Pago", "2026-11-01"),
            ("2026-11-02T11:00:00Z", "Pacific/Pago_Pago", "2026-11-02"),
            // The clocks of Los Angeles went back at 09:00 UTC that day, which has 25 hours.
            ("2026-11-01T06:59:59Z", "America/Los_Angeles", "2026-10-31"),
            ("2026-11-01T07:00:00Z", "America/Los_Angeles", "2026-11-01"),
            ("2026-11-02T07:59:59Z", "America/Los_Angeles", "2026-11-01"),
            ("2026-11-02T08:00:00Z", "America/Los_Angeles", "2026-11-02"),
            // They go forward at midnight there, so that day begins at one o'clock.
            ("2026-09-06T03:59:59Z", "America/Santiago", "2026-09-05"),
            ("2026-09-06T04:00:00Z", "America/Santiago", "2026-09-06"),
            // Samoa had no 30 December 2011.
            ("2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29"),
            ("2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31"),
            ("9999-12-31T23:00:00Z", "Pacific/Kiritimati", "9999-12-31"),
            ("0001-01-01T00:00:00Z", "America/Los_Angeles", "0001-01-01"),
        ] {
            let found = time(at).unwrap().date_in(zone.parse().unwrap());
            assert_eq!(found.to_string(), expected, "{at} in {zone}");
        }
    }

    #[test]
    fn sums_stop_at_the_ends() {
        let far = TimeDelta::MAX;
        assert_eq!((Timestamp::MAX + far, Timestamp::MIN - far), (Timestamp::MAX, Timestamp::MIN));
        assert_eq!(Timestamp::MAX.checked_add(TimeDelta::microseconds(1)), None);
        assert_eq!(Date::MAX.checked_add_days(1), None);
        assert_eq!(Date::MIN.checked_add_days(u32::MAX), None);
        assert_eq!(Timestamp::of_clock(DateTime::<Utc>::MAX_UTC), Timestamp::MAX);
    }

    proptest! {
        /// Whatever is read is written so that it reads the same, with four digits of a year.
        #[test]
        fn what_is_read_is_written_and_read_again(seconds in -70_000_000_000i64..260_000_000_000, nanos in 0u32..2_000_000_000) {
            let Some(at) = DateTime::from_timestamp(seconds, nanos) else { return Ok(()) };
            let Ok(at) = Timestamp::try_from(at) else { return Ok(()) };
            let text = at.to_string();
            prop_assert_eq!(text.find('-'), Some(4));
            prop_assert_eq!(time(&text), Ok(at));
            let (utc, east) = (at.date_in(Tz::UTC), at.date_in(Tz::Pacific__Kiritimati));
            prop_assert_eq!(day(&utc.to_string()), Ok(utc));
            prop_assert!(utc == east || utc.checked_add_days(1) == Some(east) || east.checked_add_days(1) == Some(utc));
        }
    }
}
