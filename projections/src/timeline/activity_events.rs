//! One row per event of the log, as activity lists show it.

use crate::column::Kind;
use crate::model::{Beside, Envelope, Event, Fold, FoldError};
use catalogue::AnyEvent;
use kernel::{Actor, ApiKeyId, ClientId, EngagementId, ProjectId, Resource, read_model};
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

/// What happened, newest first.
#[read_model(
    "timeline.activity_events",
    read = "timeline.activity_event.read",
    created_at(filter),
    ties(client_ids(client_ids), project_ids(project_ids), engagement_ids(engagement_ids)),
    beside = BESIDE,
    append_only
)]
pub struct ActivityEventRow {
    /// `client.created`.
    #[column(filter)]
    pub event_type: String,
    /// `crm`.
    #[column(filter)]
    pub domain: String,
    /// `crm.client`.
    #[column(filter)]
    pub aggregate_type: String,
    /// The record it happened to.
    #[column(filter)]
    pub aggregate_id: Uuid,
    /// What kind of actor.
    #[column(filter)]
    pub actor_kind: ActorKind,
    /// Which one: a user's, account's, portal user's or run's id, or the name of a part of the system.
    #[column(filter)]
    pub actor: String,
    /// The request that started the whole chain.
    #[column(filter)]
    pub correlation_id: Uuid,
    /// In one sentence.
    pub summary: String,
    /// The command, which is also the permission that it needs.
    #[column(filter)]
    pub permission: String,
    /// By which key, if the actor is a program.
    #[column(filter)]
    pub api_key_id: Option<ApiKeyId>,
    /// The clients that it is about.
    #[column(filter)]
    pub client_ids: Vec<ClientId>,
    /// The projects that it is about.
    #[column(filter)]
    pub project_ids: Vec<ProjectId>,
    /// The engagements that it is about.
    #[column(filter)]
    pub engagement_ids: Vec<EngagementId>,
}

/// What people added to an entry since: it is folded from other streams, so it stands in other tables.
const BESIDE: &[Beside] = &[
    Beside {
        name: "commented_at",
        kind: Kind::Time,
        about: "When it was commented on last; the comments are at `/v1/timeline/comments`.",
        stream: Some("timeline.comment"),
        sql: "(select max(c.created_at) from timeline.comments c
               where c.tenant_id = r.tenant_id and c.entry_id = r.id and c.status = 'kept')",
    },
    Beside {
        name: "pinned_at",
        kind: Kind::Time,
        about: "When it was pinned last; where, is at `/v1/timeline/pins`.",
        stream: Some("timeline.pin"),
        sql: "(select max(p.created_at) from timeline.pins p
               where p.tenant_id = r.tenant_id and p.entry_id = r.id and p.status = 'placed')",
    },
];

impl Fold for ActivityEventRow {
    type Event = AnyEvent;

    fn keys(_: &AnyEvent, event: &Event) -> Vec<Uuid> {
        vec![event.event_id]
    }

    fn begin(change: &AnyEvent, event: Envelope<'_>) -> Option<Self> {
        let (actor_kind, actor, api_key_id) = match &event.metadata.actor {
            Actor::User { id } => (ActorKind::User, id.to_string(), None),
            Actor::ServiceAccount { id, api_key_id } => (ActorKind::ServiceAccount, id.to_string(), Some(*api_key_id)),
            Actor::PortalUser { id } => (ActorKind::PortalUser, id.to_string(), None),
            Actor::Workflow { run_id, .. } => (ActorKind::Workflow, run_id.to_string(), None),
            Actor::System { name } => (ActorKind::System, name.clone(), None),
        };
        let (mut client_ids, mut engagement_ids, mut project_ids) = (vec![], vec![], vec![]);
        for resource in &event.metadata.concerns {
            match resource {
                Resource::Client { id } => client_ids.push(*id),
                Resource::Engagement { id } => engagement_ids.push(*id),
                Resource::Project { id } => project_ids.push(*id),
            }
        }
        Some(Self {
            event_type: event.event_type.clone(),
            domain: event.domain.clone(),
            aggregate_type: event.aggregate_type.clone(),
            aggregate_id: event.aggregate_id,
            actor_kind,
            actor,
            correlation_id: event.metadata.correlation_id,
            summary: change.entry().summary.to_owned(),
            permission: event.metadata.command.clone(),
            api_key_id,
            client_ids,
            project_ids,
            engagement_ids,
        })
    }

    fn apply(&mut self, _: &AnyEvent, _: Envelope<'_>) -> Result<(), FoldError> {
        // An event happens once.
        Ok(())
    }
}
