//! How likely something is, in whole per cent.

use kernel::{Faults, Input, InvalidValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// Per cent from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Probability(u16);

impl Probability {
    /// What is certain.
    pub const MAX: u16 = 100;

    /// So many per cent.
    ///
    /// # Errors
    /// If they are more than a hundred.
    pub fn new(percent: u16) -> Result<Self, InvalidValue> {
        if percent <= Self::MAX { Ok(Self(percent)) } else { Err(InvalidValue::out_of_range(0, Self::MAX)) }
    }

    /// Per cent.
    pub fn percent(self) -> u16 {
        self.0
    }
}

impl Input for Probability {
    fn read(value: kernel::__json::Value, faults: &mut Faults) -> Option<Self> {
        // Whatever lies outside is told the range that holds here, not what a number may be elsewhere.
        let percent = u16::try_from(i64::read(value, faults)?).unwrap_or(u16::MAX);
        match Self::new(percent) {
            Ok(read) => Some(read),
            Err(wrong) => faults.refuse(wrong),
        }
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Probability {
    fn schema_name() -> Cow<'static, str> {
        "Probability".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "uint16", "minimum": 0, "maximum": Self::MAX, "examples": [60] })
    }
}
