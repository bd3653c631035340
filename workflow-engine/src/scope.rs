//! What expressions see.

use crate::meter::{self, MADE_MAX};
use cel::Value as Cel;
use event_store::RawEvent;
use kernel::{Actor, Timestamp};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;
use workflow::{Run, Step, StepPath, StepStatus};
use workflow_events::{Trigger, TriggerKind};

/// CEL's own functions and types; made once, because making them costs more than any expression.
static LANGUAGE: LazyLock<Arc<cel::Env>> = LazyLock::new(meter::language);

/// The variables of some evaluations, all of one tenant. One is made when the first expression names it: most of a run's steps
/// look at a field or two, and a step's results are looked at by few.
pub(crate) struct Scope<'a> {
    variables: Mutex<Variables<'a>>,
    /// What may still be made of them.
    left: AtomicUsize,
}

type Make<'a> = Box<dyn FnOnce() -> Value + Send + 'a>;

struct Variables<'a> {
    /// Those that are made.
    context: cel::Context<'static, 'static>,
    sizes: HashMap<&'static str, Size>,
    to_make: Vec<(&'static str, Make<'a>)>,
}

/// How large the variables are that an expression names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub longest_list: usize,
    pub bytes: usize,
}

impl Default for Scope<'_> {
    fn default() -> Self {
        let context = cel::Context::with_env(LANGUAGE.clone());
        let variables = Variables { context, sizes: HashMap::new(), to_make: vec![] };
        Self { variables: variables.into(), left: MADE_MAX.into() }
    }
}

impl<'a> Scope<'a> {
    pub fn of(variables: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        variables.into_iter().fold(Self::default(), |scope, (name, value)| scope.and(name, move || value))
    }

    /// The same with one variable more.
    pub fn and(mut self, name: &'static str, make: impl FnOnce() -> Value + Send + 'a) -> Self {
        self.variables.get_mut().to_make.push((name, Box::new(make)));
        self
    }

    /// Evaluates something that names no other variables than these.
    pub fn with<R>(&self, names: &[String], evaluate: impl FnOnce(&cel::Context<'static, 'static>, Size) -> R) -> R {
        let mut variables = self.variables.lock();
        let size = variables.make(names);
        evaluate(&variables.context, size)
    }

    /// How many bytes its expressions may still make.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Only so much is left.
    pub fn leave(&self, left: usize) {
        self.left.store(left, Ordering::Relaxed);
    }

    /// What a step of `run` sees: `event` and `trigger` (the same), `step`, `steps` and `run`, and in a loop `item` and `index`.
    pub fn of_run(run_id: Uuid, run: &'a Run, at: &StepPath) -> Self {
        Self::default().and("event", || trigger_of_run(run)).with_run(run_id, run, at)
    }

    /// What a condition on an event sees that a run waits for: `event` is that one.
    pub fn of_awaited(run_id: Uuid, run: &'a Run, at: &StepPath, event: &'a Value) -> Self {
        Self::default().and("event", || event.clone()).with_run(run_id, run, at)
    }

    fn with_run(self, run_id: Uuid, run: &'a Run, at: &StepPath) -> Self {
        let (here, definition) = (at.clone(), run.definition.as_ref().map(ToString::to_string));
        let scope = self
            .and("trigger", || trigger_of_run(run))
            .and("step", || steps_in_order(run))
            .and("steps", move || steps_in_sight(run, &here))
            .and("run", move || json!({ "id": run_id, "definition": definition, "version": run.definition_version }));
        let Some((of, round)) = at.loop_and_number() else { return scope };
        let items = run.step_at(of).and_then(|step| step.items.expose());
        let item = items.and_then(|items| items.get(round));
        scope.and("item", move || item.cloned().unwrap_or_default()).and("index", move || json!(round))
    }
}

impl Variables<'_> {
    /// Makes those of these names that are not made yet; answers how large all of them are.
    fn make(&mut self, names: &[String]) -> Size {
        let Self { context, sizes, to_make } = self;
        for (name, make) in to_make.extract_if(.., |(name, _)| names.iter().any(|named| named == name)) {
            let value = make();
            sizes.insert(name, Size { longest_list: longest_list(&value), bytes: bytes(&value) });
            context.add_variable_from_value(name, to_cel(&value));
        }
        let named = names.iter().filter_map(|name| sizes.get(name.as_str()));
        named.fold(Size::default(), |all, one| Size {
            longest_list: all.longest_list.max(one.longest_list),
            bytes: all.bytes + one.bytes,
        })
    }
}

fn trigger_of_run(run: &Run) -> Value {
    run.trigger.as_deref().map_or(Value::Null, trigger_value)
}

fn told(path: &StepPath, step: &Step) -> Value {
    json!({ "id": path.id(), "status": status(step.status), "result": step.result.expose() })
}

/// The steps that have ended, up to the first that has not.
fn steps_in_order(run: &Run) -> Value {
    let known = run.order.iter().map_while(|path| Some((path, run.step_at(path)?)));
    known.take_while(|(_, step)| step.status.has_ended()).map(|(path, step)| told(path, step)).collect()
}

/// The steps that have ended, by id. A round of a loop sees its own steps and those outside, and nothing of the other rounds.
fn steps_in_sight(run: &Run, at: &StepPath) -> Value {
    let in_sight = |path: &StepPath| !path.is_undo() && (path.round().is_empty() || at.is_within(path.round()));
    let ended = run.steps.iter().filter(|(path, step)| step.status.has_ended() && in_sight(path));
    let steps: serde_json::Map<String, Value> =
        ended.map(|(path, step)| (path.id().to_owned(), told(path, step))).collect();
    steps.into()
}

fn status(status: StepStatus) -> Value {
    serde_json::to_value(status).unwrap_or(Value::Null)
}

fn longest_list(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest_list).max().unwrap_or(0).max(items.len()),
        Value::Object(fields) => fields.values().map(longest_list).max().unwrap_or(0).max(fields.len()),
        // CEL loops over lists and maps only, never over letters.
        _ => 0,
    }
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 16,
        Value::Array(items) => items.iter().map(bytes).sum::<usize>() + 16,
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + bytes(value)).sum::<usize>() + 16,
        _ => 16,
    }
}

/// The fields of `event` and `trigger` besides `payload`.
pub(crate) const EVENT_FIELDS: &[&str] = &[
    "id",
    "type",
    "version",
    "position",
    "aggregate_type",
    "aggregate_id",
    "recorded_at",
    "correlation_id",
    "payload",
];

/// A trigger as expressions see it.
pub(crate) fn trigger_value(trigger: &Trigger) -> Value {
    json!({
        "id": trigger.event_id,
        "type": trigger.event_type,
        "version": trigger.event_version,
        "position": trigger.position,
        "aggregate_type": trigger.aggregate_type,
        "aggregate_id": trigger.aggregate_id,
        "recorded_at": trigger.recorded_at,
        "correlation_id": trigger.correlation_id,
        "payload": trigger.payload.expose(),
    })
}

/// An event as expressions see it.
pub(crate) fn event_value(event: &RawEvent) -> Value {
    trigger_value(&trigger_of(event))
}

/// An event as a run keeps it: its payload as today's version, and every field that its schema knows, `null` if it is
/// absent, so that `event.payload.phone != null` can be asked of every event.
pub(crate) fn trigger_of(event: &RawEvent) -> Trigger {
    let entry = catalogue::by_event_type(&event.event_type);
    let read =
        catalogue::AnyEvent::read(&event.aggregate_type, &event.event_type, event.event_version, event.payload.get());
    let today = read.ok().and_then(|read| serde_json::to_value(read).ok());
    let version = entry.filter(|_| today.is_some()).map_or(event.event_version, |entry| entry.version);
    let stored = || serde_json::from_str(event.payload.get()).unwrap_or(Value::Null);
    let mut payload = today.unwrap_or_else(stored);
    if let (Some(entry), Some(fields)) = (entry, payload.as_object_mut()) {
        for name in known_fields(&event.event_type, entry.schema).iter() {
            fields.entry(name.clone()).or_insert(Value::Null);
        }
    }
    Trigger {
        kind: TriggerKind::Event,
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        event_version: version,
        position: event.position,
        aggregate_type: event.aggregate_type.clone(),
        aggregate_id: event.aggregate_id,
        recorded_at: Timestamp::of_clock(event.recorded_at),
        correlation_id: event.metadata.correlation_id,
        traceparent: event.metadata.traceparent.clone(),
        concerns: event.metadata.concerns.clone(),
        payload: payload.into(),
    }
}

/// The fields that the schema of a kind of event knows; made once per kind, because a schema costs more than an event.
fn known_fields(event_type: &str, schema: fn() -> schemars::Schema) -> Arc<[String]> {
    static KNOWN: LazyLock<RwLock<HashMap<String, Arc<[String]>>>> = LazyLock::new(RwLock::default);
    if let Some(known) = KNOWN.read().get(event_type) {
        return known.clone();
    }
    let schema = Value::from(schema());
    let fields: Arc<[String]> =
        schema["properties"].as_object().into_iter().flat_map(|known| known.keys().cloned()).collect();
    KNOWN.write().insert(event_type.to_owned(), fields.clone());
    fields
}

/// The run that caused an event, if one did.
pub(crate) fn causing_run(event: &RawEvent) -> Option<Uuid> {
    match &event.metadata.actor {
        Actor::Workflow { run_id, .. } => Some(*run_id),
        Actor::User { .. } | Actor::ServiceAccount { .. } | Actor::PortalUser { .. } | Actor::System { .. } => None,
    }
}

/// JSON as CEL sees it. Whole numbers are `int`, as people write them.
fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::UInt(uint),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), to_cel(value))).collect::<HashMap<String, Cel>>().into()
        }
    }
}
