//! Sends an email.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::references::Sight;
use crate::template::{expressions, render, render_string};
use crate::turn::{Failure, Sending, Turn};
use kernel::Slug;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What sends it, which is also the permission to.
const SEND: &str = "communications.email.send";

/// Sends an email, made from a template or with a text of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SendEmail {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// Whom it is for.
    pub to: Recipient,
    /// The key of the email template that it is made from, instead of subject and body; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What the template's fields are filled in with, as plain text; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// What is its subject; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it says, in Markdown; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The client that it is about; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The thread that it belongs to; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The ids of the client's files that come with it, which needs a `client_id`; what is left of `{{ expressions }}` that are null is no
    /// file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub attachments: Vec<String>,
}

/// Whom an email is for: one of these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// A contact's id; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// A user's id; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A portal user's id; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_user: Option<String>,
    /// An address; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Recipient {
    /// Those that are given, each with its kind and the field that the command has for it.
    fn given(&self) -> Vec<(&'static str, &'static str, &str)> {
        let all = [
            ("contact", "id", &self.contact),
            ("user", "id", &self.user),
            ("portal_user", "id", &self.portal_user),
            ("address", "email", &self.address),
        ];
        all.into_iter().filter_map(|(kind, field, text)| Some((kind, field, text.as_deref()?))).collect()
    }
}

impl SendEmail {
    fn body(&self, turn: &Turn<'_>) -> Result<Value, Failure> {
        let text = |template: &str| render_string(template, turn.scope());
        let optional = |template: &Option<String>| template.as_deref().map(text).transpose();
        let mut to = json!({});
        if let Some((kind, field, template)) = self.to.given().first() {
            to["kind"] = json!(kind);
            to[*field] = json!(text(template)?);
        }
        let mut fields = vec![];
        for (name, value) in &self.fields {
            fields.push(json!({ "name": name, "value": plain(&render(value, turn.scope())?)? }));
        }
        let mut attachments = vec![];
        for template in &self.attachments {
            match render(&Value::from(template.as_str()), turn.scope())? {
                Value::Null => {}
                id => attachments.push(id),
            }
        }
        Ok(json!({
            "to": to,
            "template": optional(&self.template)?,
            "fields": fields,
            "subject": optional(&self.subject)?,
            "body": optional(&self.body)?,
            "client_id": optional(&self.client_id)?,
            "thread_id": optional(&self.thread_id)?,
            "attachments": attachments,
        }))
    }
}

/// A value as people read it.
fn plain(value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(bool) => Ok(bool.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => {
            Err(Failure::terminal("field_not_text", "a field is filled in with a text, a number or a truth"))
        }
    }
}

impl Kind for SendEmail {
    fn command(&self) -> Option<String> {
        Some(SEND.to_owned())
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.within(&format!("{at}/type"), SEND);
        let given = self.to.given();
        if given.len() != 1 {
            let message = "an email is for one of `contact`, `user`, `portal_user` and `address`";
            found.add(format!("{at}/to"), "recipient_needs_one", message);
        }
        for (kind, _, text) in given {
            let at = format!("{at}/to/{kind}");
            found.template(&at, &Value::from(text), sight);
            let is_wrong = match kind {
                "address" => text.parse::<kernel::Email>().is_err(),
                _ => text.parse::<uuid::Uuid>().is_err(),
            };
            if is_static(text) && is_wrong {
                found.add(at, "invalid_parameter", format!("{text:?} is no {kind}"));
            }
        }
        let (by_template, by_text) = (self.template.is_some(), self.subject.is_some() && self.body.is_some());
        let any_text = self.subject.is_some() || self.body.is_some();
        if by_template == by_text || by_template && any_text || !by_template && !self.fields.is_empty() {
            let message = "an email has a `template`, with `fields`, or a `subject` and a `body`";
            found.add(at, "email_needs_one", message);
        }
        if let Some(template) = self.template.as_deref().filter(|template| is_static(template))
            && template.parse::<Slug>().is_err()
        {
            found.add(format!("{at}/template"), "invalid_parameter", format!("{template:?} is no key of a template"));
        }
        for name in self.fields.keys().filter(|name| name.parse::<Slug>().is_err()) {
            found.add(format!("{at}/fields"), "invalid_parameter", format!("{name:?} is no name of a field"));
        }
        found.template(&format!("{at}/fields"), &Value::Object(self.fields.clone()), sight);
        let texts = [
            ("template", &self.template),
            ("subject", &self.subject),
            ("body", &self.body),
            ("client_id", &self.client_id),
            ("thread_id", &self.thread_id),
        ];
        for (index, text) in self.attachments.iter().enumerate() {
            let at = format!("{at}/attachments/{index}");
            found.template(&at, &Value::from(text.as_str()), sight);
            if is_static(text) && text.parse::<uuid::Uuid>().is_err() {
                found.add(at, "invalid_parameter", format!("{text:?} is no file"));
            }
        }
        if !self.attachments.is_empty() && self.client_id.is_none() {
            let message = "files come with an email about their client, so it has a `client_id`";
            found.add(format!("{at}/attachments"), "missing_parameter", message);
        }
        for (name, text) in texts {
            if let Some(text) = text {
                found.template(&format!("{at}/{name}"), &Value::from(text.as_str()), sight);
            }
        }
    }

    fn result(&self, found: &Found<'_>) -> Value {
        found.answer_of(SEND)
    }

    fn sends(&self, turn: &Turn<'_>) -> Option<Result<Sending, Failure>> {
        let body = match turn.amended() {
            Some(amended) => Ok(amended.clone()),
            None => self.body(turn),
        };
        Some(body.and_then(|body| turn.creates(SEND, &body)))
    }
}

/// Is it known before it runs?
fn is_static(text: &str) -> bool {
    let (value, mut found) = (Value::from(text), vec![]);
    expressions(&value, "", &mut found);
    found.is_empty()
}
