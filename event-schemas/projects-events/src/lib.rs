//! What did happen in the projects context: the event enums other crates may read.

mod project;
mod status;
mod template;

pub use project::{MilestoneId, NewMilestone, NewTask, ProjectEvent, TaskId};
pub use status::{MilestoneStatus, ProjectStatus, TaskStatus};
pub use template::{ProjectTemplateEvent, ProjectTemplateId, TemplateMilestone, TemplateTask};
