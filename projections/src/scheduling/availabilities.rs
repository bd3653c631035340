//! The hours in which somebody can be met.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::scheduling_events::{AvailabilityEvent as E, AvailabilityId, DateOverride, WeeklyHours};
use kernel::{TimeZone, UserId, read_model};

/// The hours in which somebody can be met.
#[read_model(
    "scheduling.availabilities",
    id = AvailabilityId,
    read = "scheduling.availability.read",
    updated_at(sort),
    ties(user(host_id))
)]
pub struct AvailabilityRow {
    /// Whose hours.
    #[column(filter)]
    pub host_id: UserId,
    /// Where the clock hangs.
    pub time_zone: TimeZone,
    /// Every week.
    pub weekly: Vec<WeeklyHours>,
    /// Dates with hours of their own, in order.
    pub overrides: Vec<DateOverride>,
}

impl Fold for AvailabilityRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Set { host_id, time_zone, weekly } = change else { return None };
        Some(Self { host_id: *host_id, time_zone: time_zone.clone(), weekly: weekly.clone(), overrides: vec![] })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::Set { .. } => {}
            E::Changed { time_zone, weekly } => {
                self.time_zone = time_zone.clone();
                self.weekly = weekly.clone();
            }
            E::DateOverridden { day } => {
                self.overrides.retain(|other| other.date != day.date);
                self.overrides.push(day.clone());
                self.overrides.sort_by_key(|other| other.date);
            }
            E::OverrideRemoved { date } => self.overrides.retain(|other| other.date != *date),
        }
        Ok(())
    }
}
