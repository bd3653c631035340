//! What a step may do: one file for each kind of action, and one line in the list below.

mod approval;
mod call_api;
mod choose;
mod command;
mod create_entity;
mod for_each;
mod notify;
mod run_workflow;
mod send_email;
mod undo;
mod wait;

pub(crate) use approval::due as approval_due;
pub(crate) use notify::NOTIFY;
pub(crate) use run_workflow::CALL;
pub use undo::Undo;
pub(crate) use wait::TIMED_OUT;

use crate::check::Found;
use crate::document::Retry;
use crate::references::Sight;
use crate::turn::{Failure, Sending, Turn, classify, result};
use event_store::{DecidedCommand, ExecuteError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::Entry;

/// Makes the enum of all actions.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident($kind:ty),)*) => {
        /// One thing that a run does.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", rename_all = "snake_case")]
        pub enum Action {
            $($(#[$doc])* $name($kind),)*
        }

        impl Action {
            pub(crate) fn kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$name(action) => action,)*
                }
            }

            pub(crate) fn kind_mut(&mut self) -> &mut dyn Kind {
                match self {
                    $(Self::$name(action) => action,)*
                }
            }

            /// What every action may say.
            pub fn common(&self) -> &Common {
                match self {
                    $(Self::$name(action) => &action.common,)*
                }
            }

            pub(crate) fn common_mut(&mut self) -> &mut Common {
                match self {
                    $(Self::$name(action) => &mut action.common,)*
                }
            }
        }
    };
}

actions! {
    /// Creates something: the command `<domain>.<entity>.create`, or `create_from_template` if there is a `template`.
    CreateEntity(create_entity::CreateEntity),
    /// Sends any command.
    Command(command::SendCommand),
    /// Waits.
    Wait(wait::Wait),
    /// Has somebody decide.
    Approval(approval::Approval),
    /// Goes on with the steps of the first case that holds.
    Choose(choose::Choose),
    /// Does the same for each of many.
    ForEach(for_each::ForEach),
    /// Has somebody told something.
    Notify(notify::Notify),
    /// Sends an email.
    SendEmail(send_email::SendEmail),
    /// Calls a provider's own API through a connection.
    CallApi(call_api::CallApi),
    /// Starts a run of another workflow and waits for its end.
    RunWorkflow(run_workflow::RunWorkflow),
}

/// What every kind of action answers.
pub(crate) trait Kind: Send + Sync {
    /// The dotted name of the command it sends, if it sends one.
    fn command(&self) -> Option<String> {
        None
    }

    /// The permission that it needs, if it needs one.
    fn permission(&self) -> Option<String> {
        self.command()
    }

    /// Does it do something that the log does not know of? Then everything before it is in the log first.
    fn is_outside(&self) -> bool {
        false
    }

    /// The steps inside of it.
    fn blocks(&self) -> Vec<Block<'_>> {
        vec![]
    }

    /// The same, to name them.
    fn blocks_mut(&mut self) -> Vec<&mut Vec<Action>> {
        vec![]
    }

    /// Everything that can be wrong with it before it runs; `at` is its place.
    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>);

    /// The JSON Schema of what later steps see as its result.
    fn result(&self, found: &Found<'_>) -> Value;

    /// The command that the step is for; none if it is for something else, which [`Kind::take`] does.
    fn sends(&self, _turn: &Turn<'_>) -> Option<Result<Sending, Failure>> {
        None
    }

    /// What is to be recorded of the command.
    fn answered(&self, turn: &Turn<'_>, answer: Result<DecidedCommand, ExecuteError>) -> Vec<Entry> {
        turn.attempt(answer.map(|decided| result(&decided)).map_err(classify))
    }

    /// The commands that the step is for, if they are several, and found out when it is taken.
    fn sends_several<'a>(&'a self, _turn: &'a Turn<'_>) -> BoxFuture<'a, Option<Result<Vec<Sending>, Failure>>> {
        std::future::ready(None).boxed()
    }

    /// What is to be recorded once all of them were sent.
    fn sent(&self, turn: &Turn<'_>, several: &[Sending]) -> Vec<Entry> {
        vec![turn.succeeded(serde_json::json!({ "count": several.len() }))]
    }

    /// Takes a step that sends no command, and answers what is to be recorded.
    fn take<'a>(&'a self, _turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        std::future::ready(vec![]).boxed()
    }
}

/// Steps inside of an action, of which all are taken, one after the other.
pub(crate) struct Block<'a> {
    /// Its place below the action: `/cases/0/actions`.
    pub at: String,
    /// What the case is called, for a choice.
    pub case: Option<String>,
    /// The steps.
    pub actions: &'a [Action],
    /// They are taken for each of many, and are out of sight from outside.
    pub repeated: bool,
}

/// What every action may say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Common {
    /// What later steps call this one: `steps.contact.result.id`. `step_2` for the third one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,62}$"))]
    pub id: Option<String>,
    /// An expression; the step is left out unless it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// How this step is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Whether the run stands still or goes on when the step has failed for good.
    #[serde(default)]
    pub on_error: OnError,
    /// Codes of failures after which the run goes on, whatever `on_error` says: `revenue.invoice.nothing_due`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub tolerates: Vec<String>,
    /// How what the step did is taken back when the run is cancelled or somebody asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
}

/// What becomes of the run when a step has failed for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It stands still until an operator acts.
    #[default]
    Park,
    /// It goes on with the next step.
    Continue,
}

impl Action {
    /// What later steps call it.
    pub fn id(&self) -> &str {
        self.common().id.as_deref().unwrap_or_default()
    }

    /// The dotted name of the command it sends, if it sends one.
    pub fn command(&self) -> Option<String> {
        self.kind().command()
    }

    /// The permission that it needs, if it needs one.
    pub fn permission(&self) -> Option<String> {
        self.kind().permission()
    }
}
