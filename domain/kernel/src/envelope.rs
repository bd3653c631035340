//! An event as the log holds it.

use crate::{Actor, Resource, TenantId, Unit};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A stored event with everything the log knows about it. `E` is a typed event, `AnyEvent`, or raw JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded<E> {
    /// Place in the one serial history: dense, from 1, in commit order.
    pub position: i64,
    /// UUIDv7, also the message id on NATS.
    pub event_id: Uuid,
    /// The firm.
    pub tenant_id: TenantId,
    /// `crm`.
    pub domain: String,
    /// Wire name of the stream's kind: `crm.client`.
    pub aggregate_type: String,
    /// The stream.
    pub aggregate_id: Uuid,
    /// Place in the stream: dense, from 1; the aggregate's version after this event.
    pub sequence: i64,
    /// `client.created`.
    pub event_type: String,
    /// Version of the payload as stored.
    pub event_version: u32,
    /// What happened.
    pub payload: E,
    /// Who, why, and within which request.
    pub metadata: Metadata,
    /// When it was committed, UTC.
    pub recorded_at: DateTime<Utc>,
}

impl<E> Recorded<E> {
    /// The same envelope around another payload.
    pub fn with<F>(self, payload: F) -> Recorded<F> {
        let Self { position, event_id, tenant_id, domain, aggregate_type, aggregate_id, sequence, .. } = self;
        let Self { event_type, event_version, metadata, recorded_at, .. } = self;
        Recorded {
            position,
            event_id,
            tenant_id,
            domain,
            aggregate_type,
            aggregate_id,
            sequence,
            event_type,
            event_version,
            payload,
            metadata,
            recorded_at,
        }
    }

    /// The dotted name: `crm.client.created`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.domain, self.event_type)
    }
}

/// Who, why, and within which request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// Who acted.
    pub actor: Actor,
    /// The request that started the whole chain.
    pub correlation_id: Uuid,
    /// What led to this event directly: the event that triggered a workflow's step, or the request itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The command that was decided: `crm.client.create`.
    pub command: String,
    /// W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The clients and projects that the change is about, sorted: those that the record belongs or belonged to, and itself.
    /// Whoever has a right for one of them may see it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerns: Vec<Resource>,
    /// The unit that the event is part of; none if its command entered the log by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_largest_number_is_read_as_postgresql_writes_it() {
        // `jsonb` keeps numbers as decimals, and writes this one without an exponent.
        let written = format!("17976931348623157{}", "0".repeat(292));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), serde_json::json!(f64::MAX));
    }
}
