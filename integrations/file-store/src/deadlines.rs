//! Requests for files are reminded of before they are due, and expire after.

use crate::Office;
use crate::say::request;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use event_store::{ExecuteError, RawEvent};
use files::FileRequest;
use files::file_request::FileRequestCommand;
use files_events::FileRequestEvent as E;
use kernel::Date;
use reactions::{Job, Lane, Outcome, Reaction, Retry, StartAt};
use std::fmt;

/// Clients are reminded so many days before the last one, in the morning.
const REMINDED_BEFORE: i64 = 2;

/// Says what is due about a request, unless it has changed meanwhile.
pub struct Deadlines(pub Office);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Reminder,
    End,
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Reminder { "reminder" } else { "end" })
    }
}

impl Due {
    /// When, for a request that is in time until `day` is over. That day is over everywhere at noon UTC of the next.
    fn at(self, day: Date) -> Option<DateTime<Utc>> {
        let (days, hour) = if self == Self::Reminder { (-REMINDED_BEFORE, 8) } else { (1, 12) };
        let day: chrono::NaiveDate = day.to_string().parse().ok()?;
        let time = NaiveTime::from_hms_opt(hour, 0, 0)?;
        Some(day.checked_add_signed(TimeDelta::days(days))?.and_time(time).and_utc())
    }

    fn command(self) -> FileRequestCommand {
        match self {
            Self::Reminder => FileRequestCommand::Remind {},
            Self::End => FileRequestCommand::Expire {},
        }
    }
}

impl Reaction for Deadlines {
    const NAME: &'static str = "files.deadlines";
    const ON: &'static [&'static str] = &["file_request.sent", "file_request.due_date_changed"];
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry::FOR_EVER;

    /// Each is waited for by itself.
    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        [Due::Reminder, Due::End].map(|due| Lane::of(format_args!("{due}/{}", event.event_id))).into()
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        let due = if job.lane.starts_with("end/") { Due::End } else { Due::Reminder };
        let (tenant, id, recorded_at) = (event.tenant_id, event.aggregate_id, event.recorded_at);
        let due_on = match catalogue::decode(event).map(|event| event.payload) {
            Ok(catalogue::AnyEvent::FileRequest(E::Sent { due_on, .. } | E::DueDateChanged { due_on })) => due_on,
            Ok(_) => return Outcome::Done,
            Err(error) => return Outcome::Never("unreadable", error.to_string()),
        };
        let Some(at) = due_on.and_then(|day| due.at(day)) else { return Outcome::Done };
        // Nobody is reminded at once of what was asked for just now.
        if due == Due::Reminder && at <= recorded_at {
            return Outcome::Done;
        }
        match self.0.store.load::<FileRequest>(tenant, id).await {
            // Whatever changed the day, or will send it, has asked for the same on its own behalf.
            Ok((state, _)) if state.due_on() != due_on || !state.is_open() => return Outcome::Done,
            Ok(_) => {}
            Err(error) => return Outcome::Later(None, error.to_string()),
        }
        if Utc::now() < at {
            return Outcome::Early(at);
        }
        match self.0.store.execute::<FileRequest>(Some(id), due.command(), &request(tenant)).await {
            // All is there, or it is over.
            Ok(_) | Err(ExecuteError::Rejected { .. }) => Outcome::Done,
            Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
                Outcome::Later(None, error.to_string())
            }
            Err(error) => Outcome::Never("not_said", error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_when_it_is_over_everywhere() {
        let day = "2026-11-05".parse().unwrap();
        assert_eq!(Due::Reminder.at(day).unwrap().to_rfc3339(), "2026-11-03T08:00:00+00:00");
        assert_eq!(Due::End.at(day).unwrap().to_rfc3339(), "2026-11-06T12:00:00+00:00");
        assert!(Due::End.at("9999-12-31".parse().unwrap()).is_some());
    }
}
