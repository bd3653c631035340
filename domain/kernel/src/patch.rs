//! A change of what a record may lack.

use crate::{Faults, Input};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// What a command says of a field that a record may lack: left out it stays, `null` removes it. Write it with
/// `#[serde(default, skip_serializing_if = "Patch::is_unchanged")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// It is there no more.
    Removed,
    /// It is this from now on.
    Set(T),
}

impl<T> Patch<T> {
    /// Was nothing said?
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }

    /// The field after it.
    pub fn over<U: From<T> + Clone>(self, before: &Option<U>) -> Option<U> {
        match self {
            Self::Unchanged => before.clone(),
            Self::Removed => None,
            Self::Set(value) => Some(value.into()),
        }
    }

    /// The field after it, where one that is removed has a default.
    pub fn over_or(self, before: T, default: T) -> T {
        match self {
            Self::Unchanged => before,
            Self::Removed => default,
            Self::Set(value) => value,
        }
    }
}

impl<T: Clone> Patch<Vec<T>> {
    /// The list after it; a removed one is empty.
    pub fn over_list(self, before: &[T]) -> Vec<T> {
        match self {
            Self::Unchanged => before.to_vec(),
            Self::Removed => vec![],
            Self::Set(list) => list,
        }
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(value) => serializer.serialize_some(value),
            Self::Unchanged | Self::Removed => serializer.serialize_none(),
        }
    }
}

impl<T: Input> Input for Patch<T> {
    fn read(value: serde_json::Value, faults: &mut Faults) -> Option<Self> {
        Option::<T>::read(value, faults).map(|read| read.map_or(Self::Removed, Self::Set))
    }

    fn absent() -> Option<Self> {
        Some(Self::Unchanged)
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Patch{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Email, Personal, read_input};

    #[derive(Debug, PartialEq, crate::Input, Serialize, JsonSchema)]
    struct Change {
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        email: Patch<Email>,
    }

    #[test]
    fn what_is_left_out_stays_and_null_removes() {
        let before = Some(Personal::new("ada@example.com".parse::<Email>().unwrap()));
        let after = |body: &str| read_input::<Change>(body).unwrap().email.over(&before);
        assert_eq!(after("{}"), before);
        assert_eq!(after(r#"{"email":null}"#), None);
        assert_eq!(after(r#"{"email":"eve@example.com"}"#).unwrap().text(), "eve@example.com");
    }

    #[test]
    fn a_change_is_written_as_it_is_read() {
        for body in ["{}", r#"{"email":null}"#, r#"{"email":"eve@example.com"}"#] {
            assert_eq!(serde_json::to_string(&read_input::<Change>(body).unwrap()).unwrap(), body);
        }
    }

    #[test]
    fn the_schema_says_that_it_may_be_null_or_left_out_and_has_no_default() {
        let schema = serde_json::Value::from(crate::schema_of::<Change>());
        assert_eq!(schema.get("required"), None);
        assert_eq!(schema["properties"]["email"]["type"], serde_json::json!(["string", "null"]));
        assert_eq!(schema["properties"]["email"].get("default"), None);
    }
}
