//! Everything that can be wrong with a definition, found before it is published: each problem with its place and a stable
//! code, all of them at once.

use crate::actions::{Action, CALL, NOTIFY};
use crate::document::{Document, duration};
use crate::expression::compile;
use crate::references::{Sight, unknown};
use crate::schedules;
use crate::schema::{PARTS, problems};
use crate::scope::EVENT_FIELDS;
use crate::template::{Part, escaped, expressions, parts};
use event_store::CommandBus;
use kernel::{Pattern, Permissions};
use serde_json::{Map, Value, json};

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
    let mut found = Found { problems: vec![], held: held.clone(), runs_as: Permissions::default(), ids: vec![], bus };
    found.shape(definition);
    found.answer()?;
    let document = match Document::read(definition) {
        Ok(document) => document,
        Err(error) => {
            found.add("", "invalid_value", error.to_string());
            return Err(found.problems);
        }
    };
    found.graph(&document);
    found.answer()?;
    Ok(document)
}

/// What was found so far.
pub(crate) struct Found<'a> {
    problems: Vec<Problem>,
    /// What whoever publishes may do.
    held: Permissions,
    /// What the steps may do.
    runs_as: Permissions,
    /// The steps so far, wherever they are.
    ids: Vec<String>,
    bus: &'a CommandBus,
}

/// A command that a step sends.
pub(crate) struct Sent<'a> {
    /// The field that names it.
    pub named_at: &'static str,
    pub name: String,
    pub target: Option<&'a str>,
    pub parameters: &'a Map<String, Value>,
}

/// Steps inside steps inside steps.
const DEPTH_MAX: usize = 4;
/// Steps of one definition, those inside of others too.
const STEPS_MAX: usize = 300;

impl Found<'_> {
    pub fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
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
        self.shapes("/actions", &definition["actions"], 0);
    }

    /// Every action by itself, because "fits none of eight" helps nobody.
    fn shapes(&mut self, at: &str, actions: &Value, depth: usize) {
        let Some(schema) = PARTS.as_ref() else { return };
        if depth >= DEPTH_MAX {
            return self.add(at, "too_deep", format!("at most {DEPTH_MAX} levels of steps inside steps"));
        }
        for (index, action) in actions.as_array().into_iter().flatten().enumerate() {
            let Some(kind) = action["type"].as_str() else { continue };
            let at = format!("{at}/{index}");
            let Some(validator) = schema.actions.get(kind) else {
                let known: Vec<&str> = schema.actions.keys().map(String::as_str).collect();
                self.add(format!("{at}/type"), "unknown_action", format!("{kind:?} is none of {}", known.join(", ")));
                continue;
            };
            for (path, code, message) in problems(validator, action) {
                self.add(format!("{at}{path}"), code, message);
            }
            for name in ["actions", "otherwise"] {
                self.shapes(&format!("{at}/{name}"), &action[name], depth + 1);
            }
            for (case, inner) in action["cases"].as_array().into_iter().flatten().enumerate() {
                self.shapes(&format!("{at}/cases/{case}/actions"), &inner["actions"], depth + 1);
            }
        }
    }

    fn graph(&mut self, document: &Document) {
        self.runs_as = document.permissions();
        self.patterns("/runs_as", &document.runs_as);
        if !self.held.cover(document.runs_as.iter().map(Pattern::as_str)) {
            self.add("/runs_as", "patterns_exceed_your_permissions", "the patterns grant more than you have");
        }
        let trigger = self.trigger(document);
        let before = Sight { event: trigger.clone(), ..Sight::default() };
        if let Some(condition) = &document.trigger.condition {
            self.expression("/trigger/condition", condition, &before);
        }
        if let Some(correlation) = &document.correlation {
            self.expression("/correlation/key", &correlation.key, &before);
        }
        let mut sight = Sight { event: trigger.clone(), trigger, run: true, ..Sight::default() };
        self.sequence("/actions", &document.actions, &mut sight, true);
        if self.ids.len() > STEPS_MAX {
            self.add("/actions", "too_many_steps", format!("at most {STEPS_MAX} steps, those inside of others too"));
        }
        if !document.cancel_on.is_empty() && document.trigger.event_type.is_none() {
            self.add("/cancel_on", "cancel_on_needs_event", "only what an event starts is cancelled by events");
        }
        for (index, cancel) in document.cancel_on.iter().enumerate() {
            let at = format!("/cancel_on/{index}");
            let event = self.event(&format!("{at}/event_type"), &cancel.event_type);
            self.expression(&format!("{at}/match"), &cancel.matching, &sight.of_event(event));
        }
    }

    /// The schema of what the trigger's payload is.
    fn trigger(&mut self, document: &Document) -> Option<Value> {
        let trigger = &document.trigger;
        let given = [trigger.event_type.is_some(), trigger.schedule.is_some(), trigger.called.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            self.add("/trigger", "trigger_needs_one", "a trigger says one of `event_type`, `schedule` and `called`");
        }
        if trigger.condition.is_some() && trigger.event_type.is_none() {
            self.add("/trigger/condition", "condition_needs_event", "only events are held against a condition");
        }
        if let Some(schedule) = &trigger.schedule {
            if let Err((field, message)) = schedules::read(schedule) {
                self.add(format!("/trigger/schedule/{field}"), "invalid_schedule", message);
            }
            return Some(schedules::payload_schema());
        }
        if let Some(called) = &trigger.called {
            let schema = called.input.clone().unwrap_or_else(|| json!({}));
            if let Err(error) = jsonschema::validator_for(&schema) {
                self.add("/trigger/called/input", "invalid_value", error.to_string());
            }
            return Some(schema);
        }
        self.event("/trigger/event_type", trigger.event_type.as_ref()?)
    }

    /// Steps that are taken one after the other; what comes after them sees what any way through them may have given.
    fn sequence(&mut self, at: &str, actions: &[Action], sight: &mut Sight, top: bool) {
        for (index, action) in actions.iter().enumerate() {
            let (at, id) = (format!("{at}/{index}"), action.id().to_owned());
            if self.ids.contains(&id) {
                self.add(format!("{at}/id"), "duplicate_step", format!("an earlier step is called {id:?} too"));
            }
            if id == "undo" {
                self.add(format!("{at}/id"), "reserved_id", "`undo` is what takes a step back");
            }
            self.ids.push(id.clone());
            if let Some(when) = &action.common().when {
                self.expression(&format!("{at}/when"), when, sight);
            }
            let kind = action.kind();
            kind.check(&at, sight, self);
            let result = kind.result(self);
            let blocks = kind.blocks();
            if let Some(undo) = &action.common().undo {
                if !blocks.is_empty() {
                    self.add(format!("{at}/undo"), "undo_not_allowed", "the steps inside say how they are taken back");
                }
                let seen = Sight { result: Some(result.clone()), ..sight.clone() };
                undo.check(&format!("{at}/undo"), &seen, self);
            }
            let mut after = sight.clone();
            for block in blocks {
                let mut inner = sight.clone();
                // What chose the case is over when its steps are taken; a loop is not.
                if block.repeated {
                    inner.in_loop = true;
                } else {
                    inner.steps.push((id.clone(), result.clone()));
                }
                let known = inner.steps.len();
                self.sequence(&format!("{at}{}", block.at), block.actions, &mut inner, false);
                if !block.repeated {
                    after.steps.extend(inner.steps.drain(known..));
                }
            }
            *sight = after;
            sight.steps.push((id.clone(), result));
            if top {
                sight.order.push(id);
            }
        }
    }

    /// A command that a step sends.
    pub fn command(&mut self, at: &str, sent: &Sent<'_>, sight: &Sight) {
        let Sent { named_at, name, target, parameters } = sent;
        let named_at = format!("{at}/{named_at}");
        if let Some(target) = target {
            self.template(&format!("{at}/target"), &Value::from(*target), sight);
        }
        self.template(&format!("{at}/parameters"), &Value::Object((*parameters).clone()), sight);
        let Some(info) = self.bus.command(name) else {
            return self.add(named_at, "unknown_command", format!("there is no command {name}"));
        };
        if name.starts_with("workflow.") {
            self.add(named_at, "command_not_allowed", "a workflow does not command workflows");
        } else {
            self.within(&named_at, name);
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
        self.parameters(&format!("{at}/parameters"), name, parameters, &Value::from((info.entry.schema)()));
    }

    /// The JSON Schema of what a command answers.
    pub fn answer_of(&self, command: &str) -> Value {
        let mut fields = json!({
            "id": { "type": "string" }, "version": { "type": "integer" }, "created": { "type": "boolean" },
        });
        let Some(info) = self.bus.command(command) else { return json!({}) };
        for part in info.entry.makes {
            fields[part.name] = json!({});
        }
        json!({ "properties": fields })
    }

    /// A step needs this permission.
    pub fn within(&mut self, at: &str, permission: &str) {
        if !self.runs_as.allow(permission) {
            let message = format!("`runs_as` does not allow {permission}, and no step runs with anything else");
            self.add(at, "exceeds_runs_as", message);
        }
    }

    /// Every pattern means something.
    fn patterns(&mut self, at: &str, patterns: &[Pattern]) {
        let known: Vec<String> = self
            .bus
            .commands()
            .flat_map(|info| [info.entry.name.to_owned(), format!("{}.read", info.entry.stream)])
            .chain([NOTIFY.to_owned(), CALL.to_owned()])
            .collect();
        for (index, pattern) in patterns.iter().enumerate() {
            let at = format!("{at}/{index}");
            let text = pattern.as_str();
            let meant = Permissions::patterns([text.strip_prefix('!').unwrap_or(text)]);
            if text.ends_with(":own") {
                self.add(at, "pattern_not_allowed", "a workflow has nothing of its own");
            } else if !known.iter().any(|permission| meant.allow(permission)) {
                self.add(at, "unknown_permission", format!("{text:?} matches no permission"));
            }
        }
    }

    /// Who decides: patterns that mean something and forbid nothing.
    pub fn known_patterns(&mut self, at: &str, patterns: &[Pattern]) {
        for (index, pattern) in patterns.iter().enumerate() {
            if pattern.as_str().starts_with('!') {
                self.add(format!("{at}/{index}"), "pattern_not_allowed", "who decides is said by what they hold");
            }
        }
        self.patterns(at, patterns);
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
            self.add(
                at,
                "event_exceeds_your_permissions",
                format!("you may not read {}, whose event this is", entry.stream),
            );
        }
        Some(Value::from((entry.schema)()))
    }

    /// An event that a step waits for, and its condition.
    pub fn awaited(&mut self, at: &str, event_type: &str, matching: &str, sight: &Sight) {
        let payload = self.event(&format!("{at}/event_type"), event_type);
        self.expression(&format!("{at}/match"), matching, &sight.of_event(payload));
    }

    /// The JSON Schema of an event as expressions see it: one of these kinds.
    pub fn event_shape(&self, event_types: &[&str]) -> Value {
        let shape = |event_type: &&str| {
            let mut fields: Map<String, Value> =
                EVENT_FIELDS.iter().map(|field| ((*field).to_owned(), json!({}))).collect();
            if let Some(entry) = catalogue::by_event_type(event_type) {
                fields.insert("payload".to_owned(), Value::from((entry.schema)()));
            }
            json!({ "properties": fields })
        };
        json!({ "anyOf": event_types.iter().map(shape).collect::<Vec<_>>() })
    }

    pub fn duration(&mut self, at: &str, text: &str) {
        if duration(text).is_none() {
            self.add(at, "invalid_duration", format!("{text:?} is no duration such as 90s, 15m, 2h or 3d"));
        }
    }

    /// How long, known now or when the step is taken.
    pub fn duration_or_template(&mut self, at: &str, text: &str, sight: &Sight) {
        if text.contains("{{") {
            self.template(at, &Value::from(text), sight);
        } else {
            self.duration(at, text);
        }
    }

    pub fn template(&mut self, at: &str, value: &Value, sight: &Sight) {
        let mut found = vec![];
        expressions(value, at, &mut found);
        for (at, source) in found {
            match source {
                Ok(source) => self.expression(&at, source, sight),
                Err(error) => self.add(at, error.code, error.message),
            }
        }
    }

    pub fn expression(&mut self, at: &str, source: &str, sight: &Sight) {
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
