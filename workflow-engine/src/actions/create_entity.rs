//! Creates something, or takes what is there.

use crate::actions::{Common, Kind};
use crate::check::{Found, Sent};
use crate::references::Sight;
use crate::turn::{Failure, Sending, Turn, classify, result};
use event_store::{DecidedCommand, ExecuteError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use workflow::Entry;

/// Creates something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreateEntity {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// In which context: `crm`.
    pub domain: String,
    /// What: `client`.
    pub entity: String,
    /// The command's fields; texts may hold `{{ expressions }}`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// If there is one already that holds the same unique value, such as the e-mail address, takes that.
    #[serde(default, rename = "match")]
    pub matching: bool,
}

impl CreateEntity {
    fn name(&self) -> String {
        let action = if self.parameters.contains_key("template") { "create_from_template" } else { "create" };
        format!("{}.{}.{action}", self.domain, self.entity)
    }
}

impl Kind for CreateEntity {
    fn command(&self) -> Option<String> {
        Some(self.name())
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        let sent = Sent { named_at: "entity", name: self.name(), target: None, parameters: &self.parameters };
        found.command(at, &sent, sight);
    }

    fn result(&self, found: &Found<'_>) -> Value {
        found.answer_of(&self.name())
    }

    fn sends(&self, turn: &Turn<'_>) -> Option<Result<Sending, Failure>> {
        // The claim names what holds the value; only if that is the same kind of thing, it is what we look for.
        let takes = self.matching.then(|| format!("{}.{}.", self.domain, self.entity));
        Some(turn.sends(&self.name(), None, &self.parameters).map(|sending| Sending { takes, ..sending }))
    }

    fn answered(&self, turn: &Turn<'_>, answer: Result<DecidedCommand, ExecuteError>) -> Vec<Entry> {
        let prefix = format!("{}.{}.", self.domain, self.entity);
        turn.attempt(match answer {
            Ok(decided) => Ok(result(&decided)),
            Err(ExecuteError::Claimed { scope, holder }) if self.matching && scope.starts_with(&prefix) => {
                Ok(json!({ "id": holder, "created": false }))
            }
            Err(error) => Err(classify(error)),
        })
    }
}
