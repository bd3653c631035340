//! Letters to guests about their appointments: that one is asked for, agreed, moved, called off. A calendar reads the file in them.

use crate::Office;
use crate::calendar::{self, Method};
use crate::email::{Links, addressed};
use crate::people::People;
use anyhow::{Context, Result};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{Email, Machine, Name, TenantId, Text, Timestamp};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use reactions::{Job, Outcome, Reaction};
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
    zone: kernel::TimeZone,
    /// What the guest is called.
    pub name: Name,
    /// Where letters go.
    pub email: Email,
    /// Where it stands.
    pub status: Status,
    /// Was it agreed once, so that it is in the guest's calendar?
    was_booked: bool,
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
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.slot.ends_at.utc() <= now
    }

    fn manage(&self, links: &Links) -> String {
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

/// Writes to guests.
pub struct AppointmentLetters(pub Office);

impl Reaction for AppointmentLetters {
    const NAME: &'static str = "email.appointment";
    const ON: &'static [&'static str] = &[
        "appointment.requested",
        "appointment.booked",
        "appointment.rescheduled",
        "appointment.reschedule_requested",
        "appointment.declined",
        "appointment.cancelled",
    ];

    async fn perform(&self, job: &Job) -> Outcome {
        let Office { people, server, links, now, .. } = &self.0;
        let Some(event) = job.event.clone() else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        let (tenant, id, position, event_id) = (event.tenant_id, event.aggregate_id, event.position, event.event_id);
        let change = match catalogue::decode(event).map(|event| event.payload) {
            Ok(AnyEvent::Appointment(change)) => change,
            Ok(_) => return Outcome::Done,
            Err(error) => return Outcome::Never("not_written", error.to_string()),
        };
        let meeting = match people.meeting(tenant, id, position).await {
            Ok(Some(meeting)) => meeting,
            Ok(None) => return Outcome::Done,
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        // A letter that waited until the meeting was over tells nobody anything.
        if meeting.is_over(now()) {
            return Outcome::Done;
        }
        let firm = match people.firm(tenant).await {
            Ok(firm) => firm.unwrap_or_else(|| "the firm".to_owned()),
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        match letter(&meeting, &change, &firm, &server.from, links, event_id) {
            Ok(email) => server.send(email).await,
            Err(error) => Outcome::Never("not_written", format!("{error:#}")),
        }
    }
}

/// What is said of a change, and what a calendar is to do because of it.
fn letter(meeting: &Meeting, change: &E, firm: &str, from: &Mailbox, links: &Links, event_id: Uuid) -> Result<Message> {
    let (kind, at, ways) = (meeting.kind.as_str(), meeting.begins(), meeting.links(links));
    let why = |reason: &Option<kernel::Personal<Text>>| {
        let said = reason.as_ref().and_then(|reason| reason.expose());
        said.map_or(String::new(), |reason| format!("\n\n{}", reason.as_str()))
    };
    let is_booked = meeting.status == Status::Booked;
    let (subject, text, method) = match change {
        E::Requested { .. } => (
            format!("{kind} with {firm}: asked for"),
            format!(
                "you have asked for {kind} with {firm} at this time:\n\n  {at}\n\nYou hear from us when it is confirmed. {ways}"
            ),
            None,
        ),
        E::Booked { .. } => (
            format!("{kind} with {firm}: confirmed"),
            format!("{kind} with {firm} is booked:\n\n  {at}\n\n{ways}"),
            Some(Method::Request),
        ),
        E::Rescheduled { .. } => (
            format!("{kind} with {firm}: moved"),
            format!("{kind} with {firm} has moved. It is now at this time:\n\n  {at}\n\n{ways}"),
            is_booked.then_some(Method::Request),
        ),
        E::RescheduleRequested { reason } => (
            format!("{kind} with {firm}: please choose another time"),
            format!(
                "{firm} asks you to choose another time for {kind}, which is at this time still:\n\n  {at}{}\n\n{ways}",
                why(reason)
            ),
            None,
        ),
        E::Declined { reason } => (
            format!("{kind} with {firm}: declined"),
            format!("{firm} cannot meet you for {kind} at this time:\n\n  {at}{}\n", why(reason)),
            None,
        ),
        E::Cancelled { reason, .. } => (
            format!("{kind} with {firm}: cancelled"),
            format!("{kind} with {firm} does not take place:\n\n  {at}{}\n", why(reason)),
            meeting.was_booked.then_some(Method::Cancel),
        ),
        E::Completed {} | E::NoShow {} => anyhow::bail!("nobody is written to about this"),
    };
    let calendar = method.map(|method| {
        let file = calendar::file(meeting, method, from, firm, &meeting.manage(links));
        (method, file)
    });
    // The same id for every try, so that a mailbox recognises a repeat.
    compose(meeting, from, subject, &event_id.to_string(), text, calendar)
}

/// A letter to the guest, with a file for their calendar if there is one.
pub fn compose(
    meeting: &Meeting,
    from: &Mailbox,
    subject: String,
    id: &str,
    text: String,
    calendar: Option<(Method, String)>,
) -> Result<Message> {
    let name = meeting.name.as_str();
    let text = format!("Hello {name},\n\n{text}");
    let message = addressed(from, name, &meeting.email)?
        .subject(subject)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())));
    let Some((method, file)) = calendar else {
        return Ok(message.header(ContentType::TEXT_PLAIN).body(text)?);
    };
    let inline = format!("text/calendar; charset=utf-8; method={}", method.name());
    let inline = ContentType::parse(&inline).context("the type of a calendar")?;
    let attached = ContentType::parse("application/ics").context("the type of a calendar's file")?;
    let shown = MultiPart::alternative()
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::builder().header(inline).body(file.clone()));
    let parts = MultiPart::mixed()
        .multipart(shown)
        .singlepart(Attachment::new("appointment.ics".to_owned()).body(file, attached));
    Ok(message.multipart(parts)?)
}

/// Does it begin later than this?
pub fn is_ahead(starts_at: Timestamp, now: DateTime<Utc>) -> bool {
    starts_at.utc() > now
}
