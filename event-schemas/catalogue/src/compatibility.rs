//! What a published payload version may still become: more optional fields, more enum values, better sentences, `null`
//! where a person can be erased.
//!
//! Two parties depend on a published schema: the log, whose old events today's type must read, and subscribers, whose
//! code reads new events. A change is compatible if neither notices. Enums are open: readers expect values they do not
//! know. Everything else needs a new version and an upcaster.

use serde_json::{Map, Value};
use std::fmt;

/// One incompatible change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// JSON Pointer into the payload; `*` stands for every element of a list or map.
    pub pointer: String,
    /// What changed, as a sentence without its subject.
    pub change: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the payload" } else { &self.pointer };
        write!(f, "{pointer} {}", self.change)
    }
}

/// Every incompatible change from the published schema `old` to `new`; none means that `new` may replace it.
pub fn compatibility(old: &Value, new: &Value) -> Vec<Break> {
    let mut check = Check { old_root: old, new_root: new, seen: vec![], breaks: vec![] };
    check.schema("", old, new);
    check.breaks
}

/// Says something to people, nothing to machines.
const ANNOTATIONS: &[&str] =
    &["$schema", "$id", "$defs", "title", "description", "default", "examples", "deprecated", "$comment"];

/// Bounds that may widen, never narrow: `true` if a greater value is wider.
const BOUNDS: &[(&str, bool)] = &[
    ("minLength", false),
    ("maxLength", true),
    ("minimum", false),
    ("maximum", true),
    ("exclusiveMinimum", false),
    ("exclusiveMaximum", true),
    ("minItems", false),
    ("maxItems", true),
    ("minProperties", false),
    ("maxProperties", true),
];

struct Check<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    /// Pairs that were compared already, because a schema may refer to itself.
    seen: Vec<(*const Value, *const Value)>,
    breaks: Vec<Break>,
}

impl<'a> Check<'a> {
    fn schema(&mut self, at: &str, old: &'a Value, new: &'a Value) {
        let (old, new) = (resolve(self.old_root, old), resolve(self.new_root, new));
        let pair = (std::ptr::from_ref(old), std::ptr::from_ref(new));
        if old == new && !refers(old) || self.seen.contains(&pair) {
            return;
        }
        self.seen.push(pair);
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
            return self.found(at, "changed its type");
        };
        if let (Some(before), Some(after)) = (closed_values(old), closed_values(new)) {
            for value in before.iter().filter(|value| !after.contains(value)) {
                self.found(at, format!("lost the value {value}"));
            }
            return;
        }
        let mut keywords: Vec<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
        keywords.sort_unstable();
        keywords.dedup();
        for keyword in keywords.into_iter().filter(|k| !ANNOTATIONS.contains(k)) {
            self.keyword(at, keyword, old, new);
        }
    }

    fn keyword(&mut self, at: &str, keyword: &str, old: &'a Map<String, Value>, new: &'a Map<String, Value>) {
        let (before, after) = (old.get(keyword), new.get(keyword));
        // Equal, unless it refers to something that changed.
        if before == after && !before.is_some_and(refers) {
            return;
        }
        if let Some((_, greater_is_wider)) = BOUNDS.iter().find(|(bound, _)| *bound == keyword) {
            return self.bound(at, keyword, before, after, *greater_is_wider);
        }
        match keyword {
            "properties" => {
                self.properties(at, object(before), object(after));
                if old.get("additionalProperties") == Some(&Value::Bool(false)) {
                    self.closed(at, object(before), object(after));
                }
            }
            "required" => self.required(at, old, new),
            "oneOf" | "anyOf" => match (before, after) {
                (Some(Value::Array(before)), Some(Value::Array(after))) => self.variants(at, before, after),
                _ => self.found(at, "changed its type"),
            },
            "items" | "additionalProperties" | "propertyNames" => match (before, after) {
                (Some(before), Some(after)) if before.is_object() && after.is_object() => {
                    self.schema(&format!("{at}/*"), before, after);
                }
                _ if allows_all(before) && allows_all(after) => {}
                // Closed before, open now: a reader that ignores what it does not know does not notice.
                (Some(Value::Bool(false)), _) if allows_all(after) => {}
                _ => self.found(at, format!("changed {keyword:?}")),
            },
            "pattern" if after.is_none() => {}
            "x-personal" if before.is_none() => {}
            "x-personal" if before != after => self.found(at, "is not marked personal any more"),
            // Whoever reads what is marked personal knows that it is null once the person was erased.
            "type" if is_personal(new) && types(before) == without_null(after) => {}
            "type" if types(before) != types(after) => {
                let name = |v: Option<&Value>| v.map_or("anything".to_owned(), Value::to_string);
                self.found(at, format!("changed its type from {} to {}", name(before), name(after)));
            }
            "type" => {}
            _ if before != after => self.found(at, format!("changed {keyword:?}")),
            _ => {}
        }
    }

    fn properties(&mut self, at: &str, old: Option<&'a Map<String, Value>>, new: Option<&'a Map<String, Value>>) {
        for (name, before) in old.into_iter().flatten() {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            match new.and_then(|new| new.get(name)) {
                Some(after) => self.schema(&at, before, after),
                None => self.found(&at, "was removed or renamed"),
            }
        }
    }

    /// A reader of a closed object refuses what it does not know, so nothing can be added to one.
    fn closed(&mut self, at: &str, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>) {
        let known = |name: &str| old.is_some_and(|old| old.contains_key(name));
        for name in new.into_iter().flat_map(Map::keys).filter(|name| !known(name)) {
            self.found(
                &format!("{at}/{name}"),
                "is new in an object that allows no other fields, so older readers refuse it",
            );
        }
    }

    fn required(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let known = |schema: &Map<String, Value>, name: &str| {
            object(schema.get("properties")).is_some_and(|properties| properties.contains_key(name))
        };
        let (before, after) = (names(old.get("required")), names(new.get("required")));
        for name in after.iter().filter(|name| !before.contains(name)) {
            let existed = known(old, name);
            let change =
                if existed { "became required" } else { "is new and required; make it optional with a default" };
            self.found(&format!("{at}/{name}"), change);
        }
        // A removed property is reported once, as removed.
        for name in before.iter().filter(|name| !after.contains(name) && known(new, name)) {
            self.found(&format!("{at}/{name}"), "is not required any more, so readers may miss it");
        }
    }

    fn bound(&mut self, at: &str, keyword: &str, old: Option<&Value>, new: Option<&Value>, greater_is_wider: bool) {
        let narrower = match (old.and_then(Value::as_f64), new.and_then(Value::as_f64)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(old), Some(new)) => {
                if greater_is_wider {
                    new < old
                } else {
                    new > old
                }
            }
        };
        if narrower {
            self.found(at, format!("was tightened: {keyword:?}"));
        }
    }

    /// Every old variant must still be there; new ones are values that readers do not know yet.
    fn variants(&mut self, at: &str, old: &'a [Value], new: &'a [Value]) {
        for (index, before) in old.iter().enumerate() {
            match tag(self.old_root, before) {
                Some((key, value)) => {
                    let same = new.iter().find(|after| tag(self.new_root, after) == Some((key, value)));
                    match same {
                        Some(after) => self.schema(at, before, after),
                        None => self.found(at, format!("lost the variant {key} = {value}")),
                    }
                }
                None => match new.get(index) {
                    Some(after) => self.schema(at, before, after),
                    None => self.found(at, "lost a variant"),
                },
            }
        }
        // An untagged variant, null included, is one that no reader could have left room for.
        let fresh = new.iter().enumerate().filter(|(index, v)| *index >= old.len() && tag(self.new_root, v).is_none());
        for _ in fresh {
            self.found(at, "may now be something else");
        }
    }

    fn found(&mut self, at: &str, change: impl Into<String>) {
        self.breaks.push(Break { pointer: at.to_owned(), change: change.into() });
    }
}

/// Follows a reference within the document; a schema that refers nowhere else is itself.
pub(crate) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.contains_key("$ref") || fields.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// The values of an enum, spelled either way: `enum: [..]` or one documented `const` per variant.
fn closed_values(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(values.iter().collect());
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value]);
    }
    let Some(Value::Array(variants)) = schema.get("oneOf").or(schema.get("anyOf")) else { return None };
    let values: Option<Vec<_>> = variants.iter().map(|v| v.as_object().and_then(closed_values)).collect();
    values.map(|values| values.concat())
}

/// The constant property that tells a tagged variant from its siblings.
fn tag<'a>(root: &'a Value, variant: &'a Value) -> Option<(&'a str, &'a Value)> {
    let properties = resolve(root, variant).get("properties")?.as_object()?;
    properties.iter().find_map(|(key, schema)| Some((key.as_str(), schema.get("const")?)))
}

fn allows_all(schema: Option<&Value>) -> bool {
    matches!(schema, None | Some(Value::Bool(true)))
}

fn object(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn names(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn is_personal(schema: &Map<String, Value>) -> bool {
    schema.get("x-personal") == Some(&Value::Bool(true))
}

fn without_null(value: Option<&Value>) -> Vec<&str> {
    types(value).into_iter().filter(|name| *name != "null").collect()
}

fn types(value: Option<&Value>) -> Vec<&str> {
    let mut types = match value {
        Some(Value::String(one)) => vec![one.as_str()],
        other => names(other),
    };
    types.sort_unstable();
    types
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn published() -> Value {
        json!({
            "title": "crm.client.created",
            "type": "object",
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 200, "x-personal": true },
                "status": { "oneOf": [{ "type": "string", "const": "prospect" }, { "type": "string", "const": "active" }] },
                "email": { "type": ["string", "null"], "format": "email" },
                "tags": { "type": "array", "items": { "type": "string", "maxLength": 10 } },
                "actor": { "oneOf": [
                    { "type": "object", "properties": { "kind": { "const": "user" }, "id": { "type": "string" } }, "required": ["kind", "id"] },
                    { "type": "object", "properties": { "kind": { "const": "system" } }, "required": ["kind"] },
                ] },
            },
            "required": ["name", "status"],
        })
    }

    /// The breaks that a change to the published schema causes, as `pointer change`.
    fn breaks(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let (old, mut new) = (published(), published());
        change(&mut new);
        compatibility(&old, &new).iter().map(Break::to_string).collect()
    }

    #[test]
    fn the_same_schema_is_compatible() {
        assert!(breaks(|_| ()).is_empty());
    }

    #[test]
    fn an_optional_field_may_be_added() {
        assert!(breaks(|s| s["properties"]["phone"] = json!({ "type": ["string", "null"] })).is_empty());
    }

    #[test]
    fn sentences_and_examples_may_change() {
        assert!(
            breaks(|s| {
                s["description"] = "Better.".into();
                s["properties"]["name"]["description"] = "Better.".into();
                s["properties"]["name"]["examples"] = json!(["Ada"]);
            })
            .is_empty()
        );
    }

    #[test]
    fn a_new_enum_value_is_compatible_because_enums_are_open() {
        let add = |s: &mut Value| {
            let values = s["properties"]["status"]["oneOf"].as_array_mut().unwrap();
            values.push(json!({ "type": "string", "const": "former" }));
        };
        assert!(breaks(add).is_empty());
    }

    #[test]
    fn an_enum_may_change_between_its_two_spellings() {
        assert!(
            breaks(|s| s["properties"]["status"] = json!({ "type": "string", "enum": ["active", "prospect"] }))
                .is_empty()
        );
    }

    #[test]
    fn a_new_variant_of_a_tagged_union_is_compatible() {
        let add = |s: &mut Value| {
            let variants = s["properties"]["actor"]["oneOf"].as_array_mut().unwrap();
            variants.insert(0, json!({ "type": "object", "properties": { "kind": { "const": "workflow" } } }));
        };
        assert!(breaks(add).is_empty());
    }

    #[test]
    fn a_bound_may_widen() {
        assert!(breaks(|s| s["properties"]["name"]["maxLength"] = 500.into()).is_empty());
    }

    #[test]
    fn a_field_cannot_be_removed() {
        for field in ["email", "name"] {
            let remove = |s: &mut Value| drop(s["properties"].as_object_mut().unwrap().remove(field));
            assert_eq!(breaks(remove), [format!("/{field} was removed or renamed")]);
        }
    }

    #[test]
    fn a_renamed_field_is_a_removed_one() {
        let rename = |s: &mut Value| {
            let fields = s["properties"].as_object_mut().unwrap();
            let email = fields.remove("email").unwrap();
            fields.insert("address".into(), email);
        };
        assert_eq!(breaks(rename), ["/email was removed or renamed"]);
    }

    #[test]
    fn a_new_field_cannot_be_required() {
        let add = |s: &mut Value| {
            s["properties"]["kind"] = json!({ "type": "string" });
            s["required"] = json!(["name", "status", "kind"]);
        };
        assert_eq!(breaks(add), ["/kind is new and required; make it optional with a default"]);
    }

    #[test]
    fn a_closed_object_cannot_gain_a_field() {
        let (mut old, mut new) = (published(), published());
        old["additionalProperties"] = false.into();
        new["additionalProperties"] = false.into();
        new["properties"]["phone"] = json!({ "type": ["string", "null"] });
        let breaks = compatibility(&old, &new);
        let found: Vec<_> = breaks.iter().map(Break::to_string).collect();
        assert_eq!(found, ["/phone is new in an object that allows no other fields, so older readers refuse it"]);
        new["properties"].as_object_mut().unwrap().remove("phone");
        new["properties"]["name"]["description"] = "Better.".into();
        assert!(compatibility(&old, &new).is_empty(), "that it stays closed is no change");
    }

    #[test]
    fn an_optional_field_cannot_become_required() {
        assert_eq!(breaks(|s| s["required"] = json!(["name", "status", "email"])), ["/email became required"]);
    }

    #[test]
    fn a_required_field_cannot_become_optional() {
        assert_eq!(
            breaks(|s| s["required"] = json!(["name"])),
            ["/status is not required any more, so readers may miss it"]
        );
    }

    #[test]
    fn a_type_cannot_change_and_null_is_a_type() {
        assert_eq!(
            breaks(|s| s["properties"]["tags"]["type"] = json!(["array", "null"])),
            [r#"/tags changed its type from "array" to ["array","null"]"#]
        );
    }

    #[test]
    fn a_personal_field_may_become_null_because_persons_are_erased() {
        assert!(breaks(|s| s["properties"]["name"]["type"] = json!(["string", "null"])).is_empty());
        let mark = |s: &mut Value| {
            let id = &mut s["properties"]["actor"]["oneOf"][0]["properties"]["id"];
            (id["type"], id["x-personal"]) = (json!(["string", "null"]), true.into());
        };
        assert!(breaks(mark).is_empty());
        let change = |s: &mut Value| s["properties"]["name"]["type"] = json!(["integer", "null"]);
        assert_eq!(breaks(change), [r#"/name changed its type from "string" to ["integer","null"]"#]);
    }

    #[test]
    fn a_bound_cannot_narrow_or_appear() {
        assert_eq!(
            breaks(|s| s["properties"]["name"]["maxLength"] = 100.into()),
            [r#"/name was tightened: "maxLength""#]
        );
        assert_eq!(breaks(|s| s["properties"]["tags"]["maxItems"] = 3.into()), [r#"/tags was tightened: "maxItems""#]);
    }

    #[test]
    fn a_change_inside_a_list_is_found() {
        let change = |s: &mut Value| s["properties"]["tags"]["items"]["type"] = "integer".into();
        assert_eq!(breaks(change), [r#"/tags/* changed its type from "string" to "integer""#]);
    }

    #[test]
    fn a_format_or_pattern_cannot_be_added() {
        assert_eq!(breaks(|s| s["properties"]["name"]["pattern"] = "^A".into()), [r#"/name changed "pattern""#]);
        assert_eq!(breaks(|s| s["properties"]["email"]["format"] = "uri".into()), [r#"/email changed "format""#]);
    }

    #[test]
    fn an_enum_value_cannot_be_removed() {
        assert_eq!(
            breaks(|s| s["properties"]["status"]["oneOf"] = json!([{ "const": "prospect" }])),
            [r#"/status lost the value "active""#]
        );
    }

    #[test]
    fn a_variant_of_a_tagged_union_cannot_be_removed_or_changed() {
        let remove = |s: &mut Value| drop(s["properties"]["actor"]["oneOf"].as_array_mut().unwrap().remove(1));
        assert_eq!(breaks(remove), [r#"/actor lost the variant kind = "system""#]);
        let change =
            |s: &mut Value| s["properties"]["actor"]["oneOf"][0]["properties"]["id"]["type"] = "integer".into();
        assert_eq!(breaks(change), [r#"/actor/id changed its type from "string" to "integer""#]);
    }

    #[test]
    fn a_personal_field_stays_personal() {
        let unmark = |s: &mut Value| drop(s["properties"]["name"].as_object_mut().unwrap().remove("x-personal"));
        assert_eq!(breaks(unmark), ["/name is not marked personal any more"]);
    }

    #[test]
    fn a_keyword_that_the_check_does_not_know_cannot_change() {
        assert_eq!(
            breaks(|s| s["properties"]["name"]["contentEncoding"] = "base64".into()),
            [r#"/name changed "contentEncoding""#]
        );
    }

    #[test]
    fn a_change_behind_a_reference_is_found() {
        let tree = |kind: &str| {
            json!({
                "type": "object",
                "properties": { "tree": { "$ref": "#/$defs/node" } },
                "$defs": { "node": { "type": "object", "properties": {
                    "name": { "type": kind }, "children": { "type": "array", "items": { "$ref": "#/$defs/node" } },
                } } },
            })
        };
        assert!(compatibility(&tree("string"), &tree("string")).is_empty());
        let breaks = compatibility(&tree("string"), &tree("integer"));
        assert_eq!(breaks.len(), 1);
        assert_eq!(breaks[0].to_string(), r#"/tree/name changed its type from "string" to "integer""#);
    }
}
