//! Everything that can be wrong with a definition, found before it is published: each problem with its place and a stable
//! code, all of them at once.

use crate::document::{Action, AwaitedEvent, CreateEntity, Document, NOTIFY, Notify, SendCommand, Wait, duration};
use crate::expression::compile;
use crate::references::{Sight, unknown};
use crate::schema::{PARTS, problems};
use crate::template::{Part, escaped, expressions, parts};
use event_store::CommandBus;
use kernel::{Pattern, Permissions};
use serde_json::{Map, Value};

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// JSON Pointer into the definition: `/actions/2/parameters/name`.
    pub path: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(f, "{path}: {} ({})", self.message, self.code)
    }
}

/// Reads YAML, of which JSON is a part.
pub fn read(text: &str) -> Result<Value, Problem> {
    serde_saphyr::from_str(text).map_err(|error| {
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        Problem { path: String::new(), code: "not_yaml", message }
    })
}

/// Checks a definition against its schema, the commands of `bus` and the catalogue of events.
pub fn check(definition: &Value, bus: &CommandBus) -> Result<Document, Vec<Problem>> {
    check_for(definition, bus, &Permissions::all())
}

/// The same, for somebody who holds `held`: they can neither let steps do what they may not do themselves, nor look at
/// events that they may not read.
pub(crate) fn check_for(definition: &Value, bus: &CommandBus, held: &Permissions) -> Result<Document, Vec<Problem>> {
    let mut found = Found { held: held.clone(), ..Found::default() };
    found.shape(definition);
    found.answer()?;
    let document: Document = match serde_json::from_value(definition.clone()) {
        Ok(document) => document,
        Err(error) => {
            found.add("", "invalid_value", error.to_string());
            return Err(found.problems);
        }
    };
    found.graph(&document, bus);
    found.answer()?;
    Ok(document)
}

#[derive(Default)]
struct Found {
    problems: Vec<Problem>,
    /// What whoever publishes may do.
    held: Permissions,
    /// What the steps may do.
    runs_as: Permissions,
}

impl Found {
    fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), code, message: message.into() });
    }

    fn answer(&mut self) -> Result<(), Vec<Problem>> {
        if self.problems.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.problems)) }
    }

    fn shape(&mut self, definition: &Value) {
        let Some(schema) = PARTS.as_ref() else {
            return self.add("", "invalid_value", "the schema of definitions is broken");
        };
        for (path, code, message) in problems(&schema.document, definition) {
            self.add(path, code, message);
        }
        for (index, pattern) in definition["runs_as"].as_array().into_iter().flatten().enumerate() {
            if let Some(Err(error)) = pattern.as_str().map(str::parse::<Pattern>) {
                self.add(format!("/runs_as/{index}"), "invalid_value", error.to_string());
            }
        }
        for (index, action) in definition["actions"].as_array().into_iter().flatten().enumerate() {
            let Some(kind) = action["type"].as_str() else { continue };
            let at = format!("/actions/{index}");
            let Some(validator) = schema.actions.get(kind) else {
                let known: Vec<&str> = schema.actions.keys().map(String::as_str).collect();
                self.add(format!("{at}/type"), "unknown_action", format!("{kind:?} is none of {}", known.join(", ")));
                continue;
            };
            for (path, code, message) in problems(validator, action) {
                self.add(format!("{at}{path}"), code, message);
            }
        }
    }

    fn graph(&mut self, document: &Document, bus: &CommandBus) {
        self.runs_as = document.permissions();
        self.patterns(&document.runs_as, bus);
        let trigger = self.event("/trigger/event_type", &document.trigger.event_type);
        if let Some(condition) = &document.trigger.condition {
            let sight = Sight { event: trigger.as_ref(), trigger: None, steps: None };
            self.expression("/trigger/condition", condition, &sight);
        }
        let ids = document.step_ids();
        for (index, cancel) in document.cancel_on.iter().enumerate() {
            let at = format!("/cancel_on/{index}");
            let event = self.event(&format!("{at}/event_type"), &cancel.event_type);
            let sight = Sight { event: event.as_ref(), trigger: trigger.as_ref(), steps: Some(&ids) };
            self.expression(&format!("{at}/match"), &cancel.matching, &sight);
        }
        for (index, action) in document.actions.iter().enumerate() {
            let at = format!("/actions/{index}");
            let before = &ids[..index];
            if before.contains(&ids[index]) {
                self.add(
                    format!("{at}/id"),
                    "duplicate_step",
                    format!("an earlier step is called {:?} too", ids[index]),
                );
            }
            let sight = Sight { event: trigger.as_ref(), trigger: trigger.as_ref(), steps: Some(before) };
            if let Some(when) = &action.common().when {
                self.expression(&format!("{at}/when"), when, &sight);
            }
            self.action(&at, action, &sight, bus);
        }
    }

    fn action(&mut self, at: &str, action: &Action, sight: &Sight<'_>, bus: &CommandBus) {
        match action {
            Action::CreateEntity(CreateEntity { parameters, .. }) => {
                self.command(at, &format!("{at}/entity"), action, parameters, None, sight, bus);
            }
            Action::Command(SendCommand { parameters, target, .. }) => {
                self.command(at, &format!("{at}/command"), action, parameters, target.as_deref(), sight, bus);
            }
            Action::Wait(Wait { duration: length, until, event, .. }) => {
                if [length.is_some(), until.is_some(), event.is_some()].iter().filter(|given| **given).count() != 1 {
                    self.add(at, "wait_needs_one", "a wait says one of `for`, `until` and `event`");
                }
                if let Some(length) = length {
                    self.duration(&format!("{at}/for"), length);
                }
                if let Some(until) = until {
                    self.template(&format!("{at}/until"), &Value::from(until.as_str()), sight);
                }
                if let Some(AwaitedEvent { event_type, matching, timeout }) = event {
                    let awaited = self.event(&format!("{at}/event/event_type"), event_type);
                    let sight = Sight { event: awaited.as_ref(), ..*sight };
                    self.expression(&format!("{at}/event/match"), matching, &sight);
                    if let Some(timeout) = timeout {
                        self.duration(&format!("{at}/event/timeout"), timeout);
                    }
                }
            }
            Action::Notify(Notify { to, subject, body, .. }) => {
                self.within(&format!("{at}/type"), NOTIFY);
                for (name, text) in [("to", to), ("subject", subject), ("body", body)] {
                    self.template(&format!("{at}/{name}"), &Value::from(text.as_str()), sight);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call's worth of context, private, called twice")]
    fn command(
        &mut self,
        at: &str,
        named_at: &str,
        action: &Action,
        parameters: &Map<String, Value>,
        target: Option<&str>,
        sight: &Sight<'_>,
        bus: &CommandBus,
    ) {
        let name = action.command().unwrap_or_default();
        if let Some(target) = target {
            self.template(&format!("{at}/target"), &Value::from(target), sight);
        }
        self.template(&format!("{at}/parameters"), &Value::Object(parameters.clone()), sight);
        let Some(info) = bus.command(&name) else {
            return self.add(named_at, "unknown_command", format!("there is no command {name}"));
        };
        if name.starts_with("workflow.") {
            self.add(named_at, "command_not_allowed", "a workflow does not command workflows");
        } else {
            self.within(named_at, &name);
        }
        match (info.entry.creates, target) {
            (true, Some(_)) => {
                self.add(format!("{at}/target"), "target_not_allowed", format!("{name} creates, so it has no target"));
            }
            (false, None) => {
                self.add(format!("{at}/target"), "missing_target", format!("{name} needs to know to what: `target`"));
            }
            _ => {}
        }
        self.parameters(&format!("{at}/parameters"), &name, parameters, &Value::from((info.entry.schema)()));
    }

    /// A step needs this permission.
    fn within(&mut self, at: &str, permission: &str) {
        if !self.runs_as.allow(permission) {
            let message = format!("`runs_as` does not allow {permission}, and no step runs with anything else");
            self.add(at, "beyond_runs_as", message);
        }
    }

    /// Every pattern means something, and nothing that whoever publishes does not have.
    fn patterns(&mut self, patterns: &[Pattern], bus: &CommandBus) {
        let known: Vec<String> = bus
            .commands()
            .flat_map(|info| [info.entry.name.to_owned(), format!("{}.read", info.entry.stream)])
            .chain([NOTIFY.to_owned()])
            .collect();
        for (index, pattern) in patterns.iter().enumerate() {
            let at = format!("/runs_as/{index}");
            let text = pattern.as_str();
            let meant = Permissions::patterns([text.strip_prefix('!').unwrap_or(text)]);
            if text.ends_with(":own") {
                self.add(at, "pattern_not_allowed", "a workflow has nothing of its own");
            } else if !known.iter().any(|permission| meant.allow(permission)) {
                self.add(at, "unknown_permission", format!("{text:?} matches no permission"));
            }
        }
        if !self.held.cover(patterns.iter().map(Pattern::as_str)) {
            self.add("/runs_as", "patterns_beyond_yours", "the patterns grant more than you have");
        }
    }

    fn parameters(&mut self, at: &str, command: &str, parameters: &Map<String, Value>, schema: &Value) {
        let known = schema["properties"].as_object().cloned().unwrap_or_default();
        for (name, value) in parameters {
            let at = format!("{at}/{}", escaped(name));
            let Some(schema) = known.get(name) else {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                self.add(at, "unknown_parameter", format!("{command} has no {name:?}; it has {}", names.join(", ")));
                continue;
            };
            // What an expression gives is known only when it runs.
            let mut dynamic = vec![];
            expressions(value, "", &mut dynamic);
            if dynamic.is_empty()
                && let Ok(validator) = jsonschema::validator_for(schema)
            {
                for (path, _, message) in problems(&validator, value) {
                    self.add(format!("{at}{path}"), "invalid_parameter", message);
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !parameters.contains_key(name) {
                self.add(at, "missing_parameter", format!("{command} needs {name:?}"));
            }
        }
    }

    /// The payload's schema of an event that a definition may name.
    fn event(&mut self, at: &str, event_type: &str) -> Option<Value> {
        let Some(entry) = catalogue::by_event_type(event_type) else {
            self.add(at, "unknown_event_type", format!("there is no event {event_type:?}"));
            return None;
        };
        if entry.stream.starts_with("workflow.") {
            self.add(at, "event_not_allowed", "what happens to workflows starts no workflow");
        } else if !self.held.allow(&format!("{}.read", entry.stream)) {
            self.add(at, "event_beyond_yours", format!("you may not read {}, whose event this is", entry.stream));
        }
        Some(Value::from((entry.schema)()))
    }

    fn duration(&mut self, at: &str, text: &str) {
        if duration(text).is_none() {
            self.add(at, "invalid_duration", format!("{text:?} is no duration such as 90s, 15m, 2h or 3d"));
        }
    }

    fn template(&mut self, at: &str, value: &Value, sight: &Sight<'_>) {
        let mut found = vec![];
        expressions(value, at, &mut found);
        for (at, source) in found {
            match source {
                Ok(source) => self.expression(&at, source, sight),
                Err(error) => self.add(at, error.code, error.message),
            }
        }
    }

    fn expression(&mut self, at: &str, source: &str, sight: &Sight<'_>) {
        if parts(source).is_ok_and(|parts| parts.iter().any(|part| matches!(part, Part::Expression(_)))) {
            return self.add(at, "expression_invalid", "conditions are expressions already: write them without {{ }}");
        }
        match compile(source) {
            Ok(compiled) => {
                for (code, message) in unknown(&compiled, sight) {
                    self.add(at, code, message);
                }
            }
            Err(error) => self.add(at, error.code, error.message),
        }
    }
}

#[cfg(test)]
mod tests;
