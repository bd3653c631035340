//! Decimals as XML has them, exact.

use kernel::{Currency, Money};
use std::str::FromStr;

/// Places behind the point that are kept.
const PLACES: u32 = 8;
/// Digits before the point: more money than there is.
const WHOLE_MAX: usize = 18;

/// A decimal with at most eight places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(i128);

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The same below zero.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// One.
    pub(super) const ONE: Self = Self(10_i128.pow(PLACES));

    /// So many at this price for `basis` of them; none if that cannot be.
    pub(super) fn times(self, price: Self, basis: Self) -> Option<Self> {
        divided(self.0.checked_mul(price.0)?, basis.0).map(Self)
    }

    /// Half of the last place that it says, of two places at least: what it may have been rounded by.
    pub(super) fn half_a_place(self) -> Self {
        let mut place = 1;
        while place < 10_i128.pow(PLACES - 2) && self.0 % (place * 10) == 0 {
            place *= 10;
        }
        Self(place / 2)
    }

    /// How far apart both are.
    pub(super) fn distance(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).saturating_abs())
    }

    /// So many of the smallest units of a currency.
    pub(super) fn minor(minor: i128, currency: Currency) -> Self {
        Self(minor * 10_i128.pow(PLACES.saturating_sub(currency.exponent())))
    }

    /// As money, half away from zero; none if it is more than can be counted.
    pub fn money(self, currency: Currency) -> Option<Money> {
        let unit = 10_i128.pow(PLACES.saturating_sub(currency.exponent()));
        Money::new(i64::try_from(divided(self.0, unit)?).ok()?, currency).ok()
    }

    /// So many per cent of an amount in minor units, half away from zero.
    pub(super) fn percent_of(self, minor: i64) -> Option<i128> {
        divided(i128::from(minor).checked_mul(self.0)?, 100 * 10_i128.pow(PLACES))
    }
}

/// Half away from zero.
pub(super) fn divided(number: i128, by: i128) -> Option<i128> {
    if by == 0 {
        return None;
    }
    let (number, by) = if by < 0 { (number.checked_neg()?, by.checked_neg()?) } else { (number, by) };
    let half = by / 2;
    let shifted = if number < 0 { number.checked_sub(half)? } else { number.checked_add(half)? };
    Some(shifted / by)
}

impl FromStr for Decimal {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let whole = if whole.is_empty() { whole } else { whole.trim_start_matches('0') };
        let fraction = fraction.trim_end_matches('0');
        let says_something = digits.bytes().any(|byte| byte.is_ascii_digit());
        let fits = whole.len() <= WHOLE_MAX && fraction.len() <= PLACES as usize;
        if !says_something || !is_number(whole) || !is_number(fraction) || !fits {
            return Err(());
        }
        let number: i128 = format!("0{whole}{fraction:0<width$}", width = PLACES as usize).parse().map_err(|_| ())?;
        Ok(Self(if is_negative { -number } else { number }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str, code: &str) -> Option<i64> {
        text.parse::<Decimal>().ok()?.money(code.parse().unwrap()).map(Money::minor)
    }

    #[test]
    fn decimals_are_read_exactly_and_become_money_half_away_from_zero() {
        for (text, minor) in
            [("12.5", 1_250), ("-0.005", -1), ("0.0049", 0), ("+.1", 10), ("7.", 700), ("0012.00", 1_200)]
        {
            assert_eq!(money(text, "EUR"), Some(minor), "{text}");
        }
        assert_eq!(money("1250", "JPY"), Some(1_250));
        assert_eq!(money("1.2505", "KWD"), Some(1_251));
    }

    #[test]
    fn what_is_no_decimal_or_more_than_there_is_is_none() {
        for text in
            ["", ".", "-", "1,5", "1e3", "NaN", "0x1", "1.123456789", "9999999999999999999", "--1", "1.2.3", "１"]
        {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
        assert_eq!(money("999999999999999999", "EUR"), None);
    }
}
