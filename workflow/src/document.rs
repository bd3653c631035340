//! What a definition may say.

use kernel::{Name, Pattern, Permissions, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A workflow definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What the definition is called; unique in the firm.
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// With which permissions its steps run, as patterns: `crm.client.tag`. No more than whoever publishes it holds; a step that
    /// needs another is refused. An action `notify` needs `workflow.run.notify`.
    #[schemars(length(max = 100))]
    pub runs_as: Vec<Pattern>,
    /// What starts a run.
    pub trigger: Trigger,
    /// What ends a run early.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel_on: Vec<CancelOn>,
    /// How failed steps are tried again, unless an action says otherwise.
    #[serde(default)]
    pub retry: Retry,
    /// What a run does, step by step.
    #[schemars(length(min = 1, max = 100))]
    pub actions: Vec<Action>,
}

/// What starts a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Which event: `appointment.booked`.
    pub event_type: String,
    /// An expression over `event`; without it, every such event starts a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// What ends a run early; what it has done stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOn {
    /// Which event.
    pub event_type: String,
    /// An expression over `event`, `trigger` and `steps`.
    #[serde(rename = "match")]
    pub matching: String,
    /// What the run's history says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Name>,
}

/// How a failed step is tried again: the pause grows by `factor` from `initial_ms` to `cap_ms`, and any time up to it is
/// drawn, so that many runs that failed together do not come back together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all; then the run is parked.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: u32,
    /// The first pause at most, in milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub initial_ms: u64,
    /// How much longer each pause may be than the one before.
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: f64,
    /// The longest pause, in milliseconds.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub cap_ms: u64,
    /// How long to go on trying in all, in seconds; then the run is parked.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub max_elapsed_s: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 12, initial_ms: 500, factor: 2.0, cap_ms: 300_000, max_elapsed_s: 86_400 }
    }
}

/// One thing that a run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Action {
    /// Creates something: the command `<domain>.<entity>.create`, or `create_from_template` if there is a `template`.
    CreateEntity(CreateEntity),
    /// Sends any command.
    Command(SendCommand),
    /// Waits.
    Wait(Wait),
    /// Has somebody told something.
    Notify(Notify),
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

/// Waits for one of three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// For so long: `90s`, `15m`, `2h`, `3d`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Until then: a `{{ template }}` that gives an RFC 3339 time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Until that happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<AwaitedEvent>,
}

/// The event that a step waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwaitedEvent {
    /// Which event.
    pub event_type: String,
    /// An expression over `event` (this one), `trigger` and `steps`.
    #[serde(rename = "match")]
    pub matching: String,
    /// For how long at most: `30d`. Then the step has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

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

impl Action {
    /// What every action may say.
    pub fn common(&self) -> &Common {
        match self {
            Self::CreateEntity(CreateEntity { common, .. })
            | Self::Command(SendCommand { common, .. })
            | Self::Wait(Wait { common, .. })
            | Self::Notify(Notify { common, .. }) => common,
        }
    }

    /// The dotted name of the command it sends, if it sends one.
    pub fn command(&self) -> Option<String> {
        match self {
            Self::CreateEntity(CreateEntity { domain, entity, parameters, .. }) => {
                let action = if parameters.contains_key("template") { "create_from_template" } else { "create" };
                Some(format!("{domain}.{entity}.{action}"))
            }
            Self::Command(send) => Some(send.command.clone()),
            Self::Wait(_) | Self::Notify(_) => None,
        }
    }
}

/// The permission to have somebody told something.
pub(crate) const NOTIFY: &str = "workflow.run.notify";

impl Action {
    /// The permission that it needs: its command, if it sends one.
    pub fn permission(&self) -> Option<String> {
        match self {
            Self::Notify(_) => Some(NOTIFY.to_owned()),
            Self::CreateEntity(_) | Self::Command(_) | Self::Wait(_) => self.command(),
        }
    }
}

impl Document {
    /// What its steps may do.
    pub fn permissions(&self) -> Permissions {
        Permissions::patterns(self.runs_as.iter().map(Pattern::as_str))
    }

    /// The id of the step at `index`.
    pub fn step_id(&self, index: usize) -> String {
        let given = self.actions.get(index).and_then(|action| action.common().id.clone());
        given.unwrap_or_else(|| format!("step_{index}"))
    }

    /// The ids of all steps, in order.
    pub fn step_ids(&self) -> Vec<String> {
        (0..self.actions.len()).map(|index| self.step_id(index)).collect()
    }
}

/// `90s`, `15m`, `2h`, `3d`; at most ten years.
pub(crate) fn duration(text: &str) -> Option<chrono::TimeDelta> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let total = number.parse::<u32>().ok().map(i64::from)?.checked_mul(seconds)?;
    (total <= 10 * 366 * 86_400).then(|| chrono::TimeDelta::seconds(total))
}
