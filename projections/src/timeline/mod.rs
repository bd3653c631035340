//! What happened, in order, for people.

mod activity_events;
mod comments;
mod follow_ups;
mod pins;

use crate::group::Group;

pub use activity_events::{ActivityEventRow, ActorKind};
pub use comments::CommentRow;
pub use follow_ups::FollowUpRow;
pub use pins::PinRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new(
        "timeline",
        2,
        "What happened, what people add to it, and the audit trail: what was changed, and what was refused.",
    )
    .with::<ActivityEventRow>()
    .with::<FollowUpRow>()
    .with::<CommentRow>()
    .with::<PinRow>()
}
