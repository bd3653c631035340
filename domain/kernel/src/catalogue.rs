//! What `#[event]`, `#[command]` and `#[rejection]` give an enum: one dotted name, one sentence, one schema per variant.

use crate::{FieldErrors, PartEntry};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// One event of the published language.
#[derive(Debug, Clone, Copy)]
pub struct EventEntry {
    /// Wire name of the stream's kind, `context.aggregate`: `crm.client`.
    pub stream: &'static str,
    /// What `event_type` holds, unique across contexts: `client.created`.
    pub event_type: &'static str,
    /// The dotted name, the context in front of the event type: `crm.client.created`.
    pub name: &'static str,
    /// Version of the payload that is written today, from 1.
    pub version: u32,
    /// The doc sentence.
    pub summary: &'static str,
    /// No longer written, still readable.
    pub retired: bool,
    /// JSON Schema (2020-12) of the payload.
    pub schema: fn() -> Schema,
}

/// One command of the published language; its name is also its permission.
#[derive(Debug, Clone, Copy)]
pub struct CommandEntry {
    /// Wire name of the stream's kind: `crm.client`.
    pub stream: &'static str,
    /// The dotted name, the permission and the operation id: `crm.client.rename`.
    pub name: &'static str,
    /// The last part of the name: `rename`.
    pub action: &'static str,
    /// Starts a new stream; every other command needs an existing one.
    pub creates: bool,
    /// May every member of a firm give it? See [`crate::Role::Member`].
    pub member: bool,
    /// What the secret begins with that is made for it and shown once, to whoever asks; the decision sees what it hashes
    /// to ([`crate::Context::secret`]).
    pub mints: Option<&'static str>,
    /// The parts of the aggregate that it makes, whose ids its answer tells ([`crate::Context::part`]). Whoever sends it may
    /// choose the id of a single one in the field of that name.
    pub makes: &'static [PartEntry],
    /// What its answer tells besides, which is in no event: where a file is to be sent.
    pub tells: Option<TellEntry>,
    /// The doc sentence.
    pub summary: &'static str,
    /// Codes of why this very command may be refused: its aggregate's rejections, and what it takes that may be taken.
    pub refusals: &'static [&'static str],
    /// JSON Schema (2020-12) of the body.
    pub schema: fn() -> Schema,
    /// A reference to the same among the definitions of a document that names its types.
    pub component: fn(&mut SchemaGenerator) -> Schema,
}

/// What a command's answer tells besides ids, version and position.
#[derive(Debug, Clone, Copy)]
pub struct TellEntry {
    /// What the answer calls it: `upload`.
    pub name: &'static str,
    /// A reference to its schema among the definitions of a document that names its types.
    pub component: fn(&mut SchemaGenerator) -> Schema,
}

/// One reason to refuse.
#[derive(Debug, Clone, Copy)]
pub struct RejectionEntry {
    /// Stable code: `crm.client.blocked`.
    pub code: &'static str,
    /// The sentence a user reads.
    pub message: &'static str,
    /// JSON Pointer of the field at fault when the input itself is wrong; empty for the whole body.
    pub invalid: Option<&'static str>,
    /// Is it about what the caller may do? Then the refusal is on the audit trail.
    pub audited: bool,
}

/// An enum of events, one aggregate's history. Implemented by `#[event]`.
pub trait Event: Serialize + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// `context.aggregate`.
    const STREAM: &'static str;
    /// Every variant, in order.
    const CATALOGUE: &'static [EventEntry];
    /// Steps from old payload versions to today's.
    const UPCASTERS: &'static [Upcaster];
    /// This variant's entry.
    fn entry(&self) -> &'static EventEntry;
    /// Reads a payload of today's version; [`read_event`] reads any.
    fn read(event_type: &str, payload: &str) -> Result<Self, UnreadableEvent>;
}

/// An enum of commands to one aggregate. Implemented by `#[command]`.
pub trait Command: Serialize + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// `context.aggregate`.
    const STREAM: &'static str;
    /// Every variant, in order.
    const CATALOGUE: &'static [CommandEntry];
    /// This variant's entry.
    fn entry(&self) -> &'static CommandEntry;
    /// Reads the body of one action; the errors name every field that is wrong.
    fn parse(action: &str, payload: &str) -> Result<Self, FieldErrors>;
}

/// Why an aggregate refuses. Implemented by `#[rejection]`.
pub trait Rejection: std::error::Error + Clone + Send + Sync + 'static {
    /// Every variant, in order.
    const CATALOGUE: &'static [RejectionEntry];
    /// This variant's entry.
    fn entry(&self) -> &'static RejectionEntry;
}

/// One step from an old payload version to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// `client.created`.
    pub event_type: &'static str,
    /// The version it reads; it answers the payload of `from + 1`.
    pub from: u32,
    /// The change itself.
    pub upcast: fn(serde_json::Value) -> serde_json::Value,
}

impl cqrs_es::persist::EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        event_type == self.event_type && event_version == self.from.to_string()
    }

    fn upcast(&self, mut event: cqrs_es::persist::SerializedEvent) -> cqrs_es::persist::SerializedEvent {
        event.payload = (self.upcast)(event.payload);
        event.event_version = (self.from + 1).to_string();
        event
    }
}

/// Reads a stored payload of any published version, through the upcasters.
pub fn read_event<E: Event>(event_type: &str, version: u32, payload: &str) -> Result<E, UnreadableEvent> {
    let current = E::CATALOGUE.iter().find(|e| e.event_type == event_type);
    let Some(current) = current else { return Err(UnreadableEvent::unknown(E::STREAM, event_type)) };
    if version == current.version {
        return E::read(event_type, payload);
    }
    if version > current.version {
        return Err(UnreadableEvent(format!(
            "{event_type} version {version} is newer than the {} that this program knows",
            current.version
        )));
    }
    let mut value = serde_json::from_str(payload).map_err(|e| UnreadableEvent(e.to_string()))?;
    for from in version..current.version {
        let step = E::UPCASTERS.iter().find(|u| u.event_type == event_type && u.from == from);
        let Some(step) = step else {
            return Err(UnreadableEvent(format!("{event_type} has no upcaster from version {from}")));
        };
        value = (step.upcast)(value);
    }
    E::read(event_type, &value.to_string())
}

/// A stored event that this program cannot read; the reason is for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable event: {0}")]
pub struct UnreadableEvent(pub String);

impl UnreadableEvent {
    /// No variant has this event type.
    pub fn unknown(stream: &str, event_type: &str) -> Self {
        Self(format!("{stream} has no event {event_type:?}"))
    }
}

/// Reads a stored payload.
///
/// # Errors
/// If it is not what the type says. What strangers send is read by [`crate::read_input`], which names every error.
pub fn read_fields<T: DeserializeOwned>(payload: &str) -> Result<T, UnreadableEvent> {
    let mut reader = serde_json::Deserializer::from_str(payload);
    let unreadable = |pointer: String, error: serde_json::Error| UnreadableEvent(format!("{pointer}: {error}"));
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| unreadable(pointer(error.path()), error.into_inner()))?;
    reader.end().map_err(|error| unreadable(String::new(), error))?;
    Ok(value)
}

/// As a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

/// The JSON Schema of a payload, without references, so that each file stands alone.
pub fn schema_of<T: JsonSchema>() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

/// A reference to the JSON Schema of a payload, among the definitions of a document.
pub fn component_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
