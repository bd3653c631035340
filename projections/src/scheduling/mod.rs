//! Appointments, what can be booked, and when.

mod appointments;
mod availabilities;
mod event_types;

pub use appointments::AppointmentRow;
pub use availabilities::AvailabilityRow;
pub use event_types::EventTypeRow;
