//! Appointments as calendars and cards show them.

use crate::model::{Event, FoldError, ReadModel, Shown, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{
    AppointmentId, Email, EventTypeId, Machine, Name, Personal, Phone, Slug, Text, TimeZone, Timestamp, UserId,
};
use scheduling_events::{AppointmentDetails, AppointmentEvent as E, AppointmentStatus, CancelledBy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A meeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppointmentRow {
    /// Its id.
    pub id: AppointmentId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// The kind of meeting.
    pub event_type_id: EventTypeId,
    /// Its key.
    pub event_type_key: Slug,
    /// What people call it.
    pub event_type_name: Name,
    /// Who is met.
    pub host_id: UserId,
    /// It begins.
    pub starts_at: Timestamp,
    /// It ends.
    pub ends_at: Timestamp,
    /// The guest's clock.
    pub time_zone: TimeZone,
    /// The company, or the guest's own name if there is none.
    pub client_name: Shown<Name>,
    /// Who comes.
    pub invitee_name: Shown<Name>,
    /// The guest's address.
    pub invitee_email: Shown<Email>,
    /// The guest's telephone number.
    pub invitee_phone: Option<Personal<Phone>>,
    /// The guest's company.
    pub company: Option<Personal<Name>>,
    /// What the guest wrote.
    pub notes: Option<Personal<Text>>,
    /// Where the appointment is managed.
    pub manage_path: String,
    /// Where it is cancelled.
    pub cancel_path: String,
    /// The host asked the guest to choose another time.
    pub reschedule_requested: bool,
    /// Who cancelled it, if anybody.
    pub cancelled_by: Option<CancelledBy>,
    /// Why it was declined or cancelled, or should be at another time.
    pub reason: Option<Personal<Text>>,
}

impl ReadModel for AppointmentRow {
    const TABLE: &'static str = "scheduling.appointments";
    const STREAMS: &'static [&'static str] = &["scheduling.appointment"];
    const PATH: &'static str = "scheduling/appointments";
    const READ: &'static str = "scheduling.appointment.read";
    const ABOUT: &'static str = "Meetings, asked for, agreed and past.";
    const FILTER: &'static [&'static str] = &[
        "status",
        "host_id",
        "event_type_id",
        "event_type_key",
        "invitee_email",
        "starts_at",
        "created_at",
        "updated_at",
    ];
    const SORT: &'static [&'static str] = &["starts_at", "created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::User("host_id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Appointment(change) = &event.payload else { return Ok(row) };
        let status = row.as_ref().map_or(AppointmentStatus::default(), |row| row.status).after(change);
        if let E::Requested { details } | E::Booked { details } = change {
            // Confirming a request keeps the moment it was asked for.
            let created_at = row.map_or(event.recorded_at, |requested| requested.created_at);
            return Ok(Some(Self { created_at, ..Self::new(key, status, details, event) }));
        }
        let mut row = existing(row, event)?;
        row.status = status;
        match change {
            E::Requested { .. } | E::Booked { .. } | E::Completed {} | E::NoShow {} => {}
            E::Declined { reason } => row.reason = reason.clone(),
            E::Rescheduled { to, .. } => {
                (row.starts_at, row.ends_at) = (to.starts_at, to.ends_at);
                (row.reschedule_requested, row.reason) = (false, None);
            }
            E::RescheduleRequested { reason } => {
                row.reschedule_requested = true;
                row.reason = reason.clone();
            }
            E::Cancelled { by, reason } => {
                row.cancelled_by = Some(*by);
                row.reason = reason.clone();
            }
        }
        Ok(Some(row))
    }

    stamped!();
}

impl AppointmentRow {
    fn new(key: Uuid, status: AppointmentStatus, details: &AppointmentDetails, event: &Event) -> Self {
        let details = details.clone();
        Self {
            id: AppointmentId(key),
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            status,
            event_type_id: details.event_type_id,
            event_type_key: details.event_type_key,
            event_type_name: details.event_type_name,
            host_id: details.host_id,
            starts_at: details.slot.starts_at,
            ends_at: details.slot.ends_at,
            time_zone: details.time_zone,
            client_name: (&details.client_name).into(),
            invitee_name: (&details.invitee_name).into(),
            invitee_email: (&details.invitee_email).into(),
            invitee_phone: details.invitee_phone,
            company: details.company,
            notes: details.notes,
            manage_path: details.manage_path,
            cancel_path: details.cancel_path,
            reschedule_requested: false,
            cancelled_by: None,
            reason: None,
        }
    }
}
