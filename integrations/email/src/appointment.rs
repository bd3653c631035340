//! Letters to guests about their appointments: that one is asked for, agreed, moved, called off. A calendar reads the file in them.

use crate::Office;
use crate::calendar::{self, Method};
use crate::email::{Links, addressed};
use crate::meeting::Meeting;
use anyhow::{Context, Result};
use catalogue::AnyEvent;
use kernel::Text;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use reactions::{Job, Outcome, Reaction};
use scheduling_events::{AppointmentEvent as E, AppointmentStatus as Status};
use uuid::Uuid;

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
