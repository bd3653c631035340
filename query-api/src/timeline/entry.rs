//! What is asked of the audit trail, and one line of it.

use crate::permissions::{INSPECT, TAKE_OUT};
use crate::question::{Needs, Question};
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

/// The trail, page by page.
pub(super) struct AuditEntries;

impl Question for AuditEntries {
    const PATH: &'static str = "/v1/timeline/audit-entries";
    const ID: &'static str = "timeline.audit_entry.list";
    const READ: Needs<'static> = Needs::Permission(INSPECT);
    const ABOUT: &'static str = "Changes that were made and changes that were refused, newest first.";
    // Each half finds its own first `{max}`, so that an index can.
    const SQL: &'static str = "
        select e.* from (
            (select r.id, r.created_at as at, 'accepted' as outcome, r.permission, r.actor_kind, r.actor, r.api_key_id,
                    r.aggregate_type, array[r.aggregate_id] as aggregate_ids, r.event_type, null::text as reason,
                    r.summary as detail, r.correlation_id, null::text as client_address, 1::bigint as count,
                    r.created_at as first_at, r.created_at as last_at
             from timeline.activity_events r where r.tenant_id = t.tenant::uuid{accepted}
             order by r.created_at {order}, r.id {order} limit {max})
            union all
            (select r.id, r.at, 'denied' as outcome, r.permission, r.actor_kind, r.actor, r.api_key_id,
                    r.aggregate_type, r.aggregate_ids, null::text as event_type, r.reason,
                    r.detail, r.correlation_id, r.client_address, r.count, r.first_at, r.last_at
             from audit.refusals r where r.tenant_id = t.tenant::uuid{denied}
             order by r.at {order}, r.id {order} limit {max})
        ) e order by e.at {order}, e.id {order} limit {max}";
    type Row = AuditEntry;
}

/// The trail as a file.
pub(super) struct AuditFile;

impl Question for AuditFile {
    const PATH: &'static str = "/v1/timeline/audit-entries/export";
    const ID: &'static str = TAKE_OUT;
    const READ: Needs<'static> = Needs::Permission(TAKE_OUT);
    const ABOUT: &'static str = "Changes that were made and changes that were refused as a file, oldest first.";
    const SQL: &'static str = AuditEntries::SQL;
    type Row = AuditEntry;
}
