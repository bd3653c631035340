//! Has somebody told something.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::references::Sight;
use crate::template::render_string;
use crate::turn::{Failure, Turn, denied};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::Text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::Entry;

/// The permission to have somebody told something.
pub(crate) const NOTIFY: &str = "workflow.run.notify";

/// Has somebody told something. The request is an event of the run; the communications context delivers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notify {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// Who; may hold `{{ expressions }}`.
    pub to: String,
    /// In one line; may hold `{{ expressions }}`.
    pub subject: String,
    /// In full; may hold `{{ expressions }}`.
    pub body: String,
}

impl Kind for Notify {
    fn permission(&self) -> Option<String> {
        Some(NOTIFY.to_owned())
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.within(&format!("{at}/type"), NOTIFY);
        for (name, text) in [("to", &self.to), ("subject", &self.subject), ("body", &self.body)] {
            found.template(&format!("{at}/{name}"), &Value::from(text.as_str()), sight);
        }
    }

    fn result(&self, _: &Found<'_>) -> Value {
        json!({ "properties": { "requested": { "type": "boolean" } } })
    }

    fn take<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        async {
            // Telling somebody is no command, and reaches further than most.
            if !turn.standing.document.permissions().allow(NOTIFY) {
                return turn.failed(denied());
            }
            let text = |template: &str| -> Result<Text, Failure> {
                let text = render_string(template, turn.scope())?;
                text.parse().map_err(|error| Failure::terminal("text_not_allowed", format!("{error}")))
            };
            let filled = || Ok((render_string(&self.to, turn.scope())?, text(&self.subject)?, text(&self.body)?));
            match filled() {
                Ok((to, subject, body)) => {
                    let step = turn.path.clone();
                    let notified = Entry::Notified { step, to: to.into(), subject: subject.into(), body: body.into() };
                    vec![notified, turn.succeeded(json!({ "requested": true }))]
                }
                Err(failure) => turn.failed(failure),
            }
        }
        .boxed()
    }
}
