//! An event type: a kind of meeting that can be booked.

use crate::Availability;
use kernel::{
    Aggregate, ClaimChange, Context, Decision, Keyed, Machine, Name, Patch, Reference, Retirable, Slug, Text, UserId,
    command, rejection,
};
use scheduling_events::{
    AvailabilityId, DAYS_AHEAD_DEFAULT, DAYS_AHEAD_MAX, EventTypeEvent as E, EventTypeRules, GRANULE_MINUTES,
    MINUTES_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use EventTypeCommand as C;
use EventTypeRejection as R;

/// Reminders of one meeting.
const REMINDERS_MAX: usize = 5;
/// The earliest reminder comes four weeks before.
const REMINDER_MINUTES_MAX: u32 = 28 * 24 * 60;

/// How meetings of one kind are booked from now on. What may be left out stays then; `null` gives it its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct RevisedRules {
    /// What people call it.
    pub name: Name,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
    pub description: Patch<Text>,
    /// Who is met.
    pub host_id: UserId,
    /// When the host can be met.
    pub availability_id: AvailabilityId,
    /// How long it takes, a multiple of five minutes.
    pub duration_minutes: u32,
    /// What must be free of other meetings before, a multiple of five minutes; neighbours share it, the longer one counts.
    #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
    pub buffer_before_minutes: Patch<u32>,
    /// What must be free of other meetings after, a multiple of five minutes.
    #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
    pub buffer_after_minutes: Patch<u32>,
    /// How long before its start it must be booked.
    #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
    pub min_notice_minutes: Patch<u32>,
    /// How many days ahead it can be booked, whole days of the host's calendar; 0 is today.
    #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
    pub max_days_ahead: Patch<u32>,
    /// Does the host have to confirm?
    #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
    pub requires_confirmation: Patch<bool>,
}

impl RevisedRules {
    /// The rules after it.
    fn over(self, before: Option<&EventTypeRules>) -> EventTypeRules {
        let minutes = |of: fn(&EventTypeRules) -> u32| before.map_or(0, of);
        EventTypeRules {
            name: self.name,
            description: self.description.over(&before.and_then(|rules| rules.description.clone())),
            host_id: self.host_id,
            availability_id: self.availability_id,
            duration_minutes: self.duration_minutes,
            buffer_before_minutes: self.buffer_before_minutes.over_or(minutes(|rules| rules.buffer_before_minutes), 0),
            buffer_after_minutes: self.buffer_after_minutes.over_or(minutes(|rules| rules.buffer_after_minutes), 0),
            min_notice_minutes: self.min_notice_minutes.over_or(minutes(|rules| rules.min_notice_minutes), 0),
            max_days_ahead: self
                .max_days_ahead
                .over_or(before.map_or(DAYS_AHEAD_DEFAULT, |rules| rules.max_days_ahead), DAYS_AHEAD_DEFAULT),
            requires_confirmation: self
                .requires_confirmation
                .over_or(before.is_some_and(|rules| rules.requires_confirmation), false),
        }
    }
}

/// What may be asked of an event type.
#[command("scheduling.event_type", !member)]
pub enum EventTypeCommand {
    /// Lets a kind of meeting be booked.
    #[creates]
    #[refused(
        NotOnGrid,
        DurationOutOfRange,
        TooFarAhead,
        RemindersOutOfRange,
        UnknownAvailability,
        HoursOfAnotherHost,
        "key.taken"
    )]
    Define {
        /// What links and definitions call it; unique in the firm.
        key: Slug,
        /// How it is booked.
        rules: EventTypeRules,
        /// So many minutes before it begins the guest is reminded of it, at most five times.
        #[serde(default)]
        reminder_minutes: Vec<u32>,
    },
    /// Changes how it is booked; earlier bookings stay as they are.
    #[refused(
        Retired,
        NotOnGrid,
        DurationOutOfRange,
        TooFarAhead,
        RemindersOutOfRange,
        UnknownAvailability,
        HoursOfAnotherHost
    )]
    Revise {
        /// How it is booked.
        rules: RevisedRules,
        /// So many minutes before it begins the guest is reminded of it. What is left out stays, `null` ends it.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        reminder_minutes: Patch<Vec<u32>>,
    },
    /// Ends that it can be booked.
    Retire {},
    /// Lets it be booked again.
    Reinstate {},
}

/// Why an event type's command may be refused.
#[rejection("scheduling.event_type")]
pub enum EventTypeRejection {
    /// The event type is retired; reinstate it first.
    Retired,
    /// Duration and buffers are multiples of five minutes.
    #[invalid("/rules")]
    NotOnGrid,
    /// A meeting takes five minutes to eight hours, buffers included.
    #[invalid("/rules/duration_minutes")]
    DurationOutOfRange,
    /// A meeting is booked at most ten years ahead, and so is its notice.
    #[invalid("/rules")]
    TooFarAhead,
    /// The guest is reminded at most five times, each once, a minute to four weeks before.
    #[invalid("/reminder_minutes")]
    RemindersOutOfRange,
    /// There are no such hours.
    #[invalid("/rules/availability_id")]
    UnknownAvailability,
    /// The hours are another host's.
    #[invalid("/rules/availability_id")]
    HoursOfAnotherHost,
}

/// What is remembered of an event type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EventType {
    rules: Option<EventTypeRules>,
    retired: Retirable,
    reminder_minutes: Vec<u32>,
}

impl EventType {
    /// How it is booked, unless it is retired.
    pub fn bookable(&self) -> Option<&EventTypeRules> {
        self.rules.as_ref().filter(|_| !self.retired.is_retired())
    }
}

impl EventType {
    /// How long before it begins the guest is reminded of it.
    pub fn reminder_minutes(&self) -> &[u32] {
        &self.reminder_minutes
    }
}

impl Keyed for EventType {
    const KEY: &'static str = "scheduling.event_type.key";
}

impl Aggregate for EventType {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "scheduling/event-types";
    const STATE_VERSION: i32 = 2;

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Define { rules, .. } => vec![Reference::id::<Availability>(rules.availability_id)],
            C::Revise { rules, .. } => vec![Reference::id::<Availability>(rules.availability_id)],
            C::Retire {} | C::Reinstate {} => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, rules, reminder_minutes } => {
                check(&rules, &reminder_minutes, ctx)?;
                vec![E::Defined { key, rules, reminder_minutes }]
            }
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            _ if self.retired.is_retired() => return Err(R::Retired),
            C::Revise { rules, reminder_minutes } => {
                let rules = rules.over(self.rules.as_ref());
                let reminder_minutes = reminder_minutes.over_list(&self.reminder_minutes);
                if self.rules.as_ref() == Some(&rules) && self.reminder_minutes == reminder_minutes {
                    return Ok(vec![]);
                }
                check(&rules, &reminder_minutes, ctx)?;
                vec![E::Revised { rules, reminder_minutes }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { rules, reminder_minutes, .. } | E::Revised { rules, reminder_minutes } => {
                self.rules = Some(rules.clone());
                self.reminder_minutes.clone_from(reminder_minutes);
            }
            E::Retired {} | E::Reinstated {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Defined { key, .. } => vec![ClaimChange::Take(Self::key_claim(key))],
            _ => vec![],
        }
    }
}

fn check(rules: &EventTypeRules, reminder_minutes: &[u32], ctx: &Context) -> Result<(), R> {
    let parts = [rules.duration_minutes, rules.buffer_before_minutes, rules.buffer_after_minutes];
    if parts.iter().any(|minutes| minutes % GRANULE_MINUTES != 0) {
        return Err(R::NotOnGrid);
    }
    let total = parts.iter().fold(0u32, |sum, minutes| sum.saturating_add(*minutes));
    if rules.duration_minutes == 0 || total > MINUTES_MAX {
        return Err(R::DurationOutOfRange);
    }
    let too_far = rules.max_days_ahead > DAYS_AHEAD_MAX || rules.min_notice_minutes > DAYS_AHEAD_MAX * 24 * 60;
    if too_far {
        return Err(R::TooFarAhead);
    }
    let reminders: BTreeSet<u32> = reminder_minutes.iter().copied().collect();
    let in_range = reminders.iter().all(|minutes| (1..=REMINDER_MINUTES_MAX).contains(minutes));
    if !in_range || reminders.len() < reminder_minutes.len() || reminders.len() > REMINDERS_MAX {
        return Err(R::RemindersOutOfRange);
    }
    match ctx.referenced::<Availability>(rules.availability_id) {
        None => Err(R::UnknownAvailability),
        Some(hours) if !hours.is_of(rules.host_id) => Err(R::HoursOfAnotherHost),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::availability;
    use kernel::Claim;
    use kernel::spec::{Given, given};
    use scheduling_events::Weekday;
    use uuid::Uuid;

    pub(crate) fn rules(duration_minutes: u32) -> EventTypeRules {
        EventTypeRules {
            name: "Consultation".parse().unwrap(),
            description: None,
            host_id: UserId(Uuid::from_u128(20)),
            availability_id: AvailabilityId(Uuid::from_u128(21)),
            duration_minutes,
            buffer_before_minutes: 0,
            buffer_after_minutes: 10,
            min_notice_minutes: 60,
            max_days_ahead: 60,
            requires_confirmation: false,
        }
    }

    /// The host's hours are there.
    fn world(history: impl IntoIterator<Item = E>) -> Given<EventType> {
        let hours = Reference::id::<Availability>(Uuid::from_u128(21));
        let open = availability::tests::open(Weekday::Monday, "09:00", "17:00");
        given::<EventType>(history).knowing(hours, Uuid::from_u128(21), open)
    }

    /// Says everything anew.
    fn revise(rules: EventTypeRules) -> C {
        <C as kernel::Command>::parse("revise", &serde_json::json!({ "rules": rules }).to_string()).unwrap()
    }

    #[test]
    fn what_a_revision_leaves_out_stays_and_null_gives_the_default() {
        let before =
            EventTypeRules { description: Some("A talk".parse().unwrap()), requires_confirmation: true, ..rules(30) };
        let defined =
            || E::Defined { key: "consultation".parse().unwrap(), rules: before.clone(), reminder_minutes: vec![] };
        let mut body = serde_json::json!({ "rules": {
            "name": "Consultation", "host_id": before.host_id, "availability_id": before.availability_id,
            "duration_minutes": 30,
        } });
        let parse = |body: &serde_json::Value| <C as kernel::Command>::parse("revise", &body.to_string()).unwrap();
        world([defined()]).when(parse(&body)).then_nothing();
        for field in ["description", "buffer_after_minutes", "max_days_ahead", "requires_confirmation"] {
            body["rules"][field] = serde_json::Value::Null;
        }
        let rules = EventTypeRules {
            description: None,
            buffer_after_minutes: 0,
            max_days_ahead: DAYS_AHEAD_DEFAULT,
            requires_confirmation: false,
            ..before.clone()
        };
        world([defined()]).when(parse(&body)).then([E::Revised { rules, reminder_minutes: vec![] }]);
    }

    fn define(duration: u32) -> C {
        C::Define { key: "consultation".parse().unwrap(), rules: rules(duration), reminder_minutes: vec![] }
    }

    #[test]
    fn a_kind_of_meeting_claims_its_key() {
        let claims = world([]).when(define(30)).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("scheduling.event_type.key", "consultation"))]);
    }

    #[test]
    fn durations_off_the_grid_or_too_long_are_refused() {
        world([]).when(define(17)).rejected("scheduling.event_type.not_on_grid");
        world([]).when(define(0)).rejected("scheduling.event_type.duration_out_of_range");
        world([]).when(define(480)).rejected("scheduling.event_type.duration_out_of_range");
    }

    #[test]
    fn what_is_farther_ahead_than_ten_years_is_refused() {
        for (max_days_ahead, min_notice_minutes) in [(u32::MAX, 0), (DAYS_AHEAD_MAX + 1, 0), (60, u32::MAX)] {
            let rules = EventTypeRules { max_days_ahead, min_notice_minutes, ..rules(30) };
            world([]).when(revise(rules.clone())).rejected("scheduling.event_type.too_far_ahead");
            let define = C::Define { key: "consultation".parse().unwrap(), rules, reminder_minutes: vec![] };
            world([]).when(define).rejected("scheduling.event_type.too_far_ahead");
        }
    }

    #[test]
    fn what_is_retired_cannot_be_revised_until_reinstated() {
        let revise = || revise(rules(45));
        world([E::Retired {}]).when(revise()).rejected("scheduling.event_type.retired");
        assert_eq!(world([E::Retired {}, E::Reinstated {}]).when(revise()).events().len(), 1);
    }

    #[test]
    fn a_kind_of_meeting_is_booked_in_hours_that_are_there_and_its_hosts() {
        let nowhere = EventTypeRules { availability_id: AvailabilityId(Uuid::from_u128(22)), ..rules(30) };
        let others = EventTypeRules { host_id: UserId(Uuid::from_u128(99)), ..rules(30) };
        let defined =
            || E::Defined { key: "consultation".parse().unwrap(), rules: rules(30), reminder_minutes: vec![] };
        for (rules, code) in [(nowhere, "unknown_availability"), (others, "hours_of_another_host")] {
            let code = format!("scheduling.event_type.{code}");
            let define =
                C::Define { key: "consultation".parse().unwrap(), rules: rules.clone(), reminder_minutes: vec![] };
            world([]).when(define).rejected(&code);
            world([defined()]).when(revise(rules)).rejected(&code);
        }
        world([defined()]).when(revise(rules(30))).then_nothing();
    }

    #[test]
    fn a_guest_is_reminded_at_most_five_times_each_once_and_not_long_before() {
        for (reminder_minutes, ok) in [
            (vec![1_440, 60], true),
            (vec![1, 2, 3, 4, 5], true),
            (vec![1, 2, 3, 4, 5, 6], false),
            (vec![60, 60], false),
            (vec![0], false),
            (vec![28 * 24 * 60], true),
            (vec![28 * 24 * 60 + 1], false),
        ] {
            let key = "consultation".parse().unwrap();
            let when = world([]).when(C::Define { key, rules: rules(30), reminder_minutes });
            if ok {
                assert_eq!(when.events().len(), 1);
            } else {
                when.rejected("scheduling.event_type.reminders_out_of_range");
            }
        }
    }
}
