//! One row per event of the log, as activity lists show it.

use crate::model::{Event, FoldError, ReadModel, Tie, stamped};
use chrono::{DateTime, Utc};
use kernel::{Actor, ApiKeyId, ClientId, ProjectId, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A member of staff.
    User,
    /// A program, by one of its API keys.
    ServiceAccount,
    /// A person at a client, in the portal.
    PortalUser,
    /// A run of a workflow.
    Workflow,
    /// An operator or the system itself.
    System,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityEventRow {
    /// The event's id.
    pub id: Uuid,
    /// The record's version after it.
    pub version: i64,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// The same; what happened does not change.
    pub updated_at: DateTime<Utc>,
    /// `client.created`.
    pub event_type: String,
    /// `crm`.
    pub domain: String,
    /// `crm.client`.
    pub aggregate_type: String,
    /// The record it happened to.
    pub aggregate_id: Uuid,
    /// What kind of actor.
    pub actor_kind: ActorKind,
    /// Which one: a user's, account's, portal user's or run's id, or the name of a part of the system.
    pub actor: String,
    /// The request that started the whole chain.
    pub correlation_id: Uuid,
    /// In one sentence.
    pub summary: String,
    /// The command, which is also the permission that it needs.
    pub permission: String,
    /// By which key, if the actor is a program.
    pub api_key_id: Option<ApiKeyId>,
    /// The clients that it is about.
    pub client_ids: Vec<ClientId>,
    /// The projects that it is about.
    pub project_ids: Vec<ProjectId>,
}

impl ReadModel for ActivityEventRow {
    const TABLE: &'static str = "timeline.activity_events";
    const STREAMS: &'static [&'static str] = &[];
    const PATH: &'static str = "timeline/activity-events";
    const READ: &'static str = "timeline.activity_event.read";
    const ABOUT: &'static str = "What happened, newest first.";
    const FILTER: &'static [&'static str] = &[
        "event_type",
        "domain",
        "aggregate_type",
        "aggregate_id",
        "client_ids",
        "project_ids",
        "actor_kind",
        "actor",
        "correlation_id",
        "permission",
        "api_key_id",
        "created_at",
    ];
    const SORT: &'static [&'static str] = &["created_at"];
    const TIES: &'static [Tie] = &[Tie::ClientIds("client_ids"), Tie::ProjectIds("project_ids")];
    const APPEND_ONLY: bool = true;

    fn keys(event: &Event) -> Vec<Uuid> {
        vec![event.event_id]
    }

    fn apply(key: Uuid, _: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let (actor_kind, actor, api_key_id) = match &event.metadata.actor {
            Actor::User { id } => (ActorKind::User, id.to_string(), None),
            Actor::ServiceAccount { id, api_key_id } => (ActorKind::ServiceAccount, id.to_string(), Some(*api_key_id)),
            Actor::PortalUser { id } => (ActorKind::PortalUser, id.to_string(), None),
            Actor::Workflow { run_id, .. } => (ActorKind::Workflow, run_id.to_string(), None),
            Actor::System { name } => (ActorKind::System, name.clone(), None),
        };
        let (mut client_ids, mut project_ids) = (vec![], vec![]);
        for resource in &event.metadata.concerns {
            match resource {
                Resource::Client { id } => client_ids.push(*id),
                Resource::Project { id } => project_ids.push(*id),
            }
        }
        Ok(Some(Self {
            id: key,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            event_type: event.event_type.clone(),
            domain: event.domain.clone(),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id,
            actor_kind,
            actor,
            correlation_id: event.metadata.correlation_id,
            summary: event.payload.entry().summary.to_owned(),
            permission: event.metadata.command.clone(),
            api_key_id,
            client_ids,
            project_ids,
        }))
    }

    stamped!();
}
