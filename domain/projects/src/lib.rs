//! Project templates, projects, milestones and tasks.
//!
//! A *time entry* is time that somebody has worked on a project; what is approved of it counts against the project's budget, and is
//! unbilled until it is on an invoice. A project is one consistency boundary with its milestones and tasks inside: a milestone is reached when its tasks are
//! done, and a finished project has no open tasks. Their events still carry their own names (`task.completed`).

pub mod project;
pub mod project_template;
pub mod time_entry;

pub use project::Project;
pub use project_template::ProjectTemplate;
pub use time_entry::TimeEntry;
