//! What happens to a comment.

use kernel::{ClientId, Machine, Personal, Principal, ProjectId, Text, event, status};
use uuid::Uuid;

use CommentEvent as E;

kernel::ids! {
    /// A comment on something that happened.
    CommentId,
}

/// Where a comment stands.
#[status]
pub enum CommentStatus {
    /// Can be read.
    #[default]
    Kept,
    /// Is shown to nobody any more.
    Deleted,
}

impl Machine<E> for CommentStatus {
    const BEGINS: &'static [&'static str] = &["comment.written"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Deleted {} => Self::Deleted,
            _ => self,
        }
    }
}

/// Everything that happens to a comment. Nobody of a client ever sees one.
#[event("timeline.comment")]
pub enum CommentEvent {
    /// Somebody said something about what happened.
    Written {
        /// The entry of the timeline: an event's id.
        entry_id: Uuid,
        /// The client on whose timeline it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The project on whose timeline it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
        /// Who wrote it; nobody if a workflow or UBOS itself did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        author: Option<Principal>,
        /// What it says, in Markdown.
        body: Personal<Text>,
    },
    /// The comment says something else.
    Edited {
        /// What it says now, in Markdown.
        body: Personal<Text>,
    },
    /// The comment is shown to nobody any more.
    Deleted {},
}
