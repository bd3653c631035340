//! Small texts of the books that are checked once, at the edge.

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

/// What a vendor's number of a paper is compared by.
pub fn reference_key(reference: &Name) -> String {
    kernel::reference_key(reference.as_str())
}
