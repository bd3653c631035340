//! How a step of a run is named.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::{Borrow, Cow};
use std::fmt::{Display, Formatter};
use std::ops::Deref;
use std::str::FromStr;

/// The longest path.
const CHARS_MAX: usize = 500;

/// Where a step stands in its run: `contact`, in a branch `decide.invite`, in the third round of a loop `reminders[2].send`, and how
/// it is taken back `contact.undo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StepPath(String);

// An error names the field by itself.
kernel::input_as_deserialized!(StepPath);

/// Not a step's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a step's path is made of ids, such as `contact` or `reminders[2].send`")]
pub struct InvalidPath;

impl StepPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A step inside this one.
    #[must_use]
    pub fn child(&self, id: &str) -> Self {
        Self(format!("{}.{id}", self.0))
    }

    /// A step inside a round of this loop.
    #[must_use]
    pub fn item(&self, round: usize, id: &str) -> Self {
        Self(format!("{}[{round}].{id}", self.0))
    }

    /// How this step is taken back.
    #[must_use]
    pub fn undo(&self) -> Self {
        self.child("undo")
    }

    /// The step that this one is inside of, or takes back.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('.').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The step's own id: `send` of `reminders[2].send`.
    pub fn id(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(_, id)| id)
    }

    /// The round of a loop that the step is in: `reminders[2]`; empty outside of loops.
    pub fn round(&self) -> &str {
        self.0.rfind(']').and_then(|end| self.0.get(..=end)).unwrap_or_default()
    }

    /// The loop and the number of its round.
    pub fn loop_and_number(&self) -> Option<(&str, usize)> {
        let (path, number) = self.round().strip_suffix(']')?.rsplit_once('[')?;
        Some((path, number.parse().ok()?))
    }

    /// Is it this step, or one inside of it?
    pub fn is_within(&self, other: &str) -> bool {
        self.0.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// How a step is taken back, rather than a step of the definition?
    pub fn is_undo(&self) -> bool {
        self.0.ends_with(".undo")
    }
}

impl FromStr for StepPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '[' | ']');
        let fits = text.len() <= CHARS_MAX && text.starts_with(|c: char| c.is_ascii_lowercase());
        if fits && text.chars().all(known) { Ok(Self(text.to_owned())) } else { Err(InvalidPath) }
    }
}

impl TryFrom<String> for StepPath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, InvalidPath> {
        text.parse()
    }
}

impl Deref for StepPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StepPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Display for StepPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for StepPath {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for StepPath {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl JsonSchema for StepPath {
    fn schema_name() -> Cow<'static, str> {
        "StepPath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "maxLength": CHARS_MAX,
            "examples": ["contact", "reminders", "reminders[2].send"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StepPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_says_which_step_in_which_round() {
        let nested = path("reminders").item(2, "send");
        assert_eq!(nested, "reminders[2].send");
        assert_eq!(
            (nested.id(), nested.round(), nested.loop_and_number()),
            ("send", "reminders[2]", Some(("reminders", 2)))
        );
        let branch = path("decide").child("invite");
        assert_eq!((branch.id(), branch.round(), branch.loop_and_number()), ("invite", "", None));
        assert_eq!(branch.undo(), "decide.invite.undo");
        assert!(branch.is_within("decide") && nested.is_within("reminders") && nested.is_within("reminders[2]"));
        assert!(!path("decided").is_within("decide") && !path("decide").is_within("decide.invite"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in ["", "Contact", "1st", "a b", "a/b", &"a".repeat(CHARS_MAX + 1)] {
            assert_eq!(wrong.parse::<StepPath>(), Err(InvalidPath), "{wrong:?}");
        }
    }
}
