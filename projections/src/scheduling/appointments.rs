//! Appointments as calendars and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::scheduling_events::{
    AppointmentDetails, AppointmentEvent as E, AppointmentId, AppointmentStatus, CancelledBy, EventTypeId,
};
use kernel::{Email, Machine, Name, Personal, Phone, Slug, Text, TimeZone, Timestamp, UserId, read_model};

/// Meetings, asked for, agreed and past.
#[read_model(
    "scheduling.appointments",
    id = AppointmentId,
    read = "scheduling.appointment.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(user(host_id))
)]
pub struct AppointmentRow {
    /// Where it stands.
    #[column(filter)]
    pub status: AppointmentStatus,
    /// The kind of meeting.
    #[column(filter)]
    pub event_type_id: EventTypeId,
    /// Its key.
    #[column(filter)]
    pub event_type_key: Slug,
    /// What people call it.
    pub event_type_name: Name,
    /// Who is met.
    #[column(filter)]
    pub host_id: UserId,
    /// It begins.
    #[column(filter, sort)]
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
    #[column(filter)]
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
    /// No other meeting of the host ends after this.
    pub blocked_from: Timestamp,
    /// No other meeting of the host begins before this.
    pub blocked_until: Timestamp,
}

impl Fold for AppointmentRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let (E::Requested { details } | E::Booked { details }) = change else { return None };
        Some(Self::new(AppointmentStatus::default().after(change), details.clone()))
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            // Confirming a request says all of it once more.
            E::Requested { details } | E::Booked { details } => *self = Self::new(self.status, details.clone()),
            E::Completed {} | E::NoShow {} => {}
            E::Declined { reason } => self.reason = reason.clone(),
            E::Rescheduled { to, .. } => {
                (self.starts_at, self.ends_at) = (to.starts_at, to.ends_at);
                (self.blocked_from, self.blocked_until) = (to.blocked_from, to.blocked_until);
                (self.reschedule_requested, self.reason) = (false, None);
            }
            E::RescheduleRequested { reason } => {
                self.reschedule_requested = true;
                self.reason = reason.clone();
            }
            E::Cancelled { by, reason } => {
                self.cancelled_by = Some(*by);
                self.reason = reason.clone();
            }
        }
        Ok(())
    }
}

impl AppointmentRow {
    fn new(status: AppointmentStatus, details: AppointmentDetails) -> Self {
        Self {
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
            blocked_from: details.slot.blocked_from,
            blocked_until: details.slot.blocked_until,
        }
    }
}
