//! One line of the audit trail.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Accepted,
    /// Whoever asked may not ask for it.
    Denied,
}

impl Outcome {
    pub(crate) const NAMES: [&str; 2] = ["accepted", "denied"];
}

/// A change that somebody asked for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, sqlx::FromRow)]
pub struct AuditEntry {
    /// The event's id, or the refusal's.
    pub id: Uuid,
    /// When it was written down.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub outcome: Outcome,
    /// The command, which is also the permission that it needs.
    pub permission: String,
    /// `user`, `service_account`, `workflow` or `system`.
    pub actor_kind: String,
    /// Which one: a user's, account's or run's id, or the name of a part of the system.
    pub actor: String,
    /// By which key, if one was shown.
    pub api_key_id: Option<Uuid>,
    /// `crm.client`.
    pub aggregate_type: String,
    /// The record; of refusals that were written down together the first ten, and none if a new one was asked for.
    pub aggregate_ids: Vec<Uuid>,
    /// `client.renamed`, if it was done.
    pub event_type: Option<String>,
    /// The code of the problem, if it was not.
    pub reason: Option<String>,
    /// What happened, or what was told to whoever was refused.
    pub detail: String,
    /// The request that started the whole chain; of refusals the first.
    pub correlation_id: Uuid,
    /// Where a refused request came from, if that is known.
    pub client_address: Option<String>,
    /// How often the same was refused for the same reason, from `first_at` to `last_at`.
    pub count: i64,
    /// When it was asked for first.
    pub first_at: DateTime<Utc>,
    /// When it was asked for last.
    pub last_at: DateTime<Utc>,
}
