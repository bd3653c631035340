//! What did happen in the timeline context: the event enums other crates may read.

mod comment;
mod follow_up;
mod pin;

pub use comment::{CommentEvent, CommentId, CommentStatus};
pub use follow_up::{FollowUpEvent, FollowUpId, FollowUpStatus};
pub use pin::{PinEvent, PinId, PinStatus};
