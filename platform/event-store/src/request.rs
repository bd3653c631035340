//! Who asks, on whose behalf, and how a repeat is recognised.

use chrono::{DateTime, Utc};
use kernel::{Actor, CommandEntry, Permissions, SecretHash, TenantId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// Everything about one command that is not the command.
#[derive(Debug, Clone)]
pub struct Request {
    /// The firm.
    pub tenant: TenantId,
    /// Who acts.
    pub actor: Actor,
    /// What the actor may do; a command that is not among it is refused here too, whoever let it through before, and one
    /// that is only allowed for some resources is looked at with the aggregate in hand. None is UBOS itself, which may do
    /// everything.
    pub permissions: Option<Arc<Permissions>>,
    /// The command that brings this one along, and the aggregate that it goes to. The store says it of companions; nobody who asks does.
    pub brought_by: Option<(&'static str, Uuid)>,
    /// What the secret hashes to that was made for a command that mints one.
    pub secret: Option<SecretHash>,
    /// When the command arrived.
    pub now: DateTime<Utc>,
    /// The command's own id, UUIDv7; fresh ids derive from it.
    pub command_id: Uuid,
    /// The request that started the whole chain.
    pub correlation_id: Uuid,
    /// The event that led to this command, if one did.
    pub causation_id: Option<Uuid>,
    /// How a repeat is recognised.
    pub idempotency: Option<IdempotencyKey>,
    /// The versions that will do for the client (`If-Match`); any other is refused.
    pub expected_versions: Option<Vec<i64>>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Request {
    /// A request of `actor` for `tenant`, now, with fresh ids, no key and no limits to what the actor may do.
    pub fn new(tenant: TenantId, actor: Actor) -> Self {
        let command_id = Uuid::now_v7();
        Self {
            tenant,
            actor,
            permissions: None,
            brought_by: None,
            secret: None,
            now: Utc::now(),
            command_id,
            correlation_id: command_id,
            causation_id: None,
            idempotency: None,
            expected_versions: None,
            traceparent: None,
        }
    }

    /// The same for one of the commands of a unit: the first has the request's id, and the first that makes a secret its secret.
    pub(crate) fn of_unit(&self, index: usize, entry: &CommandEntry) -> Self {
        let request = if index == 0 { self.clone() } else { self.derived("command", index) };
        Self { secret: self.secret.clone().filter(|_| entry.mints.is_some()), ..request }
    }

    /// A request of the same actor for another command, whose id follows from this one's, so that a decision that is taken again
    /// is the same.
    pub(crate) fn derived(&self, what: &str, index: usize) -> Self {
        let digest = Sha256::new().chain_update(self.command_id).chain_update(what).chain_update(index.to_be_bytes());
        let mut random = [0; 10];
        random.copy_from_slice(&digest.finalize()[..10]);
        let millis = u64::try_from(self.now.timestamp_millis()).unwrap_or_default();
        let command_id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Self { command_id, secret: None, idempotency: None, expected_versions: None, ..self.clone() }
    }
}

/// A client's key for one command. Same key and fingerprint: the stored answer; same key, other fingerprint: refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose keys these are: the principal, so that two users' keys never meet.
    pub scope: String,
    /// The key as sent, 1 to 255 visible characters.
    pub key: String,
    /// SHA-256 over operation, target and body: [`fingerprint`].
    pub fingerprint: [u8; 32],
}

/// The fingerprint of one command to one target, or to the one that it starts.
pub fn fingerprint(command: &str, target: Option<Uuid>, body: &str) -> [u8; 32] {
    let target = target.map(|id| id.to_string()).unwrap_or_default();
    let digest = Sha256::new().chain_update(command).chain_update([0]).chain_update(target).chain_update([0]);
    digest.chain_update(canonical(body)).finalize().into()
}

/// The same object in one spelling: whoever repeats themselves may order keys and set spaces differently, as a definition that went
/// through `jsonb` does.
fn canonical(body: &str) -> String {
    let sorted = serde_json::from_str::<Value>(body).map(|mut value| {
        value.sort_all_objects();
        value.to_string()
    });
    sorted.unwrap_or_else(|_| body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_fields_does_not_make_another_request() {
        let print = |body| fingerprint("crm.client.create", None, body);
        assert_eq!(print(r#"{"a": 1, "b": {"c": 2, "d": [3]}}"#), print(r#"{"b":{"d":[3],"c":2},"a":1}"#));
        assert_ne!(print(r#"{"a": 1}"#), print(r#"{"a": 2}"#));
        assert_ne!(print(r#"{"a": [1, 2]}"#), print(r#"{"a": [2, 1]}"#));
    }
}
