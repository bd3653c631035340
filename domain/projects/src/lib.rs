//! Project templates, projects, milestones and tasks.
//!
//! A project is one consistency boundary with its milestones and tasks inside: a milestone is reached when its tasks are
//! done, and a finished project has no open tasks. Their events still carry their own names (`task.completed`).

pub mod project;
pub mod project_template;

pub use project::Project;
pub use project_template::ProjectTemplate;
