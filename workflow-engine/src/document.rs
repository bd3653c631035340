//! What a definition may say.

use crate::actions::{Action, Block, Undo};
use kernel::{Name, Pattern, Permissions, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::StepPath;

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
    /// needs another is refused. An action `notify` needs `workflow.run.notify`, `run_workflow` needs `workflow.run.call`.
    #[schemars(length(max = 100))]
    pub runs_as: Vec<Pattern>,
    /// What starts a run.
    pub trigger: Trigger,
    /// How many runs for the same thing go on at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlation>,
    /// What ends a run early, and has what it did taken back where the actions say how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancel_on: Vec<CancelOn>,
    /// How failed steps are tried again, unless an action says otherwise.
    #[serde(default)]
    pub retry: Retry,
    /// What a run does, step by step.
    #[schemars(length(min = 1, max = 100))]
    pub actions: Vec<Action>,
}

/// What starts a run: an event, a time, or a step of another run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Which event: `appointment.booked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// An expression over `event`; without it, every such event starts a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// At which times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Only when another workflow's `run_workflow` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
}

/// The kinds of event that the trigger of a schedule and of a call are told as; the log has none of them.
pub(crate) const SCHEDULE_DUE: &str = "schedule.due";
pub(crate) const RUN_CALLED: &str = "run.called";

impl Trigger {
    /// The kind of event that starts a run, or what stands for it.
    pub fn kind(&self) -> &str {
        match (&self.event_type, &self.schedule) {
            (Some(event_type), _) => event_type,
            (None, Some(_)) => SCHEDULE_DUE,
            (None, None) => RUN_CALLED,
        }
    }
}

/// At which times runs start. A time that passed while no engine ran is made up for once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Minute, hour, day of the month, month, day of the week: `0 9 * * mon-fri`.
    pub cron: String,
    /// Where the clock hangs: `Europe/Berlin`.
    pub time_zone: String,
}

/// What a workflow is called with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Called {
    /// The JSON Schema of the input, which steps see as `event.payload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// How many runs for the same thing go on at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// An expression over `event` that gives a text: what a run is for.
    pub key: String,
    /// What becomes of a run when another one with the same key goes on.
    pub policy: Policy,
}

/// What becomes of a run when another one with the same key goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Both go on.
    Allow,
    /// The new one does not start.
    SkipIfRunning,
    /// The old one is cancelled.
    CancelRunning,
    /// The new one starts when the old one has ended.
    Queue,
}

/// What ends a run early. What it has done is taken back where the actions say how; where the event must be about what the
/// trigger is about (`event.aggregate_id == trigger.aggregate_id`), also when the run has succeeded before.
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

impl Document {
    /// Reads a definition; every action has an id then.
    pub fn read(document: &Value) -> Result<Self, serde_json::Error> {
        let mut read = Self::deserialize(document)?;
        name_all(&mut read.actions, "step");
        Ok(read)
    }

    /// What its steps may do.
    pub fn permissions(&self) -> Permissions {
        Permissions::patterns(self.runs_as.iter().map(Pattern::as_str))
    }

    /// The paths of the steps that are there from the beginning, in order.
    pub fn steps(&self) -> Vec<StepPath> {
        self.actions.iter().filter_map(|action| action.id().parse().ok()).collect()
    }

    /// Every action, those inside of others too.
    pub fn every<'a>(&'a self, visit: &mut impl FnMut(&'a Action)) {
        every(&self.actions, visit);
    }

    /// The action with this id; no two have the same.
    pub fn action(&self, id: &str) -> Option<&Action> {
        let mut found = None;
        self.every(&mut |action| {
            if action.id() == id {
                found = Some(action);
            }
        });
        found
    }

    /// How the step at this path is taken back, if its action says so.
    pub fn undo(&self, path: &StepPath) -> Option<&Undo> {
        self.action(path.id())?.common().undo.as_ref()
    }

    /// Does any action say how it is taken back?
    pub fn compensates(&self) -> bool {
        let mut compensates = false;
        self.every(&mut |action| compensates |= action.common().undo.is_some());
        compensates
    }
}

fn every<'a>(actions: &'a [Action], visit: &mut impl FnMut(&'a Action)) {
    // Recursion over a trait object's blocks needs one type of visitor.
    fn walk<'a>(actions: &'a [Action], visit: &mut dyn FnMut(&'a Action)) {
        for action in actions {
            visit(action);
            for Block { actions, .. } in action.kind().blocks() {
                walk(actions, visit);
            }
        }
    }
    walk(actions, visit);
}

/// Gives every action without an id one that derives from its place.
fn name_all(actions: &mut [Action], of: &str) {
    for (index, action) in actions.iter_mut().enumerate() {
        let id = action.common_mut().id.get_or_insert_with(|| format!("{of}_{index}")).clone();
        for (block, actions) in action.kind_mut().blocks_mut().into_iter().enumerate() {
            name_all(actions, &if block == 0 { id.clone() } else { format!("{id}_{block}") });
        }
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
