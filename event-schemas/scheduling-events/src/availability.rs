//! What happens to the hours in which somebody can be met.

use kernel::{Date, FieldCode, InvalidValue, TimeZone, UserId, event};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

kernel::ids! {
    /// When one person can be booked.
    AvailabilityId,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the days speak for themselves")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A time of day on the local clock, `00:00` to `24:00`, in minutes since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(pub u16);

impl FromStr for LocalTime {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong =
            || InvalidValue::new(FieldCode::NotATimeOfDay, "expected a time of day such as 09:30, at most 24:00");
        // `u16` alone would read a sign as well.
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let two = |part: &str| digits(part).then(|| part.parse::<u16>().ok()).flatten();
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(wrong)?;
        let time = hours * 60 + minutes;
        if minutes < 60 && time <= 24 * 60 { Ok(Self(time)) } else { Err(wrong()) }
    }
}

kernel::input_texts!(LocalTime);

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for LocalTime {
    fn schema_name() -> Cow<'static, str> {
        "LocalTime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "examples": ["09:30"] })
    }
}

/// From a time of day to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// First minute.
    pub from: LocalTime,
    /// First minute after it.
    pub to: LocalTime,
}

/// The hours of one day of every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct WeeklyHours {
    /// The day.
    pub weekday: Weekday,
    /// The hours, in order.
    pub periods: Vec<Period>,
}

/// The hours of one date, instead of its weekday's; none closes the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct DateOverride {
    /// The local date.
    pub date: Date,
    /// The hours, in order.
    pub periods: Vec<Period>,
}

/// Everything that happens to the hours in which somebody can be met.
#[event("scheduling.availability")]
pub enum AvailabilityEvent {
    /// The hours were set for the first time.
    Set {
        /// Whose hours.
        host_id: UserId,
        /// Where the clock hangs.
        time_zone: TimeZone,
        /// Every week.
        weekly: Vec<WeeklyHours>,
    },
    /// The weekly hours or the time zone changed; bookings stay.
    Changed {
        /// Where the clock hangs.
        time_zone: TimeZone,
        /// Every week.
        weekly: Vec<WeeklyHours>,
    },
    /// One date got hours of its own.
    DateOverridden {
        /// The date and its hours.
        day: DateOverride,
    },
    /// One date is like every week again.
    OverrideRemoved {
        /// The date.
        date: Date,
    },
}
