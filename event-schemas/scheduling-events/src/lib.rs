//! What did happen in the scheduling context: the event enums other crates may read.

mod appointment;
mod availability;
mod event_type;
mod hours;
mod offer;

pub use appointment::{AppointmentDetails, AppointmentEvent, AppointmentId, AppointmentStatus, CancelledBy, Slot};
pub use availability::{AvailabilityEvent, AvailabilityId, DateOverride, LocalTime, Period, Weekday, WeeklyHours};
pub use event_type::{DAYS_AHEAD_DEFAULT, EventTypeEvent, EventTypeId, EventTypeRules};
pub use hours::Hours;
pub use offer::{DAYS_AHEAD_MAX, GRANULE_MINUTES, MINUTES_MAX, NotOffered, Offer};
