//! Small texts of the books that are checked once, at the edge: accounts, bank accounts, registrations for VAT.

use kernel::{FieldCode, InvalidValue, Name};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A checked text: parsing, serde, schema and display from one rule.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $check:path, $schema:tt);* $(;)?) => {$(
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
                $check(text).map(Self)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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

codes! {
    /// What the chart of accounts or the ledger calls an account, a tax or the like: `400`, `INPUT2`, `6815`. Up to 50 letters, digits and
    /// `.`, `_`, `/`, `:`, `-`.
    LedgerCode = ledger_code, { "type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z._/:-]{0,49}$", "examples": ["400", "INPUT2"] };
    /// An IBAN (ISO 13616) in its electronic form, without spaces: `DE89370400440532013000`.
    Iban = iban, { "type": "string", "format": "iban", "pattern": "^[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}$",
        "examples": ["DE89370400440532013000", "GB82WEST12345698765432"] };
    /// A registration for VAT with the letters of its country in front, without spaces, dots and dashes: `DE136695976`.
    TaxId = tax_id, { "type": "string", "pattern": "^[A-Z]{2}[0-9A-Z]{2,18}$", "examples": ["DE136695976", "GB980780684"] };
}

/// One visible word.
fn ledger_code(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim();
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '-');
    match text.chars().next() {
        None => Err(InvalidValue::too_short(1)),
        Some(_) if text.chars().count() > 50 => Err(InvalidValue::too_long(50)),
        Some(first) if first.is_ascii_alphanumeric() && text.chars().all(inner) => Ok(text.to_owned()),
        Some(_) => Err(InvalidValue::new(FieldCode::NotAllowed, "expected a code such as 400 or INPUT2")),
    }
}

/// Letters and digits without what people put between them.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '.' | '-')).collect::<String>().to_ascii_uppercase()
}

fn has_country(text: &str) -> bool {
    let letters = text.bytes().take(2).filter(u8::is_ascii_uppercase).count();
    letters == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The check digits of ISO 7064 (MOD 97-10) say that nobody mistyped it; whether the account exists only a bank knows.
fn iban(text: &str) -> Result<String, InvalidValue> {
    let iban = squeezed(text);
    let wrong = || InvalidValue::new(FieldCode::NotAnIban, "expected an IBAN such as DE89370400440532013000");
    if !has_country(&iban) || !(15..=34).contains(&iban.len()) {
        return Err(wrong());
    }
    let (head, tail) = iban.split_at(4);
    if !head.bytes().skip(2).all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let rest = tail.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0u32, |rest, value| {
        let shift = if value > 9 { 100 } else { 10 };
        (rest * shift + value) % 97
    });
    if rest == 1 { Ok(iban) } else { Err(wrong()) }
}

fn tax_id(text: &str) -> Result<String, InvalidValue> {
    let id = squeezed(text);
    if has_country(&id) && (4..=20).contains(&id.len()) {
        Ok(id)
    } else {
        Err(InvalidValue::new(FieldCode::NotAllowed, "expected a registration for VAT such as DE136695976"))
    }
}

/// What a vendor's number of a paper is compared by.
pub fn reference_key(reference: &Name) -> String {
    kernel::reference_key(reference.as_str())
}
