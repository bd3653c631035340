//! Goes on with the steps of the first case that holds.

use crate::actions::{Action, Block, Common, Kind};
use crate::check::Found;
use crate::expression::holds;
use crate::plan::inside;
use crate::references::Sight;
use crate::turn::Turn;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::Entry;

/// Goes on with the steps of the first case that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Choose {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// The cases, in order.
    #[schemars(length(min = 1, max = 20))]
    pub cases: Vec<Case>,
    /// What is done if no case holds; nothing unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub otherwise: Vec<Action>,
}

/// One case of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is called in the result.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,62}$"))]
    pub name: String,
    /// An expression; the case is chosen if it is true.
    pub when: String,
    /// What is done then.
    #[schemars(length(max = 100))]
    pub actions: Vec<Action>,
}

/// What the case is called that is chosen when no other holds.
const OTHERWISE: &str = "otherwise";

impl Kind for Choose {
    fn blocks(&self) -> Vec<Block<'_>> {
        let case = |(index, case): (usize, &'_ Case)| (format!("/cases/{index}/actions"), case.name.clone());
        let mut blocks: Vec<Block<'_>> = vec![];
        for (index, each) in self.cases.iter().enumerate() {
            let (at, name) = case((index, each));
            blocks.push(Block { at, case: Some(name), actions: &each.actions, repeated: false });
        }
        let (at, case) = ("/otherwise".to_owned(), Some(OTHERWISE.to_owned()));
        blocks.push(Block { at, case, actions: &self.otherwise, repeated: false });
        blocks
    }

    fn blocks_mut(&mut self) -> Vec<&mut Vec<Action>> {
        self.cases.iter_mut().map(|case| &mut case.actions).chain([&mut self.otherwise]).collect()
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        for (index, case) in self.cases.iter().enumerate() {
            found.expression(&format!("{at}/cases/{index}/when"), &case.when, sight);
            if case.name == OTHERWISE || self.cases[..index].iter().any(|before| before.name == case.name) {
                found.add(format!("{at}/cases/{index}/name"), "duplicate_case", "every case has a name of its own");
            }
        }
    }

    fn result(&self, _: &Found<'_>) -> Value {
        json!({ "properties": { "case": { "type": ["string", "null"] } } })
    }

    fn take<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        async {
            let mut chosen = (!self.otherwise.is_empty()).then(|| OTHERWISE.to_owned());
            for case in &self.cases {
                match holds(&case.when, turn.scope()) {
                    Ok(false) => {}
                    Ok(true) => {
                        chosen = Some(case.name.clone());
                        break;
                    }
                    Err(error) => return turn.failed(error.into()),
                }
            }
            let others = self.blocks().into_iter().filter(|block| block.case != chosen);
            let left_out = others.flat_map(|block| inside(&turn.path, block.actions)).collect();
            vec![Entry::Chosen { step: turn.path.clone(), case: chosen, left_out }]
        }
        .boxed()
    }
}
