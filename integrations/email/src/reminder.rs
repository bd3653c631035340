//! Guests are reminded of their appointments, as long before as the event type says. A reminder is a job that waits for its time; when it
//! comes, it looks whether the appointment still is as it was.

use crate::Office;
use crate::appointment::compose;
use chrono::{DateTime, TimeDelta, Utc};
use event_store::RawEvent;
use reactions::{Job, Lane, Outcome, Reaction};
use serde::Deserialize;

/// How much earlier than it should a reminder may come: clocks differ.
const SLACK: TimeDelta = TimeDelta::seconds(5);

/// Reminds guests.
pub struct Reminders(pub Office);

/// What an event says of reminders. Nothing of it is personal, so it can be read before anything is opened.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    reminder_minutes: Vec<u32>,
    starts_at: Option<DateTime<Utc>>,
    to: Option<Times>,
}

#[derive(Debug, Deserialize)]
struct Times {
    starts_at: DateTime<Utc>,
}

impl Reaction for Reminders {
    const NAME: &'static str = "email.appointment_reminder";
    const ON: &'static [&'static str] = &["appointment.booked", "appointment.rescheduled"];

    /// One lane for each, because they are due at different times.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        let said: Said = serde_json::from_str(event.payload.get()).unwrap_or_default();
        let Some(starts_at) = said.starts_at.or(said.to.map(|to| to.starts_at)) else { return vec![] };
        let lane = |minutes: u32| {
            let due = starts_at - TimeDelta::minutes(minutes.into());
            // Whoever books an hour before is not reminded of tomorrow.
            (due > event.recorded_at).then(|| Lane::of(format!("{}/{minutes}", event.event_id)).at(due))
        };
        said.reminder_minutes.into_iter().filter_map(lane).collect()
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let Office { people, server, links, now, .. } = &self.0;
        let minutes = job.lane.rsplit_once('/').and_then(|(_, minutes)| minutes.parse::<u32>().ok());
        let Some((event, minutes)) = job.event.as_ref().zip(minutes) else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        let meeting = match people.meeting(event.tenant_id, event.aggregate_id, i64::MAX).await {
            Ok(Some(meeting)) => meeting,
            Ok(None) => return Outcome::Done,
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        let is_booked = meeting.status == scheduling_events::AppointmentStatus::Booked;
        // Moved, called off, or begun: nobody is reminded of what is not so.
        if !is_booked || meeting.timed_by != event.position || !meeting.is_ahead(now()) {
            return Outcome::Done;
        }
        let due = meeting.slot.starts_at.utc() - TimeDelta::minutes(minutes.into());
        if due > now() + SLACK {
            return Outcome::Early(due);
        }
        let firm = match people.firm(event.tenant_id).await {
            Ok(firm) => firm.unwrap_or_else(|| "the firm".to_owned()),
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        let kind = meeting.kind.as_str();
        let text = format!("we meet soon for {kind}, {firm}:\n\n  {}\n\n{}", meeting.begins(), meeting.links(links));
        let id = format!("{}.{minutes}", event.event_id);
        match compose(&meeting, &server.from, format!("{kind} with {firm}: reminder"), &id, text, None) {
            Ok(email) => server.send(email).await,
            Err(error) => Outcome::Never("not_written", format!("{error:#}")),
        }
    }
}
