//! The lab adds up without floats too.

use serde_json::Value;

/// A number with at most four decimals as ten-thousandths.
pub(crate) fn fine(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (sign, text) = text.strip_prefix('-').map_or((1, text.as_str()), |rest| (-1, rest));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    (part.len() <= 4).then(|| format!("{whole}{part:0<4}").parse::<i64>().ok().map(|fine| sign * fine)).flatten()
}

/// So many at a price, in cents, half away from zero; one, if nobody says how many.
pub(crate) fn times(quantity: &Value, unit: &Value) -> i64 {
    let quantity = fine(quantity).unwrap_or(10_000);
    let amount = i128::from(fine(unit).unwrap_or_default()) * i128::from(quantity);
    i64::try_from((amount.abs() + 500_000) / 1_000_000 * amount.signum()).unwrap_or_default()
}

/// So many percent of it, in ten-thousandths of a percent, half away from zero.
pub(crate) fn percent_of(cents: i64, percent: i64) -> i64 {
    let part = i128::from(cents) * i128::from(percent);
    i64::try_from((part.abs() + 500_000) / 1_000_000 * part.signum()).unwrap_or_default()
}

/// Cents as a JSON number.
pub(crate) fn cents(minor: i64) -> Value {
    let text = format!("{}{}.{:02}", if minor < 0 { "-" } else { "" }, minor.abs() / 100, minor.abs() % 100);
    serde_json::from_str(&text).unwrap_or_default()
}

/// An amount in cents.
pub(crate) fn minor(value: &Value) -> i64 {
    fine(value).unwrap_or_default() / 100
}
