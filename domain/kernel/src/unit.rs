//! Commands on several streams that enter the log as one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Events of several commands that entered the log together, or would not have entered it at all. They stand one after the
/// other in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unit {
    /// Which unit.
    pub id: Uuid,
    /// The event's place in it, from 1.
    pub index: u32,
    /// How many events it has.
    pub size: u32,
}

impl Unit {
    /// Is this a place that a unit has?
    fn is_sound(&self) -> bool {
        (1..=self.size).contains(&self.index)
    }
}

/// `01935a00-0000-7000-8000-000000000001/2/3`: the second of three.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.id, self.index, self.size)
    }
}

/// The text is no place in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an id, a place and a size: <id>/2/3")]
pub struct NoUnit;

impl FromStr for Unit {
    type Err = NoUnit;

    fn from_str(text: &str) -> Result<Self, NoUnit> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(NoUnit);
        let (id, index, size) = (next()?, next()?, next()?);
        let number = |text: &str| text.parse().map_err(|_| NoUnit);
        let unit = Self { id: id.parse().map_err(|_| NoUnit)?, index: number(index)?, size: number(size)? };
        if parts.next().is_none() && unit.is_sound() { Ok(unit) } else { Err(NoUnit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_unit_reads_as_it_is_written() {
        let unit = Unit { id: Uuid::from_u128(1), index: 2, size: 3 };
        assert_eq!(unit.to_string().parse(), Ok(unit));
        let id = Uuid::from_u128(1);
        for wrong in [String::new(), format!("{id}"), format!("{id}/0/3"), format!("{id}/4/3"), format!("{id}/1/1/1")] {
            assert_eq!(wrong.parse::<Unit>(), Err(NoUnit), "{wrong}");
        }
    }
}
