//! What happens to a project, its milestones and its tasks.

use kernel::{ClientId, Date, Name, Slug, Text, UserId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// A milestone of a project.
    MilestoneId,
    /// A task of a project.
    TaskId,
}

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
    },
    /// The project is called differently now.
    Renamed {
        /// The new name.
        name: Name,
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
}

kernel::archivable!(ProjectEvent begins "project.created");
