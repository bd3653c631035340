//! Personal values in columns that lists are sorted by.

use kernel::Personal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// A personal value as a column shows it that cannot be null because lists are sorted by it: empty once the person was
/// erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<T>(Personal<T>);

impl<T> Shown<T> {
    /// A value that is known.
    pub fn of(value: T) -> Self {
        Self(Personal::new(value))
    }
}

impl<T: AsRef<str>> Shown<T> {
    /// The text, empty if it was erased.
    pub fn text(&self) -> &str {
        self.0.text()
    }
}

impl<T: Clone> From<&Personal<T>> for Shown<T> {
    fn from(value: &Personal<T>) -> Self {
        Self(value.clone())
    }
}

impl<T: AsRef<str>> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de, T: std::str::FromStr<Err: std::fmt::Display>> Deserialize<'de> for Shown<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Cow::<'de, str>::deserialize(deserializer)?.as_ref() {
            "" => Ok(Self(Personal::erased())),
            text => text.parse().map(Self::of).map_err(D::Error::custom),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Shown<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Shown{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        for narrower in ["minLength", "format"] {
            schema.remove(narrower);
        }
        schema.insert("x-personal".to_owned(), true.into());
        schema
    }
}
