//! What is personal in an event is sealed before it is written and opened when it is read.
//!
//! A personal value leaves `null` in its place; all of one event's go, sealed together, to the payload's end:
//! `{"name":null,"kind":"individual","$sealed":"AQAAAAE…"}`. So whoever has no key reads what is left once the person was
//! erased, and so does everybody when the key is gone. What is sealed is bound to the rest of the payload and to the event's
//! place in the log.

use crate::raw_event::RawEvent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kernel::{Aggregate, Event as _, EventEntry};
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;
use vault::{Subject, SubjectKey, Vault, VaultError};

const SEALED: &str = ",\"$sealed\":";
/// What stands in the place of a personal value.
const HOLE: &str = "null";

/// Where personal values are in a payload: field after field, `*` for every element of a list.
type Paths = Arc<[Vec<String>]>;

/// The personal values of an event type, as its schema marks them.
fn personal(entry: &EventEntry) -> Paths {
    static KNOWN: LazyLock<RwLock<HashMap<(&'static str, &'static str), Paths>>> = LazyLock::new(RwLock::default);
    let key = (entry.stream, entry.event_type);
    if let Some(paths) = KNOWN.read().get(&key) {
        return paths.clone();
    }
    let mut found = vec![];
    marked(&Value::from((entry.schema)()), &mut vec![], &mut found);
    let paths: Paths = found.into();
    KNOWN.write().insert(key, paths.clone());
    paths
}

/// Walks through a schema without references.
fn marked(schema: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if schema["x-personal"] == true {
        if !found.contains(at) {
            found.push(at.clone());
        }
        return;
    }
    let mut below = |name: &str, schema: &Value| {
        at.push(name.to_owned());
        marked(schema, at, found);
        at.pop();
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        below(name, field);
    }
    if schema["items"].is_object() {
        below("*", &schema["items"]);
    }
    for variants in ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema[name].as_array()) {
        variants.iter().for_each(|variant| marked(variant, at, found));
    }
}

/// Do events of this aggregate say something personal? Then its state may too.
pub(crate) fn is_personal<A: Aggregate>() -> bool {
    static KNOWN: LazyLock<RwLock<HashMap<&'static str, bool>>> = LazyLock::new(RwLock::default);
    if let Some(known) = KNOWN.read().get(A::Event::STREAM) {
        return *known;
    }
    let found = A::Event::CATALOGUE.iter().any(|entry| !personal(entry).is_empty());
    KNOWN.write().insert(A::Event::STREAM, found);
    found
}

/// May such an event say something personal?
pub fn is_personal_event(entry: &EventEntry) -> bool {
    !personal(entry).is_empty()
}

/// Does this payload say something personal, to whoever reads it as it is?
pub fn says_personal(entry: &EventEntry, payload: &str) -> bool {
    // What cannot be read may say anything.
    holes(entry, payload).map_or(true, |holes| holes.is_some())
}

/// An object's fields as they stand in the text.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = vec![];
                while let Some(name) = map.next_key::<String>()? {
                    fields.push((Cow::Owned(name), map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Where the values at these paths stand in `text`, which lies at `start` of the payload; nulls aside.
fn find(text: &str, start: usize, paths: &[&[String]], found: &mut Vec<Range<usize>>) -> serde_json::Result<()> {
    let at = |part: &str| start + (part.as_ptr() as usize - text.as_ptr() as usize);
    if paths.iter().any(|path| path.is_empty()) {
        if text != HOLE {
            found.push(start..start + text.len());
        }
        return Ok(());
    }
    let mut into = |name: &str, value: &RawValue| {
        let below: Vec<&[String]> =
            paths.iter().filter_map(|path| path.split_first()).filter(|(f, _)| *f == name).map(|(_, r)| r).collect();
        if below.is_empty() { Ok(()) } else { find(value.get(), at(value.get()), &below, found) }
    };
    if text.starts_with('{') {
        let Fields(fields) = serde_json::from_str(text)?;
        fields.iter().try_for_each(|(name, value)| into(name, value))
    } else if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text)?;
        items.iter().try_for_each(|value| into("*", value))
    } else {
        Ok(())
    }
}

/// Where an event stands in its stream: what is sealed opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub aggregate_type: &'a str,
    pub sequence: i64,
    pub event_type: &'a str,
    pub event_version: u32,
}

impl Place<'_> {
    fn with<R>(self, rest: &str, then: impl FnOnce(&[&[u8]]) -> R) -> R {
        let (sequence, version) = (self.sequence.to_be_bytes(), self.event_version.to_be_bytes());
        then(&[
            b"event",
            self.aggregate_type.as_bytes(),
            &sequence,
            self.event_type.as_bytes(),
            &version,
            rest.as_bytes(),
        ])
    }
}

/// The personal values of a payload, to be sealed; none if it has none.
pub(crate) fn holes(entry: &EventEntry, payload: &str) -> serde_json::Result<Option<Vec<Range<usize>>>> {
    let paths = personal(entry);
    if paths.is_empty() {
        return Ok(None);
    }
    let mut found = vec![];
    find(payload, 0, &paths.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut found)?;
    found.sort_unstable_by_key(|range| range.start);
    Ok((!found.is_empty()).then_some(found))
}

/// The payload with these values sealed.
pub(crate) fn seal(key: &SubjectKey, place: Place<'_>, payload: &str, holes: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(payload.len());
    let mut values = vec![];
    let mut done = 0;
    for hole in holes {
        masked.push_str(&payload[done..hole.start]);
        let value = &payload[hole.clone()];
        values.extend((masked.len() as u64).to_be_bytes());
        values.extend((value.len() as u64).to_be_bytes());
        values.extend(value.as_bytes());
        masked.push_str(HOLE);
        done = hole.end;
    }
    masked.push_str(&payload[done..]);
    let sealed = place.with(&masked, |place| key.seal(place, &values));
    // A personal value stands somewhere in the object, so it is not empty.
    masked.pop();
    masked.push_str(SEALED);
    masked.push('"');
    STANDARD_NO_PAD.encode_string(sealed, &mut masked);
    masked.push_str("\"}");
    masked
}

/// A stored payload in two: what everybody may read, and what is sealed. None if nothing is.
///
/// It is unambiguous: the last brace closes the payload itself, so what is right before it is a field of the payload, and no
/// event has one of this name.
fn split(payload: &str) -> Option<(&str, &str)> {
    let (head, sealed) = payload.strip_suffix("\"}")?.rsplit_once('"')?;
    Some((head.strip_suffix(SEALED)?, sealed))
}

/// Which of its subject's keys sealed a payload; none if nothing is sealed in it.
pub(crate) fn sealed_by(payload: &str) -> Option<u32> {
    let (_, sealed) = split(payload)?;
    // Format and generation are in the first bytes.
    vault::generation(&STANDARD_NO_PAD.decode(sealed.get(..24)?).ok()?)
}

/// The payload as it was before it was sealed, or as it is for ever if the key was destroyed.
pub(crate) fn open(subject: &Subject, place: Place<'_>, payload: &str) -> Result<String, VaultError> {
    let Some((head, sealed)) = split(payload) else { return Ok(payload.to_owned()) };
    let masked = format!("{head}}}");
    let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| VaultError::Broken)?;
    let Some(values) = place.with(&masked, |place| subject.open(place, &sealed))? else { return Ok(masked) };
    let mut opened = String::with_capacity(masked.len() + values.len());
    let (mut done, mut rest) = (0, values.as_slice());
    while !rest.is_empty() {
        let (at, after) = number(rest).ok_or(VaultError::Broken)?;
        let (length, after) = number(after).ok_or(VaultError::Broken)?;
        let (value, after) = after.split_at_checked(length).ok_or(VaultError::Broken)?;
        opened.push_str(masked.get(done..at).ok_or(VaultError::Broken)?);
        opened.push_str(std::str::from_utf8(value).map_err(|_| VaultError::Broken)?);
        (done, rest) = (at + HOLE.len(), after);
    }
    opened.push_str(masked.get(done..).ok_or(VaultError::Broken)?);
    Ok(opened)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((usize::try_from(u64::from_be_bytes(*number)).ok()?, rest))
}

fn snapshot_place<R>(aggregate_type: &str, version: i64, state_version: i32, then: impl FnOnce(&[&[u8]]) -> R) -> R {
    then(&[b"snapshot", aggregate_type.as_bytes(), &version.to_be_bytes(), &state_version.to_be_bytes()])
}

/// A state as a whole.
pub(crate) fn seal_state(
    key: &SubjectKey,
    aggregate_type: &str,
    version: i64,
    state_version: i32,
    state: &str,
) -> String {
    let seal = |place: &[&[u8]]| key.seal(place, state.as_bytes());
    let sealed = STANDARD_NO_PAD.encode(snapshot_place(aggregate_type, version, state_version, seal));
    format!("{{\"$sealed\":\"{sealed}\"}}")
}

/// What a sealed state was; none if its key was destroyed, and then it counts for nothing.
pub(crate) fn open_state(
    subject: &Subject,
    aggregate_type: &str,
    version: i64,
    state_version: i32,
    state: String,
) -> Result<Option<String>, VaultError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sealed {
        #[serde(rename = "$sealed")]
        sealed: String,
    }
    let Ok(Sealed { sealed }) = serde_json::from_str(&state) else { return Ok(Some(state)) };
    let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| VaultError::Broken)?;
    let opened = snapshot_place(aggregate_type, version, state_version, |place| subject.open(place, &sealed))?;
    opened.map(|state| String::from_utf8(state).map_err(|_| VaultError::Broken)).transpose()
}

/// A reader without a vault meets something sealed.
pub(crate) fn no_vault() -> VaultError {
    VaultError::BadKey("the log holds sealed events, and this process was not given the vault's key".to_owned())
}

/// As the errors of reading the log are.
pub(crate) fn unreadable(error: VaultError) -> sqlx::Error {
    match error {
        VaultError::Database(error) => error,
        error => sqlx::Error::Decode(Box::new(error)),
    }
}

/// What stands in the place of a payload that does not open: no event reads it, so it stops its own stream and no other.
const BROKEN: &str = "\"what is sealed cannot be opened\"";

/// Opens what is sealed in these events; asks the database for keys that are not in memory, at most once. A payload that was
/// changed or moved does not open, and is then one that no event can be read from.
///
/// # Errors
/// When something is sealed and there is no vault, or its keys cannot be had.
pub async fn open_events(vault: Option<&Vault>, events: &mut [RawEvent]) -> Result<(), VaultError> {
    let mut wanted: HashMap<(Uuid, Uuid), u32> = HashMap::new();
    for event in events.iter() {
        if let Some(generation) = sealed_by(event.payload.get()) {
            let newest = wanted.entry((event.tenant_id.0, event.aggregate_id)).or_default();
            *newest = generation.max(*newest);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let subjects = vault.ok_or_else(no_vault)?.subjects(&wanted).await?;
    for event in events {
        if sealed_by(event.payload.get()).is_none() {
            continue;
        }
        let Some(subject) = subjects.get(&(event.tenant_id.0, event.aggregate_id)) else { continue };
        let place = Place {
            aggregate_type: &event.aggregate_type,
            sequence: event.sequence,
            event_type: &event.event_type,
            event_version: event.event_version,
        };
        let opened = match open(subject, place, event.payload.get()) {
            Err(VaultError::Broken) => {
                tracing::error!(position = event.position, "what is sealed in an event cannot be opened");
                BROKEN.to_owned()
            }
            opened => opened?,
        };
        event.payload = RawValue::from_string(opened).map_err(|_| VaultError::Broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Payload {
        name: kernel::Personal<kernel::Name>,
        email: Option<kernel::Personal<kernel::Email>>,
        tag: String,
        friends: Vec<Friend>,
        notes: kernel::Personal<Value>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Friend {
        since: u32,
        name: kernel::Personal<kernel::Name>,
    }

    const ENTRY: EventEntry = EventEntry {
        stream: "test.person",
        event_type: "person.met",
        name: "test.person.met",
        version: 1,
        summary: "",
        retired: false,
        schema: kernel::schema_of::<Payload>,
    };

    const PLACE: Place<'_> =
        Place { aggregate_type: "test.person", sequence: 3, event_type: "person.met", event_version: 1 };

    const PAYLOAD: &str = r#"{"name":"Ada \"}, \u00e9","email":null,"tag":"x\",\"$sealed\":\"y","friends":[{"since":1,"name":"Bob"},{"since":2,"name":"Eve"}],"notes":{"a":[1,"b"]}}"#;
    const MASKED: &str = r#"{"name":null,"email":null,"tag":"x\",\"$sealed\":\"y","friends":[{"since":1,"name":null},{"since":2,"name":null}],"notes":null}"#;

    fn subject(keys: usize) -> Subject {
        (0..keys).fold(Subject::default(), |subject, _| {
            let key = SubjectKey::random(Uuid::nil(), Uuid::nil(), subject.next_generation());
            subject.with(Arc::new(key))
        })
    }

    fn sealed(subject: &Subject) -> String {
        let holes = holes(&ENTRY, PAYLOAD).unwrap().unwrap();
        seal(subject.current().unwrap(), PLACE, PAYLOAD, &holes)
    }

    #[test]
    fn what_is_personal_is_gone_from_the_payload_and_comes_back_as_it_was() {
        let subject = subject(1);
        let sealed = sealed(&subject);
        assert!(sealed.starts_with(&MASKED[..MASKED.len() - 1]) && sealed.ends_with("\"}"), "{sealed}");
        assert!(serde_json::from_str::<Value>(&sealed).is_ok());
        assert_eq!(sealed_by(&sealed), Some(1));
        assert_eq!(open(&subject, PLACE, &sealed).unwrap(), PAYLOAD);
    }

    #[test]
    fn without_its_key_the_rest_is_still_a_payload() {
        let subject = subject(1);
        let sealed = sealed(&subject);
        assert_eq!(open(&Subject::default(), PLACE, &sealed).unwrap(), MASKED);
        let read: Value = serde_json::from_str(MASKED).unwrap();
        assert_eq!(read["friends"][1], serde_json::json!({ "since": 2, "name": null }));
    }

    #[test]
    fn nothing_that_was_changed_or_moved_opens() {
        let subject = subject(1);
        let sealed = sealed(&subject);
        let changed = sealed.replace("\"since\":1", "\"since\":7");
        assert!(matches!(open(&subject, PLACE, &changed), Err(VaultError::Broken)));
        for elsewhere in [
            Place { sequence: 4, ..PLACE },
            Place { event_version: 2, ..PLACE },
            Place { event_type: "person.left", ..PLACE },
            Place { aggregate_type: "test.perso", ..PLACE },
        ] {
            assert!(matches!(open(&subject, elsewhere, &sealed), Err(VaultError::Broken)), "{elsewhere:?}");
        }
    }

    #[test]
    fn a_payload_in_which_nothing_is_sealed_stays_as_it_is() {
        for plain in [
            PAYLOAD,
            MASKED,
            "{}",
            r#"{"a":{"b":1,"$sealed":"AQAAAAE"}}"#,
            r#"{"a\",\"$sealed":"AQAAAAEAAAAAAAAAAAAAAAAAAA"}"#,
        ] {
            assert_eq!(sealed_by(plain), None, "{plain}");
            assert_eq!(open(&Subject::default(), PLACE, plain).unwrap(), plain);
        }
    }

    #[test]
    fn a_payload_without_personal_values_has_nothing_to_seal() {
        let empty = r#"{"name":null,"tag":"x","friends":[],"notes":null}"#;
        assert_eq!(holes(&ENTRY, empty).unwrap(), None);
    }

    #[test]
    fn a_state_is_sealed_as_a_whole() {
        let subject = subject(2);
        let state = r#"{"name":"Ada"}"#;
        let sealed = seal_state(subject.current().unwrap(), "test.person", 200, 1, state);
        assert!(!sealed.contains("Ada") && !sealed.contains("name"));
        let again = serde_json::from_str::<Value>(&sealed).unwrap().to_string();
        assert_eq!(open_state(&subject, "test.person", 200, 1, again.clone()).unwrap().unwrap(), state);
        assert!(open_state(&subject, "test.person", 400, 1, again.clone()).is_err());
        assert_eq!(open_state(&Subject::default(), "test.person", 200, 1, again).unwrap(), None);
        assert_eq!(open_state(&subject, "test.person", 1, 1, state.to_owned()).unwrap().unwrap(), state, "an old one");
    }
}
