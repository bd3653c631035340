//! Amounts of money: whole minor units of an ISO 4217 currency, and arithmetic that never loses one.

use crate::{FieldCode, Input, InvalidValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A currency of ISO 4217 that has minor units: `EUR`, `JPY`, `KWD`. Precious metals and the codes for tests have none and are
/// no currency here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Its three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many digits of an amount are minor units: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let found = iso_currency::Currency::from_code(text).filter(|found| found.exponent().is_some());
        let wrong = || InvalidValue::new(FieldCode::NotACurrency, "expected an ISO 4217 currency such as EUR");
        found.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "currency", "pattern": "^[A-Z]{3}$", "examples": ["EUR", "JPY", "KWD"] })
    }
}

crate::input_texts!(Currency);

/// An amount: 12.50 EUR is `{"minor": 1250, "currency": "EUR"}`.
///
/// It is never a fraction and never a float. Minor units are bounded by what every JSON reader holds exactly, so that a browser
/// does not lose a cent either. Whatever does not fit is an error, and a division says where the rest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, crate::Input)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units, cents for most currencies.
    minor: Minor,
    /// The currency.
    currency: Currency,
}

/// Why two amounts come to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    /// Amounts of two currencies are neither added nor compared.
    #[error("the amounts are of two currencies")]
    TwoCurrencies,
    /// The amount has more minor units than an amount may have.
    #[error("the amount is too large")]
    TooLarge,
    /// A division by zero, or a distribution to nobody.
    #[error("the amount is divided by nothing")]
    ByNothing,
}

impl Money {
    /// The most minor units of an amount, and with a minus the fewest: 2⁵³ − 1, the last whole number of JavaScript.
    pub const MINOR_MAX: i64 = (1 << 53) - 1;

    /// So many minor units.
    ///
    /// # Errors
    /// If they are too many.
    pub fn new(minor: i64, currency: Currency) -> Result<Self, MoneyFault> {
        Self::of(i128::from(minor), currency)
    }

    /// Nothing, in a currency.
    pub fn zero(currency: Currency) -> Self {
        Self { minor: Minor(0), currency }
    }

    /// An amount as people write it, with at most as many decimals as the currency has: `12.5`, `-3`, `0.005` of KWD.
    ///
    /// # Errors
    /// If the text is none, says more than the currency can, or is too large.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, InvalidValue> {
        let exponent = currency.exponent() as usize;
        let wrong = || {
            let expected = format!("expected an amount of {currency} with at most {exponent} decimals, such as");
            InvalidValue::new(FieldCode::NotAnAmount, format!("{expected} {:.exponent$}", 12.5))
        };
        let unsigned = amount.strip_prefix('-').unwrap_or(amount);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let kept = decimals.trim_end_matches('0');
        if !is_digits(whole) || !is_digits(decimals) || kept.len() > exponent {
            return Err(wrong());
        }
        let out_of_range = || InvalidValue::out_of_range(-Self::MINOR_MAX, Self::MINOR_MAX);
        let digits = format!("{}{kept:0<exponent$}", whole.trim_start_matches('0'));
        let minor: i128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| out_of_range())? };
        let minor = if amount.starts_with('-') { -minor } else { minor };
        Self::of(minor, currency).map_err(|_| out_of_range())
    }

    /// Its minor units.
    pub fn minor(self) -> i64 {
        self.minor.0
    }

    /// Its currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Is it nothing?
    pub fn is_zero(self) -> bool {
        self.minor() == 0
    }

    /// Is it less than nothing?
    pub fn is_negative(self) -> bool {
        self.minor() < 0
    }

    /// Both together.
    ///
    /// # Errors
    /// If they are of two currencies, or too large together.
    pub fn plus(self, other: Self) -> Result<Self, MoneyFault> {
        let other = self.alike(other)?;
        Self::of(i128::from(self.minor()) + i128::from(other), self.currency)
    }

    /// What is left of it without the other.
    ///
    /// # Errors
    /// As [`Money::plus`].
    pub fn minus(self, other: Self) -> Result<Self, MoneyFault> {
        self.plus(other.negated())
    }

    /// The same amount on the other side of the account.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { minor: Minor(-self.minor()), ..self }
    }

    /// So many times the amount.
    ///
    /// # Errors
    /// If that is too large.
    pub fn times(self, count: i64) -> Result<Self, MoneyFault> {
        Self::of(i128::from(self.minor()) * i128::from(count), self.currency)
    }

    /// The amount times a ratio, rounded half away from zero: a rate of 19 % is 19 over 100, 2.5 hours are 5 over 2.
    ///
    /// # Errors
    /// If the divisor is zero or the result too large.
    pub fn scaled(self, numerator: i64, denominator: i64) -> Result<Self, MoneyFault> {
        if denominator == 0 {
            return Err(MoneyFault::ByNothing);
        }
        let (product, divisor) = (i128::from(self.minor()) * i128::from(numerator), i128::from(denominator));
        let (quotient, rest) = (product / divisor, product % divisor);
        let up = if (product < 0) == (divisor < 0) { 1 } else { -1 };
        let rounded = if 2 * rest.unsigned_abs() >= divisor.unsigned_abs() { quotient + up } else { quotient };
        Self::of(rounded, self.currency)
    }

    /// The sum of amounts of one currency.
    ///
    /// # Errors
    /// If one is of another currency, or the sum is too large. The order does not matter: only the sum has to fit.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyFault> {
        let zero = Self::zero(currency);
        let add = |sum: i128, amount: Self| Ok(sum + i128::from(zero.alike(amount)?));
        Self::of(amounts.into_iter().try_fold(0, add)?, currency)
    }

    /// As many parts as there are shares, each in proportion to its share, which together are the amount to the last minor unit.
    /// What rounding leaves goes, a unit each, to the parts that it took the most from, and of equal ones to the first.
    ///
    /// # Errors
    /// If there are no shares, or all of them are zero.
    pub fn allocated(self, shares: &[u32]) -> Result<Vec<Self>, MoneyFault> {
        let whole: i128 = shares.iter().map(|share| i128::from(*share)).sum();
        if whole == 0 {
            return Err(MoneyFault::ByNothing);
        }
        let amount = i128::from(self.minor().unsigned_abs());
        let mut parts: Vec<i128> = shares.iter().map(|share| amount * i128::from(*share) / whole).collect();
        let left = amount - parts.iter().sum::<i128>();
        let rest = |index: &usize| amount * i128::from(shares[*index]) % whole;
        let mut order: Vec<usize> = (0..shares.len()).collect();
        // The sort is stable, so of equal ones the first stays first.
        order.sort_by_key(|index| std::cmp::Reverse(rest(index)));
        let lucky = usize::try_from(left).unwrap_or(0);
        order.into_iter().take(lucky).for_each(|index| parts[index] += 1);
        let sign = if self.is_negative() { -1 } else { 1 };
        parts.into_iter().map(|part| Self::of(sign * part, self.currency)).collect()
    }

    /// So many parts that are equal but for a minor unit, the larger ones first, which together are the amount.
    ///
    /// # Errors
    /// If there are to be none.
    pub fn split(self, parts: u16) -> Result<Vec<Self>, MoneyFault> {
        self.allocated(&vec![1; usize::from(parts)])
    }

    /// The other's minor units, if it is of the same currency.
    fn alike(self, other: Self) -> Result<i64, MoneyFault> {
        if self.currency == other.currency { Ok(other.minor()) } else { Err(MoneyFault::TwoCurrencies) }
    }

    fn of(minor: i128, currency: Currency) -> Result<Self, MoneyFault> {
        let fits = i64::try_from(minor).ok().filter(|minor| minor.unsigned_abs() <= Self::MINOR_MAX.unsigned_abs());
        fits.map(|minor| Self { minor: Minor(minor), currency }).ok_or(MoneyFault::TooLarge)
    }
}

/// As people and documents read it, without signs for thousands: `12.50 EUR`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent() as usize;
        let digits = format!("{:0>width$}", self.minor().unsigned_abs(), width = exponent + 1);
        let (whole, decimals) = digits.split_at(digits.len() - exponent);
        let (sign, point) = (if self.is_negative() { "-" } else { "" }, if exponent > 0 { "." } else { "" });
        write!(f, "{sign}{whole}{point}{decimals} {}", self.currency)
    }
}

/// Minor units within [`Money::MINOR_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
struct Minor(i64);

impl Minor {
    fn checked(minor: i64) -> Result<Self, InvalidValue> {
        if minor.unsigned_abs() <= Money::MINOR_MAX.unsigned_abs() {
            Ok(Self(minor))
        } else {
            Err(InvalidValue::out_of_range(-Money::MINOR_MAX, Money::MINOR_MAX))
        }
    }
}

impl Input for Minor {
    fn read(value: serde_json::Value, faults: &mut crate::Faults) -> Option<Self> {
        match Self::checked(i64::read(value, faults)?) {
            Ok(minor) => Some(minor),
            Err(wrong) => faults.refuse(wrong),
        }
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::checked(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Minor {
    fn schema_name() -> Cow<'static, str> {
        "Minor".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (least, most) = (-Money::MINOR_MAX, Money::MINOR_MAX);
        json_schema!({ "type": "integer", "format": "int64", "minimum": least, "maximum": most, "examples": [1250] })
    }
}

#[cfg(test)]
mod tests;
