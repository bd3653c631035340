//! What papers say of whoever pays and is paid, checked where it comes in.

use kernel::{FieldCode, InvalidValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $check:expr, $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let check: fn(&str) -> Result<String, InvalidValue> = $check;
                check(text).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
        kernel::input_texts!($name);
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

texts! {
    /// A VAT number with its country's letters in front, in upper case and without spaces: `DE123456789`.
    VatId = vat_id, { "type": "string", "pattern": "^[A-Z]{2}[0-9A-Z]{2,13}$", "examples": ["DE123456789"] };
    /// An account by ISO 13616, in upper case and without spaces; its check digits are right.
    Iban = iban, { "type": "string", "format": "iban", "pattern": "^[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}$", "examples": ["DE89370400440532013000"] };
    /// A bank by ISO 9362: `COBADEFF`.
    Bic = bic, { "type": "string", "pattern": "^[A-Z]{6}[0-9A-Z]{2}([0-9A-Z]{3})?$", "examples": ["COBADEFF"] };
    /// A language by ISO 639-1, with a country where that matters: `de`, `en-GB`.
    Language = language, { "type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$", "examples": ["de", "en-GB"] };
    /// What stands before the number in the numbers of a series: `2026-`. It may be empty.
    NumberPrefix = prefix, { "type": "string", "maxLength": 20, "pattern": "^([A-Z0-9][A-Z0-9/_.-]{0,19})?$", "examples": ["2026-"] };
}

/// Without spaces, in upper case.
fn compact(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect()
}

fn is_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn begins_with_letters(text: &str, count: usize) -> bool {
    text.len() >= count && text.bytes().take(count).all(|byte| byte.is_ascii_uppercase())
}

fn vat_id(text: &str) -> Result<String, InvalidValue> {
    let text = compact(text);
    if (4..=15).contains(&text.len()) && is_code(&text) && begins_with_letters(&text, 2) {
        Ok(text)
    } else {
        Err(InvalidValue::new(FieldCode::NotAVatId, "expected a VAT number such as DE123456789"))
    }
}

fn iban(text: &str) -> Result<String, InvalidValue> {
    let text = compact(text);
    let shaped = (15..=34).contains(&text.len())
        && is_code(&text)
        && begins_with_letters(&text, 2)
        && text.bytes().skip(2).take(2).all(|byte| byte.is_ascii_digit());
    if shaped && remainder(&text) == 1 {
        Ok(text)
    } else {
        Err(InvalidValue::new(FieldCode::NotAnIban, "expected an IBAN such as DE89370400440532013000"))
    }
}

/// What is left of an account's number divided by 97, with its head at its end and letters as numbers (ISO 7064).
fn remainder(iban: &str) -> u32 {
    let (head, rest) = iban.split_at(4);
    rest.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0, |left, digit| {
        let shift = if digit > 9 { 100 } else { 10 };
        (left * shift + digit) % 97
    })
}

fn bic(text: &str) -> Result<String, InvalidValue> {
    let text = compact(text);
    if matches!(text.len(), 8 | 11) && is_code(&text) && begins_with_letters(&text, 6) {
        Ok(text)
    } else {
        Err(InvalidValue::new(FieldCode::NotABic, "expected a BIC such as COBADEFF"))
    }
}

fn language(text: &str) -> Result<String, InvalidValue> {
    let is = |part: &str, kind: fn(&u8) -> bool| part.len() == 2 && part.bytes().all(|byte| kind(&byte));
    let (language, country) =
        text.split_once('-').map_or((text, None), |(language, country)| (language, Some(country)));
    if is(language, u8::is_ascii_lowercase) && country.is_none_or(|country| is(country, u8::is_ascii_uppercase)) {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue::new(FieldCode::NotALanguage, "expected a language such as de or en-GB"))
    }
}

fn prefix(text: &str) -> Result<String, InvalidValue> {
    let inner =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'/' | b'_' | b'.' | b'-');
    let begins = text.bytes().next().is_none_or(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if text.len() > 20 {
        Err(InvalidValue::too_long(20))
    } else if begins && text.bytes().all(inner) {
        Ok(text.to_owned())
    } else {
        let expected = "expected capital letters, digits, and after the first of them / _ . and -, such as 2026-";
        Err(InvalidValue::new(FieldCode::NotAllowed, expected))
    }
}
