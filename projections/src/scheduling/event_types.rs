//! Kinds of meetings that can be booked.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::scheduling_events::{AvailabilityId, EventTypeEvent as E, EventTypeId, EventTypeRules};
use kernel::{Machine, Name, Retirable, Slug, Text, UserId, read_model};

/// Kinds of meetings that can be booked.
#[read_model(
    "scheduling.event_types",
    id = EventTypeId,
    read = "scheduling.event_type.read",
    updated_at(sort),
    away(retired)
)]
pub struct EventTypeRow {
    /// What links and definitions call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// What it is about.
    pub description: Option<Text>,
    /// Who is met.
    #[column(filter)]
    pub host_id: UserId,
    /// When the host can be met.
    pub availability_id: AvailabilityId,
    /// How long it takes.
    pub duration_minutes: u32,
    /// What must be free before.
    pub buffer_before_minutes: u32,
    /// What must be free after.
    pub buffer_after_minutes: u32,
    /// How long before its start it must be booked.
    pub min_notice_minutes: u32,
    /// How many days ahead it can be booked.
    pub max_days_ahead: u32,
    /// Does the host have to confirm?
    pub requires_confirmation: bool,
    /// It cannot be booked any more.
    pub retired: Retirable,
    /// So many minutes before it begins the guest is reminded of it.
    pub reminder_minutes: Vec<u32>,
}

impl Fold for EventTypeRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key, rules, reminder_minutes } = change else { return None };
        Some(Self::new(key.clone(), rules.clone(), reminder_minutes.clone()))
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { rules, reminder_minutes } => {
                let (retired, key) = (self.retired, self.key.clone());
                *self = Self { retired, ..Self::new(key, rules.clone(), reminder_minutes.clone()) };
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}

impl EventTypeRow {
    fn new(key: Slug, rules: EventTypeRules, reminder_minutes: Vec<u32>) -> Self {
        Self {
            key,
            name: rules.name,
            description: rules.description,
            host_id: rules.host_id,
            availability_id: rules.availability_id,
            duration_minutes: rules.duration_minutes,
            buffer_before_minutes: rules.buffer_before_minutes,
            buffer_after_minutes: rules.buffer_after_minutes,
            min_notice_minutes: rules.min_notice_minutes,
            max_days_ahead: rules.max_days_ahead,
            requires_confirmation: rules.requires_confirmation,
            retired: Retirable::default(),
            reminder_minutes,
        }
    }
}
