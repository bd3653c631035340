//! What happened, in order, for people.

mod activity_events;

use crate::group::Group;

pub use activity_events::{ActivityEventRow, ActorKind};

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("timeline", 2, "The audit trail: what was changed, and what was refused.").with::<ActivityEventRow>()
}
