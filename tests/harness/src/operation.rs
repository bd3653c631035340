//! What both services can be asked, as their documents say.

use crate::TestApp;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// An operation of one of the two services.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `GET` of every question, `POST` of every command.
    pub method: Method,
    /// With `{id}` and `{position}` in it.
    pub path: String,
    /// What whoever asks needs; empty if anybody may.
    pub permission: String,
    /// How it is described, with what that refers to in place.
    pub description: Value,
    /// A body as the document has it.
    pub body: Value,
}

impl Operation {
    /// Its path to one record.
    pub fn of(&self, id: Uuid) -> String {
        self.path.replace("{id}", &id.to_string())
    }

    /// Its path to a record that nobody has.
    pub fn of_nothing(&self) -> String {
        self.of(Uuid::now_v7())
    }

    /// Whether it is about one record.
    pub fn names_a_record(&self) -> bool {
        self.path.contains("{id}")
    }
}

impl TestApp {
    /// Every command of every context.
    pub fn orders(&self) -> Vec<Operation> {
        let commands: Vec<_> = self.bus.commands().copied().collect();
        operations(&command_api::openapi(&commands, |_| {}))
    }

    /// Every question.
    pub fn questions(&self) -> Vec<Operation> {
        operations(&query_api::openapi())
    }
}

/// Every operation that a document describes.
fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, description)| {
            let permission = description["x-permission"].as_str().unwrap_or_default().to_owned();
            let body = &description["requestBody"]["content"]["application/json"]["schema"];
            let body = if body.is_null() { json!({}) } else { catalogue::example_in(document, body, &permission) };
            Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                permission,
                description: written_out(document, description, 0),
                body,
            }
        })
    });
    each.collect()
}

/// The value with what it refers to in place of the references, as far as anybody looks.
fn written_out(document: &Value, value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(fields) => match fields.get("$ref").and_then(Value::as_str) {
            Some(_) if depth > 8 => json!({}),
            Some(reference) => written_out(document, document.pointer(&reference[1..]).unwrap(), depth + 1),
            None => fields.iter().map(|(name, value)| (name.clone(), written_out(document, value, depth))).collect(),
        },
        Value::Array(items) => items.iter().map(|value| written_out(document, value, depth)).collect(),
        other => other.clone(),
    }
}
