//! The hours in which somebody can be met.

use crate::model::{Event, FoldError, ReadModel, Tie, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{AvailabilityId, TimeZone, UserId};
use scheduling_events::{AvailabilityEvent as E, DateOverride, WeeklyHours};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One person's hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AvailabilityRow {
    /// Its id.
    pub id: AvailabilityId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Whose hours.
    pub host_id: UserId,
    /// Where the clock hangs.
    pub time_zone: TimeZone,
    /// Every week.
    pub weekly: Vec<WeeklyHours>,
    /// Dates with hours of their own, in order.
    pub overrides: Vec<DateOverride>,
}

impl ReadModel for AvailabilityRow {
    const TABLE: &'static str = "scheduling.availabilities";
    const STREAMS: &'static [&'static str] = &["scheduling.availability"];
    const PATH: &'static str = "scheduling/availabilities";
    const READ: &'static str = "scheduling.availability.read";
    const ABOUT: &'static str = "The hours in which somebody can be met.";
    const FILTER: &'static [&'static str] = &["host_id"];
    const SORT: &'static [&'static str] = &["created_at", "updated_at"];
    const TIES: &'static [Tie] = &[Tie::User("host_id")];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::Availability(change) = &event.payload else { return Ok(row) };
        if let E::Set { host_id, time_zone, weekly } = change {
            return Ok(Some(Self {
                id: AvailabilityId(key),
                version: event.sequence,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                host_id: *host_id,
                time_zone: time_zone.clone(),
                weekly: weekly.clone(),
                overrides: vec![],
            }));
        }
        let mut row = existing(row, event)?;
        match change {
            E::Set { .. } => {}
            E::Changed { time_zone, weekly } => {
                row.time_zone = time_zone.clone();
                row.weekly = weekly.clone();
            }
            E::DateOverridden { day } => {
                row.overrides.retain(|other| other.date != day.date);
                row.overrides.push(day.clone());
                row.overrides.sort_by_key(|other| other.date);
            }
            E::OverrideRemoved { date } => row.overrides.retain(|other| other.date != *date),
        }
        Ok(Some(row))
    }

    stamped!();
}
