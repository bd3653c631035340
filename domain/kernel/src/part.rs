//! The parts of an aggregate that a command makes, and how a repeat of it is told from another one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use uuid::Uuid;

/// One kind of part that a command makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartEntry {
    /// What the answer calls it: `task_id`, or `task_ids` where it is a list.
    pub name: &'static str,
    /// Is there one whenever the command succeeds?
    pub always: bool,
}

impl PartEntry {
    /// Does the command make any number of them? Their ids are not for the caller to choose then.
    pub fn is_list(&self) -> bool {
        self.name.ends_with("_ids")
    }
}

/// The ids of the parts that a command is about to have made, by name: `{"task_id": "…"}`, `{"task_ids": ["…"]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parts(Map<String, Value>);

impl Parts {
    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they are called, in order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The id of a single part.
    pub fn id(&self, name: &str) -> Option<Uuid> {
        self.0.get(name)?.as_str()?.parse().ok()
    }

    /// The ids of a list of parts, in the order in which they were made.
    pub fn ids(&self, name: &str) -> Vec<Uuid> {
        let ids = self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        ids.filter_map(|id| id.as_str()?.parse().ok()).collect()
    }

    pub(crate) fn set(&mut self, name: &str, id: Uuid) {
        self.0.insert(name.to_owned(), id.to_string().into());
    }

    pub(crate) fn begin(&mut self, name: &str) {
        self.0.entry(name).or_insert_with(|| Value::Array(vec![]));
    }

    pub(crate) fn push(&mut self, name: &str, id: Uuid) {
        if let Value::Array(ids) = self.0.entry(name).or_insert_with(|| Value::Array(vec![])) {
            ids.push(id.to_string().into());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl From<Parts> for Value {
    fn from(parts: Parts) -> Self {
        Self::Object(parts.0)
    }
}

/// As JSON text, which is what is stored and answered.
impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl std::str::FromStr for Parts {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

/// What a part was made with, in short: the start of a SHA-256. An aggregate remembers it, whatever becomes of the part, to
/// tell the repeat of a command from another one that names the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Imprint(u64);

impl Imprint {
    /// The imprint of a part as its event has it.
    pub fn of(part: &impl Serialize) -> Self {
        // What an event holds can be written, or it could not be stored.
        let text = serde_json::to_vec(part).unwrap_or_default();
        let mut start = [0; 8];
        start.copy_from_slice(&Sha256::digest(text)[..8]);
        Self(u64::from_be_bytes(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_are_written() {
        let mut parts = Parts::default();
        parts.set("milestone_id", Uuid::from_u128(1));
        parts.push("task_ids", Uuid::from_u128(3));
        parts.push("task_ids", Uuid::from_u128(2));
        let again: Parts = parts.to_string().parse().unwrap();
        assert_eq!(again, parts);
        assert_eq!(again.id("milestone_id"), Some(Uuid::from_u128(1)));
        assert_eq!(again.ids("task_ids"), [Uuid::from_u128(3), Uuid::from_u128(2)]);
    }
}
