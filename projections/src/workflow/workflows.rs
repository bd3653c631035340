//! Workflow definitions in their newest version.

use crate::model::{Away, Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{DefinitionId, Machine, Name, Pattern, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use workflow_events::{DefinitionEvent as E, DefinitionStatus};

/// A workflow definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowRow {
    /// Its id.
    pub id: DefinitionId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What it is called.
    pub name: Name,
    /// What it is for.
    pub description: Option<Text>,
    /// Which event starts a run.
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
    pub status: DefinitionStatus,
}

impl ReadModel for WorkflowRow {
    const TABLE: &'static str = "workflow.workflows";
    const STREAMS: &'static [&'static str] = &["workflow.definition"];
    const PATH: &'static str = "workflow/definitions";
    const READ: &'static str = "workflow.definition.read";
    const ABOUT: &'static str = "Workflow definitions in their newest version.";
    const FILTER: &'static [&'static str] = &["name", "trigger_event_type", "status"];
    const AWAY: Option<Away> = Some(Away::Status("retired"));
    const SORT: &'static [&'static str] = &["name", "created_at", "updated_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Definition(change) = &event.payload else { return Ok(row) };
        if let E::Published { version, hash, name, description, trigger_event_type, document } = change {
            let part = |value: &Value| (!value.is_null()).then(|| value.clone());
            return Ok(Some(Self {
                id: DefinitionId(key),
                version: event.sequence,
                created_at: row.as_ref().map_or(event.recorded_at, |before| before.created_at),
                updated_at: event.recorded_at,
                name: name.clone(),
                description: description.clone(),
                trigger_event_type: trigger_event_type.clone(),
                conditions: part(&document["trigger"]["condition"]),
                actions: document["actions"].clone(),
                retry_policy: part(&document["retry"]),
                status: row.as_ref().map(|before| before.status).unwrap_or_default(),
                definition_version: *version,
                definition_hash: hash.clone(),
                reason: row.and_then(|before| before.reason),
                runs_as: patterns(&document["runs_as"]),
            }));
        }
        let mut row = existing(row, event)?;
        row.status = row.status.after(change);
        match change {
            E::Published { .. } => {}
            E::Paused { reason } | E::Retired { reason } => row.reason = Some(reason.clone()),
            E::Resumed {} => row.reason = None,
        }
        Ok(Some(row))
    }

    stamped!();
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
