//! A time entry: time that somebody has worked on a project, from a draft to an invoice.

use crate::Project;
use crate::project::{NotCounted, ProjectCommand};
use kernel::{
    Aggregate, ClientId, Companions, Context, Date, Decision, EngagementId, Flag, InvoiceId, Machine, Money, Patch,
    ProjectId, Reference, Resource, Scope, Text, UserId, command, rejection,
};
use projects_events::{TaskId, TimeEntryEvent as E, TimeEntryId, TimeEntryStatus as Status, TimeWorked};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use TimeEntryCommand as C;
use TimeEntryRejection as R;

/// Minutes of a day.
const MINUTES_MAX: u32 = 24 * 60;

/// What may be asked of a time entry.
#[command("projects.time_entry", member)]
pub enum TimeEntryCommand {
    /// Writes down time that was worked, as a draft.
    #[creates]
    #[refused(
        UnknownProject,
        ProjectClosed,
        UnknownTask,
        MinutesOutOfRange,
        DateInFuture,
        NotBillable,
        RateOutOfRange,
        CurrencyMismatch,
        "crm.client.blocked"
    )]
    Log {
        /// On which project.
        project_id: ProjectId,
        /// Whose time.
        user_id: UserId,
        /// On which task of the project, if on one.
        #[serde(default)]
        task_id: Option<TaskId>,
        /// On which day; the firm's today unless given.
        #[serde(default)]
        date: Option<Date>,
        /// How long, a day at most.
        minutes: u32,
        /// On what.
        #[serde(default)]
        description: Option<Text>,
        /// Is it to be invoiced? Yes, unless said otherwise.
        #[serde(default)]
        billable: Option<bool>,
        /// What an hour costs; what the project says unless given.
        #[serde(default)]
        hourly_rate: Option<Money>,
    },
    /// Corrects a draft. What is left out stays, `null` removes it; a rate that is removed is the project's again.
    #[refused(NotDraft, UnknownTask, MinutesOutOfRange, DateInFuture, NotBillable, RateOutOfRange, CurrencyMismatch)]
    Change {
        /// On which task of the project.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        task_id: Patch<TaskId>,
        /// On which day.
        #[serde(default)]
        date: Option<Date>,
        /// How long.
        #[serde(default)]
        minutes: Option<u32>,
        /// On what.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        description: Patch<Text>,
        /// Is it to be invoiced?
        #[serde(default)]
        billable: Option<bool>,
        /// What an hour costs.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        hourly_rate: Patch<Money>,
    },
    /// Hands a draft in, to be approved.
    #[refused(NotDraft)]
    Submit {},
    /// Lets the time count: against the project's budget, and as unbilled if it is billable.
    #[refused(NotSubmitted, CurrencyMismatch, TooMuchUnbilled, SumTooLarge)]
    Approve {},
    /// Does not accept the time, or lets it count no more.
    #[refused(NotSubmitted)]
    Reject {
        /// Why.
        reason: Text,
    },
    /// Makes a draft of it again, to be corrected.
    #[refused(NotSubmitted)]
    Reopen {},
    /// Notes that the time is on an invoice.
    #[refused(NotApproved, NotBillable, OnAnotherInvoice)]
    MarkInvoiced {
        /// On which one.
        invoice_id: InvoiceId,
    },
    /// Notes that the invoice is void; the time is to be invoiced again. Time that is on another one is left there.
    Release {
        /// Which invoice.
        invoice_id: InvoiceId,
    },
    /// Throws a draft away.
    #[refused(NotDraft)]
    Discard {},
}

/// Why a time entry's command may be refused.
#[rejection("projects.time_entry")]
pub enum TimeEntryRejection {
    /// There is no such project.
    #[invalid("/project_id")]
    UnknownProject,
    /// The project is completed or cancelled.
    ProjectClosed,
    /// The project has no such task.
    #[invalid("/task_id")]
    UnknownTask,
    /// Time is a minute to a day long.
    #[invalid("/minutes")]
    MinutesOutOfRange,
    /// The day has not come yet.
    #[invalid("/date")]
    DateInFuture,
    /// Time that is not billable has no rate, and is on no invoice.
    NotBillable,
    /// An hour costs more than nothing, and not more than there is.
    #[invalid("/hourly_rate")]
    RateOutOfRange,
    /// All amounts of a project are in one currency.
    CurrencyMismatch,
    /// The project has 2,000 unbilled time entries; invoice some first.
    TooMuchUnbilled,
    /// The project's time comes to more than an amount can be.
    SumTooLarge,
    /// Only a draft can be changed, handed in or thrown away; reopen it first.
    NotDraft,
    /// The time is not handed in.
    NotSubmitted,
    /// The time is not approved.
    NotApproved,
    /// The time is on another invoice.
    OnAnotherInvoice,
}

/// What is remembered of a time entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeEntry {
    project_id: ProjectId,
    client_id: Option<ClientId>,
    engagement_id: Option<EngagementId>,
    user_id: UserId,
    worked: Option<TimeWorked>,
    status: Status,
    invoice_id: Option<InvoiceId>,
}

impl Aggregate for TimeEntry {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "projects/time-entries";
    const STATE_VERSION: i32 = 2;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        let engagement = self.engagement_id.map(Resource::from);
        self.client_id.map(Resource::from).into_iter().chain(engagement).chain([self.project_id.into()]).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Log { project_id, user_id, .. } => Scope::of([(*project_id).into()]).owned_by([*user_id]),
            _ => Scope::of(self.belongs_to(id)).owned_by([self.user_id]),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Log { project_id, .. } => vec![Reference::id::<Project>(*project_id)],
            C::Change { .. } | C::Approve {} => vec![Reference::id::<Project>(self.project_id)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match (command, &self.worked) {
            (C::Log { project_id, user_id, task_id, date, minutes, description, billable, hourly_rate }, _) => {
                let project = ctx.referenced::<Project>(project_id).ok_or(R::UnknownProject)?;
                if !project.is_open() {
                    return Err(R::ProjectClosed);
                }
                let billable = billable.unwrap_or(true);
                let date = date.unwrap_or(ctx.today());
                if !billable && hourly_rate.is_some() {
                    return Err(R::NotBillable);
                }
                let hourly_rate = hourly_rate.or_else(|| project.rate_of(user_id)).filter(|_| billable);
                let worked = TimeWorked { task_id, date, minutes, description, billable, hourly_rate, amount: None };
                let worked = checked(worked, project, ctx)?;
                let (client_id, engagement_id) = (project.client_id(), project.engagement_id());
                vec![E::Logged { project_id, client_id, engagement_id, user_id, worked }]
            }
            (change @ C::Change { .. }, Some(worked)) => {
                if self.status != Status::Draft {
                    return Err(R::NotDraft);
                }
                return self.change(change, worked, ctx);
            }
            (C::Submit {}, _) if self.status == Status::Submitted => vec![],
            (C::Submit {}, _) if self.status == Status::Draft => vec![E::Submitted {}],
            (C::Approve {}, _) if matches!(self.status, Status::Approved | Status::Invoiced) => vec![],
            (C::Approve {}, Some(worked)) if self.status == Status::Submitted => {
                let project = ctx.referenced::<Project>(self.project_id).ok_or(R::NotSubmitted)?;
                project.may_count(worked.minutes, worked.billable, worked.amount).map_err(|why| match why {
                    NotCounted::CurrencyMismatch => R::CurrencyMismatch,
                    NotCounted::TooMuchUnbilled => R::TooMuchUnbilled,
                    NotCounted::TooLarge => R::SumTooLarge,
                })?;
                vec![E::Approved {}]
            }
            (C::Reject { .. }, _) if self.status == Status::Rejected => vec![],
            (C::Reject { reason }, _) if matches!(self.status, Status::Submitted | Status::Approved) => {
                vec![E::Rejected { reason }]
            }
            (C::Reopen {}, _) if self.status == Status::Draft => vec![],
            (C::Reopen {}, _) if matches!(self.status, Status::Submitted | Status::Rejected) => vec![E::Reopened {}],
            (C::MarkInvoiced { invoice_id }, _) if self.status == Status::Invoiced => {
                if self.invoice_id != Some(invoice_id) {
                    return Err(R::OnAnotherInvoice);
                }
                vec![]
            }
            (C::MarkInvoiced { .. }, _) if self.status != Status::Approved => return Err(R::NotApproved),
            (C::MarkInvoiced { .. }, Some(worked)) if !worked.billable => return Err(R::NotBillable),
            (C::MarkInvoiced { invoice_id }, _) => vec![E::Invoiced { invoice_id }],
            (C::Release { invoice_id }, _) if self.invoice_id == Some(invoice_id) => vec![E::Released { invoice_id }],
            (C::Release { .. }, _) => vec![],
            (C::Discard {}, _) if self.status == Status::Discarded => vec![],
            (C::Discard {}, _) if self.status == Status::Draft => vec![E::Discarded {}],
            (C::Change { .. } | C::Submit {} | C::Discard {}, _) => return Err(R::NotDraft),
            (C::Approve {} | C::Reject { .. } | C::Reopen {}, _) => return Err(R::NotSubmitted),
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Logged { project_id, client_id, engagement_id, user_id, worked } => {
                (self.project_id, self.client_id, self.user_id) = (*project_id, *client_id, *user_id);
                self.engagement_id = *engagement_id;
                self.worked = Some(worked.clone());
            }
            E::Changed { worked } => self.worked = Some(worked.clone()),
            E::Invoiced { invoice_id } => self.invoice_id = Some(*invoice_id),
            E::Released { .. } => self.invoice_id = None,
            E::Submitted {} | E::Approved {} | E::Rejected { .. } | E::Reopened {} | E::Discarded {} => {}
        }
    }

    /// The project's sums move with the entry, in the same append.
    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        let Some(TimeWorked { minutes, billable, hourly_rate, amount, .. }) = self.worked else { return };
        let (time_entry_id, user_id) = (TimeEntryId(ctx.id), self.user_id);
        let counted = match command {
            C::Approve {}
                if self.status == Status::Submitted && ctx.referenced::<Project>(self.project_id).is_some() =>
            {
                ProjectCommand::SpendTime { time_entry_id, user_id, minutes, billable, hourly_rate, amount }
            }
            C::Reject { .. } if self.status == Status::Approved => {
                ProjectCommand::TakeTimeBack { time_entry_id, minutes, billable, amount }
            }
            C::MarkInvoiced { invoice_id } if self.status == Status::Approved && billable => {
                ProjectCommand::BillTime { time_entry_id, invoice_id: *invoice_id }
            }
            C::Release { invoice_id } if self.invoice_id == Some(*invoice_id) => {
                let invoice_id = *invoice_id;
                ProjectCommand::UnbillTime { time_entry_id, user_id, minutes, hourly_rate, amount, invoice_id }
            }
            _ => return,
        };
        companions.add::<Project>(self.project_id, counted);
    }

    /// For a blocked client no work is begun; what was worked may be handed in, approved and invoiced.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Logged { client_id: Some(client), .. } => vec![(Flag::CLIENT_BLOCKED, client.0)],
            _ => vec![],
        }
    }
}

impl TimeEntry {
    fn change(&self, command: C, before: &TimeWorked, ctx: &Context) -> Decision<Self> {
        let C::Change { task_id, date, minutes, description, billable, hourly_rate } = command else {
            return Ok(vec![]);
        };
        let project = ctx.referenced::<Project>(self.project_id).ok_or(R::NotDraft)?;
        let billable = billable.unwrap_or(before.billable);
        if !billable && matches!(hourly_rate, Patch::Set(_)) {
            return Err(R::NotBillable);
        }
        let agreed = || project.rate_of(self.user_id);
        let hourly_rate = match hourly_rate {
            Patch::Set(rate) => Some(rate),
            Patch::Removed => agreed(),
            Patch::Unchanged => before.hourly_rate.or_else(agreed),
        };
        let worked = TimeWorked {
            task_id: task_id.over(&before.task_id),
            date: date.unwrap_or(before.date),
            minutes: minutes.unwrap_or(before.minutes),
            description: description.over(&before.description),
            billable,
            hourly_rate: hourly_rate.filter(|_| billable),
            amount: None,
        };
        let worked = checked(worked, project, ctx)?;
        Ok(if worked == *before { vec![] } else { vec![E::Changed { worked }] })
    }
}

/// The same with what it comes to, if the project takes it.
fn checked(worked: TimeWorked, project: &Project, ctx: &Context) -> Result<TimeWorked, R> {
    if !(1..=MINUTES_MAX).contains(&worked.minutes) {
        return Err(R::MinutesOutOfRange);
    }
    // Somewhere it is tomorrow already.
    if ctx.today().checked_add_days(1).is_some_and(|tomorrow| worked.date > tomorrow) {
        return Err(R::DateInFuture);
    }
    if worked.task_id.is_some_and(|task| !project.has_task(task)) {
        return Err(R::UnknownTask);
    }
    let Some(rate) = worked.hourly_rate else { return Ok(worked) };
    if rate.is_negative() || rate.is_zero() {
        return Err(R::RateOutOfRange);
    }
    if project.currency().is_some_and(|currency| currency != rate.currency()) {
        return Err(R::CurrencyMismatch);
    }
    let amount = rate.scaled(i64::from(worked.minutes), 60).map_err(|_| R::RateOutOfRange)?;
    Ok(TimeWorked { amount: Some(amount), ..worked })
}

#[cfg(test)]
mod tests;
