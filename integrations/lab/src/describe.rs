//! The providers' own descriptions: what is asked and answered is held against them.

use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where they are if nobody says so, from the workspace's folder.
const USUAL: &str = "../shared/providers";
/// The variable that says where they are.
const VARIABLE: &str = "UBOS_PROVIDER_DESCRIPTIONS";
/// By provider: the file, and what its paths stand below.
const FILES: &[(&str, &str, &str)] = &[
    ("xero", "xero/accounting.openapi.json", "/api.xro/2.0"),
    ("xero", "xero/identity.openapi.json", ""),
    ("quickbooks", "quickbooks-online/qbo-v3.openapi.json", ""),
    ("docusign", "docusign/esignature-v2.1.openapi.json", "/restapi"),
    ("dropbox_sign", "dropbox-sign/signature-request.openapi.json", "/v3"),
    ("dropbox_sign", "dropbox-sign/signature-request.openapi.json", ""),
];

/// The descriptions that are there.
#[derive(Default)]
pub struct Descriptions {
    documents: Vec<(&'static str, &'static str, Value)>,
    validators: Mutex<HashMap<String, Option<Arc<Validator>>>>,
}

/// Which half of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Request,
    Answer(u16),
}

impl Descriptions {
    /// Those in the folder that the environment names or in the usual one, and a word about where they are or are not.
    pub fn find() -> (Self, String) {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = std::env::var(VARIABLE).map_or_else(|_| workspace.join(USUAL), PathBuf::from);
        let read = |file: &str| -> Option<Value> {
            serde_json::from_str(&std::fs::read_to_string(folder.join(file)).ok()?).ok()
        };
        let found = FILES.iter().filter_map(|(provider, file, below)| Some((*provider, *below, read(file)?)));
        let documents: Vec<_> = found.collect();
        let said = match documents.len() {
            0 => {
                format!("no provider describes itself in {}: nothing is held against it ({VARIABLE})", folder.display())
            }
            count => format!("{count} descriptions of providers are in {}", folder.display()),
        };
        (Self { documents, validators: Mutex::default() }, said)
    }

    /// None: nothing is held against anything.
    pub fn none() -> Self {
        Self::default()
    }

    /// Are there any?
    pub fn are_there(&self) -> bool {
        !self.documents.is_empty()
    }

    /// What is wrong with a body, by the provider's own description; nothing if that says nothing about it.
    pub(crate) fn wrong(&self, provider: &str, method: &str, path: &str, half: Half, body: &Value) -> Option<String> {
        let mine = || self.documents.iter().filter(|(of, ..)| *of == provider);
        mine().next()?;
        let found = mine().find_map(|(_, below, document)| {
            let path = path.strip_prefix(below)?;
            Some((document, operation(document, method, path)?))
        });
        let Some((document, (template, operation))) = found else {
            return Some(format!("{method} {path} is no operation of {provider}"));
        };
        let content = match half {
            Half::Request => operation.get("requestBody").map(|body| resolved(document, body))?,
            Half::Answer(status) => {
                let answers = operation.get("responses")?;
                let of_its_kind = || answers.get(format!("{}XX", status / 100));
                let said = answers.get(status.to_string()).or_else(of_its_kind).or(answers.get("default"));
                said.map(|answer| resolved(document, answer))?
            }
        };
        let schema = content.pointer("/content/application~1json/schema")?;
        let validator = self.validator(&format!("{provider} {method} {template} {half:?}"), document, schema, half)?;
        let errors: Vec<String> =
            validator.iter_errors(body).take(3).map(|error| format!("{}: {error}", error.instance_path())).collect();
        (!errors.is_empty()).then(|| format!("{method} {path} {half:?}: {}", errors.join("; ")))
    }

    /// The same for a message that the provider sends by itself, which is one of its schemas.
    pub(crate) fn wrong_message(&self, provider: &str, schema: &str, message: &Value) -> Option<String> {
        let (.., document) = self.documents.iter().find(|(of, ..)| *of == provider)?;
        let named = json!({ "$ref": format!("#/components/schemas/{schema}") });
        let validator = self.validator(&format!("{provider} {schema}"), document, &named, Half::Answer(200))?;
        let errors: Vec<String> = validator.iter_errors(message).take(3).map(|error| error.to_string()).collect();
        (!errors.is_empty()).then(|| format!("{schema}: {}", errors.join("; ")))
    }

    fn validator(&self, key: &str, document: &Value, schema: &Value, half: Half) -> Option<Arc<Validator>> {
        let known = self.validators.lock().get(key).cloned();
        known.unwrap_or_else(|| {
            let mut whole = schema.clone();
            let components = document.get("components").cloned().unwrap_or_default();
            whole["components"] = json!({ "schemas": components["schemas"] });
            modern(&mut whole, half == Half::Request);
            let validator = jsonschema::draft202012::options().build(&whole);
            let validator = match validator {
                Ok(validator) => Some(Arc::new(validator)),
                Err(error) => {
                    eprintln!("the description of {key} is no schema: {error}");
                    None
                }
            };
            self.validators.lock().insert(key.to_owned(), validator.clone());
            validator
        })
    }
}

/// The operation at a path, with its template.
fn operation<'d>(document: &'d Value, method: &str, path: &str) -> Option<(&'d str, &'d Value)> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| -> Option<usize> {
        let parts: Vec<&str> = template.split('/').collect();
        let is_same = parts.len() == segments.len()
            && parts
                .iter()
                .zip(&segments)
                .all(|(part, segment)| part.starts_with('{') || part.eq_ignore_ascii_case(segment));
        // The one with the most words of its own is meant.
        is_same.then(|| parts.iter().filter(|part| !part.starts_with('{')).count())
    };
    let paths = document.get("paths")?.as_object()?;
    let found = paths.iter().filter_map(|(template, operations)| {
        let operation = operations.get(method.to_lowercase())?;
        Some((fits(template)?, template.as_str(), operation))
    });
    found.max_by_key(|(words, ..)| *words).map(|(_, template, operation)| (template, operation))
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|to| document.pointer(to.strip_prefix('#')?));
    target.unwrap_or(value)
}

/// OpenAPI 3.0 is not JSON Schema: `nullable` becomes a type, and what only answers have is not required of requests. Formats that the
/// services themselves do not keep to are left out.
fn modern(schema: &mut Value, is_request: bool) {
    match schema {
        Value::Object(object) => {
            for word in ["format", "discriminator", "example", "xml", "externalDocs"] {
                if object.get(word).is_some_and(|value| !value.is_object() || word != "format") {
                    object.remove(word);
                }
            }
            for bound in ["exclusiveMinimum", "exclusiveMaximum"] {
                if object.get(bound).is_some_and(Value::is_boolean) {
                    object.remove(bound);
                }
            }
            if is_request && let Some(required) = object.get("required").and_then(Value::as_array).cloned() {
                let properties = object.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
                let is_theirs = |name: &Value| {
                    name.as_str().is_some_and(|name| properties.get(name).is_some_and(|p| p["readOnly"] == json!(true)))
                };
                let kept: Vec<Value> = required.into_iter().filter(|name| !is_theirs(name)).collect();
                object.insert("required".to_owned(), kept.into());
            }
            // The services send null wherever they have nothing.
            if let Some(kind) = object.get("type").and_then(Value::as_str).map(str::to_owned) {
                let is_nullable = object.remove("nullable") == Some(json!(true)) || !is_request;
                if is_nullable {
                    object.insert("type".to_owned(), json!([kind, "null"]));
                    if let Some(Value::Array(values)) = object.get_mut("enum") {
                        values.push(Value::Null);
                    }
                }
            }
            let keys: Map<String, Value> = std::mem::take(object);
            *object = keys
                .into_iter()
                .map(|(key, mut value)| {
                    modern(&mut value, is_request);
                    (key, value)
                })
                .collect();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| modern(item, is_request)),
        _ => {}
    }
}
