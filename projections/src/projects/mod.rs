//! Projects with their milestones and tasks, and the templates they are made from.

mod milestones;
mod project_templates;
#[expect(clippy::module_inception, reason = "the context and its main table share their name")]
mod projects;
mod tasks;

use crate::group::Group;

pub use milestones::MilestoneRow;
pub use project_templates::ProjectTemplateRow;
pub use projects::ProjectRow;
pub use tasks::TaskRow;

/// Its tables.
pub(crate) fn group() -> Group {
    Group::new("projects", 1, "Projects with milestones and tasks, and their templates.")
        .with::<ProjectRow>()
        .with::<TaskRow>()
        .with::<MilestoneRow>()
        .with::<ProjectTemplateRow>()
}
