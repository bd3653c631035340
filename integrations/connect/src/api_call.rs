//! Makes the calls to providers' own APIs that the firm asks for, and writes down what became of them.
//!
//! Every try has the call's own key. Where the provider knows keys, a call whose end nobody knows is made again with it; where it does
//! not, the record says that nobody knows, and somebody has to look.

use anyhow::Result;
use catalogue::{AnyEvent, connections_events::ApiCallEvent as E, connections_events::CallMethod};
use connections::ApiCall;
use connections::api_call::{ApiCallCommand as C, FoundValue};
use connections_events::{Provider, Wanted};
use event_store::{ExecuteError, Request, Store};
use kernel::{Actor, ConnectionId, Slug, Text};
use ports::{Fault, Place};
use providers::{Direct, OwnCall};
use reactions::{EXHAUSTED, Found, Job, Lane, OnFailure, Outcome, Reaction};
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// Calls through one connection at once; its budgets bound them besides.
const WIDTH: u16 = 2;
/// Characters of a reason; a provider may say any number.
const REASON_MAX: usize = 500;

/// See above.
pub struct ApiCalls {
    /// Where what became of them is written.
    pub store: Store,
    /// Whom there is to call.
    pub direct: Vec<Arc<dyn Direct>>,
}

/// A call as its event has it.
struct Asked {
    id: Uuid,
    at: Place,
    provider: Provider,
    call: OwnCall,
    keep: Vec<Wanted>,
}

impl Reaction for ApiCalls {
    const NAME: &'static str = "connect.api_call";
    const ON: &'static [&'static str] = &["api_call.requested"];
    /// The call's own record says why.
    const ON_FAILURE: OnFailure = OnFailure::Drop;

    /// What waits for one connection is in no other's way.
    fn lanes(&self, event: &event_store::RawEvent) -> Vec<Lane> {
        let lane = match catalogue::decode(event.clone()).map(|event| event.payload) {
            Ok(AnyEvent::ApiCall(E::Requested { connection_id, .. })) => Lane::of(connection_id),
            _ => Lane::of(event.aggregate_id),
        };
        vec![lane.wide(WIDTH)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let asked = match asked(job) {
            Ok(Some(asked)) => asked,
            Ok(None) => return Outcome::Done,
            Err(why) => return Outcome::Never("unreadable", why),
        };
        let Some(direct) = self.whom(asked.provider) else {
            return Outcome::Never("provider_not_set_up", format!("{} is not set up here", asked.provider.as_str()));
        };
        let answer = match direct.ask(asked.at, &job.key, &asked.call).await {
            Ok(answer) => answer,
            Err(Fault::Unknown(why)) if !direct.knows_keys() => {
                // Nobody can be asked, and nothing must be done twice.
                return match self.say(&asked, C::RecordUnknown { reason: reason(&why) }).await {
                    Ok(()) => Outcome::Done,
                    Err(_) => Outcome::Unknown(why),
                };
            }
            Err(fault) => return fault.into(),
        };
        // What is no JSON has nothing that could be wanted of it.
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let answered = C::RecordAnswered { status: answer.status.as_u16().into(), values: kept(&asked.keep, &said) };
        match self.say(&asked, answered).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Unknown(format!("{error:#}")),
        }
    }

    async fn look_up(&self, job: &Job) -> Found {
        let Ok(Some(asked)) = asked(job) else { return Found::Nothing };
        let is_safe = self.whom(asked.provider).is_none_or(|direct| direct.knows_keys());
        if is_safe || asked.call.method == Method::GET {
            return Found::Nothing;
        }
        let why = C::RecordUnknown { reason: reason("it ended while the call was being made") };
        match self.say(&asked, why).await {
            Ok(()) => Found::Done,
            Err(error) => Found::Unclear(format!("{error:#}")),
        }
    }

    async fn given_up(&self, job: &Job, code: &str, why: &str) -> Result<()> {
        let Ok(Some(asked)) = asked(job) else { return Ok(()) };
        let code: Slug = code.parse().or_else(|_| EXHAUSTED.parse())?;
        self.say(&asked, C::RecordFailed { code, reason: reason(why) }).await
    }
}

impl ApiCalls {
    fn whom(&self, provider: Provider) -> Option<&Arc<dyn Direct>> {
        self.direct.iter().find(|direct| direct.provider() == provider.as_str())
    }

    /// Writes down what became of it. What the record does not take is not tried again.
    async fn say(&self, asked: &Asked, command: C) -> Result<()> {
        let request = Request::new(asked.at.tenant, Actor::System { name: "connect".to_owned() });
        match self.store.execute::<ApiCall>(Some(asked.id), command, &request).await {
            Ok(_) | Err(ExecuteError::NotFound) => Ok(()),
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(error = %error, "what became of a call is not on its record");
                Ok(())
            }
        }
    }
}

/// The call that a job is for.
fn asked(job: &Job) -> Result<Option<Asked>, String> {
    let Some(event) = job.event.clone() else { return Ok(None) };
    let (tenant, id) = (event.tenant_id, event.aggregate_id);
    let event = catalogue::decode(event).map_err(|error| error.to_string())?;
    let AnyEvent::ApiCall(E::Requested { connection_id, provider, method, path, query, body, keep }) = event.payload
    else {
        return Ok(None);
    };
    // What was erased cannot be sent any more.
    let body = body.map(|body| serde_json::from_str::<Value>(body.text()).map_err(|error| error.to_string()));
    let call = OwnCall {
        method: verb(method),
        path: path.iter().map(ToString::to_string).collect(),
        query: query.iter().map(|pair| (pair.name.to_string(), pair.value.to_string())).collect(),
        body: body.transpose()?,
    };
    let at = Place { tenant, connection: ConnectionId(connection_id.0) };
    Ok(Some(Asked { id, at, provider, call, keep }))
}

fn verb(method: CallMethod) -> Method {
    match method {
        CallMethod::Get => Method::GET,
        CallMethod::Post => Method::POST,
        CallMethod::Put => Method::PUT,
        CallMethod::Patch => Method::PATCH,
        CallMethod::Delete => Method::DELETE,
    }
}

/// What was wanted, as far as it is there and not too long.
fn kept(keep: &[Wanted], answer: &Value) -> Vec<FoundValue> {
    let found = |wanted: &Wanted| {
        let text = match answer.pointer(wanted.at.as_str())? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(FoundValue { name: wanted.name.clone(), value: text.parse().ok()? })
    };
    keep.iter().filter_map(found).collect()
}

fn reason(why: &str) -> Text {
    let short: String = why.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect();
    let unclear = || "the provider did not say why".parse().unwrap_or_else(|_| unreachable!("it is a text"));
    short.parse().unwrap_or_else(|_| unclear())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted(name: &str, at: &str) -> Wanted {
        Wanted { name: name.parse().unwrap(), at: at.parse().unwrap() }
    }

    #[test]
    fn of_an_answer_only_what_was_wanted_is_kept_and_nothing_that_is_too_long() {
        let answer = json!({ "Items": [{ "ItemID": "7", "Price": 3, "Secret": "s" }], "Long": "x".repeat(5_001) });
        let keep = [
            wanted("id", "/Items/0/ItemID"),
            wanted("price", "/Items/0/Price"),
            wanted("long", "/Long"),
            wanted("nothing", "/Items/1"),
        ];
        let found: Vec<(String, String)> =
            kept(&keep, &answer).into_iter().map(|found| (found.name.to_string(), found.value.to_string())).collect();
        let expected = [("id", "7"), ("price", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
        assert!(kept(&keep, &Value::Null).is_empty());
    }
}
