//! What happens to a pin.

use kernel::{ClientId, Machine, ProjectId, event, status};
use uuid::Uuid;

use PinEvent as E;

kernel::ids! {
    /// A pin in a timeline.
    PinId,
}

/// Where a pin stands.
#[status]
pub enum PinStatus {
    /// Holds its entry at the top.
    #[default]
    Placed,
    /// Taken out.
    Removed,
}

impl Machine<E> for PinStatus {
    const BEGINS: &'static [&'static str] = &["pin.placed"];

    fn after(self, event: &E) -> Self {
        match event {
            E::Removed {} => Self::Removed,
            _ => self,
        }
    }
}

/// Everything that happens to a pin: an entry that is kept in sight.
#[event("timeline.pin")]
pub enum PinEvent {
    /// An entry was pinned.
    Placed {
        /// The entry of the timeline: an event's id.
        entry_id: Uuid,
        /// The client on whose timeline it is pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The project on whose timeline it is pinned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<ProjectId>,
    },
    /// The pin was taken out.
    Removed {},
}
