//! What did happen in the projects context: the event enums other crates may read.

mod project;
mod status;
mod template;

pub use project::{NewMilestone, NewTask, ProjectEvent};
pub use status::{MilestoneStatus, ProjectStatus, TaskStatus};
pub use template::{ProjectTemplateEvent, TemplateMilestone, TemplateTask};
