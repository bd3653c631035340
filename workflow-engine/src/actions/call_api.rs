//! Calls a provider's own API through a connection of the firm's.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::references::Sight;
use crate::template::{expressions, render, render_string};
use crate::turn::{Failure, Sending, Turn};
use kernel::Slug;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What has the call made, which is also the permission to.
const REQUEST: &str = "connections.api_call.request";
/// Steps of a path.
const STEPS_MAX: usize = 16;
/// Parameters of a query, and values that are kept.
const PAIRS_MAX: usize = 20;
/// Characters of what is sent along.
const BODY_MAX: usize = 5_000;

/// Calls a provider's own API through a connection of the firm's: never an address, only what is below the connection's account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallApi {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// The connection's id; may hold `{{ expressions }}`.
    pub connection: String,
    /// What the call does.
    pub method: Method,
    /// Where, below the account, one step each: `[Invoices, "{{ event.payload.invoice_id }}"]`.
    pub path: Vec<String>,
    /// What stands after the question mark; texts may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// What is sent along, as JSON; texts may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What of the answer is kept, each as a JSON pointer: `{ invoice: /Invoices/0/InvoiceID }`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub keep: Map<String, Value>,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Asks.
    Get,
    /// Makes something, or does something.
    Post,
    /// Puts something there.
    Put,
    /// Changes something.
    Patch,
    /// Takes something away.
    Delete,
}

impl CallApi {
    fn request(&self, turn: &Turn<'_>) -> Result<Value, Failure> {
        let text = |template: &str| render_string(template, turn.scope());
        let path = self.path.iter().map(|step| text(step)).collect::<Result<Vec<String>, _>>()?;
        let mut query = vec![];
        for (name, value) in &self.query {
            query.push(json!({ "name": name, "value": plain(&render(value, turn.scope())?)? }));
        }
        let body = match &self.body {
            None => None,
            Some(body) => {
                let body = render(body, turn.scope())?.to_string();
                if body.chars().count() > BODY_MAX {
                    let why = format!("what is sent along has more than {BODY_MAX} characters");
                    return Err(Failure::terminal("body_too_long", why));
                }
                Some(body)
            }
        };
        let keep: Vec<Value> = self.keep.iter().map(|(name, at)| json!({ "name": name, "at": at })).collect();
        Ok(json!({
            "connection_id": text(&self.connection)?,
            "method": self.method,
            "path": path,
            "query": query,
            "body": body,
            "keep": keep,
        }))
    }
}

/// A value as it stands in an address.
fn plain(value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(bool) => Ok(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(Failure::terminal("query_not_text", "a query has texts, numbers and truths"))
        }
    }
}

impl Kind for CallApi {
    fn command(&self) -> Option<String> {
        Some(REQUEST.to_owned())
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.within(&format!("{at}/type"), REQUEST);
        found.template(&format!("{at}/connection"), &Value::from(self.connection.as_str()), sight);
        if is_static(&self.connection) && self.connection.parse::<uuid::Uuid>().is_err() {
            let message =
                format!("{:?} is no connection's id; a call goes through one, never to an address", self.connection);
            found.add(format!("{at}/connection"), "invalid_parameter", message);
        }
        if self.path.is_empty() || self.path.len() > STEPS_MAX {
            found.add(format!("{at}/path"), "path_not_allowed", format!("a path has 1 to {STEPS_MAX} steps"));
        }
        for (index, step) in self.path.iter().enumerate() {
            let at = format!("{at}/path/{index}");
            found.template(&at, &Value::from(step.as_str()), sight);
            if is_static(step) && (step.trim().is_empty() || step.contains('/') || matches!(step.as_str(), "." | ".."))
            {
                found.add(at, "path_not_allowed", format!("{step:?} is not one step of a path"));
            }
        }
        for (name, pairs) in [("query", &self.query), ("keep", &self.keep)] {
            if pairs.len() > PAIRS_MAX {
                found.add(format!("{at}/{name}"), "too_many", format!("at most {PAIRS_MAX} in one call"));
            }
        }
        found.template(&format!("{at}/query"), &Value::Object(self.query.clone()), sight);
        if let Some(body) = &self.body {
            if matches!(self.method, Method::Get | Method::Delete) {
                let message = "who asks, or takes something away, sends nothing along";
                found.add(format!("{at}/body"), "body_not_allowed", message);
            }
            found.template(&format!("{at}/body"), body, sight);
        }
        for (name, pointer) in &self.keep {
            let at = format!("{at}/keep/{name}");
            if name.parse::<Slug>().is_err() {
                found.add(at.clone(), "invalid_parameter", format!("{name:?} is no name of a value"));
            }
            if !pointer.as_str().is_some_and(|pointer| pointer.is_empty() || pointer.starts_with('/')) {
                found.add(
                    at,
                    "invalid_parameter",
                    format!("{pointer} is no JSON pointer, such as /Invoices/0/InvoiceID"),
                );
            }
        }
    }

    fn result(&self, found: &Found<'_>) -> Value {
        found.answer_of(REQUEST)
    }

    fn sends(&self, turn: &Turn<'_>) -> Option<Result<Sending, Failure>> {
        let body = match turn.amended() {
            Some(amended) => Ok(amended.clone()),
            None => self.request(turn),
        };
        Some(body.and_then(|body| turn.creates(REQUEST, &body)))
    }
}

/// Is it known before it runs?
fn is_static(text: &str) -> bool {
    let (value, mut found) = (Value::from(text), vec![]);
    expressions(&value, "", &mut found);
    found.is_empty()
}
