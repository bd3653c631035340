//! An appointment as a file that calendars read (RFC 5545), and what is to be done with it (RFC 5546).

use crate::meeting::Meeting;
use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};
use lettre::message::Mailbox;

/// What a calendar is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Put it in, or where it is now.
    Request,
    /// Take it out.
    Cancel,
}

impl Method {
    /// As a calendar reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// The file. An appointment is known by its id, whatever becomes of it, and each file about it has a higher number than the one
/// before: the version of the appointment, so that a file that is sent again is the same.
pub fn file(meeting: &Meeting, method: Method, organiser: &Mailbox, firm: &str, manage: &str) -> String {
    let mut event = Event::new();
    event
        .uid(&meeting.id.to_string())
        .sequence(u32::try_from(meeting.version - 1).unwrap_or(u32::MAX))
        .timestamp(meeting.recorded_at)
        .starts(meeting.slot.starts_at.utc())
        .ends(meeting.slot.ends_at.utc())
        .summary(&format!("{} ({firm})", meeting.kind))
        .url(manage)
        .status(match method {
            Method::Request => EventStatus::Confirmed,
            Method::Cancel => EventStatus::Cancelled,
        });
    let mut by = Property::new("ORGANIZER", format!("mailto:{}", organiser.email));
    by.add_parameter("CN", &quoted(firm));
    let mut guest = Property::new("ATTENDEE", format!("mailto:{}", meeting.email));
    guest.add_parameter("CN", &quoted(meeting.name.as_str()));
    guest.add_parameter("PARTSTAT", "ACCEPTED").add_parameter("RSVP", "FALSE");
    event.append_property(by).append_multi_property(guest);
    let mut calendar = Calendar::new();
    calendar.append_property(Property::new("METHOD", method.name()));
    calendar.push(event);
    calendar.to_string()
}

/// A name as the value of a parameter, in which no quotes and no control characters may stand (RFC 5545 §3.1).
fn quoted(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).map(|c| if c == '"' { '\'' } else { c }).collect();
    format!("\"{plain}\"")
}
