//! Exact decimals beside money: how much of something, and how many per cent. They are text in JSON, because a number there is a
//! float to half of its readers.

use crate::{FieldCode, InvalidValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// How much of something: a decimal with at most six places, `2.5`. With a minus something is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(i64);

/// So many per cent, more than none and at most 100, with at most four places: `19`, `5.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(i64);

impl Quantity {
    /// Millionths are as exact as a quantity gets.
    const PLACES: usize = 6;
    /// Its parts in one.
    pub const SCALE: i64 = 1_000_000;
    /// The most: 999,999,999.999999, and with a minus the least.
    pub const MAX: Self = Self(999_999_999_999_999);
    /// One of it.
    pub const ONE: Self = Self(Self::SCALE);

    /// So many whole ones.
    ///
    /// # Errors
    /// If they are too many.
    pub fn of(count: i64) -> Result<Self, InvalidValue> {
        let millionths = count.checked_mul(Self::SCALE).filter(|all| all.unsigned_abs() <= Self::MAX.0.unsigned_abs());
        millionths.map(Self).ok_or_else(Self::out_of_range)
    }

    /// So many millionths.
    ///
    /// # Errors
    /// If they are too many.
    pub fn of_millionths(millionths: i64) -> Result<Self, InvalidValue> {
        let fits = millionths.unsigned_abs() <= Self::MAX.0.unsigned_abs();
        if fits { Ok(Self(millionths)) } else { Err(Self::out_of_range()) }
    }

    /// It in millionths.
    pub fn millionths(self) -> i64 {
        self.0
    }

    /// Is it nothing?
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Is it more than nothing?
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    fn out_of_range() -> InvalidValue {
        InvalidValue::out_of_range(Self(-Self::MAX.0).to_string(), Self::MAX.to_string())
    }
}

impl Percent {
    /// Ten-thousandths of a per cent are as exact as a rate gets.
    const PLACES: usize = 4;
    /// The whole: 100 %, in its parts.
    pub const WHOLE: i64 = 1_000_000;

    /// So many ten-thousandths of a per cent: 19 % are 190,000 of [`Percent::WHOLE`].
    pub fn parts(self) -> i64 {
        self.0
    }
}

/// The digits of a decimal, without a point: `2.5` with three places is 2500. None if the text is no decimal or has more places.
fn scaled(text: &str, places: usize) -> Option<i128> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let kept = decimals.trim_end_matches('0');
    if !is_digits(whole) || !is_digits(decimals) || kept.len() > places {
        return None;
    }
    let digits = format!("{}{kept:0<places$}", whole.trim_start_matches('0'));
    // What is longer than any number that fits is as good as the largest.
    let size: i128 = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i128::MAX) };
    Some(if text.starts_with('-') { -size } else { size })
}

/// The shortest decimal of these digits.
fn written(f: &mut fmt::Formatter<'_>, digits: i64, places: usize) -> fmt::Result {
    let sign = if digits < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", digits.unsigned_abs(), width = places + 1);
    let (whole, decimals) = digits.split_at(digits.len() - places);
    match decimals.trim_end_matches('0') {
        "" => write!(f, "{sign}{whole}"),
        decimals => write!(f, "{sign}{whole}.{decimals}"),
    }
}

impl FromStr for Quantity {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || {
            let expected = "expected a quantity such as 2.5, with at most six places";
            InvalidValue::new(FieldCode::NotAQuantity, expected)
        };
        let millionths = scaled(text, Self::PLACES).ok_or_else(wrong)?;
        i64::try_from(millionths).map_err(|_| Self::out_of_range()).and_then(Self::of_millionths)
    }
}

impl FromStr for Percent {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let wrong = || {
            let expected = "expected a percentage such as 19 or 5.5, with at most four places";
            InvalidValue::new(FieldCode::NotAPercentage, expected)
        };
        let parts = scaled(text, Self::PLACES).ok_or_else(wrong)?;
        let parts = i64::try_from(parts).ok().filter(|parts| (1..=Self::WHOLE).contains(parts));
        parts.map(Self).ok_or_else(|| InvalidValue::out_of_range("0.0001", "100"))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(f, self.0, Self::PLACES)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(f, self.0, Self::PLACES)
    }
}

macro_rules! decimals {
    ($($name:ident: $schema:tt;)*) => {$(
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

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }

        crate::input_texts!($name);
    )*};
}

decimals! {
    Quantity: { "type": "string", "pattern": "^-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?$", "examples": ["2.5"] };
    Percent: { "type": "string", "pattern": "^(100|[1-9][0-9]?(\\.[0-9]{1,4})?|0\\.[0-9]{0,3}[1-9])$", "examples": ["20"] };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantity(text: &str) -> Result<i64, FieldCode> {
        text.parse::<Quantity>().map(Quantity::millionths).map_err(|wrong| wrong.code)
    }

    fn percent(text: &str) -> Result<i64, FieldCode> {
        text.parse::<Percent>().map(Percent::parts).map_err(|wrong| wrong.code)
    }

    #[test]
    fn a_quantity_has_at_most_six_places() {
        assert_eq!(quantity("2.5"), Ok(2_500_000));
        assert_eq!(quantity("-0.000001"), Ok(-1));
        assert_eq!(quantity("3.1000000"), Ok(3_100_000));
        assert_eq!(quantity("-0").map(|_| "-0".parse::<Quantity>().unwrap().to_string()), Ok("0".to_owned()));
        assert_eq!(quantity("999999999.999999"), Ok(Quantity::MAX.millionths()));
        for beyond in ["1000000000", "-1000000000", "99999999999999999999999999999999999999999999999999"] {
            assert_eq!(quantity(beyond), Err(FieldCode::OutOfRange), "{beyond}");
        }
        for wrong in ["", ".", "1.", ".5", "1,5", "1e3", "+1", " 1", "0.0000001", "١", "NaN"] {
            assert_eq!(quantity(wrong), Err(FieldCode::NotAQuantity), "{wrong}");
        }
    }

    #[test]
    fn a_percentage_is_more_than_none_and_at_most_the_whole() {
        assert_eq!((percent("20.00"), percent("5.5"), percent("100")), (Ok(200_000), Ok(55_000), Ok(Percent::WHOLE)));
        for beyond in ["0", "-1", "100.0001", "1000"] {
            assert_eq!(percent(beyond), Err(FieldCode::OutOfRange), "{beyond}");
        }
        for wrong in ["", "19%", "5.12345", "a"] {
            assert_eq!(percent(wrong), Err(FieldCode::NotAPercentage), "{wrong}");
        }
    }

    #[test]
    fn whole_ones_are_counted() {
        assert_eq!(Quantity::of(3).map(|three| three.to_string()), Ok("3".to_owned()));
        assert_eq!(Quantity::of(i64::MAX).unwrap_err().code, FieldCode::OutOfRange);
        assert_eq!(Quantity::of_millionths(i64::MIN).unwrap_err().code, FieldCode::OutOfRange);
    }

    proptest! {
        /// Whatever the schema allows is read, has one spelling and comes back from it.
        #[test]
        fn what_the_schema_allows_has_one_spelling(
            text in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?",
            rate in "(100|[1-9][0-9]?(\\.[0-9]{1,4})?|0\\.[0-9]{0,3}[1-9])",
        ) {
            let read: Quantity = text.parse().unwrap();
            prop_assert_eq!(read.to_string().parse::<Quantity>(), Ok(read));
            prop_assert_eq!(serde_json::to_value(read).unwrap(), read.to_string());
            let read: Percent = rate.parse().unwrap();
            prop_assert_eq!(read.to_string().parse::<Percent>(), Ok(read));
        }
    }
}
