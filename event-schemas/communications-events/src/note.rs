//! What happens to a note.

use kernel::{About, ClientId, Machine, Personal, Principal, Text, event, status};

use NoteEvent as E;

kernel::ids! {
    /// A note of the firm's own.
    NoteId,
}

/// Where a note stands.
#[status]
pub enum NoteStatus {
    /// Can be read.
    #[default]
    Kept,
    /// Is shown to nobody any more.
    Deleted,
}

impl Machine<E> for NoteStatus {
    const BEGINS: &'static [&'static str] = &["note.added"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Deleted {} => Self::Deleted,
            _ => self,
        }
    }
}

/// Everything that happens to a note. Nobody of a client ever sees one.
#[event("communications.note")]
pub enum NoteEvent {
    /// Something was noted.
    Added {
        /// What it is about.
        about: About,
        /// The client that what it is about belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// Who wrote it; nobody if a workflow or UBOS itself did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        author: Option<Principal>,
        /// What it says, in Markdown.
        body: Personal<Text>,
    },
    /// The note says something else.
    Edited {
        /// What it says now, in Markdown.
        body: Personal<Text>,
    },
    /// The note is shown to nobody any more.
    Deleted {},
}
