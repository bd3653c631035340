//! How soon work is wanted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How soon a project or a task is wanted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default, kernel::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When there is time.
    Low,
    /// As it is due.
    #[default]
    Normal,
    /// Before others.
    High,
    /// Before everything.
    Urgent,
}

impl Priority {
    /// Is it what goes without saying?
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}
