//! Starts a run of another workflow and waits for its end.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::children;
use crate::references::Sight;
use crate::template::render;
use crate::turn::{Turn, denied};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::{Name, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use workflow::Entry;
use workflow_events::Wait;

/// The permission to start a run of another workflow.
pub(crate) const CALL: &str = "workflow.run.call";

/// Starts a run of another workflow, whose trigger says `called`, and waits for its end. It runs with the permissions of its own
/// definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunWorkflow {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// What the other definition is called.
    pub workflow: Name,
    /// What its steps see as `event.payload`; texts may hold `{{ expressions }}`.
    #[serde(default)]
    pub input: Map<String, Value>,
}

impl Kind for RunWorkflow {
    fn permission(&self) -> Option<String> {
        Some(CALL.to_owned())
    }

    fn is_outside(&self) -> bool {
        true
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.within(&format!("{at}/type"), CALL);
        found.template(&format!("{at}/input"), &Value::Object(self.input.clone()), sight);
    }

    fn result(&self, _: &Found<'_>) -> Value {
        json!({ "properties": { "run_id": { "type": "string" }, "status": { "type": "string" } } })
    }

    fn take<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        async {
            if !turn.standing.document.permissions().allow(CALL) {
                return turn.failed(denied());
            }
            let input = match render(&Value::Object(self.input.clone()), turn.scope()) {
                Ok(input) => input,
                Err(error) => return turn.failed(error.into()),
            };
            match children::start(turn, &self.workflow, input).await {
                Ok(run) => {
                    let wait = Wait { run: Some(RunId(run)), ..Wait::default() };
                    vec![Entry::Waiting { step: turn.path.clone(), began_at: turn.began_at, wait }]
                }
                Err(failure) => turn.attempt(Err(failure)),
            }
        }
        .boxed()
    }
}
