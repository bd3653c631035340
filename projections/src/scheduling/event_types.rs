//! Kinds of meetings that can be booked.

use crate::model::{Away, Event, FoldError, ReadModel, existing, stamped};
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use kernel::{AvailabilityId, EventTypeId, Machine, Name, Retirable, Slug, Text, UserId};
use scheduling_events::{EventTypeEvent as E, EventTypeRules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A kind of meeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventTypeRow {
    /// Its id.
    pub id: EventTypeId,
    /// How many events it has; also its ETag.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// What links and definitions call it.
    pub key: Slug,
    /// What people call it.
    pub name: Name,
    /// What it is about.
    pub description: Option<Text>,
    /// Who is met.
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
}

impl ReadModel for EventTypeRow {
    const TABLE: &'static str = "scheduling.event_types";
    const STREAMS: &'static [&'static str] = &["scheduling.event_type"];
    const PATH: &'static str = "scheduling/event-types";
    const READ: &'static str = "scheduling.event_type.read";
    const ABOUT: &'static str = "Kinds of meetings that can be booked.";
    const FILTER: &'static [&'static str] = &["key", "name", "host_id"];
    const AWAY: Option<Away> = Some(Away::Column("retired"));
    const SORT: &'static [&'static str] = &["key", "name", "created_at", "updated_at"];

    fn apply(key: Uuid, row: Option<Self>, event: &Event) -> Result<Option<Self>, FoldError> {
        let AnyEvent::EventType(change) = &event.payload else { return Ok(row) };
        if let E::Defined { key: slug, rules } = change {
            return Ok(Some(Self::new(key, slug.clone(), rules.clone(), event)));
        }
        let mut row = existing(row, event)?;
        row.retired = row.retired.after(change);
        match change {
            E::Defined { .. } => {}
            E::Revised { rules } => {
                let (created_at, retired) = (row.created_at, row.retired);
                row = Self { created_at, retired, ..Self::new(key, row.key, rules.clone(), event) };
            }
            E::Retired {} | E::Reinstated {} => {}
        }
        Ok(Some(row))
    }

    stamped!();
}

impl EventTypeRow {
    fn new(key: Uuid, slug: Slug, rules: EventTypeRules, event: &Event) -> Self {
        Self {
            id: EventTypeId(key),
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            key: slug,
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
        }
    }
}
