//! A project with its milestones and tasks.

mod billing;
mod time;

pub(crate) use billing::NotCounted;

use crate::ProjectTemplate;
use billing::Billing;
use kernel::{
    Aggregate, Archivable, Claim, ClaimChange, ClientId, Context, Date, Decision, EngagementId, Flag, Imprint,
    InvoiceId, Keyed, Machine, Money, Name, ProjectId, Reference, Resource, Scope, Slug, Text, UserId, command,
    rejection,
};
use projects_events::{
    MilestoneId, MilestoneStatus, NewMilestone, NewTask, Priority, ProjectEvent as E, ProjectStatus, TaskId,
    TaskStatus, TimeEntryId, UserRate,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use ProjectCommand as C;
use ProjectRejection as R;

/// Tasks of one project.
const TASKS_MAX: usize = 1_000;
/// Milestones of one project.
const MILESTONES_MAX: usize = 100;
/// What answers call a milestone that was added.
const MILESTONE_ID: &str = "milestone_id";
/// What answers call a task that was added.
const TASK_ID: &str = "task_id";
/// Which project has the milestone with this id.
const MILESTONE_CLAIM: &str = "projects.project.milestone_id";
/// Which project has the task with this id.
const TASK_CLAIM: &str = "projects.project.task_id";

/// What may be asked of a project.
#[command("projects.project", member)]
pub enum ProjectCommand {
    /// Begins an empty project as a draft.
    #[creates]
    #[refused("crm.client.blocked")]
    Create {
        /// What it is called.
        name: Name,
        /// For whom.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// Its first day; the firm's today unless given.
        #[serde(default)]
        starts_on: Option<Date>,
        /// The engagement that it is a part of.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// What it is about.
        #[serde(default)]
        description: Option<Text>,
        /// How soon it is wanted.
        #[serde(default)]
        priority: Priority,
    },
    /// Begins a project as a draft with the milestones and tasks of a template.
    #[creates]
    #[makes("milestone_ids", "task_ids")]
    #[refused(UnknownTemplate, TemplateRetired, DueDateOutOfRange, "crm.client.blocked")]
    CreateFromTemplate {
        /// The template's key.
        template: Slug,
        /// What it is called; the template's name unless given.
        #[serde(default)]
        name: Option<Name>,
        /// For whom.
        #[serde(default)]
        client_id: Option<ClientId>,
        /// Its first day, from which everything is due; the firm's today unless given.
        #[serde(default)]
        starts_on: Option<Date>,
        /// The engagement that it is a part of.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// What it is about.
        #[serde(default)]
        description: Option<Text>,
        /// How soon it is wanted.
        #[serde(default)]
        priority: Priority,
    },
    /// Gives the project another name.
    #[refused(Closed)]
    Rename {
        /// The new name.
        name: Name,
    },
    /// Says what the project is about, or nothing any more.
    #[refused(Closed)]
    Describe {
        /// What.
        #[serde(default)]
        description: Option<Text>,
    },
    /// Says how soon the project is wanted.
    #[refused(Closed)]
    Prioritise {
        /// How soon.
        priority: Priority,
    },
    /// Makes the project a part of an engagement, instead of any other.
    #[refused(Closed)]
    LinkToEngagement {
        /// Which one.
        engagement_id: EngagementId,
    },
    /// Makes the project a part of no engagement.
    #[refused(Closed)]
    UnlinkFromEngagement {},
    /// Begins work on the project, or goes on after a pause.
    #[refused(Closed, "crm.client.blocked")]
    Activate {},
    /// Puts the project on hold: work on it pauses.
    #[refused(Closed, NotActive)]
    Hold {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Notes that the project is completed; no task may be open.
    #[refused(Closed, NotActive, OpenTasks)]
    Complete {},
    /// Gives the project up.
    #[refused(Closed)]
    Cancel {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Takes a completed or cancelled project out of every list; its history stays.
    #[refused(NotClosed)]
    Archive {},
    /// Puts an archived project back into the lists, completed or cancelled as it was.
    Restore {},
    /// Puts a milestone into the project.
    #[makes("milestone_id")]
    #[refused(Closed, MilestoneExists, TooLarge, "milestone_id.taken", "crm.client.blocked")]
    AddMilestone {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        milestone_id: Option<MilestoneId>,
        /// What it is called.
        name: Name,
        /// When it is due.
        #[serde(default)]
        due_on: Option<Date>,
    },
    /// Notes that a milestone is reached; its tasks must be done or cancelled.
    #[refused(Closed, UnknownMilestone, MilestoneHasOpenTasks)]
    CompleteMilestone {
        /// Which one.
        milestone_id: MilestoneId,
    },
    /// Notes that the client agrees that a milestone is reached.
    #[refused(Closed, UnknownMilestone, MilestoneNotCompleted)]
    AcceptMilestone {
        /// Which one.
        milestone_id: MilestoneId,
    },
    /// Puts a task into the project.
    #[makes("task_id")]
    #[refused(
        Closed,
        UnknownMilestone,
        MilestoneCompleted,
        TaskExists,
        TooLarge,
        "task_id.taken",
        "crm.client.blocked"
    )]
    AddTask {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        task_id: Option<TaskId>,
        /// What is to be done.
        title: Name,
        /// How it is done.
        #[serde(default)]
        description: Option<Text>,
        /// The milestone it leads to.
        #[serde(default)]
        milestone_id: Option<MilestoneId>,
        /// When it is due.
        #[serde(default)]
        due_on: Option<Date>,
        /// Who does it.
        #[serde(default)]
        assignee_id: Option<UserId>,
        /// How soon it is wanted.
        #[serde(default)]
        priority: Priority,
    },
    /// Gives a task to somebody.
    #[refused(Closed, UnknownTask, TaskClosed)]
    AssignTask {
        /// Which one.
        task_id: TaskId,
        /// Who.
        assignee_id: UserId,
    },
    /// Begins work on a task, or goes on when nothing stands in the way any more.
    #[refused(Closed, UnknownTask, TaskClosed)]
    StartTask {
        /// Which one.
        task_id: TaskId,
    },
    /// Notes what stands in the way of a task.
    #[refused(Closed, UnknownTask, TaskClosed)]
    BlockTask {
        /// Which one.
        task_id: TaskId,
        /// What.
        reason: Text,
    },
    /// Notes that a task is done.
    #[refused(Closed, UnknownTask, TaskClosed)]
    CompleteTask {
        /// Which one.
        task_id: TaskId,
    },
    /// Notes that a task is not done after all.
    #[refused(Closed, MilestoneCompleted, UnknownTask, "crm.client.blocked")]
    ReopenTask {
        /// Which one.
        task_id: TaskId,
    },
    /// Notes that a task need not be done.
    #[refused(Closed, UnknownTask, TaskClosed)]
    CancelTask {
        /// Which one.
        task_id: TaskId,
    },
    /// Says how a task is done, or nothing any more.
    #[refused(Closed, UnknownTask, TaskClosed)]
    DescribeTask {
        /// Which one.
        task_id: TaskId,
        /// How.
        #[serde(default)]
        description: Option<Text>,
    },
    /// Says how soon a task is wanted.
    #[refused(Closed, UnknownTask, TaskClosed)]
    PrioritiseTask {
        /// Which one.
        task_id: TaskId,
        /// How soon.
        priority: Priority,
    },
    /// Sets what an hour costs, instead of everything that was said of it; what was logged stays as it is.
    #[refused(Closed, RateOutOfRange, UserListedTwice, TooManyRates, CurrencyMismatch)]
    SetRates {
        /// An hour of whoever has no rate of their own.
        #[serde(default)]
        hourly_rate: Option<Money>,
        /// Whose hours cost something else.
        #[serde(default)]
        user_rates: Vec<UserRate>,
    },
    /// Sets how much time the project may take, or what it may cost; without either it has no budget.
    #[refused(Closed, LimitOutOfRange, CurrencyMismatch)]
    SetBudget {
        /// So many minutes.
        #[serde(default)]
        minutes: Option<u32>,
        /// So much money.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Sets how much unbilled time is to be invoiced; without either it never is by itself. What was told of is not told of again,
    /// unless there was neither in between.
    #[refused(Closed, LimitOutOfRange, CurrencyMismatch)]
    SetUnbilledThreshold {
        /// So many minutes.
        #[serde(default)]
        minutes: Option<u32>,
        /// So much money.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Counts time; done when a time entry is approved, and never by itself.
    #[refused(OnlyWithTimeEntry, CurrencyMismatch, TooMuchUnbilled, SumTooLarge)]
    SpendTime {
        /// Which.
        time_entry_id: TimeEntryId,
        /// Whose.
        user_id: UserId,
        /// How much.
        minutes: u32,
        /// Is it to be invoiced?
        billable: bool,
        /// What an hour costs.
        #[serde(default)]
        hourly_rate: Option<Money>,
        /// What it comes to.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Counts time no more; done when an approved time entry is rejected, and never by itself.
    #[refused(OnlyWithTimeEntry)]
    TakeTimeBack {
        /// Which.
        time_entry_id: TimeEntryId,
        /// How much.
        minutes: u32,
        /// Was it to be invoiced?
        billable: bool,
        /// What it came to.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Takes time from what is unbilled; done when a time entry is invoiced, and never by itself.
    #[refused(OnlyWithTimeEntry)]
    BillTime {
        /// Which.
        time_entry_id: TimeEntryId,
        /// On which invoice.
        invoice_id: InvoiceId,
    },
    /// Puts time back to what is unbilled; done when a time entry is released, and never by itself.
    #[refused(OnlyWithTimeEntry)]
    UnbillTime {
        /// Which.
        time_entry_id: TimeEntryId,
        /// Whose.
        user_id: UserId,
        /// How much.
        minutes: u32,
        /// What an hour costs.
        #[serde(default)]
        hourly_rate: Option<Money>,
        /// What it comes to.
        #[serde(default)]
        amount: Option<Money>,
        /// On which invoice it was.
        invoice_id: InvoiceId,
    },
}

/// Why a project's command may be refused.
#[rejection("projects.project")]
pub enum ProjectRejection {
    /// There is no project template with this key.
    #[invalid("/template")]
    UnknownTemplate,
    /// The project template is retired.
    TemplateRetired,
    /// What the template has is due after the last day of the calendar, 9999-12-31.
    #[invalid("/starts_on")]
    DueDateOutOfRange,
    /// The project is completed or cancelled.
    Closed,
    /// Only a completed or cancelled project can be archived.
    NotClosed,
    /// Only an active project can be put on hold or completed.
    NotActive,
    /// The project has open tasks.
    OpenTasks,
    /// The project has no such milestone.
    #[invalid("/milestone_id")]
    UnknownMilestone,
    /// The milestone has open tasks.
    MilestoneHasOpenTasks,
    /// The milestone is not reached yet.
    MilestoneNotCompleted,
    /// The milestone is reached already; it takes no open tasks.
    MilestoneCompleted,
    /// The project has no such task.
    #[invalid("/task_id")]
    UnknownTask,
    /// The task is completed or cancelled; reopen it first.
    TaskClosed,
    /// The project has another milestone with this id, or it was added with something else.
    MilestoneExists,
    /// The project has another task with this id, or it was added with something else.
    TaskExists,
    /// A project has at most 1,000 tasks and 100 milestones.
    TooLarge,
    /// An hour costs more than nothing.
    #[invalid("/hourly_rate")]
    RateOutOfRange,
    /// Everybody has one rate.
    #[invalid("/user_rates")]
    UserListedTwice,
    /// At most 200 members of staff have rates of their own.
    #[invalid("/user_rates")]
    TooManyRates,
    /// A budget or a threshold is more than nothing.
    LimitOutOfRange,
    /// All amounts of a project are in one currency.
    CurrencyMismatch,
    /// A project has at most 2,000 unbilled time entries; invoice some first.
    TooMuchUnbilled,
    /// The project's time comes to more than an amount can be.
    SumTooLarge,
    /// Time counts when its time entry is approved, rejected, invoiced or released, and never by itself.
    OnlyWithTimeEntry,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Task {
    title: Name,
    milestone_id: Option<MilestoneId>,
    assignee_id: Option<UserId>,
    status: TaskStatus,
    made_with: Imprint,
    description: Option<Text>,
    priority: Priority,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Milestone {
    name: Name,
    status: MilestoneStatus,
    made_with: Imprint,
}

/// What is remembered of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Project {
    name: String,
    client_id: Option<ClientId>,
    status: ProjectStatus,
    archived: Archivable,
    milestones: BTreeMap<MilestoneId, Milestone>,
    tasks: BTreeMap<TaskId, Task>,
    engagement_id: Option<EngagementId>,
    description: Option<Text>,
    priority: Priority,
    billing: Billing,
}

impl Aggregate for Project {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "projects/projects";
    const STATE_VERSION: i32 = 6;

    fn belongs_to(&self, id: Uuid) -> Vec<Resource> {
        let engagement = self.engagement_id.map(Resource::from);
        self.client_id.map(Resource::from).into_iter().chain(engagement).chain([ProjectId(id).into()]).collect()
    }

    fn concerns(&self, id: Uuid, event: &E) -> Vec<Resource> {
        let mut concerns = self.belongs_to(id);
        if let E::UnlinkedFromEngagement { engagement_id } = event {
            concerns.push((*engagement_id).into());
        }
        concerns
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, engagement_id, .. } | C::CreateFromTemplate { client_id, engagement_id, .. } => {
                let engagement = engagement_id.map(Resource::from);
                Scope::begins_in(client_id.map(Resource::from).into_iter().chain(engagement))
            }
            // Whoever has rights for the engagement reaches the project from then on.
            C::LinkToEngagement { engagement_id } => Scope::of(self.belongs_to(id)).naming([(*engagement_id).into()]),
            _ => {
                let task = task_of(command).and_then(|task_id| self.tasks.get(&task_id));
                Scope::of(self.belongs_to(id)).owned_by(task.and_then(|task| task.assignee_id))
            }
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::CreateFromTemplate { template, .. } => {
                vec![ProjectTemplate::by_key(template)]
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { name, client_id, starts_on, engagement_id, description, priority } => {
                let (starts_on, template) = (starts_on.unwrap_or(ctx.today()), None);
                let (milestones, tasks) = (vec![], vec![]);
                vec![E::Created {
                    name,
                    client_id,
                    template,
                    starts_on,
                    milestones,
                    tasks,
                    engagement_id,
                    description,
                    priority,
                }]
            }
            from @ C::CreateFromTemplate { .. } => return from_template(from, ctx),
            C::AddMilestone { milestone_id: Some(id), name, due_on } if self.milestones.contains_key(&id) => {
                let again = NewMilestone { id: ctx.part(MILESTONE_ID, Some(id)), name, due_on };
                match self.milestones.get(&id) {
                    Some(there) if there.made_with == Imprint::of(&again) => vec![],
                    _ => return Err(R::MilestoneExists),
                }
            }
            C::AddTask { task_id: Some(id), title, description, milestone_id, due_on, assignee_id, priority }
                if self.tasks.contains_key(&id) =>
            {
                let id = ctx.part(TASK_ID, Some(id));
                let again = NewTask { id, title, description, milestone_id, due_on, role: None, assignee_id, priority };
                match self.tasks.get(&id) {
                    Some(there) if there.made_with == Imprint::of(&again) => vec![],
                    _ => return Err(R::TaskExists),
                }
            }
            time @ (C::SpendTime { .. } | C::TakeTimeBack { .. } | C::BillTime { .. } | C::UnbillTime { .. }) => {
                return self.count(time, ctx);
            }
            C::Archive {} if self.status.is_open() => return Err(R::NotClosed),
            C::Archive {} => self.archived.archive(),
            C::Restore {} => self.archived.restore(),
            C::Complete {} if self.status == ProjectStatus::Completed => vec![],
            C::Cancel { .. } if self.status == ProjectStatus::Cancelled => vec![],
            _ if !self.status.is_open() => return Err(R::Closed),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::Describe { description } if description == self.description => vec![],
            C::Describe { description } => vec![E::Described { description }],
            C::Prioritise { priority } if priority == self.priority => vec![],
            C::Prioritise { priority } => vec![E::Prioritised { priority }],
            C::LinkToEngagement { engagement_id } if self.engagement_id == Some(engagement_id) => vec![],
            C::LinkToEngagement { engagement_id } => {
                // The engagement that it leaves is told, too.
                let left = self.engagement_id.map(|engagement_id| E::UnlinkedFromEngagement { engagement_id });
                left.into_iter().chain([E::LinkedToEngagement { engagement_id }]).collect()
            }
            C::UnlinkFromEngagement {} => {
                let linked = self.engagement_id.into_iter();
                linked.map(|engagement_id| E::UnlinkedFromEngagement { engagement_id }).collect()
            }
            set @ (C::SetRates { .. } | C::SetBudget { .. } | C::SetUnbilledThreshold { .. }) => return self.set(set),
            C::Activate {} if self.status == ProjectStatus::Active => vec![],
            C::Activate {} => vec![E::Activated {}],
            C::Hold { .. } if self.status == ProjectStatus::OnHold => vec![],
            C::Hold { .. } | C::Complete {} if self.status != ProjectStatus::Active => return Err(R::NotActive),
            C::Hold { reason } => vec![E::Held { reason }],
            C::Complete {} if self.tasks.values().any(|task| task.status.is_open()) => return Err(R::OpenTasks),
            C::Complete {} => vec![E::Completed {}],
            C::Cancel { reason } => vec![E::Cancelled { reason }],
            C::AddMilestone { .. } if self.milestones.len() >= MILESTONES_MAX => return Err(R::TooLarge),
            C::AddMilestone { milestone_id, name, due_on } => {
                let id = ctx.part(MILESTONE_ID, milestone_id);
                vec![E::MilestoneCreated { milestone: NewMilestone { id, name, due_on } }]
            }
            C::CompleteMilestone { milestone_id } => return self.complete_milestone(milestone_id),
            C::AcceptMilestone { milestone_id } => match self.milestones.get(&milestone_id) {
                None => return Err(R::UnknownMilestone),
                Some(milestone) if !milestone.status.is_reached() => return Err(R::MilestoneNotCompleted),
                Some(milestone) if milestone.status == MilestoneStatus::Accepted => vec![],
                Some(_) => vec![E::MilestoneAccepted { milestone_id }],
            },
            C::AddTask { .. } if self.tasks.len() >= TASKS_MAX => return Err(R::TooLarge),
            C::AddTask { milestone_id: Some(id), .. } if !self.milestones.contains_key(&id) => {
                return Err(R::UnknownMilestone);
            }
            C::AddTask { milestone_id: Some(id), .. } if self.is_reached(id) => return Err(R::MilestoneCompleted),
            C::AddTask { task_id, title, description, milestone_id, due_on, assignee_id, priority } => {
                let id = ctx.part(TASK_ID, task_id);
                let task = NewTask { id, title, description, milestone_id, due_on, role: None, assignee_id, priority };
                vec![E::TaskCreated { task }]
            }
            C::AssignTask { task_id, assignee_id } => {
                let task = self.open_task(task_id)?;
                if task.assignee_id == Some(assignee_id) {
                    vec![]
                } else {
                    vec![E::TaskAssigned { task_id, assignee_id }]
                }
            }
            C::StartTask { task_id } => match self.open_task(task_id)?.status {
                TaskStatus::InProgress => vec![],
                _ => vec![E::TaskStarted { task_id }],
            },
            C::BlockTask { task_id, reason } => match self.open_task(task_id)?.status {
                TaskStatus::Blocked => vec![],
                _ => vec![E::TaskBlocked { task_id, reason }],
            },
            C::CompleteTask { task_id } => match self.tasks.get(&task_id) {
                Some(task) if task.status == TaskStatus::Completed => vec![],
                _ => vec![E::TaskCompleted { task_id, title: self.open_task(task_id)?.title.clone() }],
            },
            C::ReopenTask { task_id } => match self.tasks.get(&task_id) {
                None => return Err(R::UnknownTask),
                Some(task) if task.status.is_open() => vec![],
                Some(task) if task.milestone_id.is_some_and(|id| self.is_reached(id)) => {
                    return Err(R::MilestoneCompleted);
                }
                Some(_) => vec![E::TaskReopened { task_id }],
            },
            C::CancelTask { task_id } => match self.tasks.get(&task_id) {
                Some(task) if task.status == TaskStatus::Cancelled => vec![],
                _ => {
                    self.open_task(task_id)?;
                    vec![E::TaskCancelled { task_id }]
                }
            },
            C::DescribeTask { task_id, description } if self.open_task(task_id)?.description == description => vec![],
            C::DescribeTask { task_id, description } => vec![E::TaskDescribed { task_id, description }],
            C::PrioritiseTask { task_id, priority } if self.open_task(task_id)?.priority == priority => vec![],
            C::PrioritiseTask { task_id, priority } => vec![E::TaskPrioritised { task_id, priority }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        self.archived = self.archived.after(event);
        self.billing.apply(event);
        match event {
            E::Created { name, client_id, milestones, tasks, engagement_id, description, priority, .. } => {
                self.name = name.as_str().to_owned();
                self.client_id = *client_id;
                (self.engagement_id, self.priority) = (*engagement_id, *priority);
                self.description = description.clone();
                milestones.iter().for_each(|milestone| self.add_milestone(milestone));
                tasks.iter().for_each(|task| self.add_task(task));
            }
            E::Renamed { name } => self.name = name.as_str().to_owned(),
            E::Described { description } => self.description = description.clone(),
            E::Prioritised { priority } => self.priority = *priority,
            E::LinkedToEngagement { engagement_id } => self.engagement_id = Some(*engagement_id),
            E::UnlinkedFromEngagement { .. } => self.engagement_id = None,
            E::Activated {} | E::Held { .. } | E::Completed {} | E::Cancelled { .. } => {}
            E::Archived {} | E::Restored {} => {}
            E::MilestoneCreated { milestone } => self.add_milestone(milestone),
            E::MilestoneCompleted { milestone_id, .. } | E::MilestoneAccepted { milestone_id } => {
                if let Some(milestone) = self.milestones.get_mut(milestone_id) {
                    milestone.status = milestone.status.after(event);
                }
            }
            E::TaskCreated { task } => self.add_task(task),
            E::TaskAssigned { task_id, assignee_id } => {
                if let Some(task) = self.tasks.get_mut(task_id) {
                    task.assignee_id = Some(*assignee_id);
                }
            }
            E::TaskStarted { task_id }
            | E::TaskBlocked { task_id, .. }
            | E::TaskCompleted { task_id, .. }
            | E::TaskReopened { task_id }
            | E::TaskCancelled { task_id } => {
                if let Some(task) = self.tasks.get_mut(task_id) {
                    task.status = task.status.after(event);
                }
            }
            E::TaskDescribed { task_id, description } => {
                if let Some(task) = self.tasks.get_mut(task_id) {
                    task.description = description.clone();
                }
            }
            E::TaskPrioritised { task_id, priority } => {
                if let Some(task) = self.tasks.get_mut(task_id) {
                    task.priority = *priority;
                }
            }
            // What they say is remembered above.
            E::RatesSet { .. } | E::BudgetSet { .. } | E::UnbilledThresholdSet { .. } => {}
            E::TimeSpent { .. } | E::TimeTakenBack { .. } | E::TimeBilled { .. } | E::TimeUnbilled { .. } => {}
            E::BudgetThresholdReached { .. } | E::TimeThresholdReached { .. } => {}
        }
    }

    /// The id of a part is its own among all projects of the firm, because it is found by it; who chooses one may choose badly.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let milestone = |new: &NewMilestone| ClaimChange::Take(Claim::new(MILESTONE_CLAIM, new.id.to_string()));
        let task = |new: &NewTask| ClaimChange::Take(Claim::new(TASK_CLAIM, new.id.to_string()));
        match event {
            E::Created { milestones, tasks, .. } => {
                milestones.iter().map(milestone).chain(tasks.iter().map(task)).collect()
            }
            E::MilestoneCreated { milestone: new } => vec![milestone(new)],
            E::TaskCreated { task: new } => vec![task(new)],
            _ => vec![],
        }
    }

    /// For a blocked client nothing is begun; what was begun may be finished, paused or given up.
    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => *client_id,
            E::Activated {} | E::MilestoneCreated { .. } | E::TaskCreated { .. } | E::TaskReopened { .. } => {
                self.client_id
            }
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

impl Project {
    fn add_milestone(&mut self, milestone: &NewMilestone) {
        let (name, made_with) = (milestone.name.clone(), Imprint::of(milestone));
        self.milestones.insert(milestone.id, Milestone { name, status: MilestoneStatus::default(), made_with });
    }

    fn add_task(&mut self, task: &NewTask) {
        let made_with = Imprint::of(task);
        let NewTask { title, milestone_id, assignee_id, description, priority, .. } = task.clone();
        let status = TaskStatus::default();
        let task_here = Task { title, milestone_id, assignee_id, status, made_with, description, priority };
        self.tasks.insert(task.id, task_here);
    }

    fn is_reached(&self, milestone_id: MilestoneId) -> bool {
        self.milestones.get(&milestone_id).is_some_and(|milestone| milestone.status.is_reached())
    }

    fn open_task(&self, task_id: TaskId) -> Result<&Task, R> {
        let task = self.tasks.get(&task_id).ok_or(R::UnknownTask)?;
        if task.status.is_open() { Ok(task) } else { Err(R::TaskClosed) }
    }

    fn complete_milestone(&self, milestone_id: MilestoneId) -> Decision<Self> {
        let milestone = self.milestones.get(&milestone_id).ok_or(R::UnknownMilestone)?;
        if milestone.status.is_reached() {
            return Ok(vec![]);
        }
        if self.tasks.values().any(|task| task.milestone_id == Some(milestone_id) && task.status.is_open()) {
            return Err(R::MilestoneHasOpenTasks);
        }
        Ok(vec![E::MilestoneCompleted { milestone_id, name: milestone.name.clone() }])
    }
}

/// The task that a command is about, whose assignee's own it is.
fn task_of(command: &C) -> Option<TaskId> {
    match command {
        C::AssignTask { task_id, .. }
        | C::StartTask { task_id }
        | C::BlockTask { task_id, .. }
        | C::CompleteTask { task_id }
        | C::ReopenTask { task_id }
        | C::CancelTask { task_id }
        | C::DescribeTask { task_id, .. }
        | C::PrioritiseTask { task_id, .. } => Some(*task_id),
        _ => None,
    }
}

fn from_template(command: C, ctx: &Context) -> Decision<Project> {
    let C::CreateFromTemplate { template, name, client_id, starts_on, engagement_id, description, priority } = command
    else {
        return Ok(vec![]);
    };
    let (_, found) = ProjectTemplate::with_key(&template, ctx).ok_or(R::UnknownTemplate)?;
    if found.is_retired() {
        return Err(R::TemplateRetired);
    }
    let name = match name {
        Some(name) => name,
        None => found.name().parse().map_err(|_| R::UnknownTemplate)?,
    };
    let starts_on = starts_on.unwrap_or(ctx.today());
    let due = |days: u32| starts_on.checked_add_days(days).ok_or(R::DueDateOutOfRange);
    ["milestone_ids", "task_ids"].into_iter().for_each(|list| ctx.begin_parts(list));
    let milestones = found.milestones().iter().map(|m| {
        let due_on = Some(due(m.due_after_days)?);
        Ok(NewMilestone { id: ctx.part_of("milestone_ids"), name: m.name.clone(), due_on })
    });
    let milestones = milestones.collect::<Result<Vec<_>, R>>()?;
    let milestone = |name: &Name| milestones.iter().find(|m| m.name == *name).map(|m| m.id);
    let tasks = found.tasks().iter().map(|task| {
        Ok(NewTask {
            id: ctx.part_of("task_ids"),
            title: task.title.clone(),
            description: task.description.clone(),
            milestone_id: task.milestone.as_ref().and_then(milestone),
            due_on: task.due_after_days.map(due).transpose()?,
            role: task.role.clone(),
            assignee_id: None,
            priority: Priority::default(),
        })
    });
    let tasks = tasks.collect::<Result<Vec<_>, R>>()?;
    let template = Some(template);
    Ok(vec![E::Created {
        name,
        client_id,
        template,
        starts_on,
        milestones,
        tasks,
        engagement_id,
        description,
        priority,
    }])
}

#[cfg(test)]
mod billing_tests;
#[cfg(test)]
mod tests;
