//! The ids of what projects and time name of each other.

kernel::ids! {
    /// A milestone of a project.
    MilestoneId,
    /// A task of a project.
    TaskId,
    /// Time that somebody has worked on a project.
    TimeEntryId,
}
