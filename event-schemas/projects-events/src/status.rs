//! Where a project, its milestones and its tasks stand. All three are moved by the events of the project; one of a milestone or a
//! task is shown to the status of the one that it names.

use crate::ProjectEvent as E;
use kernel::{Machine, status};

/// Where a project stands. Whether it was archived is said beside it.
#[status]
pub enum ProjectStatus {
    /// Not begun.
    #[default]
    Draft,
    /// Being worked on.
    Active,
    /// Pauses.
    OnHold,
    /// Done.
    Completed,
    /// Given up.
    Cancelled,
}

impl ProjectStatus {
    /// Is there work to be done, now or later?
    pub fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Active | Self::OnHold)
    }
}

impl Machine<E> for ProjectStatus {
    const BEGINS: &'static [&'static str] = &["project.created"];

    fn after(self, event: &E) -> Self {
        use ProjectStatus::{Active, Cancelled, Completed, Draft, OnHold};
        match (self, event) {
            (Draft | OnHold, E::Activated {}) => Active,
            (Active, E::Held { .. }) => OnHold,
            (Active, E::Completed {}) => Completed,
            (Draft | Active | OnHold, E::Cancelled { .. }) => Cancelled,
            _ => self,
        }
    }
}

/// Where a milestone stands.
#[status]
pub enum MilestoneStatus {
    /// Not reached.
    #[default]
    Open,
    /// Reached.
    Completed,
    /// Reached, as the client agrees.
    Accepted,
}

impl MilestoneStatus {
    /// Was it reached?
    pub fn is_reached(self) -> bool {
        self != Self::Open
    }
}

impl Machine<E> for MilestoneStatus {
    const BEGINS: &'static [&'static str] = &["project.created", "milestone.created"];

    fn after(self, event: &E) -> Self {
        match (self, event) {
            (Self::Open, E::MilestoneCompleted { .. }) => Self::Completed,
            (Self::Completed, E::MilestoneAccepted { .. }) => Self::Accepted,
            _ => self,
        }
    }
}

/// Where a task stands.
#[status]
pub enum TaskStatus {
    /// Not begun.
    #[default]
    Open,
    /// Being done.
    InProgress,
    /// Something stands in its way.
    Blocked,
    /// Done.
    Completed,
    /// Need not be done.
    Cancelled,
}

impl TaskStatus {
    /// Is it to be done still?
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Completed | Self::Cancelled)
    }
}

impl Machine<E> for TaskStatus {
    const BEGINS: &'static [&'static str] = &["project.created", "task.created"];

    fn after(self, event: &E) -> Self {
        use TaskStatus::{Blocked, Cancelled, Completed, InProgress, Open};
        match (self, event) {
            (Open | Blocked, E::TaskStarted { .. }) => InProgress,
            (Open | InProgress, E::TaskBlocked { .. }) => Blocked,
            (Open | InProgress | Blocked, E::TaskCompleted { .. }) => Completed,
            (Open | InProgress | Blocked, E::TaskCancelled { .. }) => Cancelled,
            (Completed | Cancelled, E::TaskReopened { .. }) => Open,
            _ => self,
        }
    }
}
