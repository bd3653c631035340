//! One row per event of the log, as activity lists show it.

use crate::model::{Event, FoldError, ReadModel, Tie, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use crm_events::ContactEvent;
use files_events::FolderEvent;
use kernel::{Actor, ApiKeyId, ClientId};
use portal_events::{PortalSessionEvent, PortalUserEvent};
use projects_events::ProjectEvent;
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
    /// The client it concerns, if the event says so.
    pub client_id: Option<ClientId>,
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
        "client_id",
        "actor_kind",
        "actor",
        "correlation_id",
        "permission",
        "api_key_id",
        "created_at",
    ];
    const SORT: &'static [&'static str] = &["created_at"];
    const TIES: &'static [Tie] = &[Tie::Client("client_id")];
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
        Ok(Some(Self {
            id: key,
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            event_type: event.event_type.clone(),
            domain: event.domain.clone(),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id,
            client_id: client_of(event),
            actor_kind,
            actor,
            correlation_id: event.metadata.correlation_id,
            summary: event.payload.entry().summary.to_owned(),
            permission: event.metadata.command.clone(),
            api_key_id,
        }))
    }

    stamped!();
}

/// The client that an event names.
fn client_of(event: &Event) -> Option<ClientId> {
    match &event.payload {
        AnyEvent::Client(_) => Some(ClientId(event.aggregate_id)),
        AnyEvent::Contact(ContactEvent::LinkedToClient { client_id, .. })
        | AnyEvent::Contact(ContactEvent::UnlinkedFromClient { client_id })
        | AnyEvent::PortalUser(PortalUserEvent::Created { client_id, .. })
        | AnyEvent::PortalSession(PortalSessionEvent::Started { client_id, .. }) => Some(*client_id),
        AnyEvent::Folder(FolderEvent::Created { client_id, .. })
        | AnyEvent::Project(ProjectEvent::Created { client_id, .. }) => *client_id,
        _ => None,
    }
}
