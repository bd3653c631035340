//! What happens to a project, its milestones and its tasks.

use crate::billing::{TimeLimit, UnbilledBatch, UnbilledLine, UserRate};
use crate::ids::{MilestoneId, TaskId, TimeEntryId};
use crate::priority::Priority;
use kernel::{ClientId, Date, EngagementId, InvoiceId, Money, Name, Slug, Text, UserId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A milestone as it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewMilestone {
    /// Its id.
    pub id: MilestoneId,
    /// What it is called.
    pub name: Name,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
}

/// A task as it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// What is to be done.
    pub title: Name,
    /// How it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// The milestone it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone_id: Option<MilestoneId>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Date>,
    /// Which role does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Slug>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<UserId>,
    /// How soon it is wanted.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
}

/// Everything that happens to a project; its milestones and tasks are parts of it.
#[event("projects.project")]
pub enum ProjectEvent {
    /// A project was begun as a draft, with the skeleton of its template if it has one.
    Created {
        /// What it is called.
        name: Name,
        /// For whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The template it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<Slug>,
        /// Its first day.
        starts_on: Date,
        /// Its milestones.
        milestones: Vec<NewMilestone>,
        /// Its tasks.
        tasks: Vec<NewTask>,
        /// The engagement that it is a part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// What it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Text>,
        /// How soon it is wanted.
        #[serde(default, skip_serializing_if = "Priority::is_normal")]
        priority: Priority,
    },
    /// The project is called differently now.
    Renamed {
        /// The new name.
        name: Name,
    },
    /// The project is about something else now.
    Described {
        /// What; nothing if none.
        description: Option<Text>,
    },
    /// The project is wanted sooner now, or less soon.
    Prioritised {
        /// How soon.
        priority: Priority,
    },
    /// The project is a part of an engagement now.
    LinkedToEngagement {
        /// Which one.
        engagement_id: EngagementId,
    },
    /// The project is a part of no engagement any more.
    UnlinkedFromEngagement {
        /// Of which it was.
        engagement_id: EngagementId,
    },
    /// Work on the project began, or goes on after a pause.
    Activated {},
    /// Work on the project pauses.
    Held {
        /// Why.
        reason: Option<Text>,
    },
    /// The project is done.
    Completed {},
    /// The project was given up.
    Cancelled {
        /// Why.
        reason: Option<Text>,
    },
    /// The project was taken out of every list; its history stays.
    Archived {},
    /// The project is back in the lists, completed or cancelled as it was.
    Restored {},
    /// A milestone was put into the project.
    #[name("milestone.created")]
    MilestoneCreated {
        /// The milestone.
        milestone: NewMilestone,
    },
    /// A milestone was reached.
    #[name("milestone.completed")]
    MilestoneCompleted {
        /// Which one.
        milestone_id: MilestoneId,
        /// What it is called.
        name: Name,
    },
    /// The client agreed that a milestone was reached.
    #[name("milestone.accepted")]
    MilestoneAccepted {
        /// Which one.
        milestone_id: MilestoneId,
    },
    /// A task was put into the project.
    #[name("task.created")]
    TaskCreated {
        /// The task.
        task: NewTask,
    },
    /// Somebody is to do a task.
    #[name("task.assigned")]
    TaskAssigned {
        /// Which one.
        task_id: TaskId,
        /// Who.
        assignee_id: UserId,
    },
    /// Work on a task began, or goes on.
    #[name("task.started")]
    TaskStarted {
        /// Which one.
        task_id: TaskId,
    },
    /// Something stands in the way of a task.
    #[name("task.blocked")]
    TaskBlocked {
        /// Which one.
        task_id: TaskId,
        /// What.
        reason: Text,
    },
    /// A task is done.
    #[name("task.completed")]
    TaskCompleted {
        /// Which one.
        task_id: TaskId,
        /// What was done.
        title: Name,
    },
    /// A task was not done after all.
    #[name("task.reopened")]
    TaskReopened {
        /// Which one.
        task_id: TaskId,
    },
    /// A task need not be done.
    #[name("task.cancelled")]
    TaskCancelled {
        /// Which one.
        task_id: TaskId,
    },
    /// It is said differently how a task is done.
    #[name("task.described")]
    TaskDescribed {
        /// Which one.
        task_id: TaskId,
        /// How; nothing if none.
        description: Option<Text>,
    },
    /// A task is wanted sooner now, or less soon.
    #[name("task.prioritised")]
    TaskPrioritised {
        /// Which one.
        task_id: TaskId,
        /// How soon.
        priority: Priority,
    },
    /// Time on the project costs this from now on; what was logged stays as it is.
    RatesSet {
        /// An hour of whoever has no rate of their own; none if the firm has agreed none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hourly_rate: Option<Money>,
        /// Whose hours cost something else.
        user_rates: Vec<UserRate>,
    },
    /// The project may take so much time, or cost so much; it has no budget if neither is said.
    #[name("budget.set")]
    BudgetSet {
        /// How much.
        #[serde(flatten)]
        budget: TimeLimit,
    },
    /// Unbilled time is to be invoiced when it comes to so much; never, if neither is said.
    UnbilledThresholdSet {
        /// How much.
        #[serde(flatten)]
        threshold: TimeLimit,
    },
    /// Time was approved: it counts against the budget and, if it is billable, is to be invoiced.
    TimeSpent {
        /// Which.
        time_entry_id: TimeEntryId,
        /// Whose.
        user_id: UserId,
        /// How much.
        minutes: u32,
        /// Is it to be invoiced?
        billable: bool,
        /// What an hour costs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hourly_rate: Option<Money>,
        /// What it comes to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// Time that was approved counts no more.
    TimeTakenBack {
        /// Which.
        time_entry_id: TimeEntryId,
        /// How much.
        minutes: u32,
        /// Was it to be invoiced?
        billable: bool,
        /// What it came to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// Time is on an invoice now.
    TimeBilled {
        /// Which.
        time_entry_id: TimeEntryId,
        /// How much.
        minutes: u32,
        /// What it comes to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
        /// On which invoice.
        invoice_id: InvoiceId,
    },
    /// The invoice that time was on is void; it is to be invoiced again.
    TimeUnbilled {
        /// Which.
        time_entry_id: TimeEntryId,
        /// Whose.
        user_id: UserId,
        /// How much.
        minutes: u32,
        /// What an hour costs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hourly_rate: Option<Money>,
        /// What it comes to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
        /// On which invoice it was.
        invoice_id: InvoiceId,
    },
    /// Approved time has come to so many percent of the budget, in hours or in money.
    #[name("budget.threshold_reached")]
    BudgetThresholdReached {
        /// The project's name.
        name: Name,
        /// For whom it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The engagement that it is a part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// So many percent: 80 or 100.
        percent: u8,
        /// How much time was approved.
        minutes: u64,
        /// What it comes to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
        /// Of how much.
        budget: TimeLimit,
    },
    /// Unbilled time that was not told of before has come to the threshold, or is in so many entries that it is to be invoiced before
    /// that. No entry is told of twice while it stays unbilled, so that nobody drafts it twice.
    #[name("time.threshold_reached")]
    TimeThresholdReached {
        /// The project's name.
        name: Name,
        /// For whom it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<ClientId>,
        /// The engagement that it is a part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// How much time it is.
        minutes: u64,
        /// What it comes to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
        /// What it came to be compared with.
        threshold: TimeLimit,
        /// The same, by person and rate.
        lines: Vec<UnbilledLine>,
        /// The time entries that it is the sum of, in as many parts as an invoice needs lines for them; 2,000 entries at most.
        batches: Vec<UnbilledBatch>,
    },
}

kernel::archivable!(ProjectEvent begins "project.created");
