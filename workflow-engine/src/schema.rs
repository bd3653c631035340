//! The JSON Schema of definitions, generated from the Rust types; `workflow-engine/definition.schema.json` is a copy for editors.

use crate::Document;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The schema of a whole definition.
pub fn definition_schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Document>().to_value();
    // Actions hold actions, so they alone stand apart, once.
    if let Some(items) = schema.pointer_mut("/properties/actions/items") {
        *items = json!({ "$ref": "#/$defs/Action" });
    }
    if let Some(actions) = schema.pointer_mut("/$defs/Action/oneOf").and_then(Value::as_array_mut) {
        for action in actions {
            // serde cannot refuse unknown fields beside flattened ones, the schema can.
            action["additionalProperties"] = Value::Bool(false);
        }
    }
    schema
}

/// The same in parts, because "fits none of eight" helps nobody: what every definition must be, and what each type of
/// action must be, whatever is inside of it.
pub(crate) struct Parts {
    pub document: jsonschema::Validator,
    pub actions: BTreeMap<String, jsonschema::Validator>,
}

pub(crate) static PARTS: LazyLock<Option<Parts>> = LazyLock::new(|| {
    let mut schema = definition_schema();
    let some = json!({ "type": "object", "required": ["type"] });
    let kinds = std::mem::replace(schema.pointer_mut("/$defs/Action")?, some);
    let mut actions = BTreeMap::new();
    for action in kinds["oneOf"].as_array()? {
        let name = action.pointer("/properties/type/const").and_then(Value::as_str)?;
        let mut action = action.clone();
        action["$defs"] = schema["$defs"].clone();
        actions.insert(name.to_owned(), jsonschema::validator_for(&action).ok()?);
    }
    Some(Parts { document: jsonschema::validator_for(&schema).ok()?, actions })
});

/// What is wrong with `instance`: JSON Pointer, stable code, sentence.
pub(crate) fn problems(validator: &jsonschema::Validator, instance: &Value) -> Vec<(String, &'static str, String)> {
    let problem = |error: jsonschema::ValidationError<'_>| {
        let code = match error.kind().keyword() {
            "additionalProperties" => "unknown_field",
            "required" => "missing_field",
            "type" => "wrong_type",
            _ => "invalid_value",
        };
        (error.instance_path().to_string(), code, error.to_string())
    };
    validator.iter_errors(instance).map(problem).collect()
}

/// The same value with every object's fields in alphabetical order, so that equal content has one spelling.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(ordered.into_iter().map(|(k, v)| (k, sorted(v))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_today_s() {
        let committed = include_str!("../definition.schema.json");
        let today = serde_json::to_string_pretty(&definition_schema()).unwrap() + "\n";
        assert!(committed == today, "run `cargo xtask gen`");
    }
}
