//! One plausible value for a JSON Schema: the same schema gives the same value, every time and everywhere.

use crate::compatibility::resolve;
use crate::pattern::matching;
use kernel::{Phone, Slug, schema_of};
use schemars::Schema;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A value that satisfies `schema`, every optional field filled in, so that an example shows the whole event.
///
/// `seed` makes ids differ between events: the event's dotted name.
pub fn example(schema: &Value, seed: &str) -> Value {
    example_in(schema, schema, seed)
}

/// The same for a schema whose references lead into `document`.
pub fn example_in(document: &Value, schema: &Value, seed: &str) -> Value {
    Maker { root: document, seed }.value(schema, "", 0)
}

/// A schema that refers to itself is followed this far: a tree of one branch.
const DEPTH_MAX: usize = 12;

struct Maker<'a> {
    root: &'a Value,
    seed: &'a str,
}

impl Maker<'_> {
    fn value(&self, schema: &Value, pointer: &str, depth: usize) -> Value {
        let schema = resolve(self.root, schema);
        if let Some(given) = schema.get("const").or_else(|| first(schema, "examples")).or_else(|| first(schema, "enum"))
        {
            return given.clone();
        }
        if let Some(Value::Array(variants)) = schema.get("oneOf").or_else(|| schema.get("anyOf")) {
            let some = variants.iter().find(|v| kind(v) != Some("null")).or(variants.first());
            let mut value = some.map_or(Value::Null, |v| self.value(v, pointer, depth));
            // A tagged union may declare fields beside its variants.
            if let (Value::Object(fields), Value::Object(more)) = (&mut value, self.object(schema, pointer, depth)) {
                for (key, value) in more {
                    fields.entry(key).or_insert(value);
                }
            }
            return value;
        }
        match kind(schema) {
            Some("object") => self.object(schema, pointer, depth),
            Some("array") => self.array(schema, pointer, depth),
            Some("string") => self.text(schema, pointer).into(),
            Some("integer") => number(schema).into(),
            Some("number") => json!(number(schema) as f64 + 0.5),
            Some("boolean") => true.into(),
            Some("null") => Value::Null,
            // A schema without a type allows anything.
            _ => json!({ "example": "anything" }),
        }
    }

    fn object(&self, schema: &Value, pointer: &str, depth: usize) -> Value {
        let mut value = Map::new();
        let required = schema.get("required").and_then(Value::as_array);
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let needed = required.is_some_and(|names| names.iter().any(|n| n == name));
            if needed || depth < DEPTH_MAX {
                value.insert(name.clone(), self.value(field, &format!("{pointer}/{name}"), depth + 1));
            }
        }
        if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object() && value.is_empty()) {
            let key = match schema.get("propertyNames") {
                Some(names) => self.text(names, &format!("{pointer}/key")),
                None => "example".to_owned(),
            };
            value.insert(key, self.value(more, &format!("{pointer}/*"), depth + 1));
        }
        Value::Object(value)
    }

    fn array(&self, schema: &Value, pointer: &str, depth: usize) -> Value {
        if let Some(Value::Array(places)) = schema.get("prefixItems") {
            let values =
                places.iter().enumerate().map(|(i, place)| self.value(place, &format!("{pointer}/{i}"), depth + 1));
            return values.collect();
        }
        let bound = |keyword| schema.get(keyword).and_then(Value::as_u64);
        let count = bound("minItems").unwrap_or(1).max(1).min(bound("maxItems").unwrap_or(u64::MAX));
        // Deep enough: a list of itself ends here, if it may be empty.
        let count = if depth >= DEPTH_MAX && bound("minItems").unwrap_or(0) == 0 { 0 } else { count };
        let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
        (0..count).map(|i| self.value(&items, &format!("{pointer}/{i}"), depth + 1)).collect()
    }

    fn text(&self, schema: &Value, pointer: &str) -> String {
        let keyword = |name| schema.get(name).and_then(Value::as_str);
        let known = match keyword("format") {
            Some("uuid") => {
                let digest = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}{pointer}", self.seed).as_bytes());
                let random = digest.as_bytes()[..10].try_into().unwrap_or_default();
                // Version 7 like the real ones, at the time of the other examples.
                Some(uuid::Builder::from_unix_timestamp_millis(1_793_610_000_000, &random).into_uuid().to_string())
            }
            Some("date-time") => Some("2026-11-02T09:00:00Z".to_owned()),
            Some("partial-date-time") => Some("2026-11-02T09:00:00".to_owned()),
            Some("date") => Some("2026-11-02".to_owned()),
            Some("time") => Some("09:00:00Z".to_owned()),
            Some("partial-time") => Some("09:00:00".to_owned()),
            Some("duration") => Some("PT30M".to_owned()),
            Some("idn-email") => Some("ada@example.com".to_owned()),
            Some("uri") => Some("https://example.com/".to_owned()),
            _ => None,
        };
        if let Some(text) = known.or_else(|| keyword("pattern").and_then(patterned)) {
            return text;
        }
        let field = pointer.rsplit('/').find(|part| part.parse::<u32>().is_err() && *part != "*").unwrap_or("");
        let mut text = format!("Example {}", field.replace('_', " ")).trim().to_owned();
        let bound = |keyword| schema.get(keyword).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        while text.chars().count() < bound("minLength").unwrap_or(0) {
            text.push('.');
        }
        text.chars().take(bound("maxLength").unwrap_or(usize::MAX)).collect()
    }
}

/// Our own checked values get an example that a person would write.
fn patterned(pattern: &str) -> Option<String> {
    let is = |schema: Schema| schema.get("pattern").and_then(Value::as_str) == Some(pattern);
    if is(schema_of::<Slug>()) {
        Some("onboarding_project".to_owned())
    } else if is(schema_of::<Phone>()) {
        Some("+4930123456".to_owned())
    } else {
        matching(pattern)
    }
}

/// The type of a schema, the first that is not null if there are several.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(one) => Some(one),
        Value::Array(several) => several.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    }
}

fn first<'a>(schema: &'a Value, keyword: &str) -> Option<&'a Value> {
    schema.get(keyword)?.as_array()?.iter().find(|value| !value.is_null())
}

/// Within its bounds; not 0, which could be mistaken for a missing one.
fn number(schema: &Value) -> i64 {
    let bound = |keyword| schema.get(keyword).and_then(Value::as_f64).map(|n| n as i64);
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|n| n + 1)).unwrap_or(i64::MIN);
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|n| n - 1)).unwrap_or(i64::MAX);
    1.clamp(least, most.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_fills_every_field_within_its_bounds() {
        let schema = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "email": { "type": ["string", "null"], "format": "idn-email" },
                "phone": { "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$" },
                "zone": { "type": "string", "examples": ["Europe/Berlin"] },
                "minutes": { "type": "integer", "minimum": 5, "maximum": 20 },
                "status": { "oneOf": [{ "const": "prospect" }, { "const": "active" }] },
                "owner": { "anyOf": [{ "type": "null" }, { "type": "string", "maxLength": 4 }] },
                "tags": { "type": "array", "items": { "type": "string" }, "minItems": 2 },
                "fields": { "type": "object", "additionalProperties": { "type": "boolean" } },
            },
        });
        let value = example(&schema, "crm.client.created");
        let expected = json!({
            "id": value["id"],
            "email": "ada@example.com",
            "phone": "+4930123456",
            "zone": "Europe/Berlin",
            "minutes": 5,
            "status": "prospect",
            "owner": "Exam",
            "tags": ["Example tags", "Example tags"],
            "fields": { "example": true },
        });
        assert_eq!(value, expected);
        assert!(jsonschema::draft202012::is_valid(&schema, &value));
        assert_eq!(value, example(&schema, "crm.client.created"), "the same schema gives the same value");
        assert_ne!(value["id"], example(&schema, "crm.contact.created")["id"]);
    }

    #[test]
    fn a_schema_of_itself_ends() {
        let schema = json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object", "required": ["name"],
            "properties": { "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#/$defs/node" } } },
        } } });
        let value = example(&schema, "files.folder.created");
        assert!(jsonschema::draft202012::is_valid(&schema, &value));
        assert_eq!(value["children"][0]["name"], "Example name");
    }
}
