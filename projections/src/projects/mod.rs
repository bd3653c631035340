//! Projects with their milestones, tasks and time, and the templates they are made from.

mod budgets;
mod milestones;
mod project_templates;
#[expect(clippy::module_inception, reason = "the context and its main table share their name")]
mod projects;
mod tasks;
mod time_entries;

use crate::group::Group;

pub use budgets::BudgetRow;
pub use milestones::MilestoneRow;
pub use project_templates::ProjectTemplateRow;
pub use projects::ProjectRow;
pub use tasks::TaskRow;
pub use time_entries::TimeEntryRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("projects", 2, "Projects with milestones, tasks and time, and their templates.")
        .with::<ProjectRow>()
        .with::<TaskRow>()
        .with::<MilestoneRow>()
        .with::<ProjectTemplateRow>()
        .with::<TimeEntryRow>()
        .with::<BudgetRow>()
}
