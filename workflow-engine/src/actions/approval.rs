//! Has somebody decide.

use crate::actions::{Common, Kind};
use crate::check::Found;
use crate::document::duration;
use crate::references::Sight;
use crate::template::render_string;
use crate::turn::{Failure, Turn};
use chrono::{TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::{Pattern, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{Entry, Step};
use workflow_events::ApprovalTerms;

/// Asks for a decision: `POST /v1/workflow/runs/{id}/approve`, `…/reject`, `…/delegate`. Open questions are at
/// `GET /v1/workflow/approvals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// What every action may say.
    #[serde(flatten)]
    pub common: Common,
    /// What is asked; may hold `{{ expressions }}`.
    pub question: String,
    /// Whoever holds all that these patterns grant may decide: `projects.project.activate`.
    #[schemars(length(min = 1, max = 20))]
    pub approvers: Vec<Pattern>,
    /// So many must approve; one rejection is enough.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub quorum: u32,
    /// They are reminded whenever so much time has passed: `2d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_every: Option<String>,
    /// Others may decide too when nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Escalate>,
    /// After so long nobody may decide any more, and the decision is `expired`: `14d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_after: Option<String>,
}

/// Who else may decide, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalate {
    /// After so long: `3d`.
    pub after: String,
    /// Whoever holds all that these patterns grant.
    #[schemars(length(min = 1, max = 20))]
    pub to: Vec<Pattern>,
}

fn one() -> u32 {
    1
}

impl Approval {
    fn asked(&self, turn: &Turn<'_>) -> Result<(Text, ApprovalTerms), Failure> {
        let question = render_string(&self.question, turn.scope())?;
        let question = question.parse().map_err(|e| Failure::terminal("text_not_allowed", format!("{e}")))?;
        let after = |text: &str| duration(text).map(|length| Timestamp::of_clock(Utc::now()) + length);
        let terms = ApprovalTerms {
            approvers: self.approvers.clone(),
            quorum: self.quorum,
            remind_at: self.remind_every.as_deref().and_then(after),
            escalate_at: self.escalate.as_ref().and_then(|escalate| after(&escalate.after)),
            escalate_to: self.escalate.as_ref().map(|escalate| escalate.to.clone()).unwrap_or_default(),
            expires_at: self.expire_after.as_deref().and_then(after),
        };
        Ok((question, terms))
    }
}

impl Kind for Approval {
    fn check(&self, at: &str, sight: &Sight, found: &mut Found<'_>) {
        found.template(&format!("{at}/question"), &Value::from(self.question.as_str()), sight);
        found.known_patterns(&format!("{at}/approvers"), &self.approvers);
        if let Some(Escalate { after, to }) = &self.escalate {
            found.duration(&format!("{at}/escalate/after"), after);
            found.known_patterns(&format!("{at}/escalate/to"), to);
        }
        for (name, text) in [("remind_every", &self.remind_every), ("expire_after", &self.expire_after)] {
            if let Some(text) = text {
                found.duration(&format!("{at}/{name}"), text);
            }
        }
    }

    fn result(&self, _: &Found<'_>) -> Value {
        json!({ "properties": { "decision": { "type": "string" }, "by": { "type": "array" } } })
    }

    fn take<'a>(&'a self, turn: &'a Turn<'_>) -> BoxFuture<'a, Vec<Entry>> {
        async {
            match self.asked(turn) {
                Ok((question, terms)) => {
                    let (step, began_at) = (turn.path.clone(), turn.began_at);
                    vec![Entry::ApprovalRequested { step, began_at, question: question.into(), terms }]
                }
                Err(failure) => turn.failed(failure),
            }
        }
        .boxed()
    }
}

/// What is due at a question that nobody has answered: a reminder, an escalation, its end.
pub(crate) fn due(turn: &Turn<'_>, step: &Step) -> Vec<Entry> {
    let Some(approval) = &step.approval else { return vec![] };
    let now = Timestamp::of_clock(Utc::now());
    let over = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    if over(approval.terms.expires_at) {
        return vec![turn.succeeded(json!({ "decision": "expired", "by": [] }))];
    }
    let mut entries = vec![];
    if over(approval.terms.escalate_at) && !approval.escalated {
        entries.push(Entry::ApprovalEscalated { step: turn.path.clone(), to: approval.terms.escalate_to.clone() });
    }
    if let Some(at) = approval.terms.remind_at.filter(|at| *at <= now) {
        let since = step.since.unwrap_or(at);
        let every = (approval_pause(turn)).filter(|every| *every > TimeDelta::zero());
        // However long nobody looked, the next one is still to come.
        let missed = every.map(|every| (now - since).num_seconds() / every.num_seconds().max(1) + 1);
        let remind_at = every
            .zip(missed)
            .map(|(every, missed)| since + TimeDelta::seconds(every.num_seconds().saturating_mul(missed)));
        entries.push(Entry::ApprovalReminded { step: turn.path.clone(), remind_at });
    }
    entries
}

/// How often those who may decide are reminded.
fn approval_pause(turn: &Turn<'_>) -> Option<TimeDelta> {
    match turn.standing.document.action(turn.path.id()) {
        Some(crate::actions::Action::Approval(approval)) => duration(approval.remind_every.as_deref()?),
        _ => None,
    }
}
