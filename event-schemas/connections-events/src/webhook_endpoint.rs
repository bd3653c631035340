//! What happens to an endpoint that is sent the firm's events. Its secrets are nowhere in it: they are derived from the firm's keys.

use kernel::{EventScope, Machine, Name, Principal, Text, Timestamp, WebAddress, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use WebhookEndpointEvent as E;

kernel::ids! {
    /// An endpoint that is sent the firm's events.
    WebhookEndpointId,
}

/// Where an endpoint stands.
#[status]
pub enum WebhookEndpointStatus {
    /// It is sent what it asked for.
    #[default]
    Active,
    /// It has not taken anything for a while, and is tried again.
    Failing,
    /// Somebody of the firm has stopped it; what happens meanwhile waits.
    Paused,
    /// Nothing is sent any more, and nothing waits, until somebody resumes it.
    Disabled,
    /// It was given up.
    Removed,
}

impl Machine<E> for WebhookEndpointStatus {
    const BEGINS: &'static [&'static str] = &["webhook_endpoint.added"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Removed {} => Self::Removed,
            E::Failing { .. } if self == Self::Active => Self::Failing,
            E::Recovered {} if self == Self::Failing => Self::Active,
            E::Paused {} if matches!(self, Self::Active | Self::Failing) => Self::Paused,
            E::Resumed {} if matches!(self, Self::Paused | Self::Disabled) => Self::Active,
            E::Disabled { .. } if matches!(self, Self::Active | Self::Failing) => Self::Disabled,
            E::Added { .. }
            | E::AddressChanged { .. }
            | E::EventsChosen { .. }
            | E::Described { .. }
            | E::SecretRotated { .. }
            | E::Tested {}
            | E::ReplayAsked { .. }
            | E::Failing { .. }
            | E::Recovered {}
            | E::Paused {}
            | E::Resumed {}
            | E::Disabled { .. } => self,
        }
    }
}

/// Why nothing is sent to an endpoint any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBecause {
    /// It answered that it is gone for good (410).
    Gone,
    /// It has taken nothing for five days.
    FailedTooLong,
}

/// In which order an endpoint is sent events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum WebhookOrder {
    /// As fast as it goes: a later event may come before one that is tried again.
    #[default]
    Unordered,
    /// An event of a record waits until the one before it of the same record was taken.
    PerRecord,
}

/// Everything that happens to an endpoint.
#[event("connections.webhook_endpoint")]
pub enum WebhookEndpointEvent {
    /// The firm wants events to be sent there.
    Added {
        /// Where to.
        url: WebAddress,
        /// Which events; all of the firm's if there are none.
        events: Vec<EventScope>,
        /// In which order.
        order: WebhookOrder,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Name>,
        /// Who answers for it: what that one may not read is not sent. None if UBOS itself does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Principal>,
    },
    /// It is elsewhere now.
    AddressChanged {
        /// Where to.
        url: WebAddress,
        /// Who answers for it from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Principal>,
    },
    /// It is sent other events, or in another order.
    EventsChosen {
        /// Which events; all of the firm's if there are none.
        events: Vec<EventScope>,
        /// In which order.
        order: WebhookOrder,
        /// Who answers for it from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Principal>,
    },
    /// It is said differently what it is for.
    Described {
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Name>,
    },
    /// It has another secret; what is sent is signed with both for a while.
    SecretRotated {
        /// Until when the one before it is signed with, too.
        previous_until: Timestamp,
    },
    /// Somebody wants this event to be sent there, to see whether it comes.
    Tested {},
    /// Somebody wants to be sent again what happened.
    ReplayAsked {
        /// What comes after this position of the log.
        after: u64,
        /// Up to this one; up to this event unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
    /// It has not taken anything for a while.
    Failing {
        /// What happened last.
        detail: Text,
    },
    /// It takes events again.
    Recovered {},
    /// Nothing is sent until it is resumed; what happens meanwhile waits.
    Paused {},
    /// It is sent events again.
    Resumed {},
    /// Nothing is sent any more; what waited was let go.
    Disabled {
        /// Why.
        because: DisabledBecause,
        /// What happened last.
        detail: Text,
    },
    /// It was given up.
    Removed {},
}

/// The secret of an endpoint, as only the answer to whoever asked for it shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSecret {
    /// What messages are signed with: `whsec_` and 32 bytes in base64, as libraries of Standard Webhooks take it.
    pub key: String,
}
