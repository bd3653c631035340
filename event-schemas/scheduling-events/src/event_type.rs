//! What happens to a kind of meeting.

use crate::AvailabilityId;
use kernel::{Name, Slug, Text, UserId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// A kind of meeting that can be booked.
    EventTypeId,
}

/// How meetings of one kind are booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct EventTypeRules {
    /// What people call it.
    pub name: Name,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Who is met.
    pub host_id: UserId,
    /// When the host can be met.
    pub availability_id: AvailabilityId,
    /// How long it takes, a multiple of five minutes.
    pub duration_minutes: u32,
    /// What must be free of other meetings before, a multiple of five minutes; neighbours share it, the longer one counts.
    #[serde(default)]
    pub buffer_before_minutes: u32,
    /// What must be free of other meetings after, a multiple of five minutes.
    #[serde(default)]
    pub buffer_after_minutes: u32,
    /// How long before its start it must be booked.
    #[serde(default)]
    pub min_notice_minutes: u32,
    /// How many days ahead it can be booked, whole days of the host's calendar; 0 is today.
    #[serde(default = "year")]
    pub max_days_ahead: u32,
    /// Does the host have to confirm?
    #[serde(default)]
    pub requires_confirmation: bool,
}

/// How many days ahead it can be booked unless its rules say otherwise.
pub const DAYS_AHEAD_DEFAULT: u32 = 365;

fn year() -> u32 {
    DAYS_AHEAD_DEFAULT
}

/// Everything that happens to a kind of meeting.
#[event("scheduling.event_type")]
pub enum EventTypeEvent {
    /// A kind of meeting can be booked from now on.
    Defined {
        /// What links and definitions call it.
        key: Slug,
        /// How it is booked.
        rules: EventTypeRules,
        /// So many minutes before it begins the guest is reminded of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reminder_minutes: Vec<u32>,
    },
    /// It is booked differently from now on; earlier bookings stay as they are.
    Revised {
        /// How it is booked.
        rules: EventTypeRules,
        /// So many minutes before it begins the guest is reminded of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reminder_minutes: Vec<u32>,
    },
    /// It cannot be booked any more.
    Retired {},
    /// It can be booked again.
    Reinstated {},
}

kernel::retirable!(EventTypeEvent begins "event_type.defined");
