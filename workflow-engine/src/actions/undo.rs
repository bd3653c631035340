//! How a step is taken back.

use crate::actions::OnError;
use crate::check::{Found, Sent};
use crate::expression::holds;
use crate::references::Sight;
use crate::turn::{Sending, Turn, left_out};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use workflow::Entry;

/// The command that takes back what a step did. Its expressions see the step's own `result` besides what the step saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Its dotted name: `projects.project.cancel`.
    pub command: String,
    /// To what: `{{ result.id }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The command's fields; texts may hold `{{ expressions }}`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// An expression; nothing is taken back unless it is true: `result.created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Whether the run stands still or goes on taking back what it did when this cannot be taken back: somebody may have come to an end
    /// with it already.
    #[serde(default)]
    pub on_error: OnError,
}

impl Undo {
    pub(crate) fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        if let Some(when) = &self.when {
            found.expression(&format!("{at}/when"), when, sight);
        }
        let (name, target) = (self.command.clone(), self.target.as_deref());
        found.command(at, &Sent { named_at: "command", name, target, parameters: &self.parameters }, sight);
    }

    /// The command that takes it back, or what is to be recorded instead. `turn` is that of the step's `undo`.
    pub(crate) fn sends(&self, turn: &Turn<'_>) -> Result<Sending, Vec<Entry>> {
        match self.when.as_deref().map(|when| holds(when, turn.scope())) {
            Some(Ok(false)) => {
                return Err(vec![Entry::LeftOut { step: turn.path.clone(), left_out: vec![], reason: left_out() }]);
            }
            Some(Err(error)) => return Err(turn.failed(error.into())),
            Some(Ok(true)) | None => {}
        }
        let sending = turn.sends(&self.command, self.target.as_deref(), &self.parameters);
        sending.map_err(|failure| turn.attempt(Err(failure)))
    }
}
