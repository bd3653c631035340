//! Waits: for a time, an event, a signal, or whichever of several comes first.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::document::duration;
use crate::references::Sight;
use crate::template::render_string;
use crate::turn::{Failure, Turn};
use chrono::Utc;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::Entry;
use workflow_events::{Awaited, Deadline, Wait as Told};

/// What a step fails with whose event did not come in time.
pub(crate) const TIMED_OUT: &str = "wait_timed_out";

/// Waits for one of four.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// For so long: `90s`, `15m`, `2h`, `3d`; may hold `{{ expressions }}`: `{{ item.days }}d`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Until then: a `{{ template }}` that gives an RFC 3339 time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Until that happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<AwaitedEvent>,
    /// Until the first of these comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub any: Option<Vec<Alternative>>,
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

/// One of several things that end a wait: an event, a time or a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// What the result says when it came: `steps.answer.result.came == 'signed'`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,62}$"))]
    pub name: String,
    /// Which event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// An expression over `event` (this one), `trigger` and `steps`.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// After so long: `30d`; may hold `{{ expressions }}`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Then: a `{{ template }}` that gives an RFC 3339 time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// When somebody sends the run a signal of this name (`POST /v1/workflow/runs/{id}/signal`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signal: bool,
}

impl Wait {
    fn alternatives(&self) -> &[Alternative] {
        self.any.as_deref().unwrap_or_default()
    }

    /// What the run waits for, as of now.
    fn told(&self, turn: &Turn<'_>) -> Result<Told, Failure> {
        let mut told = Told::default();
        let named = |at, name: &str| Some(Deadline { at, name: Some(name.to_owned()) });
        if let Some(length) = &self.duration {
            told.deadline = named(long(length, turn)?, "time");
        } else if let Some(until) = &self.until {
            told.deadline = named(time(until, turn)?, "time");
        } else if let Some(event) = &self.event {
            let AwaitedEvent { event_type, matching, timeout } = event.clone();
            told.events.push(Awaited { name: "event".to_owned(), event_type, matching: Some(matching) });
            told.deadline = timeout.map(|timeout| after(&timeout)).transpose()?.map(|at| Deadline { at, name: None });
        }
        for alternative in self.alternatives() {
            let Alternative { name, event_type, matching, duration, until, signal } = alternative;
            if let Some(event_type) = event_type {
                let (name, event_type, matching) = (name.clone(), event_type.clone(), matching.clone());
                told.events.push(Awaited { name, event_type, matching });
            }
            if *signal {
                told.signals.push(name.clone());
            }
            let at = match (duration, until) {
                (Some(length), _) => Some(long(length, turn)?),
                (None, Some(until)) => Some(time(until, turn)?),
                (None, None) => None,
            };
            let sooner = |at: &Timestamp| told.deadline.as_ref().is_none_or(|before| *at < before.at);
            if let Some(at) = at.filter(sooner) {
                told.deadline = named(at, name);
            }
        }
        Ok(told)
    }
}

fn after(text: &str) -> Result<Timestamp, Failure> {
    let length = duration(text).ok_or_else(|| Failure::terminal("invalid_duration", "not a duration"))?;
    Ok(Timestamp::of_clock(Utc::now()) + length)
}

/// After so long as a template says.
fn long(template: &str, turn: &Turn<'_>) -> Result<Timestamp, Failure> {
    after(&render_string(template, turn.scope())?)
}

fn time(template: &str, turn: &Turn<'_>) -> Result<Timestamp, Failure> {
    let text = render_string(template, turn.scope())?;
    let message = "`until` did not give an RFC 3339 time of the years 1 to 9999";
    text.parse().map_err(|_| Failure::terminal("until_not_a_time", message))
}

impl Kind for Wait {
    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        let given = [self.duration.is_some(), self.until.is_some(), self.event.is_some(), self.any.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            found.add(at, "wait_needs_one", "a wait says one of `for`, `until`, `event` and `any`");
        }
        if let Some(length) = &self.duration {
            found.duration_or_template(&format!("{at}/for"), length, sight);
        }
        if let Some(until) = &self.until {
            found.template(&format!("{at}/until"), &Value::from(until.as_str()), sight);
        }
        if let Some(AwaitedEvent { event_type, matching, timeout }) = &self.event {
            found.awaited(&format!("{at}/event"), event_type, matching, sight);
            if let Some(timeout) = timeout {
                found.duration(&format!("{at}/event/timeout"), timeout);
            }
        }
        for (index, alternative) in self.alternatives().iter().enumerate() {
            let at = format!("{at}/any/{index}");
            let Alternative { name, event_type, matching, duration, until, signal } = alternative;
            let given = [event_type.is_some(), duration.is_some(), until.is_some(), *signal];
            if given.iter().filter(|given| **given).count() != 1 {
                found.add(&at, "wait_needs_one", "it is one of an `event_type`, `for`, `until` and a `signal`");
            }
            if self.alternatives()[..index].iter().any(|before| before.name == *name) {
                found.add(format!("{at}/name"), "duplicate_case", "each has a name of its own");
            }
            match (event_type, matching) {
                (Some(event_type), Some(matching)) => found.awaited(&at, event_type, matching, sight),
                (Some(_), None) => found.add(&at, "missing_field", "`match` says which of those events it is"),
                (None, Some(_)) => found.add(&at, "unknown_field", "only an event has a `match`"),
                (None, None) => {}
            }
            if let Some(length) = duration {
                found.duration_or_template(&format!("{at}/for"), length, sight);
            }
            if let Some(until) = until {
                found.template(&format!("{at}/until"), &Value::from(until.as_str()), sight);
            }
        }
    }

    fn result(&self, found: &Found<'_>) -> Value {
        let mut fields = json!({ "came": { "type": "string" } });
        let kinds: Vec<&str> = match &self.event {
            Some(event) => vec![&event.event_type],
            None => self.alternatives().iter().filter_map(|one| one.event_type.as_deref()).collect(),
        };
        if !kinds.is_empty() {
            fields["event"] = found.event_shape(&kinds);
        }
        if self.alternatives().iter().any(|one| one.signal) {
            fields["signal"] = json!({});
        }
        let timed = |one: &Alternative| one.duration.is_some() || one.until.is_some();
        if self.duration.is_some() || self.until.is_some() || self.alternatives().iter().any(timed) {
            fields["until"] = json!({ "type": "string" });
        }
        json!({ "properties": fields })
    }

    fn take<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        async {
            match self.told(turn) {
                Ok(told) if told == Told::default() => turn.failed(Failure::terminal(
                    "wait_needs_one",
                    "a wait says one of `for`, `until`, `event` and `any`",
                )),
                Ok(wait) => vec![Entry::Waiting { step: turn.path.clone(), began_at: turn.began_at, wait }],
                Err(failure) => turn.failed(failure),
            }
        }
        .boxed()
    }
}
