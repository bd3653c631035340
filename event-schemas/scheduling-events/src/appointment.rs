//! What happens to an appointment.

use crate::EventTypeId;
use kernel::{Email, Machine, Name, Personal, Phone, Slug, Text, TimeZone, Timestamp, UserId, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use AppointmentEvent as E;

kernel::ids! {
    /// A booked meeting.
    AppointmentId,
}

/// When a meeting is, and the buffers around it, which neighbours share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    /// The meeting begins.
    pub starts_at: Timestamp,
    /// The meeting ends.
    pub ends_at: Timestamp,
    /// No other meeting of the host ends after this: the meeting's begin less its buffer.
    pub blocked_from: Timestamp,
    /// No other meeting of the host begins before this: the meeting's end with its buffer.
    pub blocked_until: Timestamp,
}

/// Everything that whoever acts on a booking needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppointmentDetails {
    /// The kind of meeting.
    pub event_type_id: EventTypeId,
    /// Its key.
    pub event_type_key: Slug,
    /// What people call it.
    pub event_type_name: Name,
    /// Who is met.
    pub host_id: UserId,
    /// When.
    #[serde(flatten)]
    pub slot: Slot,
    /// The invitee's clock.
    pub time_zone: TimeZone,
    /// The company, or the invitee's own name if there is none.
    pub client_name: Personal<Name>,
    /// Who comes.
    pub invitee_name: Personal<Name>,
    /// The invitee's address.
    pub invitee_email: Personal<Email>,
    /// The invitee's telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitee_phone: Option<Personal<Phone>>,
    /// The invitee's company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<Personal<Name>>,
    /// What the invitee wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Personal<Text>>,
    /// Where the appointment is managed.
    pub manage_path: String,
    /// Where it is cancelled.
    pub cancel_path: String,
    /// So many minutes before it begins the invitee is reminded of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminder_minutes: Vec<u32>,
}

/// Who cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    /// The firm.
    Host,
    /// The guest.
    Invitee,
}

/// Where an appointment stands.
#[status]
pub enum AppointmentStatus {
    /// The host has to confirm.
    #[default]
    Requested,
    /// Agreed.
    Booked,
    /// The host said no.
    Declined,
    /// Does not take place.
    Cancelled,
    /// Took place.
    Completed,
    /// The guest did not come.
    NoShow,
}

impl AppointmentStatus {
    /// Can it still take place?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Booked)
    }
}

impl Machine<E> for AppointmentStatus {
    const BEGINS: &'static [&'static str] = &["appointment.requested", "appointment.booked"];

    fn after(self, event: &E) -> Self {
        use AppointmentStatus::{Booked, Cancelled, Completed, Declined, NoShow, Requested};
        match (self, event) {
            (Requested, E::Booked { .. }) => Booked,
            (Requested, E::Declined { .. }) => Declined,
            (Requested | Booked, E::Cancelled { .. }) => Cancelled,
            (Booked, E::Completed {}) => Completed,
            (Booked, E::NoShow {}) => NoShow,
            _ => self,
        }
    }
}

/// Everything that happens to an appointment.
#[event("scheduling.appointment")]
pub enum AppointmentEvent {
    /// Somebody asked for a meeting that the host has to confirm; the time is held.
    Requested {
        /// Who, what, when.
        #[serde(flatten)]
        details: AppointmentDetails,
    },
    /// A meeting is agreed.
    Booked {
        /// Who, what, when.
        #[serde(flatten)]
        details: AppointmentDetails,
    },
    /// The host said no; the time is free again.
    Declined {
        /// Why.
        reason: Option<Personal<Text>>,
    },
    /// The meeting takes place at another time; it stays the same appointment.
    Rescheduled {
        /// The old time.
        from: Slot,
        /// The new time.
        to: Slot,
        /// So many minutes before it begins the invitee is reminded of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reminder_minutes: Vec<u32>,
    },
    /// The host asked the guest to choose another time; nothing is changed yet.
    RescheduleRequested {
        /// Why.
        reason: Option<Personal<Text>>,
    },
    /// The meeting does not take place; the time is free again.
    Cancelled {
        /// By whom.
        by: CancelledBy,
        /// Why.
        reason: Option<Personal<Text>>,
    },
    /// The meeting took place.
    Completed {},
    /// The guest did not come.
    NoShow {},
}
