//! What happens to time that somebody has worked.

use crate::ids::TaskId;
use kernel::{ClientId, Date, EngagementId, InvoiceId, Machine, Money, ProjectId, Text, UserId, event, status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use TimeEntryEvent as E;

/// When, how long and at what rate somebody has worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeWorked {
    /// On which task of the project, if on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// On which day.
    pub date: Date,
    /// How long.
    pub minutes: u32,
    /// On what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Is it to be invoiced?
    pub billable: bool,
    /// What an hour costs; none if it is not billable, or if no rate was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_rate: Option<Money>,
    /// What it comes to, rounded half away from zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// Where a time entry stands.
#[status]
pub enum TimeEntryStatus {
    /// Being written down.
    #[default]
    Draft,
    /// Handed in, to be approved.
    Submitted,
    /// Counts, and is to be invoiced if it is billable.
    Approved,
    /// On an invoice.
    Invoiced,
    /// Not accepted; to be corrected, or left.
    Rejected,
    /// Thrown away before it was handed in.
    Discarded,
}

impl Machine<E> for TimeEntryStatus {
    const BEGINS: &'static [&'static str] = &["time.logged"];

    fn after(self, event: &E) -> Self {
        use TimeEntryStatus::{Approved, Discarded, Draft, Invoiced, Rejected, Submitted};
        match (self, event) {
            (Draft, E::Submitted {}) => Submitted,
            (Submitted, E::Approved {}) => Approved,
            (Submitted | Approved, E::Rejected { .. }) => Rejected,
            (Submitted | Rejected, E::Reopened {}) => Draft,
            (Approved, E::Invoiced { .. }) => Invoiced,
            (Invoiced, E::Released { .. }) => Approved,
            (Draft, E::Discarded {}) => Discarded,
            _ => self,
        }
    }
}

/// Everything that happens to a time entry.
#[event("projects.time_entry")]
pub enum TimeEntryEvent {
    /// Somebody wrote down time that was worked.
    #[name("time.logged")]
    Logged {
        /// On which project.
        project_id: ProjectId,
        /// For whom the project is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The engagement that the project is a part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// Whose time.
        user_id: UserId,
        /// When, how long, at what rate.
        #[serde(flatten)]
        worked: TimeWorked,
    },
    /// The draft says something else now.
    #[name("time.changed")]
    Changed {
        /// When, how long, at what rate.
        #[serde(flatten)]
        worked: TimeWorked,
    },
    /// The time was handed in.
    #[name("time.submitted")]
    Submitted {},
    /// The time counts.
    #[name("time.approved")]
    Approved {},
    /// The time was not accepted, or counts no more.
    #[name("time.rejected")]
    Rejected {
        /// Why.
        reason: Text,
    },
    /// The time is a draft again.
    #[name("time.reopened")]
    Reopened {},
    /// The time is on an invoice.
    #[name("time.invoiced")]
    Invoiced {
        /// On which one.
        invoice_id: InvoiceId,
    },
    /// The invoice that the time was on is void; it is to be invoiced again.
    #[name("time.released")]
    Released {
        /// On which it was.
        invoice_id: InvoiceId,
    },
    /// The draft was thrown away.
    #[name("time.discarded")]
    Discarded {},
}
