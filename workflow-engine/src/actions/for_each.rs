//! Does the same for each of many.

use crate::actions::{Action, Block, Common, Kind};
use crate::check::Found;
use crate::expression::{evaluate, kind};
use crate::references::Sight;
use crate::turn::{Failure, Turn};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{Entry, StepStatus};

/// Rounds of one loop, whatever its definition says.
const ROUNDS_MAX: u32 = 1_000;

/// Does the same for each of many: `item` is what a round is for, `index` its number from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForEach {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// An expression that gives a list.
    pub items: String,
    /// The longest list that it goes over; a longer one is a failure.
    #[serde(default = "rounds")]
    #[schemars(range(min = 1, max = 1_000))]
    pub at_most: u32,
    /// How many rounds go on at a time; one after the other unless given.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub parallel: u32,
    /// What is done in each round.
    #[schemars(length(min = 1, max = 100))]
    pub actions: Vec<Action>,
}

fn rounds() -> u32 {
    100
}

fn one() -> u32 {
    1
}

impl Kind for ForEach {
    fn blocks(&self) -> Vec<Block<'_>> {
        vec![Block { at: "/actions".to_owned(), case: None, actions: &self.actions, repeated: true }]
    }

    fn blocks_mut(&mut self) -> Vec<&mut Vec<Action>> {
        vec![&mut self.actions]
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.expression(&format!("{at}/items"), &self.items, sight);
    }

    fn result(&self, _: &Found<'_>) -> Value {
        json!({ "properties": { "count": { "type": "integer" }, "failed": { "type": "integer" } } })
    }

    fn take<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        async {
            if let Some(step) = turn.standing.run.step_at(&turn.path).filter(|step| step.status == StepStatus::Running)
            {
                // Every round is over.
                let run = turn.standing.run;
                let failed = |(path, step): &(&workflow::StepPath, &workflow::Step)| {
                    path.loop_and_number().is_some_and(|(of, _)| of == turn.path.as_str())
                        && step.status == StepStatus::Failed
                };
                let failed = run.steps.iter().filter(failed).count();
                let count = step.items.expose().map_or(0, Vec::len);
                return vec![turn.succeeded(json!({ "count": count, "failed": failed }))];
            }
            match evaluate(&self.items, turn.scope()) {
                Ok(Value::Array(items)) if items.len() <= self.at_most.min(ROUNDS_MAX) as usize => {
                    let (step, began_at) = (turn.path.clone(), turn.began_at);
                    vec![Entry::Expanded { step, began_at, items: items.into() }]
                }
                Ok(Value::Array(items)) => {
                    let message = format!("{} items are more than {}", items.len(), self.at_most.min(ROUNDS_MAX));
                    turn.failed(Failure::terminal("too_many_items", message))
                }
                Ok(other) => {
                    let message = format!("`items` gives {}, not a list", kind(&other));
                    turn.failed(Failure::terminal("items_not_a_list", message))
                }
                Err(error) => turn.failed(error.into()),
            }
        }
        .boxed()
    }
}
