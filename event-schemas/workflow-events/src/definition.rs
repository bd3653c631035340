//! What happens to a workflow definition.

use kernel::{Name, Text, event};
use serde_json::Value;

/// Everything that happens to a workflow definition.
#[event("workflow.definition")]
pub enum DefinitionEvent {
    /// A version of the definition was published; it is what new runs follow from now on.
    Published {
        /// From 1; a version never changes.
        version: u32,
        /// SHA-256 of the document, in hexadecimal; two versions in a row never share one.
        hash: String,
        /// What the definition is called.
        name: Name,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Text>,
        /// Which event starts a run: `appointment.booked`; `schedule.due` if a time does, `run.called` if only other runs do.
        trigger_event_type: String,
        /// The whole definition: `runs_as`, `trigger`, `actions`, `retry`, `cancel_on`, `correlation`.
        document: Value,
    },
    /// No new runs start until the definition is resumed; running ones go on.
    Paused {
        /// Why.
        reason: Name,
    },
    /// New runs start again.
    Resumed {},
    /// No new run ever starts; running ones go on.
    Retired {
        /// Why.
        reason: Name,
    },
}
