//! What never leaves: fields of events that only whoever lets somebody in may read.
//!
//! A type says it of itself with `x-secret` in its schema, as `SecretHash` does. Everything that shows an event to somebody
//! outside, or hands it to a reader that decides nothing about who comes in, takes those fields out here: the stream, the
//! contract, the events of the query side. An event without them still reads.

use crate::{by_event_type, entries};
use kernel::Recorded;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Takes out of a stored event what must not leave.
pub fn withhold(event: &mut Recorded<Box<RawValue>>) {
    // Most events have nothing to hide, and this is asked for each.
    static HIDING: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        entries().filter(|entry| marks(&Value::from((entry.schema)()))).map(|entry| entry.event_type).collect()
    });
    if !HIDING.contains(event.event_type.as_str()) {
        return;
    }
    let Some(entry) = by_event_type(&event.event_type) else { return };
    let schema = Value::from((entry.schema)());
    let shown = serde_json::from_str(event.payload.get()).ok().and_then(|mut payload| {
        take_out(&schema, &mut payload);
        serde_json::value::to_raw_value(&payload).ok()
    });
    // What cannot be read may hold anything.
    event.payload = shown.unwrap_or_default();
}

/// Takes the fields that the schema marks out of the payload.
fn take_out(schema: &Value, payload: &mut Value) {
    if let (Some(properties), Value::Object(fields)) = (schema["properties"].as_object(), &mut *payload) {
        for (name, property) in properties {
            if is_secret(property) {
                fields.shift_remove(name);
            } else if let Some(field) = fields.get_mut(name) {
                take_out(property, field);
            }
        }
    }
    if let (items @ Value::Object(_), Value::Array(elements)) = (&schema["items"], &mut *payload) {
        elements.iter_mut().for_each(|element| take_out(items, element));
    }
    for variant in variants(schema) {
        take_out(variant, payload);
    }
}

/// The schema of an event as others see it: without what is taken out.
pub(crate) fn without_secrets(mut schema: Value) -> Value {
    let secret: Vec<String> = match schema["properties"].as_object() {
        Some(properties) => properties.iter().filter(|(_, p)| is_secret(p)).map(|(name, _)| name.clone()).collect(),
        None => vec![],
    };
    let Value::Object(fields) = &mut schema else { return schema };
    if let Some(Value::Array(required)) = fields.get_mut("required") {
        required.retain(|name| !secret.iter().any(|secret| name == secret));
    }
    if fields.get("required").is_some_and(|required| required.as_array().is_some_and(Vec::is_empty)) {
        fields.shift_remove("required");
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.retain(|name, _| !secret.contains(name));
        properties.values_mut().for_each(|property| *property = without_secrets(property.take()));
    }
    if let Some(items) = fields.get_mut("items") {
        *items = without_secrets(items.take());
    }
    for name in VARIANTS {
        if let Some(Value::Array(variants)) = fields.get_mut(name) {
            variants.iter_mut().for_each(|variant| *variant = without_secrets(variant.take()));
        }
    }
    schema
}

const VARIANTS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

fn variants(schema: &Value) -> impl Iterator<Item = &Value> {
    VARIANTS.iter().filter_map(|name| schema[name].as_array()).flatten()
}

/// Is it the secret itself, or one that may be left out, or a list of them?
fn is_secret(schema: &Value) -> bool {
    schema["x-secret"] == true || is_secret_list(schema) || variants(schema).any(is_secret)
}

fn is_secret_list(schema: &Value) -> bool {
    schema["items"].is_object() && is_secret(&schema["items"])
}

/// Is anything in it secret?
fn marks(schema: &Value) -> bool {
    is_secret(schema)
        || schema["properties"].as_object().into_iter().flatten().any(|(_, property)| marks(property))
        || (schema["items"].is_object() && marks(&schema["items"]))
        || variants(schema).any(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        let secret = json!({ "type": "string", "x-secret": true });
        let part =
            json!({ "type": "object", "required": ["key", "name"], "properties": { "key": secret, "name": {} } });
        json!({
            "type": "object",
            "required": ["key", "parts"],
            "properties": {
                "key": secret,
                "older": { "anyOf": [secret, { "type": "null" }] },
                "all": { "type": "array", "items": secret },
                "parts": { "type": "array", "items": part },
                "either": { "oneOf": [{ "type": "object", "properties": { "a": {} } }, part] },
            },
        })
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_are() {
        let part = json!({ "key": "k", "name": "n" });
        let mut payload = json!({ "key": "k", "older": "o", "all": ["k"], "parts": [part, part], "either": part });
        take_out(&schema(), &mut payload);
        let left = json!({ "name": "n" });
        assert_eq!(payload, json!({ "parts": [left, left], "either": left }));
    }

    #[test]
    fn a_schema_without_secrets_asks_for_none() {
        let shown = without_secrets(schema());
        assert!(!marks(&shown) && marks(&schema()), "{shown}");
        assert_eq!(shown["required"], json!(["parts"]));
        assert_eq!(shown["properties"]["parts"]["items"]["required"], json!(["name"]));
        assert!(shown["properties"].get("older").is_none());
    }
}
