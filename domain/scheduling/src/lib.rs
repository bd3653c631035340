//! Event types, availability and appointments without double booking.
//!
//! An *event type* is a kind of meeting that can be booked; *availability* is when a host can be met; an *appointment* is
//! one meeting. Nobody is booked twice, because an appointment claims every five minutes of its host's time.

pub mod appointment;
pub mod availability;
pub mod event_type;

pub use appointment::Appointment;
pub use availability::Availability;
pub use event_type::{EventType, RevisedRules};
pub use scheduling_events::GRANULE_MINUTES;
