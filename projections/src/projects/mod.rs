//! Projects with their milestones and tasks, and the templates they are made from.

mod milestones;
mod project_templates;
mod projects;
mod tasks;

pub use milestones::{MilestoneRow, MilestoneStatus};
pub use project_templates::ProjectTemplateRow;
pub use projects::{ProjectRow, ProjectStatus};
pub use tasks::{TaskRow, TaskStatus};
