//! An appointment: one meeting, from booking to its end.

use crate::{Availability, EventType, GRANULE_MINUTES};
use chrono::{SecondsFormat, TimeDelta};
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Email, Keyed, Machine, Name, Personal, Phone, Reference,
    ReferenceBy, Scope, Slug, Text, TimeZone, Timestamp, UserId, command, rejection,
};
use scheduling_events::{
    AppointmentDetails, AppointmentEvent as E, AppointmentStatus as Status, CancelledBy, EventTypeId, EventTypeRules,
    Hours, NotOffered, Offer, Slot,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use AppointmentCommand as C;
use AppointmentRejection as R;

/// Who wants to meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct Invitee {
    /// What the person is called.
    pub name: Name,
    /// The person's address.
    pub email: Email,
    /// The person's telephone number, E.164.
    #[serde(default)]
    pub phone: Option<Phone>,
    /// The person's company.
    #[serde(default)]
    pub company: Option<Name>,
}

/// What may be asked of an appointment.
#[command("scheduling.appointment", member)]
pub enum AppointmentCommand {
    /// Books a meeting; if the event type asks for it, the host has to confirm.
    #[creates]
    #[refused(
        UnknownEventType,
        EventTypeRetired,
        NotOnGrid,
        OutsideAvailability,
        NoticeTooShort,
        TooFarAhead,
        NotOpen,
        "scheduling.slot.taken"
    )]
    Book {
        /// The event type's key.
        event_type: Slug,
        /// When it begins, on the five-minute grid.
        starts_at: Timestamp,
        /// Who comes.
        invitee: Invitee,
        /// The invitee's clock, an IANA name.
        time_zone: TimeZone,
        /// What the invitee wants to say.
        #[serde(default)]
        notes: Option<Text>,
    },
    /// Says yes to a request.
    #[refused(NotRequested, TimePassed)]
    Confirm {},
    /// Says no to a request; the time is free again.
    #[refused(NotRequested)]
    Decline {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Moves the meeting to another time; it stays the same appointment.
    #[refused(
        UnknownEventType,
        EventTypeRetired,
        NotOnGrid,
        OutsideAvailability,
        NoticeTooShort,
        TooFarAhead,
        NotOpen,
        AlreadyEnded,
        "scheduling.slot.taken"
    )]
    Reschedule {
        /// When it begins, on the five-minute grid.
        starts_at: Timestamp,
    },
    /// Asks the guest to choose another time; nothing is changed yet.
    #[refused(NotOpen, AlreadyEnded)]
    RequestReschedule {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Calls the meeting off; the time is free again.
    #[refused(NotOpen, AlreadyEnded)]
    Cancel {
        /// By whom.
        by: CancelledBy,
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Notes that the meeting took place.
    #[refused(NotOpen, NotStarted)]
    Complete {},
    /// Notes that the guest did not come.
    #[refused(NotOpen, NotStarted)]
    MarkNoShow {},
}

/// Why an appointment's command may be refused.
#[rejection("scheduling.appointment")]
pub enum AppointmentRejection {
    /// There is no event type with this key.
    #[invalid("/event_type")]
    UnknownEventType,
    /// The event type cannot be booked any more.
    EventTypeRetired,
    /// Meetings begin on the five-minute grid.
    #[invalid("/starts_at")]
    NotOnGrid,
    /// The host cannot be met at that time.
    OutsideAvailability,
    /// That is too soon for this event type.
    NoticeTooShort,
    /// That is too far ahead for this event type.
    TooFarAhead,
    /// The appointment is not a request that waits for confirmation.
    NotRequested,
    /// The appointment is over, declined or cancelled.
    NotOpen,
    /// The time that was asked for has passed; decline the request, or move it.
    TimePassed,
    /// The meeting's time is over; note that it took place, or that the guest did not come.
    AlreadyEnded,
    /// The meeting has not begun yet.
    NotStarted,
}

/// What is remembered of an appointment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Appointment {
    details: Option<AppointmentDetails>,
    status: Status,
}

impl Aggregate for Appointment {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "scheduling/appointments";
    const STATE_VERSION: i32 = 3;

    fn scope(&self, _id: Uuid, _command: &C) -> Scope {
        Scope::default().owned_by(self.details.as_ref().map(|details| details.host_id))
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match (command, &self.details) {
            (C::Book { event_type, .. }, _) => vec![EventType::by_key(event_type)],
            (C::Reschedule { .. }, Some(details)) => vec![Reference::id::<EventType>(details.event_type_id)],
            _ => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        let rules = self.event_type(command, ctx).and_then(|(_, event_type)| event_type.bookable());
        rules.map(|rules| self.hours(rules)).into_iter().collect()
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let open = self.status.is_open();
        Ok(match (command, &self.details) {
            (C::Book { .. }, Some(_)) => return Err(R::NotOpen),
            (book @ C::Book { .. }, None) => return self.book(book, ctx),
            (C::Confirm {}, _) if self.status == Status::Booked => vec![],
            (C::Confirm {}, Some(details)) if self.status == Status::Requested => {
                if details.slot.starts_at <= ctx.now {
                    return Err(R::TimePassed);
                }
                vec![E::Booked { details: details.clone() }]
            }
            (C::Decline { .. }, _) if self.status == Status::Declined => vec![],
            (C::Decline { reason }, _) if self.status == Status::Requested => {
                vec![E::Declined { reason: reason.map(Personal::new) }]
            }
            (C::Confirm {} | C::Decline { .. }, _) => return Err(R::NotRequested),
            (C::Reschedule { .. } | C::RequestReschedule { .. } | C::Cancel { .. }, Some(details))
                if self.status == Status::Booked && details.slot.ends_at <= ctx.now =>
            {
                return Err(R::AlreadyEnded);
            }
            (C::Reschedule { starts_at }, Some(details)) if open => {
                if details.slot.starts_at == starts_at {
                    return Ok(vec![]);
                }
                let (_, event_type) = self.event_type(&C::Reschedule { starts_at }, ctx).ok_or(R::UnknownEventType)?;
                let rules = event_type.bookable().ok_or(R::EventTypeRetired)?;
                let reminder_minutes = details.reminder_minutes.clone();
                vec![E::Rescheduled { from: details.slot, to: self.slot(rules, starts_at, ctx)?, reminder_minutes }]
            }
            (C::RequestReschedule { reason }, Some(_)) if open => {
                vec![E::RescheduleRequested { reason: reason.map(Personal::new) }]
            }
            // Asked again, it is already so; who asked first and why stays.
            (C::Cancel { .. }, _) if self.status == Status::Cancelled => vec![],
            (C::Cancel { by, reason }, Some(_)) if open => vec![E::Cancelled { by, reason: reason.map(Personal::new) }],
            (C::Complete {}, _) if self.status == Status::Completed => vec![],
            (C::MarkNoShow {}, _) if self.status == Status::NoShow => vec![],
            (C::Complete {} | C::MarkNoShow {}, Some(details)) if open && ctx.now < details.slot.starts_at => {
                return Err(R::NotStarted);
            }
            (C::Complete {}, Some(_)) if self.status == Status::Booked => vec![E::Completed {}],
            (C::MarkNoShow {}, Some(_)) if self.status == Status::Booked => vec![E::NoShow {}],
            _ => return Err(R::NotOpen),
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Requested { details } | E::Booked { details } => self.details = Some(details.clone()),
            E::Rescheduled { to, .. } => {
                if let Some(details) = &mut self.details {
                    details.slot = *to;
                }
            }
            E::RescheduleRequested { reason: _ } => {}
            E::Declined { .. } | E::Cancelled { .. } | E::Completed {} | E::NoShow {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let release = |granules: Vec<Claim>| granules.into_iter().map(ClaimChange::Release).collect::<Vec<_>>();
        let take = |granules: Vec<Claim>| granules.into_iter().map(ClaimChange::Take).collect::<Vec<_>>();
        match (event, &self.details) {
            (E::Requested { details } | E::Booked { details }, _) => take(granules(details.host_id, &details.slot)),
            (E::Rescheduled { to, .. }, Some(held)) => {
                [release(granules(held.host_id, &held.slot)), take(granules(held.host_id, to))].concat()
            }
            (E::Declined { .. } | E::Cancelled { .. }, Some(held)) => release(granules(held.host_id, &held.slot)),
            // What begins without details is no appointment and holds nothing.
            (E::Rescheduled { .. } | E::Declined { .. } | E::Cancelled { .. }, None) => vec![],
            // Time that has passed needs no freeing.
            (E::RescheduleRequested { .. } | E::Completed {} | E::NoShow {}, _) => vec![],
        }
    }
}

impl Appointment {
    fn event_type<'c>(&self, command: &C, ctx: &'c Context) -> Option<(EventTypeId, &'c EventType)> {
        match (command, &self.details) {
            (C::Book { event_type, .. }, _) => {
                EventType::with_key(event_type, ctx).map(|(id, found)| (EventTypeId(id), found))
            }
            (_, Some(details)) => {
                ctx.referenced::<EventType>(details.event_type_id).map(|found| (details.event_type_id, found))
            }
            _ => None,
        }
    }

    fn book(&self, command: C, ctx: &Context) -> Decision<Self> {
        let (event_type_id, event_type) = self.event_type(&command, ctx).ok_or(R::UnknownEventType)?;
        let rules = event_type.bookable().ok_or(R::EventTypeRetired)?;
        let C::Book { event_type: event_type_key, starts_at, invitee, time_zone, notes } = command else {
            return Err(R::NotOpen);
        };
        let details = AppointmentDetails {
            event_type_id,
            event_type_key,
            event_type_name: rules.name.clone(),
            host_id: rules.host_id,
            slot: self.slot(rules, starts_at, ctx)?,
            time_zone,
            client_name: Personal::new(invitee.company.clone().unwrap_or_else(|| invitee.name.clone())),
            invitee_name: invitee.name.into(),
            invitee_email: invitee.email.into(),
            invitee_phone: invitee.phone.map(Personal::new),
            company: invitee.company.map(Personal::new),
            notes: notes.map(Personal::new),
            manage_path: format!("/v1/scheduling/appointments/{}", ctx.id),
            cancel_path: format!("/v1/scheduling/appointments/{}/cancel", ctx.id),
            reminder_minutes: event_type.reminder_minutes().to_vec(),
        };
        Ok(vec![if rules.requires_confirmation { E::Requested { details } } else { E::Booked { details } }])
    }

    /// The hours to look at. A meeting stays with its host when its event type has got another one since.
    fn hours(&self, rules: &EventTypeRules) -> Reference {
        match &self.details {
            Some(details) if details.host_id != rules.host_id => {
                Reference::claim::<Availability>(Availability::host_claim(details.host_id))
            }
            _ => Reference::id::<Availability>(rules.availability_id),
        }
    }

    /// The time that a meeting takes, if it may begin then.
    fn slot(&self, rules: &EventTypeRules, starts_at: Timestamp, ctx: &Context) -> Result<Slot, R> {
        let hours = match self.hours(rules).by {
            ReferenceBy::Id(id) => ctx.referenced::<Availability>(id),
            ReferenceBy::Claim(claim) => ctx.holder::<Availability>(claim.scope, &claim.value).map(|(_, found)| found),
        };
        let closed = Hours::default();
        let hours = hours.map_or(&closed, Availability::hours);
        Ok(Offer { rules, hours, now: ctx.now }.slot(starts_at)?)
    }
}

impl From<NotOffered> for R {
    fn from(why: NotOffered) -> Self {
        match why {
            NotOffered::NotOnGrid => Self::NotOnGrid,
            NotOffered::NoticeTooShort => Self::NoticeTooShort,
            NotOffered::TooFarAhead => Self::TooFarAhead,
            NotOffered::OutsideAvailability => Self::OutsideAvailability,
        }
    }
}

/// What a slot takes of its host's time, in granules of five minutes: the meeting with what must be free after it, and
/// once more with what must be free before it. Two meetings take one granule twice exactly when one of them is in the
/// other's buffer or in the other itself; buffers by themselves may overlap, so neighbours share the longer one.
fn granules(host: UserId, slot: &Slot) -> Vec<Claim> {
    let after = every_granule(slot.starts_at, slot.blocked_until).map(|at| format!("{host}/{at}"));
    let before = every_granule(slot.blocked_from, slot.ends_at).map(|at| format!("{host}/{at}/before"));
    after.chain(before).map(|value| Claim::new("scheduling.slot", value)).collect()
}

fn every_granule(from: Timestamp, until: Timestamp) -> impl Iterator<Item = String> {
    let step = TimeDelta::minutes(i64::from(GRANULE_MINUTES));
    let granules = std::iter::successors(Some(from), move |at| Some(*at + step)).take_while(move |at| *at < until);
    granules.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{availability, event_type};
    use kernel::spec::{Given, When, given, spec_time};
    use proptest::prelude::*;
    use scheduling_events::{EventTypeEvent, Weekday};

    fn at(hour: u32, minute: u32) -> Timestamp {
        spec_time().date_naive().and_hms_opt(hour, minute, 0).unwrap().and_utc().try_into().unwrap()
    }

    fn book(starts_at: Timestamp) -> C {
        C::Book {
            event_type: "consultation".parse().unwrap(),
            starts_at,
            invitee: Invitee {
                name: "Ada Lovelace".parse().unwrap(),
                email: "ada@example.com".parse().unwrap(),
                phone: None,
                company: Some("Analytical Engines".parse().unwrap()),
            },
            time_zone: "Europe/London".parse().unwrap(),
            notes: None,
        }
    }

    fn kind(confirm: bool) -> EventType {
        let mut kind = EventType::default();
        let mut rules = event_type::tests::rules(30);
        rules.requires_confirmation = confirm;
        kind.apply(&EventTypeEvent::Defined { key: "consultation".parse().unwrap(), rules, reminder_minutes: vec![] });
        kind
    }

    /// Open on Monday from 9 to 17 in Berlin, which is 8 to 16 UTC on the day of the spec.
    fn world(history: impl IntoIterator<Item = E>, confirm: bool) -> Given<Appointment> {
        let by_key = EventType::by_key(&"consultation".parse().unwrap());
        let by_id = Reference::id::<EventType>(Uuid::from_u128(30));
        let hours = Reference::id::<Availability>(Uuid::from_u128(21));
        let open = availability::tests::open(Weekday::Monday, "09:00", "17:00");
        given::<Appointment>(history)
            .knowing(by_key, Uuid::from_u128(30), kind(confirm))
            .knowing(by_id, Uuid::from_u128(30), kind(confirm))
            .knowing(hours, Uuid::from_u128(21), open)
    }

    fn booked(starts_at: Timestamp) -> E {
        world([], false).when(book(starts_at)).events()[0].clone()
    }

    fn taken(when: &When<Appointment>) -> Vec<String> {
        let taken = when.claims().into_iter().filter_map(|change| match change {
            ClaimChange::Take(claim) => Some(claim.value),
            ClaimChange::Release(_) => None,
        });
        taken.collect()
    }

    #[test]
    fn a_booking_carries_everything_that_follows_from_it() {
        let when = world([], false).when(book(at(11, 0)));
        match when.events() {
            [E::Booked { details }] => {
                assert_eq!(details.client_name.text(), "Analytical Engines");
                assert_eq!(details.slot.ends_at, at(11, 30));
                assert_eq!(details.slot.blocked_until, at(11, 40));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(taken(&when).len(), 8 + 6, "thirty minutes and ten after, and thirty minutes and none before");
    }

    #[test]
    fn an_event_type_that_reaches_beyond_the_calendar_can_still_be_booked() {
        let mut boundless = EventType::default();
        let rules = EventTypeRules { max_days_ahead: u32::MAX, ..event_type::tests::rules(30) };
        boundless.apply(&EventTypeEvent::Defined {
            key: "consultation".parse().unwrap(),
            rules,
            reminder_minutes: vec![],
        });
        let by_key = || EventType::by_key(&"consultation".parse().unwrap());
        let world = || world([], false).knowing(by_key(), Uuid::from_u128(30), boundless.clone());
        assert_eq!(world().when(book(at(11, 0))).events().len(), 1);
        let far = world().when(book(Timestamp::MAX));
        far.rejected("scheduling.appointment.not_on_grid");
    }

    #[test]
    fn a_meeting_that_is_moved_keeps_its_host_and_the_hosts_hours() {
        let mut handed_over = EventType::default();
        let (host_id, availability_id) =
            (UserId(Uuid::from_u128(99)), scheduling_events::AvailabilityId(Uuid::from_u128(98)));
        let rules = EventTypeRules { host_id, availability_id, ..event_type::tests::rules(30) };
        handed_over.apply(&EventTypeEvent::Defined {
            key: "consultation".parse().unwrap(),
            rules,
            reminder_minutes: vec![],
        });
        let type_by_id = || Reference::id::<EventType>(Uuid::from_u128(30));
        let mine = || Reference::claim::<Availability>(Availability::host_claim(UserId(Uuid::from_u128(20))));
        let others = || Reference::id::<Availability>(Uuid::from_u128(98));
        let world = || {
            let world =
                world([booked(at(11, 0))], false).knowing(type_by_id(), Uuid::from_u128(30), handed_over.clone());
            let monday = availability::tests::open(Weekday::Monday, "09:00", "17:00");
            let tuesday = availability::tests::open(Weekday::Tuesday, "09:00", "17:00");
            world.knowing(mine(), Uuid::from_u128(21), monday).knowing(others(), Uuid::from_u128(98), tuesday)
        };
        let tuesday = C::Reschedule { starts_at: at(11, 0) + TimeDelta::days(1) };
        world().when(tuesday).rejected("scheduling.appointment.outside_availability");
        assert_eq!(world().when(C::Reschedule { starts_at: at(13, 0) }).events().len(), 1);
    }

    #[test]
    fn a_meeting_begins_on_the_grid_in_time_and_in_the_hosts_hours() {
        for (starts_at, code) in [
            (at(11, 3), "not_on_grid"),
            (at(9, 30), "notice_too_short"),
            (at(16, 0), "outside_availability"),
            (at(11, 0) + TimeDelta::days(1), "outside_availability"),
            (at(11, 0) + TimeDelta::days(70), "too_far_ahead"),
        ] {
            world([], false).when(book(starts_at)).rejected(&format!("scheduling.appointment.{code}"));
        }
        given::<Appointment>([]).when(book(at(11, 0))).rejected("scheduling.appointment.unknown_event_type");
    }

    /// Open around the clock.
    fn hours(zone: &str, days_ahead: u32) -> (EventType, Availability) {
        let mut kind = EventType::default();
        let rules =
            EventTypeRules { max_days_ahead: days_ahead, min_notice_minutes: 0, ..event_type::tests::rules(30) };
        kind.apply(&EventTypeEvent::Defined { key: "consultation".parse().unwrap(), rules, reminder_minutes: vec![] });
        (kind, availability::tests::always_open(zone))
    }

    #[test]
    fn days_ahead_are_days_of_the_hosts_calendar() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        // Where the host is, how many days ahead, what time it is, and the last start and the first beyond it.
        for (zone, days, now, last, beyond) in [
            ("UTC", 0, "2026-11-02T23:00:00Z", "2026-11-02T23:55:00Z", "2026-11-03T00:00:00Z"),
            ("UTC", 1, "2026-11-02T00:00:00Z", "2026-11-03T23:55:00Z", "2026-11-04T00:00:00Z"),
            // It is the 3rd there already, and until 10:00 UTC.
            ("Pacific/Kiritimati", 0, "2026-11-02T10:00:00Z", "2026-11-03T09:55:00Z", "2026-11-03T10:00:00Z"),
            ("Pacific/Kiritimati", 0, "2026-11-02T09:00:00Z", "2026-11-02T09:55:00Z", "2026-11-02T10:00:00Z"),
            // It is still the 1st there, which has 25 hours because the clocks go back.
            ("America/Los_Angeles", 0, "2026-11-01T07:00:00Z", "2026-11-02T07:55:00Z", "2026-11-02T08:00:00Z"),
            ("America/Los_Angeles", 1, "2026-11-01T06:55:00Z", "2026-11-02T07:55:00Z", "2026-11-02T08:00:00Z"),
            // And the day when they go forward has 23.
            ("America/Los_Angeles", 1, "2026-03-08T07:55:00Z", "2026-03-09T06:55:00Z", "2026-03-09T07:00:00Z"),
        ] {
            let by_key = || EventType::by_key(&"consultation".parse().unwrap());
            let of = || Reference::id::<Availability>(Uuid::from_u128(21));
            let (kind, open) = hours(zone, days);
            let world = || {
                let world = given::<Appointment>([]).at(time(now));
                let world = world.knowing(by_key(), Uuid::from_u128(30), kind.clone());
                world.knowing(of(), Uuid::from_u128(21), open.clone())
            };
            assert_eq!(world().when(book(time(last))).events().len(), 1, "{zone} {now}: {last}");
            world().when(book(time(beyond))).rejected("scheduling.appointment.too_far_ahead");
        }
    }

    #[test]
    fn a_request_waits_for_the_host() {
        let requested = world([], true).when(book(at(11, 0))).events()[0].clone();
        assert!(matches!(requested, E::Requested { .. }));
        let confirmed = world([requested.clone()], true).when(C::Confirm {});
        assert!(matches!(confirmed.events(), [E::Booked { .. }]));
        world([requested], true).when(C::Decline { reason: None }).then([E::Declined { reason: None }]);
        let decline = world([booked(at(11, 0))], false).when(C::Decline { reason: None });
        decline.rejected("scheduling.appointment.not_requested");
    }

    #[test]
    fn moving_frees_the_old_time_and_takes_the_new() {
        let when = world([booked(at(11, 0))], false).when(C::Reschedule { starts_at: at(12, 0) });
        let released = when.claims().iter().filter(|c| matches!(c, ClaimChange::Release(_))).count();
        assert_eq!((released, taken(&when).len()), (14, 14));
        world([booked(at(11, 0))], false).when(C::Reschedule { starts_at: at(11, 0) }).then_nothing();
    }

    #[test]
    fn cancelling_frees_the_time_and_ends_the_appointment() {
        let cancel = || C::Cancel { by: CancelledBy::Invitee, reason: None };
        let when = world([booked(at(11, 0))], false).when(cancel());
        assert_eq!(when.claims().len(), 14);
        let cancelled = when.events()[0].clone();
        world([booked(at(11, 0)), cancelled.clone()], false).when(cancel()).then_nothing();
        let move_it = C::Reschedule { starts_at: at(12, 0) };
        world([booked(at(11, 0)), cancelled], false).when(move_it).rejected("scheduling.appointment.not_open");
    }

    #[test]
    fn what_has_not_begun_cannot_have_taken_place() {
        world([booked(at(11, 0))], false).when(C::Complete {}).rejected("scheduling.appointment.not_started");
        world([booked(at(11, 0))], false).at(at(12, 0)).when(C::MarkNoShow {}).then([E::NoShow {}]);
    }

    fn slot(start: u32, granules: u32, before: u32, after: u32) -> Slot {
        let minutes = |granules: u32| TimeDelta::minutes(i64::from(granules * GRANULE_MINUTES));
        let starts_at = at(8, 0) + minutes(start);
        let ends_at = starts_at + minutes(granules);
        Slot { starts_at, ends_at, blocked_from: starts_at - minutes(before), blocked_until: ends_at + minutes(after) }
    }

    fn share(a: &Slot, b: &Slot) -> bool {
        let host = UserId(Uuid::from_u128(20));
        let (a, b) = (granules(host, a), granules(host, b));
        a.iter().any(|granule| b.contains(granule))
    }

    #[test]
    fn neighbours_share_a_buffer_and_the_longer_one_counts() {
        let first = slot(0, 6, 0, 2);
        assert!(!share(&first, &slot(8, 6, 2, 0)), "ten minutes after and ten before are the same ten");
        assert!(!share(&first, &slot(8, 6, 1, 0)), "five are within ten");
        assert!(share(&first, &slot(7, 6, 1, 0)), "ten must be free after the first");
        assert!(share(&first, &slot(8, 6, 3, 0)), "fifteen must be free before the second");
        assert!(!share(&first, &slot(9, 6, 3, 0)));
        assert!(share(&slot(0, 6, 0, 0), &slot(5, 6, 0, 0)), "nobody is in two meetings");
        assert!(!share(&slot(0, 6, 0, 0), &slot(6, 6, 0, 0)), "back to back");
    }

    #[test]
    fn a_request_whose_time_has_passed_cannot_be_confirmed() {
        let requested = || world([], true).when(book(at(11, 0))).events()[0].clone();
        for now in [at(11, 0), at(11, 10), at(15, 0)] {
            world([requested()], true).at(now).when(C::Confirm {}).rejected("scheduling.appointment.time_passed");
            let declined = E::Declined { reason: None };
            world([requested()], true).at(now).when(C::Decline { reason: None }).then([declined]);
        }
        assert_eq!(world([requested()], true).at(at(10, 59)).when(C::Confirm {}).events().len(), 1);
        let moved = world([requested()], true).at(at(11, 5)).when(C::Reschedule { starts_at: at(13, 0) });
        assert_eq!(moved.events().len(), 1, "a request may be moved to a time that is to come");
    }

    #[test]
    fn a_meeting_that_is_over_is_neither_moved_nor_called_off() {
        let over = || world([booked(at(11, 0))], false).at(at(11, 30));
        over().when(C::Reschedule { starts_at: at(13, 0) }).rejected("scheduling.appointment.already_ended");
        over().when(C::RequestReschedule { reason: None }).rejected("scheduling.appointment.already_ended");
        let cancel = || C::Cancel { by: CancelledBy::Host, reason: None };
        over().when(cancel()).rejected("scheduling.appointment.already_ended");
        over().when(C::Complete {}).then([E::Completed {}]);
        assert_eq!(world([booked(at(11, 0))], false).at(at(11, 29)).when(cancel()).events().len(), 1);
    }

    proptest! {
        /// Two meetings of one host share a granule exactly when one is in the other or in its buffers.
        #[test]
        fn a_shared_granule_is_a_meeting_in_anothers_buffer(
            a in (0u32..40, 1u32..8, 0u32..5, 0u32..5), b in (0u32..40, 1u32..8, 0u32..5, 0u32..5),
        ) {
            let (a, b) = (slot(a.0, a.1, a.2, a.3), slot(b.0, b.1, b.2, b.3));
            prop_assert_eq!(share(&a, &b), a.clashes(&b));
            let within = |a: &Slot, b: &Slot| a.blocked_from < b.ends_at && b.starts_at < a.blocked_until;
            prop_assert_eq!(share(&a, &b), within(&a, &b) || within(&b, &a));
        }

        /// What is offered is exactly what is accepted: each slot can be booked, and every other time is refused. Around the changes of
        /// the clocks too, where an hour is skipped or comes twice.
        #[test]
        fn what_is_offered_can_be_booked_and_nothing_else(
            zone in prop::sample::select(vec!["Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
            now in prop::sample::select(vec![
                "2026-03-28T20:11:12Z", "2026-10-24T20:00:00Z", "2026-10-31T23:59:59Z", "2026-11-02T09:00:00Z", "2026-04-04T10:00:00Z",
            ]),
            from_minute in 0u16..1_200, length in 1u16..240, duration in 1u32..12, before in 0u32..4, after in 0u32..4,
            notice in 0u32..600, days in 0u32..3, taken in prop::collection::vec((0u32..500, 1u32..8, 0u32..4, 0u32..4), 0..4),
        ) {
            use scheduling_events::{LocalTime, Period, WeeklyHours, Weekday::*};
            let now: Timestamp = now.parse().unwrap();
            let period = Period { from: LocalTime(from_minute), to: LocalTime(from_minute + length) };
            let week = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
            let weekly = week.map(|weekday| WeeklyHours { weekday, periods: vec![period] }).to_vec();
            let mut open = Availability::default();
            let host_id = UserId(Uuid::from_u128(20));
            open.apply(&scheduling_events::AvailabilityEvent::Set { host_id, time_zone: zone.parse().unwrap(), weekly });
            let mut kind = EventType::default();
            let rules = EventTypeRules {
                duration_minutes: duration * GRANULE_MINUTES,
                buffer_before_minutes: before * GRANULE_MINUTES,
                buffer_after_minutes: after * GRANULE_MINUTES,
                min_notice_minutes: notice,
                max_days_ahead: days,
                ..event_type::tests::rules(30)
            };
            kind.apply(&EventTypeEvent::Defined { key: "consultation".parse().unwrap(), rules: rules.clone(), reminder_minutes: vec![] });
            let midnight: Timestamp = now.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc().try_into().unwrap();
            let busy: Vec<Slot> = taken.iter().map(|(start, granules, before, after)| {
                let slot = slot(*start, *granules, *before, *after);
                let shift = midnight - at(8, 0);
                let moved = |time: Timestamp| time + shift;
                Slot {
                    starts_at: moved(slot.starts_at), ends_at: moved(slot.ends_at),
                    blocked_from: moved(slot.blocked_from), blocked_until: moved(slot.blocked_until),
                }
            }).collect();
            let until = midnight + TimeDelta::days(2);
            let offered = Offer { rules: &rules, hours: open.hours(), now }.slots(midnight, until, &busy);
            let held: std::collections::HashSet<String> =
                busy.iter().flat_map(|slot| granules(host_id, slot)).map(|claim| claim.value).collect();
            let mut ctx = Context::new(
                kernel::TenantId(Uuid::from_u128(1)), kernel::Actor::System { name: "spec".to_owned() }, now,
                Uuid::from_u128(3), Uuid::from_u128(4),
            );
            let kind: std::sync::Arc<dyn std::any::Any + Send + Sync> = std::sync::Arc::new(kind);
            let open: std::sync::Arc<dyn std::any::Any + Send + Sync> = std::sync::Arc::new(open.clone());
            let by_key = EventType::by_key(&"consultation".parse().unwrap());
            let by_id = Reference::id::<Availability>(rules.availability_id);
            ctx.insert_reference(by_key.stream, by_key.key(), Some((Uuid::from_u128(30), kind)));
            ctx.insert_reference(by_id.stream, by_id.key(), Some((rules.availability_id.0, open)));
            let mut start = midnight;
            while start < until {
                let booked = Appointment::default().decide(book(start), &ctx).unwrap_or_default();
                let claims = booked.iter().flat_map(|event| Appointment::default().claims(event));
                let is_free = claims.into_iter().all(|change| match change {
                    ClaimChange::Take(claim) | ClaimChange::Release(claim) => !held.contains(&claim.value),
                });
                let accepted = !booked.is_empty() && is_free;
                prop_assert_eq!(accepted, offered.iter().any(|slot| slot.starts_at == start), "{} in {}", start, zone);
                start += TimeDelta::minutes(GRANULE_MINUTES.into());
            }
        }
    }
}
