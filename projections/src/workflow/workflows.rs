//! Workflow definitions in their newest version.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::workflow_events::{DefinitionEvent as E, DefinitionStatus};
use kernel::{DefinitionId, Machine, Name, Pattern, Text, read_model};
use serde_json::Value;

/// Workflow definitions in their newest version.
#[read_model(
    "workflow.workflows",
    id = DefinitionId,
    read = "workflow.definition.read",
    path = "workflow/definitions",
    updated_at(sort),
    away(status = "retired")
)]
pub struct WorkflowRow {
    /// What it is called.
    #[column(filter, sort)]
    pub name: Name,
    /// What it is for.
    pub description: Option<Text>,
    /// Which event starts a run.
    #[column(filter)]
    pub trigger_event_type: String,
    /// What the event must satisfy, if anything.
    pub conditions: Option<Value>,
    /// What a run does.
    pub actions: Value,
    /// How failures are retried, if the definition says so.
    pub retry_policy: Option<Value>,
    /// Which version of the definition this is.
    pub definition_version: u32,
    /// SHA-256 of its document.
    pub definition_hash: String,
    /// Why it is paused or retired.
    pub reason: Option<Name>,
    /// With which permissions its steps run.
    pub runs_as: Vec<Pattern>,
    /// Where it stands.
    #[column(filter)]
    pub status: DefinitionStatus,
}

impl Fold for WorkflowRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Published { version, hash, name, description, trigger_event_type, document } = change else {
            return None;
        };
        let part = |value: &Value| (!value.is_null()).then(|| value.clone());
        Some(Self {
            name: name.clone(),
            description: description.clone(),
            trigger_event_type: trigger_event_type.clone(),
            conditions: part(&document["trigger"]["condition"]),
            actions: document["actions"].clone(),
            retry_policy: part(&document["retry"]),
            definition_version: *version,
            definition_hash: hash.clone(),
            reason: None,
            runs_as: patterns(&document["runs_as"]),
            status: DefinitionStatus::default(),
        })
    }

    fn apply(&mut self, change: &E, event: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            // Another version leaves it as paused as it was.
            E::Published { .. } => {
                let Some(newer) = Self::begin(change, event) else { return Ok(()) };
                let before = std::mem::replace(self, newer);
                (self.status, self.reason) = (before.status, before.reason);
            }
            E::Paused { reason } | E::Retired { reason } => self.reason = Some(reason.clone()),
            E::Resumed {} => self.reason = None,
        }
        self.status = self.status.after(change);
        Ok(())
    }
}

/// What a document says of what its steps may do. Everything that is published has been checked.
fn patterns(runs_as: &Value) -> Vec<Pattern> {
    runs_as.as_array().into_iter().flatten().filter_map(|pattern| pattern.as_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_workflow_may_is_shown_as_it_was_published() {
        let shown = patterns(&json!(["crm.client.tag", "!crm.client.erase"]));
        assert_eq!(shown.iter().map(Pattern::as_str).collect::<Vec<_>>(), ["crm.client.tag", "!crm.client.erase"]);
        assert_eq!(patterns(&Value::Null), []);
    }
}
