//! What happens to a call to a provider's own API.

use crate::Provider;
use kernel::{ConnectionId, Machine, Name, Personal, Slug, Text, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use ApiCallEvent as E;

kernel::ids! {
    /// A call to a provider's own API.
    ApiCallId,
}

/// What a call does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum CallMethod {
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

/// Something after the question mark of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct QueryParameter {
    /// Its name.
    pub name: Name,
    /// What it says.
    pub value: Text,
}

/// What of an answer is wanted; nothing else of it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What it is called afterwards.
    pub name: Slug,
    /// Where it stands in the answer: a JSON pointer (RFC 6901).
    pub at: Text,
}

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptValue {
    /// What it was wanted as.
    pub name: Slug,
    /// What stands there; an object or a list as JSON.
    pub value: Personal<Text>,
}

/// Where a call stands.
#[status]
pub enum ApiCallStatus {
    /// It is to be made.
    #[default]
    Requested,
    /// The provider has answered, whatever it said.
    Answered,
    /// It could not be made.
    Failed,
    /// Nobody knows whether it was made, and the provider cannot say.
    Unknown,
    /// Somebody looked what became of it.
    Settled,
}

impl Machine<E> for ApiCallStatus {
    const BEGINS: &'static [&'static str] = &["api_call.requested"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Answered { .. } if self == Self::Requested => Self::Answered,
            E::Failed { .. } if self == Self::Requested => Self::Failed,
            E::OutcomeUnknown { .. } if self == Self::Requested => Self::Unknown,
            E::Settled { .. } if self == Self::Unknown => Self::Settled,
            E::Requested { .. }
            | E::Answered { .. }
            | E::Failed { .. }
            | E::OutcomeUnknown { .. }
            | E::Settled { .. } => self,
        }
    }
}

/// Everything that happens to a call.
#[event("connections.api_call")]
pub enum ApiCallEvent {
    /// Somebody wants a call to be made, through a connection of the firm's.
    Requested {
        /// Through which one.
        connection_id: ConnectionId,
        /// Where that leads.
        provider: Provider,
        /// What the call does.
        method: CallMethod,
        /// Where, below the account: one step each.
        path: Vec<Name>,
        /// What stands after the question mark.
        query: Vec<QueryParameter>,
        /// What is sent along, as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Personal<Text>>,
        /// What of the answer is wanted.
        keep: Vec<Wanted>,
    },
    /// The provider answered.
    Answered {
        /// The status of its answer (RFC 9110).
        status: u32,
        /// What of it was wanted, and there.
        values: Vec<KeptValue>,
    },
    /// The call cannot be made.
    Failed {
        /// Why.
        code: Slug,
        /// The same in words.
        reason: Text,
    },
    /// No answer came, so nobody knows whether the call was made.
    OutcomeUnknown {
        /// What is known.
        reason: Text,
    },
    /// Somebody looked at the provider what became of it.
    Settled {
        /// Whether it was made.
        happened: bool,
        /// What there is to know about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Text>,
    },
}
