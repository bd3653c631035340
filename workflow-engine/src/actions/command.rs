//! Sends any command.

use crate::actions::{Common, Kind};
use crate::check::{Found, Sent};
use crate::references::Sight;
use crate::turn::{Failure, Sending, Turn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Sends any command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SendCommand {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// Its dotted name: `crm.contact.link_to_client`.
    pub command: String,
    /// To what; a command that creates has none. A `{{ template }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The command's fields; texts may hold `{{ expressions }}`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

impl Kind for SendCommand {
    fn command(&self) -> Option<String> {
        Some(self.command.clone())
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        let (name, target) = (self.command.clone(), self.target.as_deref());
        found.command(at, &Sent { named_at: "command", name, target, parameters: &self.parameters }, sight);
    }

    fn result(&self, found: &Found<'_>) -> Value {
        found.answer_of(&self.command)
    }

    fn sends(&self, turn: &Turn<'_>) -> Option<Result<Sending, Failure>> {
        Some(turn.sends(&self.command, self.target.as_deref(), &self.parameters))
    }
}
