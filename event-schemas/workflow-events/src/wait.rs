//! What a step waits for.

use kernel::{Pattern, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that may end a step's wait; the first that comes does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// Events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Awaited>,
    /// Names of signals that somebody may send to the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
    /// A time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// The end of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

kernel::input_as_deserialized!(Wait);

/// An event that ends a wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Awaited {
    /// What later steps call it when it came.
    pub name: String,
    /// Which kind of event.
    pub event_type: String,
    /// The condition that it must meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
}

/// A time that ends a wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// What later steps call it when it came; without one, waiting was in vain and the step has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Who decides, and until when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalTerms {
    /// Whoever holds all that these patterns grant may decide.
    pub approvers: Vec<Pattern>,
    /// So many must approve; one rejection is enough.
    #[schemars(range(min = 1))]
    pub quorum: u32,
    /// When they are reminded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_at: Option<Timestamp>,
    /// When others may decide too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_at: Option<Timestamp>,
    /// Who those are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<Pattern>,
    /// When nobody may decide any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

kernel::input_as_deserialized!(ApprovalTerms);

/// How a question came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalOutcome {
    /// Enough are for it.
    Approved,
    /// Somebody is against it.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Nobody needs to decide any more.
    Withdrawn,
}

kernel::input_as_deserialized!(ApprovalOutcome);
