//! Appointments, what can be booked, and when.

mod appointments;
mod availabilities;
mod event_types;

use crate::group::Group;

pub use appointments::AppointmentRow;
pub use availabilities::AvailabilityRow;
pub use event_types::EventTypeRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("scheduling", 2, "Event types, the hours of hosts, and appointments.")
        .with::<AppointmentRow>()
        .with::<AvailabilityRow>()
        .with::<EventTypeRow>()
}
