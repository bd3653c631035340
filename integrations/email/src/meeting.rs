//! Appointments, as letters about them need them, as the log says.

use crate::email::Links;
use crate::people::People;
use anyhow::Result;
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Email, Machine, Name, TenantId, TimeZone};
use scheduling_events::{AppointmentEvent as E, AppointmentStatus as Status, Slot};
use uuid::Uuid;

/// An appointment, as far as letters about it say.
#[derive(Debug, Clone)]
pub struct Meeting {
    /// Which one.
    pub id: Uuid,
    /// What kind of meeting.
    pub kind: Name,
    /// When.
    pub slot: Slot,
    /// Where the guest's clock hangs.
    zone: TimeZone,
    /// What the guest is called.
    pub name: Name,
    /// Where letters go.
    pub email: Email,
    /// Where it stands.
    pub status: Status,
    /// Was it agreed once, so that it is in the guest's calendar?
    pub was_booked: bool,
    /// The position of the event that has set its time last.
    pub timed_by: i64,
    /// Its version, and when it became so.
    pub version: i64,
    pub recorded_at: DateTime<Utc>,
    manage_path: String,
    cancel_path: String,
}

impl Meeting {
    /// When it begins, on the guest's clock.
    pub fn begins(&self) -> String {
        self.slot.starts_at.with_timezone(&self.zone.rules()).format("%A, %-d %B %Y, %H:%M %Z").to_string()
    }

    /// Has it ended?
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.slot.ends_at.utc() <= now
    }

    /// Does it begin later than this?
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        self.slot.starts_at.utc() > now
    }

    /// Where the guest manages it.
    pub fn manage(&self, links: &Links) -> String {
        format!("{}{}", links.public_url, self.manage_path)
    }

    /// How the guest changes something about it.
    pub fn links(&self, links: &Links) -> String {
        format!(
            "See or move it:\n\n  {}\n\nCall it off:\n\n  {}{}\n",
            self.manage(links),
            links.public_url,
            self.cancel_path
        )
    }
}

impl People {
    /// An appointment as it was after the event at `upto`; none of a guest who was erased.
    ///
    /// # Errors
    /// When the log cannot be asked, or an event cannot be read.
    pub async fn meeting(&self, tenant: TenantId, id: Uuid, upto: i64) -> Result<Option<Meeting>> {
        let mut found: Option<Meeting> = None;
        for event in self.0.read_stream(tenant, id, 0, i64::MAX).await? {
            if event.position > upto {
                break;
            }
            let event = catalogue::decode(event)?;
            let AnyEvent::Appointment(change) = event.payload else { continue };
            let before = found.as_ref().map_or(Status::default(), |meeting| meeting.status);
            match &change {
                E::Requested { details } | E::Booked { details } => {
                    let guest = details.invitee_name.expose().zip(details.invitee_email.expose());
                    let Some((name, email)) = guest else { return Ok(None) };
                    found = Some(Meeting {
                        id,
                        kind: details.event_type_name.clone(),
                        slot: details.slot,
                        zone: details.time_zone.clone(),
                        name: name.clone(),
                        email: email.clone(),
                        status: before,
                        was_booked: matches!(change, E::Booked { .. }),
                        timed_by: event.position,
                        version: 0,
                        recorded_at: event.recorded_at,
                        manage_path: details.manage_path.clone(),
                        cancel_path: details.cancel_path.clone(),
                    });
                }
                E::Rescheduled { to, .. } => {
                    if let Some(meeting) = &mut found {
                        (meeting.slot, meeting.timed_by) = (*to, event.position);
                    }
                }
                _ => {}
            }
            if let Some(meeting) = &mut found {
                meeting.status = before.after(&change);
                (meeting.version, meeting.recorded_at) = (event.sequence, event.recorded_at);
            }
        }
        Ok(found)
    }
}
