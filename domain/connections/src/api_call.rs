//! A call to a provider's own API, through a connection: for what no command of ours does.
//!
//! Where it goes is the connection's to say, never the caller's: a call names steps of a path below the firm's account. What of the answer
//! is written down is named beforehand, and nothing else of it is kept.

use crate::Connection;
use connections_events::{
    ApiCallEvent as E, ApiCallStatus as Status, CallMethod, ConnectionStatus, KeptValue, QueryParameter, Wanted,
};
use kernel::{
    Aggregate, ConnectionId, Context, Decision, Machine, Name, Personal, Reference, Slug, Text, command, rejection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use ApiCallCommand as C;
use ApiCallRejection as R;

/// Steps of a path.
const STEPS_MAX: usize = 16;
/// Parameters of a query.
const QUERY_MAX: usize = 20;
/// Values that are kept of one answer.
const KEPT_MAX: usize = 20;

/// A value that was wanted of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct FoundValue {
    /// What it was wanted as.
    pub name: Slug,
    /// What stands there.
    pub value: Text,
}

/// What may be asked of a call.
#[command("connections.api_call", !member)]
pub enum ApiCallCommand {
    /// Has a call made, once, through a connection; what the provider answers is an event of its own.
    #[creates]
    #[refused(
        UnknownConnection,
        Disconnected,
        PathNotAllowed,
        TooManyParameters,
        BodyNotAllowed,
        BodyNotJson,
        TooMuchWanted,
        WantedTwice,
        PointerNotAllowed
    )]
    Request {
        /// Through which connection.
        connection_id: ConnectionId,
        /// What the call does.
        method: CallMethod,
        /// Where, below the firm's account: one step each, at most 16.
        path: Vec<Name>,
        /// What stands after the question mark, at most 20.
        #[serde(default)]
        query: Vec<QueryParameter>,
        /// What is sent along, as JSON.
        #[serde(default)]
        body: Option<Text>,
        /// What of the answer is kept, at most 20 values of at most 5,000 characters.
        #[serde(default)]
        keep: Vec<Wanted>,
    },
    /// Notes what the provider answered; only whoever has made the call does.
    #[refused(ConnectOnly)]
    RecordAnswered {
        /// The status of the answer.
        status: u32,
        /// What of it was wanted, and there.
        #[serde(default)]
        values: Vec<FoundValue>,
    },
    /// Notes that the call cannot be made; only whoever has tried does.
    #[refused(ConnectOnly)]
    RecordFailed {
        /// Why.
        code: Slug,
        /// The same in words.
        reason: Text,
    },
    /// Notes that nobody knows whether the call was made; only whoever has tried does.
    #[refused(ConnectOnly)]
    RecordUnknown {
        /// What is known.
        reason: Text,
    },
    /// Notes what became, at the provider, of a call of which nobody knew.
    #[refused(NotUnknown)]
    Settle {
        /// Whether it was made.
        happened: bool,
        /// What there is to know about it.
        #[serde(default)]
        note: Option<Text>,
    },
}

/// Why a call's command may be refused.
#[rejection("connections.api_call")]
pub enum ApiCallRejection {
    /// There is no such connection.
    #[invalid("/connection_id")]
    UnknownConnection,
    /// The connection was given up.
    Disconnected,
    /// A path has 1 to 16 steps, and none of them leads upwards.
    #[invalid("/path")]
    PathNotAllowed,
    /// A query has at most 20 parameters.
    #[invalid("/query")]
    TooManyParameters,
    /// Who asks, or takes something away, sends nothing along.
    #[invalid("/body")]
    BodyNotAllowed,
    /// What is sent along is JSON.
    #[invalid("/body")]
    BodyNotJson,
    /// At most 20 values of an answer are kept.
    #[invalid("/keep")]
    TooMuchWanted,
    /// Two values have one name.
    #[invalid("/keep")]
    WantedTwice,
    /// A JSON pointer is empty or begins with a slash.
    #[invalid("/keep")]
    PointerNotAllowed,
    /// Only whoever speaks to the provider notes what came of it.
    #[audited]
    ConnectOnly,
    /// What became of the call is known, or is being found out.
    NotUnknown,
}

/// What is remembered of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiCall {
    status: Status,
}

impl Aggregate for ApiCall {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "connections/api-calls";

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Request { connection_id, .. } => vec![Reference::id::<Connection>(*connection_id)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::RecordAnswered { .. } | C::RecordFailed { .. } | C::RecordUnknown { .. } if !ctx.actor.is_system() => {
                return Err(R::ConnectOnly);
            }
            C::Request { connection_id, method, path, query, body, keep } => {
                let connection = ctx.referenced::<Connection>(connection_id).ok_or(R::UnknownConnection)?;
                let provider = connection.provider().ok_or(R::UnknownConnection)?;
                if connection.status() == ConnectionStatus::Disconnected {
                    return Err(R::Disconnected);
                }
                checked(&path, &query, &keep)?;
                if let Some(body) = &body {
                    if matches!(method, CallMethod::Get | CallMethod::Delete) {
                        return Err(R::BodyNotAllowed);
                    }
                    serde_json::from_str::<serde::de::IgnoredAny>(body.as_str()).map_err(|_| R::BodyNotJson)?;
                }
                let body = body.map(Personal::new);
                vec![E::Requested { connection_id, provider, method, path, query, body, keep }]
            }
            C::RecordAnswered { status, values } => {
                let kept = |FoundValue { name, value }| KeptValue { name, value: Personal::new(value) };
                self.moved(E::Answered { status, values: values.into_iter().map(kept).collect() })
            }
            C::RecordFailed { code, reason } => self.moved(E::Failed { code, reason }),
            C::RecordUnknown { reason } => self.moved(E::OutcomeUnknown { reason }),
            C::Settle { .. } if self.status == Status::Settled => vec![],
            C::Settle { .. } if self.status != Status::Unknown => return Err(R::NotUnknown),
            C::Settle { happened, note } => vec![E::Settled { happened, note }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
    }
}

impl ApiCall {
    /// The event, if it leads anywhere from here: what is known already, or contradicts it, is not said again.
    fn moved(&self, event: E) -> Vec<E> {
        if self.status.after(&event) == self.status { vec![] } else { vec![event] }
    }
}

fn checked(path: &[Name], query: &[QueryParameter], keep: &[Wanted]) -> Result<(), R> {
    let leads_up = |step: &Name| matches!(step.as_str(), "." | "..");
    if path.is_empty() || path.len() > STEPS_MAX || path.iter().any(leads_up) {
        return Err(R::PathNotAllowed);
    }
    if query.len() > QUERY_MAX {
        return Err(R::TooManyParameters);
    }
    if keep.len() > KEPT_MAX {
        return Err(R::TooMuchWanted);
    }
    let names: BTreeSet<&str> = keep.iter().map(|wanted| wanted.name.as_str()).collect();
    if names.len() < keep.len() {
        return Err(R::WantedTwice);
    }
    let is_pointer = |at: &str| at.is_empty() || at.starts_with('/');
    if keep.iter().all(|wanted| is_pointer(wanted.at.as_str())) { Ok(()) } else { Err(R::PointerNotAllowed) }
}

#[cfg(test)]
mod tests;
