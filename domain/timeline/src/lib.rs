//! What people add to what happened.
//!
//! A *follow-up* is something that somebody does at its time. A *comment* is said about an entry of the timeline, and a *pin* keeps
//! one in sight. The entries themselves are the log's.

pub mod comment;
pub mod follow_up;
pub mod pin;

pub use comment::Comment;
pub use follow_up::FollowUp;
pub use pin::Pin;

use kernel::{Actor, ClientId, Context, ProjectId, Resource};

/// Does somebody at a client ask?
fn is_of_a_client(ctx: &Context) -> bool {
    matches!(ctx.actor, Actor::PortalUser { .. })
}

/// On whose timeline something is.
fn belongs(client_id: Option<ClientId>, project_id: Option<ProjectId>) -> Vec<Resource> {
    client_id.map(Resource::from).into_iter().chain(project_id.map(Resource::from)).collect()
}
