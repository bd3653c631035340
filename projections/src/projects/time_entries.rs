//! Time that was worked, as timesheets and whoever approves them see it.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::projects_events::{TaskId, TimeEntryEvent as E, TimeEntryId, TimeEntryStatus, TimeWorked};
use kernel::{ClientId, Currency, Date, EngagementId, InvoiceId, Machine, Money, ProjectId, Text, UserId, read_model};

/// Time that was worked on projects.
#[read_model(
    "projects.time_entries",
    id = TimeEntryId,
    read = "projects.time_entry.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id), engagement(engagement_id), project(project_id), user(user_id)),
    away(status = "discarded")
)]
pub struct TimeEntryRow {
    /// The project.
    #[column(filter)]
    pub project_id: ProjectId,
    /// For whom the project was when it was written down.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// Whose time.
    #[column(filter)]
    pub user_id: UserId,
    /// On which task, if on one.
    #[column(filter)]
    pub task_id: Option<TaskId>,
    /// On which day.
    #[column(filter, sort)]
    pub date: Date,
    /// How long.
    pub minutes: u32,
    /// On what.
    pub description: Option<Text>,
    /// Is it to be invoiced?
    #[column(filter)]
    pub billable: bool,
    /// Where it stands.
    #[column(filter)]
    pub status: TimeEntryStatus,
    /// The currency of its amounts, if it has any.
    pub currency: Option<Currency>,
    /// What an hour costs, in minor units.
    pub hourly_rate_minor: Option<i64>,
    /// What it comes to, in minor units.
    pub amount_minor: Option<i64>,
    /// Why it was not accepted.
    pub rejection_reason: Option<Text>,
    /// The invoice that it is on.
    #[column(filter)]
    pub invoice_id: Option<InvoiceId>,
    /// The engagement that the project was a part of when it was written down.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
}

impl Fold for TimeEntryRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Logged { project_id, client_id, engagement_id, user_id, worked } = change else { return None };
        let mut row = Self {
            project_id: *project_id,
            client_id: *client_id,
            user_id: *user_id,
            task_id: None,
            date: worked.date,
            minutes: 0,
            description: None,
            billable: false,
            status: TimeEntryStatus::default().after(change),
            currency: None,
            hourly_rate_minor: None,
            amount_minor: None,
            rejection_reason: None,
            invoice_id: None,
            engagement_id: *engagement_id,
        };
        row.was_worked(worked);
        Some(row)
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.status = self.status.after(change);
        match change {
            E::Logged { .. } | E::Approved {} | E::Discarded {} => {}
            E::Changed { worked } => self.was_worked(worked),
            E::Submitted {} => self.rejection_reason = None,
            E::Rejected { reason } => self.rejection_reason = Some(reason.clone()),
            // Whoever corrects it wants to see why.
            E::Reopened {} => {}
            E::Invoiced { invoice_id } => self.invoice_id = Some(*invoice_id),
            E::Released { .. } => self.invoice_id = None,
        }
        Ok(())
    }
}

impl TimeEntryRow {
    fn was_worked(&mut self, worked: &TimeWorked) {
        let TimeWorked { task_id, date, minutes, description, billable, hourly_rate, amount } = worked;
        (self.task_id, self.date, self.minutes) = (*task_id, *date, *minutes);
        (self.description, self.billable) = (description.clone(), *billable);
        self.currency = hourly_rate.or(*amount).map(Money::currency);
        (self.hourly_rate_minor, self.amount_minor) = (hourly_rate.map(Money::minor), amount.map(Money::minor));
    }
}
