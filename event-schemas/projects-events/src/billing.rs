//! What time costs, and how much of it there may be.

use crate::TimeEntryId;
use kernel::{Money, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an hour of somebody costs on a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct UserRate {
    /// Whose.
    pub user_id: UserId,
    /// How much.
    pub hourly_rate: Money,
}

/// So much time, or so much money for it; whatever is not said is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeLimit {
    /// So many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Or so much money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

impl TimeLimit {
    /// Is nothing bounded?
    pub fn is_none(&self) -> bool {
        self.minutes.is_none() && self.amount.is_none()
    }

    /// Have so many minutes, or so much money for them, come to so many percent of it?
    pub fn is_reached(&self, percent: u8, minutes: u64, amount: Option<Money>) -> bool {
        let reached = |sum: i128, of: i128| of > 0 && sum * 100 >= of * i128::from(percent);
        let in_time = self.minutes.is_some_and(|of| reached(minutes.into(), of.into()));
        let amounts = amount.zip(self.amount).filter(|(sum, of)| sum.currency() == of.currency());
        in_time || amounts.is_some_and(|(sum, of)| reached(sum.minor().into(), of.minor().into()))
    }

    /// The mark that was told of last, if what has come to it is still that much; the next lower one that is, or 0.
    pub fn mark_left(&self, told: u8, minutes: u64, amount: Option<Money>) -> u8 {
        let still = |percent: &u8| *percent <= told && self.is_reached(*percent, minutes, amount);
        BUDGET_MARKS.into_iter().rev().find(still).unwrap_or(0)
    }
}

/// The percentages of a budget that are told of.
pub const BUDGET_MARKS: [u8; 2] = [80, 100];

/// Time entries that are told of together: no more than a line of an invoice can be for.
pub const BATCH_MAX: usize = 500;

/// Unbilled time that one line of an invoice can be for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnbilledBatch {
    /// How much.
    pub minutes: u64,
    /// What its time entries come to together, each rounded by itself; nothing if no hour of theirs costs anything while others' do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The time entries, 500 at most.
    pub time_entry_ids: Vec<TimeEntryId>,
}

/// Unbilled time of one person at one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnbilledLine {
    /// Whose.
    pub user_id: UserId,
    /// What an hour costs; none if none was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_rate: Option<Money>,
    /// How much.
    pub minutes: u64,
    /// What the time entries come to together, each rounded by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}
