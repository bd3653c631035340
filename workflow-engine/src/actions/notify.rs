//! Has somebody told something.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::recipients::Staff;
use crate::references::Sight;
use crate::template::render_string;
use crate::turn::{Failure, OneOfSeveral, Sending, Turn, denied};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::{Name, Slug, Text, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use workflow::Entry;

/// The permission to have somebody told something.
pub(crate) const NOTIFY: &str = "workflow.run.notify";
/// What tells them.
const SEND: &str = "communications.notification.send";
/// The kind of notification unless the definition names one.
const KIND: &str = "workflow";
/// People who are told by one step.
const RECIPIENTS_MAX: usize = 200;

/// Tells members of staff something: a notification for each, in the product or by email as they have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notify {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// Who: the id of a user or a team, `team:Tax`, `role:partner`, or a role's name alone; may hold `{{ expressions }}`.
    pub to: String,
    /// Who instead, if nobody of these is with the firm any more: the same; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// What kind of notification it is, by which users say how it comes; `workflow` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Slug>,
    /// In one line; may hold `{{ expressions }}`.
    pub subject: String,
    /// In full; may hold `{{ expressions }}`.
    pub body: String,
    /// Where in the app it leads: a path; may hold `{{ expressions }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What is to be told, filled in.
struct Told {
    to: String,
    subject: Text,
    body: Text,
}

impl Notify {
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let always = [("to", self.to.as_str()), ("subject", &self.subject), ("body", &self.body)];
        let others = [("fallback", &self.fallback), ("link", &self.link)];
        always.into_iter().chain(others.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))))
    }

    fn told(&self, turn: &Turn<'_>) -> Result<Told, Failure> {
        let text = |template: &str| -> Result<Text, Failure> {
            let text = render_string(template, turn.scope())?;
            text.parse().map_err(|error| Failure::terminal("text_not_allowed", format!("{error}")))
        };
        Ok(Told { to: render_string(&self.to, turn.scope())?, subject: text(&self.subject)?, body: text(&self.body)? })
    }

    async fn recipients(&self, turn: &Turn<'_>, to: &str) -> Result<Vec<UserId>, Failure> {
        let staff = Staff::of(&turn.tasks.pool, turn.standing.tenant).await;
        let staff = staff.map_err(|_| Failure::retryable("unavailable", "the log could not be reached"))?;
        let mut found = staff.named(to);
        if found.is_empty()
            && let Some(fallback) = &self.fallback
        {
            found = staff.named(&render_string(fallback, turn.scope())?);
        }
        match found.len() {
            0 => Err(Failure::terminal("nobody_to_notify", "nobody whom `to` or `fallback` means is with the firm")),
            1..=RECIPIENTS_MAX => Ok(found),
            _ => Err(Failure::terminal("too_many_to_notify", format!("at most {RECIPIENTS_MAX} are told by one step"))),
        }
    }

    async fn sendings(&self, turn: &Turn<'_>) -> Result<Vec<Sending>, Failure> {
        // The right to tell somebody is the step's own: definitions need not know what tells them.
        if !turn.standing.document.permissions().allow(NOTIFY) {
            return Err(denied());
        }
        let Told { to, subject, body } = self.told(turn)?;
        let title: Name = subject
            .as_str()
            .parse()
            .map_err(|error| Failure::terminal("text_not_allowed", format!("the subject: {error}")))?;
        let link = self.link.as_ref().map(|link| render_string(link, turn.scope())).transpose()?;
        let Some(info) = turn.bus.command(SEND) else {
            return Err(Failure::terminal("unknown_command", format!("there is no command {SEND}")));
        };
        let kind = self.kind.as_ref().map_or(KIND, Slug::as_str);
        let step = turn.standing.id_of(&turn.path);
        let sending = |user: UserId| {
            // Known by the step and the user, so that nobody is told twice.
            let id = Uuid::new_v5(&step, user.0.as_bytes());
            let said = json!({ "user_id": user, "kind": kind, "title": title, "body": body, "link": link });
            let one_of_several =
                Some(OneOfSeveral { command_id: Uuid::new_v5(&id, SEND.as_bytes()), permission: SEND });
            Sending { info: *info, target: Some(id), body: said.to_string(), takes: None, one_of_several }
        };
        Ok(self.recipients(turn, &to).await?.into_iter().map(sending).collect())
    }
}

impl Kind for Notify {
    fn permission(&self) -> Option<String> {
        Some(NOTIFY.to_owned())
    }

    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.within(&format!("{at}/type"), NOTIFY);
        for (name, text) in self.texts() {
            found.template(&format!("{at}/{name}"), &Value::from(text), sight);
        }
    }

    fn result(&self, _: &Found<'_>) -> Value {
        json!({ "properties": { "requested": { "type": "boolean" }, "count": { "type": "integer" }, "ids": { "type": "array" }, "users": { "type": "array" } } })
    }

    fn sends_several<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Option<Result<Vec<Sending>, Failure>>> {
        async { Some(self.sendings(turn).await) }.boxed()
    }

    fn sent(&self, turn: &Turn<'_>, several: &[Sending]) -> Vec<Entry> {
        let ids: Vec<Option<Uuid>> = several.iter().map(|sending| sending.target).collect();
        // Whoever was told may be given something to do next.
        let told = |sending: &Sending| serde_json::from_str::<Value>(&sending.body).ok()?.get("user_id").cloned();
        let users: Vec<Value> = several.iter().filter_map(told).collect();
        let done = turn.succeeded(json!({ "requested": true, "count": ids.len(), "ids": ids, "users": users }));
        match self.told(turn) {
            Ok(Told { to, subject, body }) => {
                let step = turn.path.clone();
                vec![Entry::Notified { step, to: to.into(), subject: subject.into(), body: body.into() }, done]
            }
            Err(_) => vec![done],
        }
    }
}
