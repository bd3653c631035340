//! What happened, in order, for people.

mod activity_events;

pub use activity_events::{ActivityEventRow, ActorKind};
