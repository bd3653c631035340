//! Values that come in as text and go into SQL as text with a cast; checked here, so that no cast can fail there.

use chrono::SecondsFormat;
use kernel::{Date, Email, FieldCode, InvalidValue, Timestamp};
use projections::{Column, Kind};
use uuid::Uuid;

/// The text as PostgreSQL takes it for this column, or what was expected.
pub(crate) fn checked(column: &Column, text: &str) -> Result<String, InvalidValue> {
    match column.kind {
        Kind::Uuid => text
            .parse::<Uuid>()
            .map(|id| id.to_string())
            .map_err(|_| InvalidValue::new(FieldCode::NotAnId, "expected a UUID")),
        Kind::Integer => integer(text, i64::MIN, i64::MAX).map(|n| n.to_string()),
        Kind::Boolean => text
            .parse::<bool>()
            .map(|b| b.to_string())
            .map_err(|_| InvalidValue::new(FieldCode::NotABoolean, "expected true or false")),
        Kind::Time => time(text),
        Kind::Date => text.parse::<Date>().map(|day| day.to_string()),
        Kind::Text if !column.values.is_empty() && !column.values.iter().any(|value| value == text) => {
            Err(InvalidValue::not_one_of(text, &column.values.iter().map(String::as_str).collect::<Vec<_>>()))
        }
        Kind::Text | Kind::Json if text.contains('\0') => {
            Err(InvalidValue::new(FieldCode::NulCharacter, "expected text without NUL characters"))
        }
        // One mailbox has one spelling; see `kernel::Email`.
        Kind::Text if column.schema.to_string().contains("\"format\":\"idn-email\"") => {
            text.parse::<Email>().map(|email| email.to_string())
        }
        // Names and texts are kept in NFC, so they are looked for in it.
        Kind::Text | Kind::Json => Ok(kernel::nfc(text)),
    }
}

/// A whole number from `min` to `max`.
pub(crate) fn integer(text: &str, min: i64, max: i64) -> Result<i64, InvalidValue> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidValue::new(FieldCode::NotANumber, format!("expected a whole number from {min} to {max}")));
    }
    let inside = text.parse().ok().filter(|n| (min..=max).contains(n));
    inside.ok_or_else(|| InvalidValue::out_of_range(min, max))
}

/// PostgreSQL knows other years than we do, and a different spelling for some.
fn time(text: &str) -> Result<String, InvalidValue> {
    Ok(text.parse::<Timestamp>()?.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn column(kind: Kind) -> Column {
        Column { name: "c".into(), kind, nullable: false, values: vec![], schema: json!({}) }
    }

    #[test]
    fn what_a_cast_would_refuse_is_refused_before() {
        for (kind, wrong) in [
            (Kind::Uuid, "1"),
            (Kind::Integer, "9223372036854775808"),
            (Kind::Integer, "1.5"),
            (Kind::Boolean, "yes"),
            (Kind::Time, "yesterday"),
            (Kind::Time, "0000-06-01T00:00:00Z"),
            (Kind::Time, "9999-12-31T23:59:59-14:00"),
            (Kind::Date, "2026-02-30"),
            (Kind::Date, "+12026-01-01"),
            (Kind::Text, "a\0b"),
            (Kind::Json, "a\0b"),
        ] {
            assert!(checked(&column(kind), wrong).is_err(), "{kind:?} {wrong:?}");
        }
        let code = |kind, text: &str| checked(&column(kind), text).unwrap_err().code;
        assert_eq!(code(Kind::Integer, "-9223372036854775809"), FieldCode::OutOfRange);
        assert_eq!(code(Kind::Integer, "+5"), FieldCode::NotANumber);
    }

    #[test]
    fn an_address_is_found_in_any_spelling() {
        let email = Column { schema: json!({ "format": "idn-email" }), ..column(Kind::Text) };
        for (asked, kept) in
            [(" Ada@Example.COM ", "ada@example.com"), ("zoe\u{308}@BÜCHER.example", "zo\u{eb}@xn--bcher-kva.example")]
        {
            assert_eq!(checked(&email, asked), Ok(kept.to_owned()));
        }
        assert!(checked(&email, "\u{212a}im@example.com").is_err());
        assert_eq!(checked(&column(Kind::Text), "Cafe\u{301}"), Ok("Caf\u{e9}".to_owned()));
        assert_eq!(checked(&email, "ada").unwrap_err().code, FieldCode::NotAnEmail);
    }

    #[test]
    fn a_value_that_the_column_never_has_is_refused() {
        let status = Column { values: vec!["open".into(), "done".into()], ..column(Kind::Text) };
        assert_eq!(checked(&status, "open"), Ok("open".to_owned()));
        let wrong = checked(&status, "opne").unwrap_err();
        assert_eq!((wrong.code, &wrong.parameters["nearest"]), (FieldCode::NotOneOf, &json!("open")));
    }
}
