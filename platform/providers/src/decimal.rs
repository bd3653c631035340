//! Amounts as providers write them: the text that stands in JSON, read to the minor unit.

use kernel::{Currency, Money};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A number as it stands in JSON: never a float on the way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal(Box<RawValue>);

impl Decimal {
    /// An amount in major units: `12.34`.
    pub fn of(money: Money) -> Option<Self> {
        Self::scaled(money.minor(), money.currency().exponent())
    }

    /// `whole` divided by a power of ten.
    pub fn scaled(whole: i64, exponent: u32) -> Option<Self> {
        let (sign, digits) = if whole < 0 { ("-", whole.unsigned_abs()) } else { ("", whole.unsigned_abs()) };
        let unit = 10u64.checked_pow(exponent)?;
        let text = match exponent {
            0 => format!("{sign}{digits}"),
            _ => format!("{sign}{}.{:0width$}", digits / unit, digits % unit, width = exponent as usize),
        };
        RawValue::from_string(text).ok().map(Self)
    }

    /// The amount in this currency; none if it is no number or has a part of a minor unit.
    pub fn money(&self, currency: Currency) -> Option<Money> {
        Money::new(self.times_ten_to(currency.exponent())?, currency).ok()
    }

    /// The number times a power of ten; none if it is no number or that is not whole.
    pub fn times_ten_to(&self, exponent: u32) -> Option<i64> {
        // Some providers write amounts as texts.
        let text = self.0.get().trim().trim_matches('"');
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let exponent = exponent as usize;
        let (kept, rest) = part.split_at_checked(exponent).unwrap_or((part, ""));
        if rest.bytes().any(|digit| digit != b'0') || whole.is_empty() {
            return None;
        }
        let digits: i64 = format!("{whole}{kept:0<exponent$}").parse().ok()?;
        Some(sign * digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, currency: &str) -> Option<i64> {
        let decimal: Decimal = serde_json::from_str(text).unwrap();
        decimal.money(currency.parse().unwrap()).map(Money::minor)
    }

    #[test]
    fn an_amount_is_read_to_the_minor_unit_or_not_at_all() {
        assert_eq!(read("12.34", "EUR"), Some(1_234));
        assert_eq!(read("12.3", "EUR"), Some(1_230));
        assert_eq!(read("12", "EUR"), Some(1_200));
        assert_eq!(read("12.3400", "EUR"), Some(1_234));
        assert_eq!(read("12.345", "EUR"), None);
        assert_eq!(read("-0.05", "EUR"), Some(-5));
        assert_eq!(read("\"50.00\"", "EUR"), Some(5_000));
        assert_eq!(read("1234", "JPY"), Some(1_234));
        assert_eq!(read("1234.0", "JPY"), Some(1_234));
        assert_eq!(read("0.1", "JPY"), None);
        assert_eq!(read("90071992547409.91", "EUR"), Some(9_007_199_254_740_991), "to the last digit");
        assert_eq!(read("1e3", "EUR"), None);
    }

    #[test]
    fn an_amount_is_written_with_all_of_its_digits() {
        let written = |whole, exponent| serde_json::to_string(&Decimal::scaled(whole, exponent).unwrap()).unwrap();
        assert_eq!(written(1_234, 2), "12.34");
        assert_eq!(written(-5, 2), "-0.05");
        assert_eq!(written(7, 0), "7");
        assert_eq!(written(1_500, 3), "1.500");
    }
}
